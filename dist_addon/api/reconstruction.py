"""Reconstruct a shape from pictures."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import bpy
import numpy as np

from .. import preferences
from ..inputs import Depths, Normals
from ..jobs import Job
from ..jobs.program import WORKER_FOLDER
from ..prior_files import PriorFile, find_prior
from ..scene import bounds as scene_bounds
from ..scene import cameras as scene_cameras
from ..scene import masks as scene_masks
from ..scene import result as scene_result
from ..scene.depths import read_depths
from ..scene.drawn_masks import draw_layers, read_layers
from ..scene.masks import Masks
from ..scene.meshes import read_closed
from ..scene.normals import read_normals
from ..scene.placement import read_placement
from ..scene.points import PointSource, read_points
from ..scene.shots import CameraSource, Shot, list_shots
from ..scene.tracks import check_solved, read_tracks, solve_to_world
from ..steps import Steps, at_once
from ..worker.dist_engine.protocol import ANYTHING, RECONSTRUCT, SHAPE, Request, RequestError, Result, Settings, View
from . import common
from .pairs import spelled_out, waits_for

QUALITIES = {
    "preview": Settings(iterations=30, rays=3000, mesh_resolution=128),
    "normal": Settings(iterations=80, rays=8000, mesh_resolution=256),
    "fine": Settings(iterations=160, rays=20000, mesh_resolution=256),
}
# As many views as this tell well where a thing is.
BOUNDS_VIEWS = 24


@dataclass(frozen=True)
class Reconstruction:
    """What `reconstruct` made.

    Attributes
    ----------
    object : Object
        The mesh in the scene.
    cameras : list of Object
        The refined cameras in the scene; none where the fit did not change them.
    report : dict
        The worker's report; see `protocol.Result`.
    folder : Path
        The job's folder, with the request, the log and the result.
    """

    object: bpy.types.Object
    cameras: list[bpy.types.Object]
    report: dict[str, Any]
    folder: Path


class Inputs(TypedDict, total=False):
    """What `gather` takes by name, and explains: everything but the cameras and the bounds."""

    frames: Iterable[int] | None
    pictures: str | os.PathLike[str] | None
    masks: Masks
    depths: Depths | None
    normals: Normals | None
    tracks: bpy.types.MovieClip | None
    colours: bool
    points: PointSource | None
    prior: str | os.PathLike[str]
    start: bpy.types.Object | None
    freedom: str
    quality: str
    refine_shape: bool
    refine_placement: bool
    refine_cameras: bool
    refine_focal_length: bool
    seed: int
    settings: Settings | None
    scene: bpy.types.Scene | None


def gathering(
    cameras: CameraSource | None,
    bounds: bpy.types.Object | None = None,
    *,
    frames: Iterable[int] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    masks: Masks = None,
    depths: Depths | None = None,
    normals: Normals | None = None,
    tracks: bpy.types.MovieClip | None = None,
    colours: bool = False,
    points: PointSource | None = None,
    prior: str | os.PathLike[str] = ANYTHING,
    start: bpy.types.Object | None = None,
    freedom: str = "some",
    quality: str = "normal",
    refine_shape: bool = True,
    refine_placement: bool = True,
    refine_cameras: bool = False,
    refine_focal_length: bool = False,
    seed: int = 0,
    settings: Settings | None = None,
    scene: bpy.types.Scene | None = None,
) -> Steps[Request]:
    """Turn the scene into a request, with every check that needs no work, pausing after each picture.

    Parameters
    ----------
    cameras : Collection or camera objects
        Each with a background image. None where there are points.
    bounds : Object
        An Empty: the box that holds the thing; with a prior, its +Z is up, its -Y front. None: where the pictures'
        outlines or the points tell; a prior's shape stands upright then, and its front is sought.
    frames : ints, optional
        The scene's frames at which one animated camera saw its background image, an image sequence or a movie.
    pictures : path, optional
        A folder of pictures to take instead of the background images: each is called as its camera or its background
        image, or ends in the number of its frame.
    masks : None, path, Mask or `Background`
        What shows the thing: the pictures' alpha; a folder of masks, bright or opaque there, called as the cameras or
        as their pictures, or ending in their numbers; a mask of Blender's, drawn over an animated camera's pictures;
        what differs from a background of one colour.
    depths : Depths, optional
        A folder of depth files, for some or all of the views. Depth counts where the masks show the thing.
    normals : Normals, optional
        A folder of normals in EXR files, for some or all of the views. They count where the masks show the thing.
    tracks : MovieClip, optional
        A solved clip, whose camera sees the frames: its tracks on the thing are points of the surface, and nothing is
        before them where they were tracked.
    colours : bool
        Compare the pictures' colours from view to view, too, as in a video with texture. Pictures without alpha are no
        error then; where none has a mask, `bounds` must tell where the thing is.
    points : Object or (N, 3) array, optional
        Points of the thing's surface: a mesh's vertices, a point cloud's points, or places in the world. Where there
        are bounds, what is not about them is left out.
    prior : str or path
        What kind of thing it is: the name of a prior (see `priors`), or a .safetensors file; ``anything``: of none.
    start : Object, optional
        Where the fit starts: a closed mesh, with modifiers, where it stands; with a prior, a shape of that prior, such
        as a reconstruction.
    freedom : str
        How far the surface may leave the prior's shape, or the mesh to start from, where the pictures say otherwise:
        ``none``, ``some`` or ``full``. Without either, it is free in any case.
    quality : str
        A key of `QUALITIES`.
    refine_shape : bool
        Fit the shape; where not, that of `start` stays as it is.
    refine_placement : bool
        Fit scale, rotation and translation.
    refine_cameras, refine_focal_length : bool
        Fit each camera's pose, and one factor for all focal lengths. The cameras stay as they are: refined copies of
        them come with the result.
    seed : int
    settings : Settings, optional
        Taken as they are, the device, too, instead of `quality`, `seed`, `colours`, `freedom` and what is to be
        refined.
    scene : Scene, optional
        The current one by default.

    Raises
    ------
    RequestError
        Something is missing or unfit; the message names it and the remedy.
    """
    if quality not in QUALITIES:
        raise RequestError(f"There is no quality “{quality}”: choose one of {', '.join(QUALITIES)}.")
    if settings is None:
        settings = replace(
            QUALITIES[quality],
            compare_colours=colours,
            freedom=freedom,
            refine_shape=refine_shape,
            refine_placement=refine_placement,
            refine_cameras=refine_cameras,
            refine_focal_length=refine_focal_length,
            seed=seed,
            device=preferences.device(),
        )
    elif not isinstance(settings, Settings):
        raise RequestError(f"The settings are {settings!r}: give api.Settings, such as api.Settings(iterations=40).")
    colours = settings.compare_colours
    scene = common.or_current(scene)
    for what, thing in (("bounds", bounds), ("points", points), ("what to start from", start)):
        if isinstance(thing, bpy.types.Object) and not _is_in(scene, thing):
            raise RequestError(
                f"“{thing.name}”, chosen as {what}, is not in the scene “{scene.name}”; perhaps it was deleted: choose "
                "another, or none."
            )
    depsgraph = common.evaluate(scene)
    shots = [] if cameras is None and points is not None else list_shots(cameras, frames, pictures)
    file = None if prior == ANYTHING else find_prior(prior)
    if file is None:
        settings.check_without_prior(starts=start is not None)
    code = placement = vertices = faces = None
    if start is not None and file is None:
        if not settings.refine_shape:
            raise RequestError(
                f"“{start.name}” is to stay as it is, but only a prior's shape can: have the shape fitted, or choose "
                "its prior."
            )
        vertices, faces = read_closed(start, depsgraph)
    elif start is not None and file is not None:
        own, code = _code_of(start)
        if own.path != file.path:
            raise RequestError(
                f"The shape “{start.name}” is of the prior “{own.name}”, not “{file.name}”: choose that prior, another "
                "shape to start from, or Anything, which starts from any mesh."
            )
        placement = read_placement(start, file, depsgraph)
    box = None if bounds is None else scene_bounds.read_bounds(bounds, depsgraph)
    on_surface = None if points is None else read_points(points, depsgraph, box)
    if tracks is not None:
        check_solved(tracks, shots)
    views, covered, masked, known, shown, solve = yield from _look(shots, masks, colours, tracks, scene)
    # Where the colours only paint the mesh, a fit can do without.
    with contextlib.nullcontext() if colours else contextlib.suppress(RequestError):
        if shots and shown is None:
            shown = yield from scene_masks.read_colours(shots, covered.shape[2], covered.shape[1])
    measured = (yield from read_depths(depths, shots, views, covered)) if depths and shots else None
    facing = (yield from read_normals(normals, shots, views, covered)) if normals and shots else None
    visibility = None
    if tracks is not None and solve is not None:
        on_surface, visibility = _with_tracks(on_surface, *read_tracks(tracks, shots, views, covered, solve))
    request = Request(
        views=views,
        masks=covered,
        masked=None if masked.all() else masked,
        mask_known=None if known is None or known.all() else known,
        pictures=shown,
        bounds=box,
        settings=settings,
        depths=measured,
        normals=facing,
        points=on_surface,
        visibility=visibility,
        start_vertices=vertices,
        start_faces=faces,
        prior="" if file is None else file.reference,
        code=code,
        placement=placement,
    )
    request.check()
    return request


gather = at_once(gathering)


def _code_of(start: bpy.types.Object) -> tuple[PriorFile, np.ndarray]:
    """The prior and the code of a shape to start from, also of one whose surface has left that shape."""
    try:
        return scene_result.read_code(start, or_left=True)
    except RequestError as error:
        raise RequestError(
            f"{error} With a prior, start from a shape of it; or choose Anything, which starts from any mesh."
        ) from error


def _look(
    shots: list[Shot], masks: Masks, colours: bool, tracks: bpy.types.MovieClip | None, scene: bpy.types.Scene
) -> Steps[tuple[list[View], np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]]:
    """The cameras and the masks of shots, which of the masks there are, where they know, the pictures' colours where
    they were at hand, and where the tracks' solve is in the world.
    """
    if not shots:
        return [], np.zeros((0, 1, 1), np.uint8), np.zeros(0, bool), None, None, None
    sources = scene_masks.mask_shots(shots, masks)
    size = scene_masks.mask_size(sources)
    scene_cameras.check_aspect(shots[0].camera, sources[0].picture.name, size, scene)
    views, drawn, known, shown, solve = [], [], None, None, None
    if isinstance(masks, bpy.types.Mask):
        # What a script changed in it is not evaluated by itself.
        masks.update_tag()
    with common.keep_frame(scene):
        for shot in shots:
            depsgraph = common.evaluate(scene, shot.frame)
            K = scene_cameras.intrinsics(shot.camera, size, scene, depsgraph)
            views.append(View(shot.name, K, scene_cameras.world_to_camera(shot.camera, depsgraph)))
            if isinstance(masks, bpy.types.Mask):
                mask = draw_layers(read_layers(masks, depsgraph), *size)
                # It was drawn over the clip as it is.
                if shot.lens is not None:
                    mask = shot.lens.straighten(mask[..., None])[..., 0] * shot.lens.shows(*size)
                drawn.append(mask)
                scene_masks.refuse_empty(drawn[-1], shot.who)
            if tracks is not None:
                solve = solve_to_world(tracks, shot, depsgraph)
    if drawn:
        covered, masked = np.stack(drawn), np.ones(len(drawn), bool)
        if any(shot.lens for shot in shots):
            known = np.stack([shot.lens.shows(*size) if shot.lens else np.ones(size[::-1], bool) for shot in shots])
    else:
        if sources is shots and len(shots) * size[0] * size[1] <= scene_masks.MOST_COLOURED:
            shown = np.empty((len(shots), size[1], size[0], 3), np.uint8)
        covered, masked, known = yield from scene_masks.read_masks(
            sources, masks, *size, may_lack=colours, colours=shown
        )
    return views, covered, masked, known, shown, solve


def _with_tracks(
    points: np.ndarray | None, tracked: np.ndarray, visibility: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points that nothing is known of but where they are, and then the tracked ones."""
    if points is None:
        return tracked, visibility
    unseen = np.zeros((len(points), visibility.shape[1]), bool)
    return np.concatenate([points, tracked]), np.concatenate([unseen, visibility])


