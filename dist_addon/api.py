"""What the add-on can do, as plain functions: the operators, the command line and scripts all call these."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import preferences
from .jobs import Job, JobError, Progress, find_python
from .jobs.environment import clean_environment
from .jobs.job import WORKER_FOLDER
from .scene import bounds as scene_bounds
from .scene import cameras as scene_cameras
from .scene import images as scene_images
from .scene import result as scene_result
from .worker.dist_engine.protocol import Request, RequestError, Result, Settings, View

Cameras = bpy.types.Collection | Iterable[bpy.types.Object]

PRIORS_FOLDER = Path(__file__).resolve().parent / "priors"
QUALITIES = {
    "preview": Settings(iterations=30, rays=3000, mesh_resolution=128),
    "normal": Settings(iterations=80, rays=8000, mesh_resolution=256),
    "fine": Settings(iterations=160, rays=20000, mesh_resolution=256),
}
# A safetensors header larger than this is no prior of ours.
LARGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Prior:
    """A shape prior on disk.

    Attributes
    ----------
    name : str
        The file's name without its ending.
    path : Path
    metadata : dict of str to str
        What the file says of itself.
    """

    name: str
    path: Path
    metadata: dict[str, str]


@dataclass(frozen=True)
class Reconstruction:
    """What `reconstruct` made.

    Attributes
    ----------
    object : Object
        The mesh in the scene.
    report : dict
        The worker's report; see `protocol.Result`.
    folder : Path
        The job's folder, with the request, the log and the result.
    """

    object: bpy.types.Object
    report: dict[str, Any]
    folder: Path


def priors() -> list[Prior]:
    """Return the built-in shape priors, by name."""
    return [_read_prior(path, path.stat().st_mtime_ns) for path in sorted(PRIORS_FOLDER.glob("*.safetensors"))]


def find_prior(prior: str | os.PathLike[str]) -> Prior:
    """Return a built-in prior by its name, or one by its path.

    Raises
    ------
    RequestError
        There is no such prior, or the file is none.
    """
    built_in = {found.name: found for found in priors()}
    if str(prior) in built_in:
        return built_in[str(prior)]
    path = Path(bpy.path.abspath(os.fspath(prior))) if str(prior) else Path()
    if path.suffix == ".safetensors" and path.is_file():
        return _read_prior(path, path.stat().st_mtime_ns)
    raise RequestError(
        f"There is no shape prior “{prior}”: choose one of {', '.join(built_in) or '(none is built in)'}, or give the "
        "path of a .safetensors file."
    )


def gather(
    cameras: Cameras | None,
    bounds: bpy.types.Object | None,
    *,
    quality: str = "normal",
    refine_placement: bool = True,
    seed: int = 0,
    settings: Settings | None = None,
    scene: bpy.types.Scene | None = None,
) -> Request:
    """Turn the scene into a request, with every check that needs no work.

    Parameters
    ----------
    cameras : Collection or camera objects
        Each with a background image whose alpha shows the thing.
    bounds : Object
        An Empty: the box that holds the thing, its +Z up, its -Y front.
    quality : str
        A key of `QUALITIES`.
    refine_placement : bool
        Fit scale, rotation and translation as well.
    seed : int
    settings : Settings, optional
        Taken as they are instead of `quality`, `refine_placement` and `seed`.
    scene : Scene, optional
        The current one by default.

    Raises
    ------
    RequestError
        Something is missing or unfit; the message names it and the remedy.
    """
    if quality not in QUALITIES:
        raise RequestError(f"There is no quality “{quality}”: choose one of {', '.join(QUALITIES)}.")
    scene = _or_current(scene)
    depsgraph = evaluate(scene)
    found = scene_cameras.list_cameras(cameras)
    box = scene_bounds.read_bounds(bounds, depsgraph)
    # Cheap checks of every camera come before any picture is loaded.
    poses = [scene_cameras.world_to_camera(camera, depsgraph) for camera in found]
    for camera in found:
        scene_cameras.intrinsics(camera, scene_cameras.render_size(scene), scene, depsgraph)
    masks, images = scene_images.read_masks(found)
    size = (masks.shape[2], masks.shape[1])
    views = []
    for camera, image, pose in zip(found, images, poses, strict=True):
        scene_cameras.check_aspect(camera, image.name, size, scene)
        K = scene_cameras.intrinsics(camera, size, scene, depsgraph)
        views.append(View(camera.name, K, np.asarray(pose)))
    settings = settings or replace(
        QUALITIES[quality],
        refine_placement=refine_placement,
        seed=seed,
        device=preferences.device(),
    )
    request = Request(views=views, masks=masks, bounds=box, settings=settings)
    request.check()
    return request


def start_reconstruction(
    cameras: Cameras | None,
    bounds: bpy.types.Object | None,
    *,
    prior: str | os.PathLike[str] = "table",
    quality: str = "normal",
    refine_placement: bool = True,
    seed: int = 0,
    settings: Settings | None = None,
    scene: bpy.types.Scene | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
) -> Job:
    """Check the scene, write a request and start a worker on it; returns at once.

    Parameters
    ----------
    cameras, bounds, quality, refine_placement, seed, settings, scene
        See `gather`.
    prior : str or path
        The name of a built-in prior (see `priors`), or a .safetensors file.
    folder : path, optional
        The job's folder, made where it is missing; a new one by default.
    worker_folder : Path
        The worker that Python runs.

    Returns
    -------
    Job
        Call its `poll`, or `wait`; then `import_result` with its folder.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: no Python can run the worker.
    """
    request = gather(
        cameras,
        bounds,
        quality=quality,
        refine_placement=refine_placement,
        seed=seed,
        settings=settings,
        scene=scene,
    )
    found = find_prior(prior)
    python = find_python(preferences.python())
    target = new_job_folder() if folder is None else Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        # A folder that is used again must not show the last run's result.
        for name in ("result.json", "events.jsonl", "log.txt", "checkpoint.safetensors"):
            (target / name).unlink(missing_ok=True)
        shutil.copyfile(found.path, target / Request.PRIOR_FILE)
        request.save(target)
    except OSError as error:
        raise RequestError(f"The job's folder {target} cannot be written: {error}. Choose another folder.") from error
    program = Path(bpy.app.binary_path).parent if bpy.app.binary_path else None
    job = Job(target)
    job.start(python.path, worker_folder, clean_environment(program_folder=program))
    return job


def reconstruct(
    cameras: Cameras | None,
    bounds: bpy.types.Object | None,
    *,
    prior: str | os.PathLike[str] = "table",
    quality: str = "normal",
    refine_placement: bool = True,
    seed: int = 0,
    settings: Settings | None = None,
    scene: bpy.types.Scene | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
    progress: Callable[[Progress], None] | None = None,
) -> Reconstruction:
    """Reconstruct a shape and add it to the scene; returns when it is there.

    Parameters
    ----------
    progress : callable, optional
        Called with the job's `Progress` after each event. An exception in it cancels the job.

    Others are those of `start_reconstruction`.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: the worker failed or was cancelled.
    """
    job = start_reconstruction(
        cameras,
        bounds,
        prior=prior,
        quality=quality,
        refine_placement=refine_placement,
        seed=seed,
        settings=settings,
        scene=scene,
        folder=folder,
        worker_folder=worker_folder,
    )
    state = Progress()

    def show(event: dict[str, Any]) -> None:
        state.take(event)
        if progress:
            progress(state)

    job.wait(show)
    if job.state != "done":
        raise JobError(job.error or "The reconstruction was cancelled.")
    thing, report = _import(job.folder, scene)
    return Reconstruction(thing, report, job.folder)


def import_result(folder: str | os.PathLike[str], scene: bpy.types.Scene | None = None) -> bpy.types.Object:
    """Add a finished job's shape to the scene (the current one by default).

    Raises
    ------
    RequestError
        The folder holds no result, or a damaged one.
    """
    return _import(Path(folder), scene)[0]


def add_bounds(cameras: Cameras | None, scene: bpy.types.Scene | None = None) -> bpy.types.Object:
    """Add an Empty where the cameras look; see `scene.bounds.add_bounds`."""
    scene = _or_current(scene)
    return scene_bounds.add_bounds(scene_cameras.list_cameras(cameras), scene, evaluate(scene))


def new_job_folder() -> Path:
    """Make a folder for a job, in `jobs_folder`."""
    return Path(tempfile.mkdtemp(prefix=time.strftime("dist_%Y%m%d_%H%M%S_"), dir=jobs_folder()))


def jobs_folder() -> Path:
    """Return where jobs are kept: among the extension's files, or a temporary folder where it is a plain package."""
    try:
        return Path(bpy.utils.extension_path_user(__package__, path="jobs", create=True))
    except ValueError:
        return Path(tempfile.gettempdir())


