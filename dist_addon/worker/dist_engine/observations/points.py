"""Points of the surface, as tracked markers or a scan has them, and the views that see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..meshing import Mesh
from ..protocol import Request
from .depths import SurfaceHits
from .observation import INDEPENDENT, Estimate, Goal, Observation, at_most, distance_from, weight_of
from .rows import Rows
from .surface import at_points


@dataclass(frozen=True)
class PointDraw:
    """Indices (N,) of points, and whether it counts who sees them."""

    points: Tensor
    visibility: bool = True


class SurfacePoints(Observation[PointDraw]):
    """Points (P, 3) in the world, and which of V views see them (P, V)."""

    name = "points"

    def __init__(
        self,
        points: np.ndarray,
        seen: np.ndarray,
        noise: float,
        beside_masks: bool,
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        self.world = torch.as_tensor(points, dtype=torch.float32, device=device)
        self.seen_by = torch.as_tensor(seen, device=device)
        self.noise, self._beside_masks, self._generator = noise, beside_masks, generator

    @classmethod
    def of(cls, request: Request, device: torch.device, generator: torch.Generator) -> SurfacePoints | None:
        """As `Observation.of`."""
        if request.points is None:
            return None
        seen = (
            np.zeros((len(request.points), len(request.views)), bool)
            if request.visibility is None
            else request.visibility
        )
        beside_masks = bool(request.mask_counts.any())
        return cls(request.points, seen, request.settings.depth_noise, beside_masks, device, generator)

    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> PointDraw:
        """Half as many as rays.

        While a start is sought with masks, of any view, it does not count who sees points: of a wrong shape, that
        misleads.
        """
        every = torch.arange(len(self.world), device=self.world.device)
        visibility = goal in ("fit", "finish") or not self._beside_masks
        return PointDraw(at_most(every, count // 2, self._generator), visibility)

    def of_view(self, drawn: PointDraw, view: int) -> PointDraw:
        """As `Observation.of_view`."""
        return replace(drawn, points=drawn.points[self.seen_by[drawn.points, view]])

    def rows(self, drawn: PointDraw, estimate: Estimate) -> Iterator[Rows]:
        """F is zero at the points, whatever the cameras are; and nothing is before them where they are seen."""
        if not len(drawn.points):
            return
        state, weight = estimate.state, weight_of(len(self.world), len(drawn.points))
        points = state.place.to_object(self.world[drawn.points])
        at = at_points(estimate.field, points)
        columns = estimate.unknowns.columns(state, at, points)
        yield Rows(weight / INDEPENDENT, at.value, columns, estimate.d_shape(at), self.noise)
        seen, share = self.visible_rays(drawn, state.cameras, state.place)
        if len(seen.rays):
            # The surface need not be where the ray meets it: the points have rows of their own. And their rays follow
            # the cameras, while they stay where they are.
            _, stopped = seen.meet(estimate, self.noise)
            yield seen.clear_rows(estimate, stopped, self.noise, moving=False, weight=share)
            yield from seen.facing_rows(estimate, seen.distance, self.noise, moving=False, weight=share)

    def visible_rays(self, drawn: PointDraw, cameras: Cameras, place: Similarity) -> tuple[SurfaceHits, Tensor]:
        """The rays (N,) from the views to the points that they see, and how much each counts.

        A point counts once, however many views see it.
        """
        points = drawn.points if drawn.visibility else drawn.points[:0]
        which, views = self.seen_by[points].nonzero().unbind(1)
        world = self.world[points][which]
        there = cameras.to_camera(views, world)
        rays = cameras.rays(views, cameras.project(views, there), place)
        weight = weight_of(len(self.world), len(drawn.points))
        share = 1 / self.seen_by[points].sum(1).clamp(min=1).to(there)[which]
        return SurfaceHits(rays, views, there.norm(dim=1) / place.scale, weight), share

    def surface(self, drawn: PointDraw, cameras: Cameras, place: Similarity) -> Tensor:
        """As `Observation.surface`."""
        seen, _ = self.visible_rays(drawn, cameras, place)
        return torch.cat([seen.points(), place.to_object(self.world[drawn.points])])

    def residuals(self, estimate: Estimate, mesh: Mesh, count: int) -> tuple[Tensor, Tensor]:
        """Blender units from the mesh; a point counts for each view that sees it, or for none."""
        points, place = self.draw(2 * count).points, estimate.state.place
        seen = self.seen_by[points]
        which, views = torch.column_stack([seen, ~seen.any(1)]).nonzero().unbind(1)
        away = distance_from(mesh, place.to_object(self.world[points]))
        return place.scale * away[which], views
