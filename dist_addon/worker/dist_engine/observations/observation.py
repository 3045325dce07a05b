"""What every kind of observation is asked for; each has a module of its own.

A kind takes its own from a request, draws some of it, and turns what was drawn into rows: how far what a shape shows is
from what was seen. Tuples of a draw are opaque to all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import igl
import numpy as np
import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..meshing import Mesh
from ..protocol import Request
from ..rays import Rays
from ..shapes.shape import Field, Linear, ShapeField
from ..state import State, Unknowns
from .rows import Rows
from .surface import at_fixed

# Neighbouring pixels err together: however many of a kind are observed, they tell no more than so many would that err
# on their own.
INDEPENDENT = 3000
# A stage of a fit: the share of the rays that it uses, and of the steps that it may take, and the level of the
# pictures' colours; None leaves them out.
FitStage = tuple[float, float, int | None]
Draw = TypeVar("Draw")
# What a draw is for: the ranking of many shapes as they are, the search for a start, a fit, and its end, when the shape
# is about right.
Goal = Literal["rank", "start", "fit", "finish"]


@dataclass(frozen=True)
class Estimate:
    """Where a fit stands: a state, its shape's f, and which of it is unknown."""

    state: State
    field: ShapeField
    unknowns: Unknowns

    def d_shape(self, at: Linear) -> tuple[Any, ...]:
        """The shape's part of rows that are f itself: none where the shape is known."""
        return (at.d_shape,) if self.unknowns.shape else ()

    def rows_at(
        self,
        weight: float,
        rays: Rays,
        views: Tensor,
        distance: Tensor,
        wanted: Tensor,
        sigma: Tensor | float,
        *,
        deeper: float = 0.0,
        moving: bool = True,
    ) -> Rows:
        """Rows ``f - wanted`` at points of rays of the views (M,).

        Parameters
        ----------
        weight : float
            How many independent observations each stands for.
        rays : Rays
        views : (M,) int tensor
        distance, wanted : (M,) tensors
            The points are at fixed depths, or where f does not change along the ray.
        sigma : (M,) tensor or float
        deeper : float
            So much deeper than `distance` they are, in the object frame's units.
        moving : bool
            Whether the rays follow their cameras; where not, the points stay where they are in the world.
        """
        ahead = deeper / rays.cosine
        points, at = rays.at(distance + ahead), at_fixed(self.field, rays, distance + ahead)
        columns = self.unknowns.columns(
            self.state, at, points, views if moving else None, fixed=rays.at(distance), through=points
        )
        return Rows(weight / INDEPENDENT, at.value - wanted, columns, self.d_shape(at), sigma)


class Observation(ABC, Generic[Draw]):
    """All of one kind that a request says of the thing, on the worker's device.

    Attributes
    ----------
    name : str
        Of the kind, as the report's ``residuals`` have it.
    stages : sequence of FitStage or None
        How a fit is to go where there is this kind; None where it has no say.
    leads : bool
        Whether there are views of which only this kind tells.
    """

    name: ClassVar[str]
    stages: Sequence[FitStage] | None = None
    leads = False

    @classmethod
    @abstractmethod
    def of(cls, request: Request, device: torch.device, generator: torch.Generator) -> Observation[Draw] | None:
        """What a request says; None where it says nothing of this kind. Draws take from the generator."""

    @classmethod
    def shrunk(cls, request: Request, factor: int) -> Mapping[str, np.ndarray | None]:
        """The request's own pictures of this kind, by field, with blocks of `factor` pixels along a side as one."""
        return {}

    def prepare(self, cameras: Cameras, places: Sequence[Similarity]) -> None:
        """Look once at where the thing may stand; raises `RequestError` where it is nowhere to be seen."""

    def review(self, estimate: Estimate) -> None:
        """Leave out, from now on, what a shape that already fits shows to be of something else."""

    @abstractmethod
    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> Draw:
        """Some of the observations, by a fit's `count` of rays."""

    @abstractmethod
    def of_view(self, drawn: Draw, view: int) -> Draw:
        """Those of a draw that one view alone sees."""

    @abstractmethod
    def rows(self, drawn: Draw, estimate: Estimate) -> Iterator[Rows]:
        """The rows of a draw, where there are some."""

    def mismatch(self, drawn: Draw, field: Field, cameras: Cameras, place: Similarity) -> Tensor | float:
        """Roughly how far a shape is from what a draw says, by f at points that are the same for all shapes."""
        return 0.0

    def surface(self, drawn: Draw, cameras: Cameras, place: Similarity) -> Tensor:
        """Points (M, 3) of the object frame that a draw says are of the surface."""
        return cameras.K.new_zeros(0, 3)

    def residuals(self, estimate: Estimate, mesh: Mesh, count: int) -> tuple[Tensor, Tensor] | None:
        """How far some of it is from a shape, and the view of each: (M,) and (M,), for the report; V is no view.

        None for a kind that has no such number. The units are the kind's own; see `protocol.Result`.
        """
        return None


