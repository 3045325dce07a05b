"""Render a shape without a mesh."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import preferences
from ..jobs import Job
from ..jobs.program import WORKER_FOLDER
from ..prior_files import find_prior
from ..scene import cameras as scene_cameras
from ..scene import placement as scene_placement
from ..scene import renderings as scene_renderings
from ..scene import result as scene_result
from ..worker.dist_engine.protocol import RENDER, RenderRequest, RenderResult, RequestError, View
from . import common
from .pairs import waits_for

# Which shape: the number of a training code, "mean", the code itself, or a reconstruction's object.
Code = int | str | Sequence[float] | np.ndarray | bpy.types.Object


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
        The job's folder, made where it is missing, else empty or an earlier job's; a new one by default.
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
    scene = common.or_current(scene)
    camera = camera or scene.camera
    if camera is None:
        raise RequestError("The scene has no camera: add one, or choose one in the Scene properties.")
    (camera,) = scene_cameras.list_cameras([camera])
    depsgraph = common.evaluate(scene)
    width, height = size or scene_cameras.render_size(scene)
    K = scene_cameras.intrinsics(camera, (width, height), scene, depsgraph)
    view = View(camera.name, K, scene_cameras.world_to_camera(camera, depsgraph))
    numbers: Any = code
    if isinstance(code, bpy.types.Object):
        if why := scene_result.why_no_code(code):
            raise RequestError(f"{why} Render it as any other mesh.")
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
    return common.start(request, folder, worker_folder, prior=found)


@waits_for(start_render, "rendering")
def render_shape(job: Job) -> Rendering:
    """Render a prior's shape as a camera sees it: depth, normals and silhouette; returns when the images are there."""
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
    if common.task_of(folder) != RENDER:
        raise RequestError(f"The folder {folder} holds a reconstruction, not a rendering: import it as a result.")
    result = RenderResult.load(folder)
    files = scene_renderings.write_files(result, folder)
    return Rendering(**vars(result), images=scene_renderings.show_files(files), files=files, folder=folder)
