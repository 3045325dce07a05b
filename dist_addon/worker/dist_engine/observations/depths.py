"""Depths: pixels whose distance from the camera is known. They are points of the surface and free ways to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..meshing import Mesh
from ..protocol import Request
from ..rays import Rays
from .observation import Estimate, Goal, Observation, Pixels, at_most, distance_from, nearest_known, weight_of
from .rows import Rows
from .surface import at_fixed, deepest, traced

# What is before a surface that was seen counts as being before it only if it is so many deviations nearer.
HIT_MARGIN = 3.0
# Depths of up to this deviation (in the object's radius) thicken nothing. f at the points that were seen is smoother
# then than where rays meet the surface, and aeroplanes' wings are found more surely.
EXACT = 0.01
# The surface faces who sees it: so far before and behind a point that was seen, f is this share of that away from zero,
# give or take the second, as the cosine of the angle between ray and normal has it.
BESIDE_HIT, FACING = 0.01, (0.7, 0.3)


@dataclass(frozen=True)
class SurfaceHits:
    """N rays that meet the surface at a known distance, and nothing before.

    Attributes
    ----------
    rays : Rays
    views : (N,) int tensor
        The camera of each.
    distance : (N,) tensor
        In the object frame's units.
    weight : float
        How many independent observations each of them stands for.
    """

    rays: Rays
    views: Tensor
    distance: Tensor
    weight: float

    def points(self) -> Tensor:
        """Where they meet the surface (N, 3), in the object frame."""
        return self.rays.at(self.distance)

    def meet(self, estimate: Estimate, noise: float) -> tuple[Tensor, Tensor]:
        """Where (N,) rays meet the surface, if that is about where it was seen, else where it was seen.

        And how far (N,) they get where they are stopped before that, NaN elsewhere. What is seen exactly is taken at
        its word.
        """
        margin = HIT_MARGIN * noise
        behind = margin if noise > EXACT else -margin
        rays = replace(self.rays, far=torch.minimum(self.rays.far, self.distance + behind))
        trace = traced(estimate.field, rays)
        early = trace.distance < self.distance - margin
        met = torch.where(trace.hit & ~early, trace.distance, self.distance)
        return met, torch.where(trace.hit & early, trace.distance, torch.nan)

    def depth_rows(self, estimate: Estimate, met: Tensor, noise: float) -> Rows:
        """How far rays `met` (N,) the surface from where it was seen, across the surface.

        Where they do not meet it, f at the point that was seen. That alone would do, were there no noise: about a thin
        part, points that err to either side are outside, and would thicken it.
        """
        steep = (at_fixed(estimate.field, self.rays, met).d_point * self.rays.directions).sum(1)
        wanted = -steep * (self.distance - met)
        return estimate.rows_at(self.weight, self.rays, self.views, met, wanted, noise)

    def clear_rows(
        self, estimate: Estimate, stopped: Tensor, noise: float, moving: bool = True, weight: Tensor | None = None
    ) -> Rows:
        """With sides, for rays `stopped` (N,) before they get to what was seen: f is not negative before that."""
        which = stopped.isfinite().nonzero()[:, 0]
        rays, reach = self.rays[which], self.distance[which] - HIT_MARGIN * noise
        inside, _ = deepest(estimate.field, rays, stopped[which], reach)
        zero = torch.zeros_like(inside)
        rows = estimate.rows_at(self.weight, rays, self.views[which], inside, zero, noise, moving=moving)
        return replace(rows, side=zero - 1, weight=None if weight is None else weight[which])

    def facing_rows(
        self, estimate: Estimate, met: Tensor, noise: float, moving: bool = True, weight: Tensor | None = None
    ) -> Iterator[Rows]:
        """For points a little before and behind where rays `met` (N,) the surface: it faces who sees it."""
        spread = math.hypot(noise, BESIDE_HIT * FACING[1])
        for step in (-BESIDE_HIT, BESIDE_HIT):
            wanted = torch.full_like(met, -step * FACING[0])
            rows = estimate.rows_at(self.weight, self.rays, self.views, met, wanted, spread, deeper=step, moving=moving)
            yield replace(rows, weight=weight)


class DepthMaps(Observation[Tensor]):
    """Pictures of depth; a draw is flat indices (N,) of pixels where it is known.

    Attributes
    ----------
    depths : (V, H, W) tensor
        Along the camera's axis, in world units; NaN where unknown.
    """

    name = "depths"

    def __init__(self, depths: np.ndarray, noise: float, device: torch.device, generator: torch.Generator) -> None:
        self.pixels = Pixels(*depths.shape[1:])
        self.depths = torch.as_tensor(depths, dtype=torch.float32, device=device)
        self._known = self.depths.flatten().isfinite().nonzero()[:, 0]
        self.noise, self._generator = noise, generator

    @classmethod
    def of(cls, request: Request, device: torch.device, generator: torch.Generator) -> DepthMaps | None:
        """As `Observation.of`."""
        if request.depths is None:
            return None
        return cls(request.depths, request.settings.depth_noise, device, generator)

    @classmethod
    def shrunk(cls, request: Request, factor: int) -> Mapping[str, np.ndarray | None]:
        """As `Observation.shrunk`: a mean across an edge would be a depth of nothing."""
        return {"depths": None if request.depths is None else nearest_known(request.depths, factor)}

    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> Tensor:
        """Half as many as rays."""
        return at_most(self._known, count // 2, self._generator)

    def of_view(self, drawn: Tensor, view: int) -> Tensor:
        """As `Observation.of_view`."""
        return drawn[self.pixels.view_of(drawn) == view]

    def seen(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> SurfaceHits:
        """What is known at pixels (N,)."""
        rays, views = self.pixels.rays(pixels, cameras, place)
        # The pictures hold depth along the camera's axis; rays measure along themselves.
        distance = self.depths.flatten()[pixels] / rays.cosine / place.scale
        return SurfaceHits(rays, views, distance, weight_of(len(self._known), len(pixels)))

    def rows(self, drawn: Tensor, estimate: Estimate) -> Iterator[Rows]:
        """As `Observation.rows`."""
        if not len(drawn):
            return
        seen = self.seen(drawn, estimate.state.cameras, estimate.state.place)
        met, stopped = seen.meet(estimate, self.noise)
        yield seen.depth_rows(estimate, met, self.noise)
        yield seen.clear_rows(estimate, stopped, self.noise)
        yield from seen.facing_rows(estimate, met, self.noise)

    def surface(self, drawn: Tensor, cameras: Cameras, place: Similarity) -> Tensor:
        """As `Observation.surface`."""
        return self.seen(drawn, cameras, place).points()

    def residuals(self, estimate: Estimate, mesh: Mesh, count: int) -> tuple[Tensor, Tensor]:
        """Blender units from the mesh."""
        place = estimate.state.place
        seen = self.seen(self.draw(2 * count), estimate.state.cameras, place)
        return place.scale * distance_from(mesh, seen.points()), seen.views