class Pixels:
    """Flat indices of the pixels of V pictures of one size, and the rays through their centres."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    def view_of(self, pixels: Tensor) -> Tensor:
        """The view (N,) of each."""
        return pixels // (self.height * self.width)

    def rays(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> tuple[Rays, Tensor]:
        """Rays through the centres of pixels (N,), and their views (N,)."""
        inside_view = pixels % max(self.height * self.width, 1)
        centres = torch.stack([inside_view % self.width, inside_view // self.width], 1) + 0.5
        views = self.view_of(pixels)
        return cameras.rays(views, centres, place), views


def some(pool: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` of a pool (N,), which may come more than once."""
    return pool[torch.randint(len(pool), (count,), generator=generator).to(pool.device)]


def at_most(pool: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """All of a pool (N,), or `count` of it where there are more."""
    return pool if len(pool) <= count else some(pool, count, generator)


def weight_of(there: int, taken: int) -> float:
    """What each of the observations that were taken stands for, of those that are there."""
    return min(there, INDEPENDENT) / max(taken, 1)


def nearest_known(pictures: np.ndarray, factor: int) -> np.ndarray:
    """Of each block of pictures (V, H, W, ...), the finite value nearest to its middle; NaN where there is none."""
    middle = (factor - 1) / 2
    places = sorted(np.ndindex(factor, factor), key=lambda at: (at[0] - middle) ** 2 + (at[1] - middle) ** 2)
    made = []
    for picture in pictures:
        blocks = _blocks(picture, factor)
        chosen = np.full_like(blocks[:, 0, :, 0], np.nan)
        for down, across in places:
            there = blocks[:, down, :, across]
            chosen = np.where(np.isfinite(chosen), chosen, there)
        made.append(chosen)
    return np.stack(made)


def block_means(pictures: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of pictures (V, H, W, ...) uint8; one picture after the other, to save memory."""
    return np.stack([np.rint(_blocks(picture, factor).mean((1, 3))).astype(np.uint8) for picture in pictures])


def blocks_all(pictures: np.ndarray, factor: int) -> np.ndarray:
    """Where all of a block of pictures (V, H, W) bool is true."""
    return np.stack([_blocks(picture, factor).all((1, 3)) for picture in pictures])


def _blocks(picture: np.ndarray, factor: int) -> np.ndarray:
    """A picture (H, W, ...) as (rows, factor, columns, factor, ...)."""
    rows, columns = (length // factor for length in picture.shape[:2])
    whole = picture[: rows * factor, : columns * factor]
    return whole.reshape(rows, factor, columns, factor, *picture.shape[2:])


def distance_from(mesh: Mesh, points: Tensor) -> Tensor:
    """Distance (N,) of points (N, 3) from a mesh, in the object frame."""
    if not len(points):
        return points[:, 0]
    vertices, there = (part.cpu().double().numpy() for part in (mesh.vertices, points))
    squared = igl.point_mesh_squared_distance(there, vertices, mesh.faces.astype(np.int64))[0]
    return torch.as_tensor(squared, device=points.device).sqrt()
