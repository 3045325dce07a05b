"""Shapes of a prior without pictures: draw them, blend them, and give an object another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix as BlenderMatrix

from .. import preferences
from ..jobs import Job
from ..jobs.program import WORKER_FOLDER
from ..prior_files import PriorFile, find_prior
from ..scene import axes as scene_axes
from ..scene import placement as scene_placement
from ..scene import result as scene_result
from ..worker.dist_engine.code_space import SPREAD
from ..worker.dist_engine.protocol import MOST_SHAPES, SHAPE, Placement, RequestError, ShapeRequest, ShapesResult
from . import common
from .pairs import waits_for
from .reconstruction import QUALITIES
from .rendering import Code


def start_sample(
    *,
    prior: str | os.PathLike[str] = "table",
    seed: int = 0,
    count: int = 1,
    spread: float = SPREAD,
    placement: bpy.types.Object | scene_placement.Matrix | None = None,
    quality: str = "normal",
    resolution: int | None = None,
    scene: bpy.types.Scene | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
) -> Job:
    """Draw random members of a prior and start a worker that makes their meshes; returns at once.

    Parameters
    ----------
    prior : str or path
        The name of a built-in prior or one of the user's (see `priors`), or a .safetensors file.
    seed : int
        Which member: the same number gives the same shape.
    count : int
        How many: those of `seed`, `seed` + 1 and so on, side by side.
    spread : float
        How far they are from the mean shape: 0 is the mean itself, 1 is as far as the prior's training shapes are.
    placement : Object or 4x4 matrix
        Where the first one stands; see `scene.placement.read_placement`. At the world's origin by default.
    quality : str
        A key of `QUALITIES`: how fine the mesh is.
    resolution : int, optional
        Cells along the mesh's cube instead of what `quality` says; see `protocol.ShapeRequest`.
    scene : Scene, optional
        The current one by default.
    folder : path, optional
        The job's folder, made where it is missing, else empty or an earlier job's; a new one by default.
    worker_folder : Path
        The worker that Python runs.

    Returns
    -------
    Job
        Call its `poll`, or `wait`; then `import_shapes` with its folder.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: no Python can run the worker.
    """
    if not 0 <= seed < 1 << 31 or not 0 <= spread <= 10:
        raise RequestError(f"Seed ({seed}) and spread ({spread}) must be numbers of 0 or more, not too large.")
    if not 1 <= count <= MOST_SHAPES:
        raise RequestError(f"1 to {MOST_SHAPES} shapes can be drawn at once, not {count}.")
    found = find_prior(prior)
    space = scene_axes.code_space(found)
    place = scene_placement.read_placement(placement, found, common.evaluate(common.or_current(scene)))
    # Room for the widest members, and a bit between.
    step = place.rotation[:, 0] * 2.2 * found.radius * place.scale
    return _start(
        found,
        np.array([space.sample(seed + number, spread) for number in range(count)]),
        [replace(place, translation=place.translation + number * step) for number in range(count)],
        _resolution(quality, resolution),
        folder,
        worker_folder,
    )


@waits_for(start_sample, "sampling", without="count")
def sample_shape(job: Job, scene: bpy.types.Scene | None) -> bpy.types.Object:
    """Add a random member of a prior to the scene; returns when it is there."""
    return import_shapes(job.folder, scene)[0]


def start_blend(
    first: bpy.types.Object,
    second: bpy.types.Object,
    factor: float | Sequence[float] = 0.5,
    *,
    resolution: int | None = None,
    scene: bpy.types.Scene | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
) -> Job:
    """Start a worker that makes shapes between two objects' shapes; returns at once.

    The code is interpolated, and so is where the shape stands: place and scale linearly, the rotation along the
    shortest way.

    Parameters
    ----------
    first, second : Object
        Reconstructions or other shapes, both of one prior.
    factor : float, or several
        From 0, the first shape, to 1, the second; a shape for each.
    resolution : int, optional
        As fine as the finer of the two by default; see `protocol.ShapeRequest`.
    scene, folder, worker_folder
        See `start_sample`.

    Returns
    -------
    Job
        Call its `poll`, or `wait`; then `import_shapes` with its folder.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: no Python can run the worker.
    """
    factors = np.atleast_1d(np.asarray(factor, dtype=np.float64))
    if factors.ndim != 1 or not ((factors >= 0) & (factors <= 1)).all():
        raise RequestError("The factor must be a number from 0 to 1, or a list of such.")
    (prior, start), (other, end) = scene_result.read_code(first), scene_result.read_code(second)
    if prior.path != other.path:
        raise RequestError(
            f"“{first.name}” is of the prior “{prior.name}”, “{second.name}” of “{other.name}”: choose two of one."
        )
    depsgraph = common.evaluate(common.or_current(scene))
    near, far = (scene_placement.read_placement(thing, prior, depsgraph) for thing in (first, second))
    return _start(
        prior,
        (1 - factors[:, None]) * start + factors[:, None] * end,
        [_between(near, far, factor) for factor in factors.tolist()],
        resolution or max(scene_result.resolution(thing) for thing in (first, second)),
        folder,
        worker_folder,
    )


@waits_for(start_blend, "blend")
def blend_shapes(job: Job, scene: bpy.types.Scene | None) -> list[bpy.types.Object]:
    """Add shapes between two objects' shapes to the scene, one for each factor; returns when they are there.

    The code is interpolated, and so is where the shape stands: place and scale linearly, the rotation along the
    shortest way.
    """
    return import_shapes(job.folder, scene)


def import_shapes(folder: str | os.PathLike[str], scene: bpy.types.Scene | None = None) -> list[bpy.types.Object]:
    """Add the shapes that a finished job made to the scene (the current one by default).

    Raises
    ------
    RequestError
        The folder holds no shapes, or damaged ones.
    """
    return [scene_result.add_result(shape, common.or_current(scene)) for shape in _load(folder).shapes]


def start_reshape(
    thing: bpy.types.Object,
    code: Code,
    *,
    resolution: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
) -> Job:
    """Start a worker that makes the mesh of another code for an object; returns at once.

    Parameters
    ----------
    thing : Object
        A reconstruction or another shape of a prior.
    code : int, "mean", sequence of float, or Object
        A training code of the object's prior by its number, their mean, the code itself, or an object's.
    resolution : int, optional
        As fine as the object's mesh is by default; see `protocol.ShapeRequest`.
    folder, worker_folder
        See `start_sample`.

    Returns
    -------
    Job
        Call its `poll`, or `wait`; then `import_reshape` with the object and its folder.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: no Python can run the worker.
    """
    prior, numbers = scene_result.read_code(thing)
    if why := scene_result.why_fixed(thing):
        raise RequestError(why)
    if isinstance(code, bpy.types.Object):
        other, numbers = scene_result.read_code(code)
        if other.path != prior.path:
            raise RequestError(f"“{code.name}” is of the prior “{other.name}”, “{thing.name}” of “{prior.name}”.")
    else:
        numbers = prior.code(code)
    place = Placement(float(thing[scene_result.SCALE]), np.eye(3), np.zeros(3))
    return _start(prior, numbers[None], [place], resolution or scene_result.resolution(thing), folder, worker_folder)


@waits_for(start_reshape, "reshaping")
def reshape(job: Job, thing: bpy.types.Object) -> bpy.types.Object:
    """Give an object the shape of another code; returns when its mesh is there.

    Only the mesh's geometry is replaced: name, place, materials and modifiers stay, but not its UV maps and other
    attributes.
    """
    return import_reshape(thing, job.folder)


def import_reshape(thing: bpy.types.Object, folder: str | os.PathLike[str]) -> bpy.types.Object:
    """Put the shape that a finished job made into an object, with its code; returns the object.

    Raises
    ------
    RequestError
        The folder holds no shape, or a damaged one, or the object's mesh cannot be replaced.
    """
    shape = _load(folder).shapes[0]
    scene_result.replace_mesh(thing, shape)
    scene_result.set_code(thing, np.array(shape.report["code"]))
    thing[scene_result.RESOLUTION] = shape.report["resolution"]
    return thing


def _load(folder: str | os.PathLike[str]) -> ShapesResult:
    if common.task_of(folder) != SHAPE:
        raise RequestError(f"The folder {folder} holds what another job made, no shapes of codes.")
    return ShapesResult.load(Path(folder))


def _start(
    prior: PriorFile,
    codes: np.ndarray,
    placements: list[Placement],
    resolution: int,
    folder: str | os.PathLike[str] | None,
    worker_folder: Path,
) -> Job:
    request = ShapeRequest(codes, placements, resolution, prior.reference, preferences.device())
    request.check()
    return common.start(request, folder, worker_folder, prior=prior)


def _resolution(quality: str, resolution: int | None) -> int:
    if quality not in QUALITIES:
        raise RequestError(f"There is no quality “{quality}”: choose one of {', '.join(QUALITIES)}.")
    return resolution or QUALITIES[quality].mesh_resolution


def _between(first: Placement, second: Placement, factor: float) -> Placement:
    """Interpolate between two places."""
    turns = [BlenderMatrix(place.rotation.tolist()).to_quaternion() for place in (first, second)]
    rotation = np.array(turns[0].slerp(turns[1], factor).to_matrix(), dtype=np.float64)
    return Placement(
        (1 - factor) * first.scale + factor * second.scale,
        rotation,
        (1 - factor) * first.translation + factor * second.translation,
    )
