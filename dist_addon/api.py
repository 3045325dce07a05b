"""What the add-on can do, as plain functions: the operators, the command line and scripts all call these."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import preferences
from .jobs import Job, JobError, Progress, find_python, new_folder
from .jobs.environment import clean_environment
from .jobs.job import WORKER_FOLDER
from .prior_files import Prior, find_prior, priors
from .scene import bounds as scene_bounds
from .scene import cameras as scene_cameras
from .scene import images as scene_images
from .scene import placement as scene_placement
from .scene import renderings as scene_renderings
from .scene import result as scene_result
from .worker.dist_engine.protocol import (
    PRIOR_FILE,
    RECONSTRUCT,
    RENDER,
    RenderRequest,
    RenderResult,
    Request,
    RequestError,
    Result,
    Settings,
    View,
    read_task,
)

__all__ = [
    "Prior",
    "Reconstruction",
    "Rendering",
    "add_bounds",
    "find_prior",
    "gather",
    "import_rendering",
    "import_result",
    "new_job_folder",
    "priors",
    "reconstruct",
    "render_shape",
    "start_reconstruction",
    "start_render",
    "task_of",
]

Cameras = bpy.types.Collection | Iterable[bpy.types.Object]
# Which shape: the number of a training code, "mean", the code itself, or a reconstruction's object.
Code = int | str | Sequence[float] | np.ndarray | bpy.types.Object

QUALITIES = {
    "preview": Settings(iterations=30, rays=3000, mesh_resolution=128),
    "normal": Settings(iterations=80, rays=8000, mesh_resolution=256),
    "fine": Settings(iterations=160, rays=20000, mesh_resolution=256),
}


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


@dataclass(frozen=True)
class Rendering:
    """What `render_shape` made; rows of arrays run from top to bottom.

    Attributes
    ----------
    depth : (H, W) float32 array
        Along the camera's z, in Blender units; infinity where nothing is.
    normal : (H, W, 3) float32 array
        Unit length, in world space; zero where nothing is.
    silhouette : (H, W) uint8 array
        1 where the shape is, else 0.
    images : dict of str to Image
        ``depth``, ``normal`` and ``silhouette``, as the Image Editor shows them.
    files : dict of str to Path
        ``depth`` and ``normal`` (EXR), ``silhouette`` and ``preview`` (PNG); see `scene.renderings.write_files`.
    report : dict
        The worker's report; see `protocol.RenderResult`.
    folder : Path
        The job's folder, with the request, the log and the result.
    """

    depth: np.ndarray
    normal: np.ndarray
    silhouette: np.ndarray
    images: dict[str, bpy.types.Image]
    files: dict[str, Path]
    report: dict[str, Any]
    folder: Path


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
    return _start(replace(request, prior=found.reference), found, folder, worker_folder)


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
    _wait(job, progress, "reconstruction")
    thing, report = _import(job.folder, scene)
    return Reconstruction(thing, report, job.folder)


def start_render(
    camera: bpy.types.Object | None = None,
    *,
    prior: str | os.PathLike[str] | None = None,
    code: Code = "mean",
    placement: bpy.types.Object | scene_placement.Matrix | None = None,
    size: tuple[int, int] | None = None,
    scene: bpy.types.Scene | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
) -> Job:
    """Check what is asked for, write a request and start a worker on it; returns at once.

    Parameters
    ----------
    camera : Object
        The scene's active camera by default.
    prior : str or path
        The name of a built-in prior (see `priors`), or a .safetensors file; by default that of `code` where it is an
        object, else ``table``.
    code : int, "mean", sequence of float, or Object
        Which shape: a training code of the prior by its number, their mean, the code itself, or an object that a
        reconstruction added.
    placement : Object or 4x4 matrix
        Where the shape stands; see `scene.placement.read_placement`. By default where the object of `code` stands, else
        at the world's origin.
    size : (width, height), pixels
        The size of the scene's renders by default.
    scene : Scene
        The current one by default.
    folder : path
        The job's folder, made where it is missing; a new one by default.
    worker_folder : Path
        The worker that Python runs.

    Returns
    -------
    Job
        Call its `poll`, or `wait`; then `import_rendering` with its folder.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: no Python can run the worker.
    """
    scene = _or_current(scene)
    camera = camera or scene.camera
    if camera is None:
        raise RequestError("The scene has no camera: add one, or choose one in the Scene properties.")
    (camera,) = scene_cameras.list_cameras([camera])
    depsgraph = evaluate(scene)
    width, height = size or scene_cameras.render_size(scene)
    K = scene_cameras.intrinsics(camera, (width, height), scene, depsgraph)
    view = View(camera.name, K, scene_cameras.world_to_camera(camera, depsgraph))
    numbers: Any = code
    if isinstance(code, bpy.types.Object):
        if not scene_result.is_result(code):
            raise RequestError(f"The object “{code.name}” is no reconstruction: it has no code to render.")
        numbers = code[scene_result.CODE]
        prior = prior or code.get(scene_result.PRIOR)
        placement = code if placement is None else placement
    found = find_prior(prior or "table")
    request = RenderRequest(
        view=view,
        width=width,
        height=height,
        code=found.code(numbers),
        placement=scene_placement.read_placement(placement, found, depsgraph),
        prior=found.reference,
        device=preferences.device(),
    )
    request.check()
    return _start(request, found, folder, worker_folder)


def render_shape(
    camera: bpy.types.Object | None = None,
    *,
    prior: str | os.PathLike[str] | None = None,
    code: Code = "mean",
    placement: bpy.types.Object | scene_placement.Matrix | None = None,
    size: tuple[int, int] | None = None,
    scene: bpy.types.Scene | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
    progress: Callable[[Progress], None] | None = None,
) -> Rendering:
    """Render a prior's shape as a camera sees it: depth, normals and silhouette; returns when the images are there.

    Parameters
    ----------
    progress : callable, optional
        Called with the job's `Progress` after each event. An exception in it cancels the job.

    Others are those of `start_render`.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: the worker failed or was cancelled.
    """
    job = start_render(
        camera,
        prior=prior,
        code=code,
        placement=placement,
        size=size,
        scene=scene,
        folder=folder,
        worker_folder=worker_folder,
    )
    _wait(job, progress, "rendering")
    return import_rendering(job.folder)


def import_rendering(folder: str | os.PathLike[str]) -> Rendering:
    """Write a finished rendering's pictures into its folder and show them as the images “DIST Depth”, “DIST Normal” and
    “DIST Silhouette”, in place of the last rendering's.

    Raises
    ------
    RequestError
        The folder holds no rendering, or a damaged one, or can't be written.
    """
    folder = Path(folder).absolute()
    if task_of(folder) != RENDER:
        raise RequestError(f"The folder {folder} holds a reconstruction, not a rendering: import it as a result.")
    result = RenderResult.load(folder)
    files = scene_renderings.write_files(result, folder)
    return Rendering(**vars(result), images=scene_renderings.show_files(files), files=files, folder=folder)


def task_of(folder: str | os.PathLike[str]) -> str:
    """Return what a finished job did: `protocol.RECONSTRUCT` or `protocol.RENDER`.

    Raises
    ------
    RequestError
        The folder holds no result.
    """
    if not (Path(folder) / "result.json").is_file():
        raise RequestError(f"The folder {folder} holds no result: choose the folder of a finished job.")
    return read_task(Path(folder))


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
    """Make a folder for a job, in `jobs_folder`, and delete there what is older than the newest 20, and finished."""
    return new_folder(jobs_folder())


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
    if task_of(folder) != RECONSTRUCT:
        raise RequestError(f"The folder {folder} holds a rendering, no shape: its images are shown instead.")
    result = Result.load(folder)
    return scene_result.add_result(result, _or_current(scene)), result.report


def _start(
    request: Request | RenderRequest, prior: Prior, folder: str | os.PathLike[str] | None, worker_folder: Path
) -> Job:
    """Write a checked request into a folder and start a worker on it."""
    python = find_python(preferences.python())
    target = new_job_folder() if folder is None else Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        # A folder that is used again must not show the last run's result.
        for name in ("result.json", "events.jsonl", "log.txt", "checkpoint.safetensors"):
            (target / name).unlink(missing_ok=True)
        shutil.copyfile(prior.path, target / PRIOR_FILE)
        request.save(target)
    except OSError as error:
        raise RequestError(f"The job's folder {target} cannot be written: {error}. Choose another folder.") from error
    program = Path(bpy.app.binary_path).parent if bpy.app.binary_path else None
    job = Job(target)
    job.start(python.path, worker_folder, clean_environment(program_folder=program))
    return job


def _wait(job: Job, progress: Callable[[Progress], None] | None, noun: str) -> None:
    """Wait until a job is done; `JobError` where it ended otherwise."""
    state = Progress()

    def show(event: dict[str, Any]) -> None:
        state.take(event)
        if progress:
            progress(state)

    job.wait(show)
    if job.state != "done":
        raise JobError(job.error or f"The {noun} was cancelled.")
