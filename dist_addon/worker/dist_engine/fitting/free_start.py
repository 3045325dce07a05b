"""Where a thing of no class is, and what is known of its shape before any fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError  # type: ignore[import-untyped]
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..observations import Observations
from ..observations.depths import DepthMaps
from ..protocol import Placement, Request, RequestError
from ..shapes.free.grid import REACH
from ..shapes.free.kind import FreeKind
from ..shapes.shape import ShapeKind
from .fit import Fit
from .hull import Hull, around
from .start import start_places

# How far beyond the surface that counts which neither masks nor depths show: so little that its edge is looked for.
UNSEEN = 0.03
# The unit sphere is so much larger than a mesh to start from: the thing may be larger, too.
ROOMY = 1.25


class Start:
    """Where a thing of no class is, and what is known of its shape before any fit."""

    def __init__(
        self,
        request: Request,
        kind: ShapeKind | FreeKind,
        found: Fit | None,
        observations: Observations,
    ) -> None:
        self.request, self.observations = request, observations
        outlines = observations.outlines
        if found is not None:
            self.place = found.place
            return
        if request.start_vertices is not None:
            self.place = _about(request.start_vertices.astype(float), observations.device)
            return
        if outlines is None and request.depths is None and request.points is None:
            raise RequestError(
                "A thing of no class needs masks, depths or points to start from, and there are none: give the "
                "pictures masks or alpha, or choose a shape prior."
            )
        place = start_places(request, kind, observations.device)[0]
        if outlines is not None:
            left = around(Hull(outlines, observations.cameras, place))
            if left is not None:
                middle, radius = left
                scale = float(radius.clamp(max=1.0))
                place = Similarity(place.scale * scale, place.rotation, place.to_world(middle[None])[0])
        self.place = place

    def f(self, hull: Hull | None) -> Callable[[Tensor], Tensor]:
        """Roughly the distance from what is left of space."""
        parts: list[Callable[[Tensor], Tensor]] = []
        observations, place, bounds = self.observations, self.place, self.request.bounds
        parts.append(hull if hull is not None else lambda points: points.norm(dim=1) - 1)
        if bounds is not None:
            centre, turn, half = (
                torch.as_tensor(np.asarray(part), dtype=torch.float32, device=observations.device)
                for part in (bounds.center, bounds.rotation, bounds.half_size)
            )

            def box(points: Tensor) -> Tensor:
                # Bounds are rough: a tenth more.
                inside = ((place.to_world(points) - centre) @ turn).abs() - 1.1 * half
                return inside.amax(1) / place.scale

            parts.append(box)
        # Masks tell of what no depths show; without any, it is not the thing's.
        unseen = UNSEEN if observations.outlines is None else -REACH
        parts += [
            partial(_before, kind, observations.cameras, place, unseen)
            for kind in observations.kinds
            if isinstance(kind, DepthMaps)
        ]
        if observations.outlines is None and self.request.points is not None and self.request.depths is None:
            parts.append(
                _hull_of(
                    place.to_object(
                        torch.as_tensor(self.request.points, dtype=torch.float32, device=observations.device)
                    )
                )
            )

        def all_of(points: Tensor) -> Tensor:
            return torch.stack([part(points) for part in parts]).amax(0)

        return all_of


def _before(kind: DepthMaps, cameras: Cameras, place: Similarity, unseen: float, points: Tensor) -> Tensor:
    """How far points (N, 3) are before what some view's depths show; `unseen` where hardly any shows anything.

    That is, where less than half as many show something as at the best seen of the points: one view alone leaves its
    shadow behind the thing.
    """
    found = points.new_full((len(points),), -REACH)
    shown = torch.zeros(len(points), device=points.device)
    depths = kind.depths
    for view in range(len(cameras.K)):
        views = torch.full((len(points),), view, device=points.device)
        there = cameras.to_camera(views, place.to_world(points))
        pixels = cameras.project(views, there).floor().long()
        inside = (there[:, 2] > 0) & (pixels >= 0).all(1)
        inside &= (pixels[:, 0] < depths.shape[2]) & (pixels[:, 1] < depths.shape[1])
        own = depths[view, pixels[:, 1].clamp(0, depths.shape[1] - 1), pixels[:, 0].clamp(0, depths.shape[2] - 1)]
        ahead = (own - there[:, 2]) / place.scale
        inside &= own.isfinite()
        shown += inside
        found = torch.maximum(found, torch.where(inside, ahead, -REACH))
    return torch.where(2 * shown >= shown.amax().clamp(min=1), found, unseen)


def _hull_of(points: Tensor) -> Callable[[Tensor], Tensor]:
    """Roughly the distance from the convex hull of points (P, 3)."""
    try:
        planes = torch.as_tensor(ConvexHull(points.cpu().double().numpy()).equations).to(points)
    except QhullError as error:
        raise RequestError(
            "The points lie in a plane, so they enclose nothing: add points, bounds or masks."
        ) from error
    planes = torch.unique(planes, dim=0)
    return lambda asked: torch.cat(
        [(part @ planes[:, :3].T + planes[:, 3]).amax(1) for part in torch.split(asked, 1 << 14)]
    )


def _about(vertices: np.ndarray, device: torch.device) -> Similarity:
    """The place whose unit sphere is about vertices (N, 3) of the world, with some room."""
    middle = (vertices.min(0) + vertices.max(0)) / 2
    reach = ROOMY * float(np.linalg.norm(vertices - middle, axis=1).max())
    return Similarity.from_placement(Placement(reach, np.eye(3), middle), np.eye(3), device)
