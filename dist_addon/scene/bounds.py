"""The bounds Empty: roughly where the thing stands and how large it is; for a prior, its up and its front."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from ..worker.dist_engine.protocol import Bounds, RequestError, View, covered, where_lines_meet
from . import cameras as scene_cameras

SMALLEST = 1e-6
# How far beyond the masks' reach is looked at first; cells along each side of the box, each time that it is narrowed.
REACH, CELLS = 1.25, (32, 64)
# Where the masks contradict each other, a hull being smaller than a mask by this share, one of so many may be wrong.
SHORT, MISSES = 0.1, 6


def read_bounds(empty: bpy.types.Object | None, depsgraph: bpy.types.Depsgraph) -> Bounds:
    """Return an Empty's box: local [-s, s]^3 with s its display size, local +Z up and -Y the front.

    Raises
    ------
    RequestError
        There is no Empty, it has no size, or it is sheared.
    """
    if empty is None:
        raise RequestError("No bounds were chosen: press Make Bounds in the DIST tab, or choose an Empty there.")
    if empty.type != "EMPTY":
        raise RequestError(f"The bounds “{empty.name}” are no Empty: choose an Empty, or press Make Bounds.")
    evaluated = empty.evaluated_get(depsgraph)
    matrix = np.array(evaluated.matrix_world, dtype=np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    half_size = lengths * evaluated.empty_display_size
    if not np.isfinite(matrix).all() or not (half_size > SMALLEST).all():
        raise RequestError(
            f"The bounds “{empty.name}” have no size: press Make Bounds, or scale the Empty so "
            "that its box holds the thing."
        )
    axes = matrix[:3, :3] / lengths
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise RequestError(
            f"The bounds “{empty.name}” are sheared by their parents: clear the Empty's parent and keep the "
            "transformation, then clear its rotation or scale."
        )
    left, _, right = np.linalg.svd(axes)
    rotation = left @ right
    # A mirrored box is the same box: turn its sideways axis, and keep up and front.
    if np.linalg.det(rotation) < 0:
        rotation[:, 0] *= -1
    return Bounds(center=matrix[:3, 3].copy(), rotation=rotation, half_size=half_size)


def around_masks(views: list[View], masks: np.ndarray, rotation: np.ndarray, known: np.ndarray | None = None) -> Bounds:
    """Return the box around what all masks show: around the visual hull (Laurentini 1994) on a coarse grid.

    Parameters
    ----------
    views : list of V View
        At least two, from different directions.
    masks : (V, H, W) uint8 array
        Coverage, 0 to 255. Where a frame's edge cuts a mask, the thing may go on.
    rotation : (3, 3) array
        The box's axes in the world, in columns.
    known : (V, H, W) bool array, optional
        Where the masks know whether they show the thing; elsewhere they may.

    Raises
    ------
    RequestError
        The lines of sight through the masks do not meet, or no place is within all masks.
    """
    rectangles, sums = [], []
    for number, mask in enumerate(masks):
        shown = covered(mask)
        rectangles.append([np.flatnonzero(shown.any(axis=axis))[[0, -1]] + [0, 1] for axis in (0, 1)])
        shown = shown if known is None else shown | ~known[number]
        # How many pixels are shown above and to the left of each pixel's upper left corner.
        sums.append(np.pad(shown.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), ((1, 0), (1, 0))))
    ends = np.transpose(rectangles, (0, 2, 1)).astype(np.float64)
    middles = ends.mean(axis=1)
    poses = [view.world_to_camera for view in views]
    lines = [np.linalg.solve(view.K, [*middle, 1.0]) for view, middle in zip(views, middles, strict=True)]
    center, depths = where_lines_meet(poses, np.array(lines))
    if not (depths > 0).all():
        raise RequestError(
            "The lines of sight through the masks do not meet before the cameras: check the cameras, and the masks."
        )
    focal = np.array([np.diag(view.K)[:2] for view in views])
    reach = REACH * float((depths * np.linalg.norm((ends[:, 1] - middles) / focal, axis=1)).max())
    start = rotation.T @ center - reach, rotation.T @ center + reach
    found = _hull(views, sums, rotation, *start, misses=0)
    # Where all masks are right, the hull looks as large as each of them.
    if found is None or not all(_fills(found[2], *seen) for seen in zip(views, ends, strict=True)):
        found = _hull(views, sums, rotation, *start, misses=len(views) // MISSES) or found
    if found is None:
        raise RequestError(
            "No place is within all masks, so they do not tell where the thing is: check cameras and masks."
        )
    low, high, _ = found
    return Bounds(rotation @ (low + high) / 2, rotation, (high - low) / 2)


def _hull(
    views: list[View], sums: list[np.ndarray], rotation: np.ndarray, low: np.ndarray, high: np.ndarray, misses: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Narrow a box (3,) to (3,), in axes of its own, to what all masks but some show; None where they show nothing.

    The third is the places (N, 3) in the world that they show.
    """
    for count in CELLS:
        cell = (high - low) / count
        ticks = [first + (np.arange(count) + 0.5) * step for first, step in zip(low, cell, strict=True)]
        places = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, 3) @ rotation.T
        missed = np.zeros(len(places), np.int32)
        for view, counts in zip(views, sums, strict=True):
            missed += ~_may_show(places, float(np.linalg.norm(cell)) / 2, view, counts)
            kept = missed <= misses
            places, missed = places[kept], missed[kept]
        if not len(places):
            return None
        own = places @ rotation
        low, high = own.min(axis=0) - cell / 2, own.max(axis=0) + cell / 2
    return low, high, places