def evaluate(scene: bpy.types.Scene) -> bpy.types.Depsgraph:
    """Return a scene's dependency graph, up to date: of the current view layer where the scene is the current one."""
    layer = bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]
    assert layer is not None
    layer.update()
    assert layer.depsgraph is not None
    return layer.depsgraph


def _or_current(scene: bpy.types.Scene | None) -> bpy.types.Scene:
    chosen = scene or bpy.context.scene
    assert chosen is not None
    return chosen


def _import(folder: Path, scene: bpy.types.Scene | None) -> tuple[bpy.types.Object, dict[str, Any]]:
    if not (folder / "result.json").is_file():
        raise RequestError(f"The folder {folder} holds no result: choose the folder of a finished job.")
    result = Result.load(folder)
    return scene_result.add_result(result, _or_current(scene)), result.report


@functools.lru_cache(maxsize=64)
def _read_prior(path: Path, _mtime: int) -> Prior:
    """Read a safetensors header: its length as 8 bytes, little-endian, then JSON."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 0 < length <= LARGEST_HEADER:
                raise ValueError("no header")
            header = json.loads(stream.read(length))
        metadata = header.get("__metadata__", {})
        return Prior(path.stem, path, {str(key): str(value) for key, value in metadata.items()})
    except (OSError, ValueError, AttributeError) as error:
        raise RequestError(f"The shape prior {path} is no safetensors file: choose another one.") from error
