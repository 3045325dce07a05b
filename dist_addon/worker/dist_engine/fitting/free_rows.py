"""What is observed of a free surface: its rows, how much of it they see, and how sure it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..observations import Observations
from ..observations.contours import HUBER, SIGMA, contour_pixels, contour_rows
from ..observations.depths import DepthMaps
from ..observations.matching import ANGLES, PictureStack, SurfaceMatches, match_surface, partners
from ..observations.normals import NormalMaps
from ..observations.observation import INDEPENDENT, Estimate
from ..observations.points import SurfacePoints
from ..observations.rows import Rows
from ..protocol import Request, RequestError
from ..shapes.free.distance import redistanced
from ..shapes.free.grid import REACH, Grid, cube_index
from ..shapes.free.shape import FreeShape
from ..state import State, Unknowns
from ..tracing.whole import pass_through
from .freeform import spread
from .hull import doubtful_pixels
from .levels import Level

# Standard deviation of a matched point, in pixels of its level.
MATCHED = 0.7
# From how many pixels on an outline counts linearly where masks contradict each other in more than this share.
HUBER_IN_DOUBT, WRONG = 0.5, 0.001
# Depths and normals: what they see of the object, by view, in squared radii. A lone point stands for (4 h)^2.
SEEN = 1.0
POINT_WIDTH, POINTS_AREA = 4.0, 3.0
# What is observed of the surface is told in so many cells along the cube's side; one part in so many is enough.
SEEN_CELLS, WELL_SEEN = 32, 1.0
# Uncertainty comes from so many samples on a grid of so many cells.
SAMPLES, SAMPLED_CELLS = 8, 64


class Surface:
    """The rows of all that is observed, for a free surface.

    Parameters
    ----------
    request : Request
    observations : Observations
    cameras : Cameras
    place : Similarity
    """

    def __init__(self, request: Request, observations: Observations, cameras: Cameras, place: Similarity) -> None:
        self.observations, self.cameras, self.place = observations, cameras, place
        self.count = request.settings.rays * 4
        outlines = self.outlines = observations.outlines
        pictures = request.compared
        shades = None if pictures is None else torch.as_tensor(pictures, device=observations.device) / 255
        self.doubtful = None if outlines is None else doubtful_pixels(outlines, cameras, place, shades)
        # Where some of the masks is wrong, more may be.
        doubts = 0 if self.doubtful is None else int(self.doubtful.sum())
        wrong = outlines is not None and doubts > WRONG * int(outlines.masks.sum())
        self.huber = HUBER_IN_DOUBT if wrong else HUBER
        self.noise = request.settings.mask_noise * SIGMA / 0.7
        self.stack: PictureStack | None = None
        if request.compared is not None:
            shown = (
                np.ones(request.masks.shape, bool)
                if outlines is None
                else (outlines.masks | ~outlines.masked[:, None, None]).cpu().numpy()
            )
            self.stack = PictureStack(request.compared, shown, observations.device)
            if not bool(partners(cameras, place)[1].any()):
                raise RequestError(
                    f"No two cameras look at the thing from {ANGLES[0]:g} to {ANGLES[1]:g} degrees apart, so their "
                    "colours cannot be compared: add cameras between them, or leave the colours out."
                )
        self.matches: SurfaceMatches | None = None

    def footprint(self) -> float:
        """Width of a pixel at the object's middle, in the object frame, in the median view; 0 without views."""
        if not len(self.cameras.K):
            return 0.0
        there = self.cameras.rotation @ self.place.translation + self.cameras.translation
        return float((there[:, 2] / self.cameras.K[:, 0, 0] / self.place.scale).median())

    def rows(self, shape: FreeShape, level: Level, number: int) -> list[Rows]:
        """The rows about a shape, at a step of a level; pictures are matched anew at every second."""
        field = shape.field(Counter())
        estimate = Estimate(State.start(shape, self.place, self.cameras), field, Unknowns(place=False))
        rows = []
        if self.outlines is not None and self.doubtful is not None:
            wide = shape.grid.width / self.footprint()
            pixels, counts = contour_pixels(self.outlines, self.doubtful, self.observations.generator, wide)
            rows.append(
                contour_rows(self.outlines, pixels, counts, field, self.cameras, self.place, self.noise, self.huber)
            )
        if self.stack is not None:
            if number % 2 == 0:
                self.matches = self._match(shape, level, number)
            if self.matches is not None and len(self.matches.points):
                rows.append(self._matched(shape))
        for kind in self.observations.kinds:
            area = self._area(kind, shape.grid.width)
            if area is not None:
                for each in kind.rows(kind.draw(self.count), estimate):
                    rows.append(_within(each, area))
        return rows

    def _area(self, kind: object, h: float) -> float | None:
        """What the rows of a kind stand for in all, over what they count in a prior's fit; None for none."""
        if isinstance(kind, (DepthMaps, NormalMaps)):
            return SEEN * len(self.cameras.K)
        if isinstance(kind, SurfacePoints):
            return min(len(kind.world) * (POINT_WIDTH * h) ** 2, POINTS_AREA) * max(1.0, INDEPENDENT / len(kind.world))
        return None

    def _match(self, shape: FreeShape, level: Level, number: int) -> SurfaceMatches | None:
        assert self.stack is not None
        h = shape.grid.width
        field = shape.field(Counter())
        views, height, width = self.stack.masks.shape
        index = self.stack.masks.flatten().nonzero()[:, 0]
        inside = index % (height * width)
        pixels = torch.stack([inside % width, inside // width], 1) + 0.5
        rays = self.cameras.rays(index // (height * width), pixels, self.place)
        distances = torch.full((views * height * width,), torch.inf, device=index.device)
        distances[index] = pass_through(field, rays, 0.5 * h, stop=True).first
        footprint = self.footprint()
        picture_level = max(0, round(math.log2(2 * REACH / (level.pixels or level.cells) / footprint)) - level.finer)
        picture_level = min(picture_level, len(self.stack.levels) - 1)
        return match_surface(
            self.stack,
            self.cameras,
            self.place,
            distances.reshape(views, height, width),
            lambda points: torch.nn.functional.normalize(shape.grid.slope(points), dim=1),
            level=picture_level,
            reach=level.reach,
            spacing=level.spacing,
            stride=level.stride,
            patch=level.patch,
            width=h,
            offset=(number % level.stride, (number // 2) % level.stride),
        )

    def _matched(self, shape: FreeShape) -> Rows:
        assert self.matches is not None
        found = self.matches
        field = shape.field(Counter())
        derivative = field.derivative(found.points)
        kept = derivative.within().nonzero()[:, 0]
        sigma = MATCHED * found.footprint[kept]
        return Rows(
            1.0,
            shape.grid(found.points[kept]),
            sigma.new_zeros(len(kept), 0),
            (derivative[kept],),
            sigma,
            weight=found.confidence[kept] * found.area[kept],
        )

    def variances(self, shape: FreeShape, level: Level, points: Tensor) -> Tensor:
        """How sure the surface is at points (N, 3) of it: the variance (N,) across it, in the object frame's units.

        From samples of the linear model's distribution on a coarse grid.
        """
        cells = min(SAMPLED_CELLS, shape.grid.cells)
        coarse = replace(shape, grid=redistanced(Grid.of(shape.grid, cells, self.observations.device)))
        samples = spread(coarse, self.rows(coarse, level, 1), SAMPLES, self.observations.generator)
        derivative = coarse.field(Counter()).derivative(points)
        # Rows count by area: so much of it is one independent observation.
        alone = (self.footprint() or POINT_WIDTH * shape.grid.width) ** 2
        return alone * torch.stack([derivative.forward(sample).square() for sample in samples]).mean(0)


def _within(rows: Rows, area: float) -> Rows:
    """Rows that stand for an area, without those whose points are beyond the band."""
    inside = torch.stack([each.within() for each in rows.d_shape]).all(0)  # type: ignore[attr-defined]
    weight = inside.to(rows.residual) if rows.weight is None else rows.weight * inside
    return replace(rows, share=rows.share * area, weight=weight, views=None, rays=None)


def share_seen(shape: FreeShape, rows: Sequence[Rows]) -> Tensor:
    """How much of the surface rows tell the place of, in cells (S, S, S) of the cube, from 0 to 1.

    Outlines do not count: of the surface, they see but lines.
    """
    nodes, area = shape.band.positions, shape.grid.values.new_zeros(SEEN_CELLS**3)
    for each in rows:
        if each.side is None and each.weight is not None:
            for part in each.d_shape:
                shares = part.backward(each.share * each.weight)
                place = ((nodes + REACH) * (SEEN_CELLS / (2 * REACH))).long().clamp(0, SEEN_CELLS - 1)
                area.index_add_(0, cube_index(place, SEEN_CELLS), shares)
    # A surface that is seen wholly fills nine of a cell and its neighbours.
    about = 27 * torch.nn.functional.avg_pool3d(area.reshape(1, 1, *[SEEN_CELLS] * 3), 3, 1, 1)[0, 0]
    return (about * WELL_SEEN / (9 * (2 * REACH / SEEN_CELLS) ** 2)).clamp(0, 1)
