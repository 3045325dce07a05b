"""Freeing the surface: from a prior's shape, a mesh or the visual hull to where the pictures say, coarse to fine."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import igl
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from scipy.spatial import ConvexHull, QhullError  # type: ignore[import-untyped]
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..meshing import extract_mesh
from ..observations import Observations
from ..observations.contours import HUBER, SIGMA, contour_pixels, contour_rows
from ..observations.depths import DepthMaps
from ..observations.matching import ANGLES, PictureStack, SurfaceMatches, match_surface, partners
from ..observations.normals import NormalMaps
from ..observations.observation import INDEPENDENT, Estimate, distance_from
from ..observations.points import SurfacePoints
from ..observations.rows import Rows
from ..protocol import Placement, Request, RequestError, Stage, written_beside
from ..reporting import Reporter
from ..shapes.free.distance import redistanced
from ..shapes.free.grid import REACH, Grid, cube_index
from ..shapes.free.kind import FreeKind
from ..shapes.free.pieces import without_crumbs
from ..shapes.free.shape import FreeShape
from ..shapes.shape import ShapeKind
from ..state import State, Unknowns
from ..tracing.whole import pass_through
from .fit import Fit, Watch
from .freeform import gauss_newton, spread
from .hull import Hull, around, doubtful_pixels
from .start import start_places

# How much a freed surface is held to what it came from: features smaller than (stiffness / TIE)^(1/4) are let go.
TIE = 30.0
# What it came from is known as far as so many cells from its surface.
FARTHEST = 12.0
# How far beyond the surface that counts which neither masks nor depths show: so little that its edge is looked for.
UNSEEN = 0.03
# The unit sphere is so much larger than a mesh to start from: the thing may be larger, too.
ROOMY = 1.25
# Standard deviation of a matched point, in pixels of its level.
MATCHED = 0.7
# From how many pixels on an outline counts linearly where masks contradict each other in more than this share.
HUBER_IN_DOUBT, WRONG = 0.5, 0.001
# A grid is too coarse to start on where it loses more than this share of the surface by more than a cell.
LOST = 0.005
# The finest cell is at least so many pixels wide: the second, where there is but outlines, which say less.
FINEST, FINEST_OUTLINES = 1.5, 3.0
# Depths and normals: what they see of the object, by view, in squared radii. A lone point stands for (4 h)^2.
SEEN = 1.0
POINT_WIDTH, POINTS_AREA = 4.0, 3.0
# What is observed of the surface is told in so many cells along the cube's side; one part in so many is enough.
SEEN_CELLS, WELL_SEEN = 32, 1.0
# Uncertainty comes from so many samples on a grid of so many cells.
SAMPLES, SAMPLED_CELLS = 8, 64


@dataclass(frozen=True)
class Level:
    """One grid of the way from coarse to fine.

    Attributes
    ----------
    cells : int
        Along the cube's side.
    steps : int
        Gauss-Newton steps.
    stiffness : float
    finer : int
        Pictures are compared where their pixels are about a cell wide; or so many times half of it.
    pixels : int or None
        The cells that counts for, where they are not the grid's own.
    reach, spacing : int, float
        Patches are swept so many steps to either side, each of so many pixels.
    stride, patch : int
        Of so many pixels, along both axes, one is matched, with the so many by so many about it.
    """

    cells: int
    steps: int
    stiffness: float
    finer: int = 0
    reach: int = 4
    spacing: float = 0.5
    stride: int = 4
    patch: int = 5
    pixels: int | None = None


BY_OUTLINES = (Level(32, 4, 0.003), Level(64, 3, 0.003), Level(128, 2, 0.003), Level(256, 2, 0.003))
BY_COLOURS = (
    Level(32, 4, 0.02, 0, 3, 0.7),
    Level(64, 4, 0.01, 0, 5, 0.7),
    Level(64, 4, 0.005, 1, 6, 0.7, stride=3),
    Level(128, 2, 0.003, 0, 4, 0.5, stride=3),
    Level(128, 3, 0.002, 1, 5, 0.6, stride=3, patch=7),
    Level(256, 4, 0.0015, 1, 5, 0.6, stride=3, patch=7),
)
FROM_A_SHAPE = (
    Level(64, 3, 0.005, 1, 5, 0.7, stride=3),
    Level(128, 3, 0.003, 0, 4, 0.5, stride=3),
    Level(128, 3, 0.002, 1, 5, 0.6, stride=3, patch=7),
    Level(256, 3, 0.0015, 1, 5, 0.6, stride=3, patch=7),
)


def free(
    request: Request,
    kind: ShapeKind | FreeKind,
    found: Fit | None,
    observations: Observations,
    counter: Counter[str],
    folder: Path,
    reporter: Reporter,
    watch: Watch,
) -> tuple[Fit, Callable[[Tensor], Tensor] | None]:
    """Fit a free surface, from a prior's fit or, for a thing of no class, from what is known of it.

    Also tells how far (N,) points (N, 3) of it have left what it started from, in the object frame's units, outwards
    positive; None where there was no shape to start from.

    Raises
    ------
    RequestError
        Nothing tells where the thing is, or what it is told contradicts itself.
    """
    cameras = observations.cameras if found is None else found.cameras
    checkpoint = folder / "surface.safetensors"
    resumed = _resume(checkpoint, cameras)
    start = Start(request, kind, found, observations)
    place = start.place if resumed is None else resumed.place
    surface = Surface(request, observations, cameras, place)
    base = _base(request, found, place, counter)
    origin: dict[str, Any] = {} if found is None else found.shape.describe()
    if base is not None:
        origin["freedom"] = request.settings.freedom
    levels = plan(request, base is not None, surface.footprint())
    outlines, doubtful = observations.outlines, surface.doubtful
    needed = None if outlines is None else Hull(outlines, cameras, place, doubtful).needs
    # A hull has pieces that are of no thing; a prior's shape or a mesh is believed, but for its crumbs.
    whole = partial(without_crumbs, needed=needed, doubted=base is None)
    if resumed is not None and resumed.level < len(levels):
        levels = _no_coarser(levels, resumed.shape.grid.cells)
        first, step, shape = resumed.level, resumed.step, replace(resumed.shape, origin=origin)
    else:
        f = start.f(doubtful) if base is None else base
        try:
            levels = _fine_enough(levels, f, whole, observations.device)
            grid = whole(redistanced(Grid.of(f, levels[0].cells, observations.device)))
        except ValueError as error:
            raise RequestError(
                "The masks leave nothing of the thing: no place is inside all of them. Check the cameras, and that "
                "each mask shows the thing white."
            ) from error
        first, step, shape = 0, 0, FreeShape(grid, origin=origin)
    tied = base if request.settings.freedom == "some" else None
    total = sum(level.steps * level.cells**2 for level in levels)
    before = done = sum(level.steps * level.cells**2 for level in levels[:first]) + step * levels[first].cells ** 2
    began, cost, going = time.monotonic(), math.inf, True
    for index in range(first, len(levels)):
        level = levels[index]
        if shape.grid.cells != level.cells:
            shape = replace(
                shape,
                grid=without_crumbs(redistanced(Grid.of(shape.grid, level.cells, observations.device)), needed),
            )
        shape = replace(shape, stiffness=level.stiffness)
        if tied is not None and (shape.tied is None or shape.tied.cells != level.cells):
            held = redistanced(Grid.of(tied, level.cells, observations.device), FARTHEST)
            shape = replace(shape, tie=TIE, tied=held)
        for number in range(step, level.steps):
            left = (time.monotonic() - began) * (total - done) / (done - before) if done > before else None
            reporter.progress(Stage.FREE, round(100 * done / total), 100, None if math.isinf(cost) else cost, left)
            paused = time.monotonic()
            going = watch(shape, place)
            began += time.monotonic() - paused
            if not going:
                break
            rows = surface.rows(shape, level, number)
            if tied is not None:
                shape = replace(shape, seen=_seen(shape, rows))
            shape, cost = gauss_newton(shape, rows)
            done += level.cells**2
            _save(checkpoint, index, number + 1, shape, place)
        step = 0
        if not going:
            break
    shape = replace(shape, grid=without_crumbs(shape.grid, needed))
    state = State.start(shape, place, cameras)
    if found is not None:
        state = replace(state, pose_offset=found.state.pose_offset)
    departure = None if base is None else _departure(redistanced(Grid.of(base, levels[-1].cells, observations.device)))
    return Fit(state, Unknowns(place=False), cost, partial(surface.variances, shape, levels[-1])), departure


def plan(request: Request, from_a_shape: bool, footprint: float) -> list[Level]:
    """The grids of a fit: those that the mesh's resolution asks for and the pictures can fill.

    Parameters
    ----------
    request : Request
    from_a_shape : bool
        Whether there is a shape to free.
    footprint : float
        Width of the finest pixel at the object, in the object frame; 0 where there is no picture.
    """
    levels = FROM_A_SHAPE if from_a_shape else BY_OUTLINES if request.compared is None else BY_COLOURS
    finest = max(64, request.settings.mesh_resolution)
    least = footprint * (FINEST_OUTLINES if levels is BY_OUTLINES else FINEST)
    fit_for = [level for level in levels if level.cells <= finest and 2 * REACH / level.cells >= least]
    return fit_for or list(levels[:1])


def _fine_enough(
    levels: list[Level],
    f: Callable[[Tensor], Tensor],
    whole: Callable[[Grid], Grid],
    device: torch.device,
) -> list[Level]:
    """The same on finer grids where coarse ones would lose thin parts of where the fit starts."""
    finest = whole(redistanced(Grid.of(f, levels[-1].cells, device)))
    surface = finest.positions(finest.crossed()) + finest.width / 2
    # A little inside, where the finest grid has the thing for certain.
    surface = surface - 0.3 * finest.width * torch.nn.functional.normalize(finest.slope(surface), dim=1)
    for cells in sorted({level.cells for level in levels[:-1]}):
        coarse = whole(redistanced(Grid.of(f, cells, device)))
        if float((coarse(surface).abs() > coarse.width).float().mean()) < LOST:
            break
    else:
        cells = levels[-1].cells
    return _no_coarser(levels, cells)


def _no_coarser(levels: list[Level], cells: int) -> list[Level]:
    """The same on grids of at least so many cells, with half the steps where that makes one finer."""
    return [
        level if level.cells >= cells else replace(level, cells=cells, pixels=level.cells, steps=(level.steps + 1) // 2)
        for level in levels
    ]


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

    def f(self, doubtful: Tensor | None) -> Callable[[Tensor], Tensor]:
        """Roughly the distance from what is left of space."""
        parts: list[Callable[[Tensor], Tensor]] = []
        observations, place, bounds = self.observations, self.place, self.request.bounds
        if observations.outlines is not None:
            parts.append(Hull(observations.outlines, observations.cameras, place, doubtful))
        else:
            parts.append(lambda points: points.norm(dim=1) - 1)
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


def _seen(shape: FreeShape, rows: Sequence[Rows]) -> Tensor:
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


def _base(
    request: Request, found: Fit | None, place: Similarity, counter: Counter[str]
) -> Callable[[Tensor], Tensor] | None:
    """F of what the surface is freed from; None for a thing of no class."""
    if found is not None:
        field = found.shape.field(counter)
        # A shape ends within the unit sphere; beyond, a network's f means nothing.
        return lambda points: torch.maximum(field(points, "free"), points.norm(dim=1) - 1)
    if request.start_vertices is None or request.start_faces is None:
        return None
    vertices = place.to_object(torch.as_tensor(request.start_vertices, dtype=torch.float32, device=place.scale.device))
    corners, faces = vertices.cpu().double().numpy(), request.start_faces.astype(np.int64)

    def f(points: Tensor) -> Tensor:
        asked = points.cpu().double().numpy()
        distance = np.sqrt(igl.point_mesh_squared_distance(asked, corners, faces)[0])
        inside = igl.fast_winding_number(corners, faces, asked) > 0.5
        return torch.as_tensor(np.where(inside, -distance, distance)).to(points)

    return f


def _departure(grid: Grid) -> Callable[[Tensor], Tensor]:
    """How far points (N, 3) are from a grid's surface, outwards positive; exactly, beyond its blocks, too."""
    mesh = extract_mesh(FreeShape(grid).field(Counter()), grid.cells)

    def of(points: Tensor) -> Tensor:
        return distance_from(mesh, points).to(points) * torch.where(grid(points) > 0, 1.0, -1.0)

    return of