@spelled_out(gathering)
def start_reconstruction(
    cameras: CameraSource | None,
    bounds: bpy.types.Object | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
    **inputs: Unpack[Inputs],
) -> Job:
    """Check the scene, write a request and start a worker on it; returns at once.

    Parameters
    ----------
    cameras, bounds, **inputs
        See `gather`.
    folder : path, optional
        The job's folder, made where it is missing, else empty or an earlier job's; a new one by default.
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
    return start_request(gather(cameras, bounds, **inputs), folder, worker_folder)


def start_request(
    request: Request, folder: str | os.PathLike[str] | None = None, worker_folder: Path = WORKER_FOLDER
) -> Job:
    """Start a worker on what `gather` returned; else as `start_reconstruction`."""
    return common.start(request, folder, worker_folder, prior=find_prior(request.prior) if request.prior else None)


@waits_for(start_reconstruction, "reconstruction")
def reconstruct(job: Job, scene: bpy.types.Scene | None) -> Reconstruction:
    """Reconstruct a shape and add it to the scene; returns when it is there."""
    return _import(job.folder, scene)


def import_result(folder: str | os.PathLike[str], scene: bpy.types.Scene | None = None) -> bpy.types.Object:
    """Add a finished job's shape, and the cameras that it refined, to the scene (the current one by default).

    Raises
    ------
    RequestError
        The folder holds no result, or a damaged one.
    """
    return _import(Path(folder), scene).object


def _is_in(scene: bpy.types.Scene, thing: bpy.types.Object) -> bool:
    """Whether an object is in a scene: a property still has it when it was deleted."""
    return any(found == thing for found in scene.objects)


@dataclass(frozen=True)
class MadeBounds:
    """What `make_bounds` made.

    Attributes
    ----------
    object : Object
        The Empty.
    problem : str
        Why the masks do not tell where the thing is, so that the box is only where the cameras look; empty where they
        do.
    """

    object: bpy.types.Object
    problem: str


def making_bounds(
    cameras: CameraSource | None,
    empty: bpy.types.Object | None = None,
    *,
    frames: Iterable[int] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    masks: Masks = None,
    scene: bpy.types.Scene | None = None,
) -> Steps[MadeBounds]:
    """Bring an Empty around what the masks show, or else where the cameras look, pausing after each picture.

    Parameters
    ----------
    cameras, frames, pictures, masks, scene
        See `gather`. Of many views, some are looked at.
    empty : Object, optional
        Its rotation stays. By default, and where it was deleted, a new one, upright.

    Raises
    ------
    RequestError
        Neither masks nor cameras tell where the thing is.
    """
    scene = common.or_current(scene)
    depsgraph = common.evaluate(scene)
    found = scene_cameras.list_cameras(cameras)
    if empty is None or not _is_in(scene, empty):
        empty, rotation = None, np.eye(3)
    else:
        turn = empty.evaluated_get(depsgraph).matrix_world.to_quaternion()
        rotation = np.array(turn.to_matrix(), dtype=np.float64)
    try:
        shots = list_shots(found, frames, pictures)
        some = shots[:: -(-len(shots) // BOUNDS_VIEWS)]
        views, covered, masked, known, _, _ = yield from _look(some, masks, True, None, scene)
        if not masked.any():
            raise RequestError("The pictures have no alpha, and no other source of masks was chosen.")
        chosen = np.flatnonzero(masked)
        seen = None if known is None else known[chosen]
        box, problem = scene_bounds.around_masks([views[i] for i in chosen], covered[chosen], rotation, seen), ""
    except RequestError as error:
        problem = str(error)
        try:
            box = scene_bounds.around_axes(found, scene, common.evaluate(scene))
        except RequestError as other:
            raise RequestError(f"{problem} Without masks: {other}") from None
        box = replace(box, rotation=rotation)
    return MadeBounds(scene_bounds.show_bounds(box, empty, scene), problem)


make_bounds = at_once(making_bounds)


def _import(folder: Path, scene: bpy.types.Scene | None) -> Reconstruction:
    task = common.task_of(folder)
    if task == SHAPE:
        raise RequestError(f"The folder {folder} holds shapes of codes: import them as such.")
    if task != RECONSTRUCT:
        raise RequestError(f"The folder {folder} holds a rendering, no shape: its images are shown instead.")
    result = Result.load(folder)
    scene = common.or_current(scene)
    thing = scene_result.add_result(result, scene)
    return Reconstruction(thing, scene_result.add_cameras(result, scene), result.report, folder)