def _fills(places: np.ndarray, view: View, ends: np.ndarray) -> bool:
    """Whether places (N, 3) are seen along nearly the whole of a rectangle: its first and last corner (2, 2)."""
    seen = places @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]
    seen = seen[seen[:, 2] > 0]
    spots = (seen @ view.K[:2].T) / seen[:, 2:]
    margin = SHORT * (ends[1] - ends[0])
    return bool(len(spots)) and bool(
        (spots.min(axis=0) < ends[0] + margin).all() and (spots.max(axis=0) > ends[1] - margin).all()
    )


def around_axes(cameras: list[bpy.types.Object], scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> Bounds:
    """Return an upright box where the cameras look, of about the size that they all see.

    Parameters
    ----------
    cameras : list of Object
        At least two, which look at one place from different directions.
    scene : Scene
    depsgraph : Depsgraph

    Raises
    ------
    RequestError
        The cameras' axes do not tell where the thing is.
    """
    size = scene_cameras.render_size(scene)
    poses = [scene_cameras.world_to_camera(camera, depsgraph) for camera in cameras]
    center, depths = where_lines_meet(poses, np.tile([0.0, 0.0, 1.0], (len(poses), 1)))
    if not (depths > 0).all():
        raise RequestError(
            "The axes of the cameras do not meet in front of them, so they do not tell where the thing is: add an "
            "Empty by hand and choose it as bounds."
        )
    half = np.inf
    for camera, depth in zip(cameras, depths, strict=True):
        K = scene_cameras.intrinsics(camera, size, scene, depsgraph)
        half = min(half, depth * min(size[0] / K[0, 0], size[1] / K[1, 1]) / 2)
    # A thing seldom fills the whole frame.
    return Bounds(center, np.eye(3), np.full(3, 0.6 * float(half)))


def show_bounds(box: Bounds, empty: bpy.types.Object | None, scene: bpy.types.Scene) -> bpy.types.Object:
    """Bring an Empty, or a new one in a scene, where a box is."""
    if empty is None:
        empty = bpy.data.objects.new("DIST Bounds", None)
        empty.empty_display_type = "CUBE"
        scene.collection.objects.link(empty)
    matrix = np.eye(4)
    matrix[:3, :3] = box.rotation * box.half_size / empty.empty_display_size
    matrix[:3, 3] = box.center
    empty.matrix_world = Matrix(matrix.tolist())
    return empty


def _may_show(places: np.ndarray, radius: float, view: View, counts: np.ndarray) -> np.ndarray:
    """Whether balls about places (N, 3) may be seen within a mask, whose pixels' sums are (H + 1, W + 1)."""
    seen = places @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]
    depths = seen[:, 2]
    before = depths > radius
    safe = np.where(before, depths, 1.0)
    spots = (seen @ view.K[:2].T) / safe[:, None]
    span = radius / safe[:, None] * np.diag(view.K)[:2]
    height, width = counts.shape[0] - 1, counts.shape[1] - 1
    first = np.clip(spots - span, 0, [width - 1, height - 1]).astype(np.int64)
    last = np.clip(spots + span, 0, [width - 1, height - 1]).astype(np.int64) + 1
    (x0, y0), (x1, y1) = first.T, last.T
    shown = counts[y1, x1] - counts[y0, x1] - counts[y1, x0] + counts[y0, x0] > 0
    # What is about the camera itself cannot be told.
    return np.where(before, shown, depths > -radius)
