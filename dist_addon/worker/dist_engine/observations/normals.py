"""Normals: pixels where the direction of the surface is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..cameras import Cameras, Similarity
from ..meshing import Mesh
from ..protocol import Request
from ..rays import Rays
from ..shapes.shape import Derivative
from .observation import INDEPENDENT, Estimate, Goal, Observation, Pixels, at_most, nearest_known, weight_of
from .rows import Rows
from .surface import GRAZING, at_points, normals, traced

# Half the stencil of observed normals. With a fourth of it, sharp edges and the pieces in which a network is linear
# make so many local minima that fits may end worse than without the normals.
OBSERVED_STENCIL = 0.02


@dataclass(frozen=True)
class FacingRays:
    """N rays that meet the surface where its normal is known.

    Attributes
    ----------
    rays : Rays
    views : (N,) int tensor
        The camera of each.
    axes : (N, 3, 3) tensor
        Rows in the object frame: two directions along the surface, at right angles, and its normal.
    weight : float
        How many independent observations each of them stands for.
    """

    rays: Rays
    views: Tensor
    axes: Tensor
    weight: float

    def rows(self, estimate: Estimate, noise: float) -> Rows:
        """The traced surface's normal has no part along the observed surface; `noise` is in radians.

        Two for each ray that hits. f's slopes are differences over a `OBSERVED_STENCIL` along the observed axes: a ReLU
        network's own gradient is constant in pieces. The hit moves along its ray as f changes there.
        """
        trace = traced(estimate.field, self.rays)
        hit = trace.hit.nonzero()[:, 0]
        rays, views, axes = self.rays[hit], self.views[hit], self.axes[hit]
        points = rays.at(trace.distance[hit])

        at = at_points(estimate.field, points)
        slope = (at.d_point * rays.directions).sum(1)
        # How far the hit moves along its ray as f there grows.
        slide = -torch.where(slope < -GRAZING, 1 / slope.clamp(max=-GRAZING), 0.0)
        own = estimate.unknowns.columns(estimate.state, at, points, views)
        slopes, changes = torch.zeros_like(points), points.new_zeros(*points.shape, own.shape[1])
        ends, along = [], torch.zeros_like(points)
        for axis in range(3):
            for step in (OBSERVED_STENCIL, -OBSERVED_STENCIL):
                end = points + step * axes[:, axis]
                there = at_points(estimate.field, end)
                ahead = (there.d_point * rays.directions).sum(1)
                columns = estimate.unknowns.columns(estimate.state, there, end, views, fixed=points, through=points)
                slopes[:, axis] += there.value / (2 * step)
                changes[:, axis] += (columns + (ahead * slide)[:, None] * own) / (2 * step)
                along[:, axis] += ahead * slide / (2 * step)
                ends.append((there.d_shape, axis, step))
        length = slopes.norm(dim=1).clamp(min=1e-6)[:, None]
        normal = slopes / length
        # Of a change of the slopes (N, 3), what turns the normal along the two axes: (N, 2, 3).
        turning = (torch.eye(3).to(normal) - normal[:, :, None] * normal[:, None])[:, :2] / length[..., None]
        d_shape: list[Derivative] = []
        if estimate.unknowns.shape:
            twice = torch.arange(len(points), device=points.device).repeat_interleave(2)
            d_shape = [d[twice].scaled(turning[..., axis].flatten() / (2 * step)) for d, axis, step in ends]
            d_shape.append(at.d_shape[twice].scaled((turning @ along[..., None]).flatten()))
        return Rows(
            self.weight / INDEPENDENT, normal[:, :2].flatten(), (turning @ changes).flatten(0, 1), d_shape, noise
        )


class NormalMaps(Observation[Tensor]):
    """Pictures of unit normals in their cameras' frames; a draw is flat indices (N,) of pixels where they are known."""

    name = "normals"

    def __init__(self, pictures: np.ndarray, noise: float, device: torch.device, generator: torch.Generator) -> None:
        self.pixels = Pixels(*pictures.shape[1:3])
        self._normals = torch.as_tensor(pictures.reshape(-1, 3), dtype=torch.float32, device=device)
        self._known = self._normals.isfinite().all(1).nonzero()[:, 0]
        self.noise, self._generator = noise, generator

    @classmethod
    def of(cls, request: Request, device: torch.device, generator: torch.Generator) -> NormalMaps | None:
        """As `Observation.of`."""
        if request.normals is None:
            return None
        return cls(request.normals, math.radians(request.settings.normal_noise), device, generator)

    @classmethod
    def shrunk(cls, request: Request, factor: int) -> Mapping[str, np.ndarray | None]:
        """As `Observation.shrunk`: a mean across an edge would be a normal of nothing."""
        return {"normals": None if request.normals is None else nearest_known(request.normals, factor)}

    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> Tensor:
        """Half as many as rays."""
        return at_most(self._known, count // 2, self._generator)

    def of_view(self, drawn: Tensor, view: int) -> Tensor:
        """As `Observation.of_view`."""
        return drawn[self.pixels.view_of(drawn) == view]

    def seen(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> FacingRays:
        """What is known at pixels (N,)."""
        rays, views = self.pixels.rays(pixels, cameras, place)
        axes = with_tangents(self._normals[pixels]) @ cameras.rotation[views] @ place.rotation
        return FacingRays(rays, views, axes, weight_of(len(self._known), len(pixels)))

    def rows(self, drawn: Tensor, estimate: Estimate) -> Iterator[Rows]:
        """As `Observation.rows`."""
        if len(drawn):
            yield self.seen(drawn, estimate.state.cameras, estimate.state.place).rows(estimate, self.noise)

    def residuals(self, estimate: Estimate, mesh: Mesh, count: int) -> tuple[Tensor, Tensor] | None:
        """Degrees between what was seen and the shape's own, where rays meet it."""
        if not len(self._known):
            return None
        seen = self.seen(self.draw(2 * count), estimate.state.cameras, estimate.state.place)
        trace = traced(estimate.field, seen.rays)
        there = normals(estimate.field, seen.rays.at(trace.distance)[trace.hit])
        cosine = (there * seen.axes[trace.hit, 2]).sum(1).clamp(-1, 1)
        return torch.rad2deg(torch.acos(cosine)), seen.views[trace.hit]


def with_tangents(pictures: Tensor) -> Tensor:
    """Two directions along each surface, and its unit normal (N, 3, 3), in the frame of normals (N, 3)."""
    ahead = normalize(pictures, dim=1)
    # The axis that the normal is farthest from.
    other = torch.eye(3).to(ahead)[ahead.abs().argmin(1)]
    tangents = normalize(torch.linalg.cross(ahead, other), dim=1)
    return torch.stack([tangents, torch.linalg.cross(ahead, tangents), ahead], 1)