def _save(path: Path, level: int, step: int, shape: FreeShape, place: Similarity) -> None:
    tensors = {"level": torch.tensor(level), "step": torch.tensor(step)}
    tensors |= {f"shape.{name}": value for name, value in shape.tensors().items()}
    tensors |= {f"place.{name}": value for name, value in vars(place).items()}
    with written_beside(path) as part:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)


@dataclass(frozen=True)
class Resumed:
    """How far a fit had come: the level, the steps that it has made there, the shape and its place."""

    level: int
    step: int
    shape: FreeShape
    place: Similarity


def _resume(path: Path, cameras: Cameras) -> Resumed | None:
    """Where to go on; None where there is no such file, or a damaged one."""
    if not path.exists():
        return None
    try:
        tensors = {name: tensor.to(cameras.K.device) for name, tensor in load(path.read_bytes()).items()}
        shape = FreeKind().restore({n.removeprefix("shape."): t for n, t in tensors.items() if n.startswith("shape.")})
        grid = shape.grid
        whole = grid.cells in (32, 64, 128, 256, 512) and len(grid.values) == 64 * len(grid.blocks)
        if not whole or not grid.values.isfinite().all() or len(set(grid.far.shape)) != 1:
            return None
        place = Similarity(
            tensors["place.scale"].reshape(()),
            tensors["place.rotation"].reshape(3, 3),
            tensors["place.translation"].reshape(3),
        )
        return Resumed(int(tensors["level"]), int(tensors["step"]), shape, place)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError):
        return None
