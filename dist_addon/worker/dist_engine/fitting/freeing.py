"""Freeing the surface: from a prior's shape, a mesh or the visual hull to where the pictures say, coarse to fine."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import igl
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..meshing import extract_mesh
from ..observations import Observations
from ..observations.observation import distance_from
from ..protocol import Request, RequestError, Stage, written_beside
from ..reporting import Reporter
from ..shapes.free.distance import redistanced
from ..shapes.free.grid import Grid
from ..shapes.free.kind import FreeKind
from ..shapes.free.pieces import without_crumbs
from ..shapes.free.shape import FreeShape
from ..shapes.shape import ShapeKind
from ..state import State, Unknowns
from .fit import Fit, Watch
from .free_rows import Surface, share_seen
from .free_start import Start
from .freeform import gauss_newton
from .hull import Hull
from .levels import fine_enough, no_coarser, plan

# How much a freed surface is held to what it came from: features smaller than (stiffness / TIE)^(1/4) are let go.
TIE = 30.0
# What it came from is known as far as so many cells from its surface.
FARTHEST = 12.0


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
    outlines = observations.outlines
    hull = None if outlines is None else Hull(outlines, cameras, place, surface.doubtful)
    needed = None if hull is None else hull.needs
    # A hull has pieces that are of no thing; a prior's shape or a mesh is believed, but for its crumbs.
    whole = partial(without_crumbs, needed=needed, doubted=base is None)
    if resumed is not None and resumed.level < len(levels):
        levels = no_coarser(levels, resumed.shape.grid.cells)
        first, step, shape = resumed.level, resumed.step, replace(resumed.shape, origin=origin)
    else:
        f = start.f(hull) if base is None else base
        try:
            levels = fine_enough(levels, f, whole, observations.device)
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
                shape = replace(shape, seen=share_seen(shape, rows))
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
