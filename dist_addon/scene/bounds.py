"""The bounds Empty: roughly where the thing stands, how large it is, its up and its front."""

from __future__ import annotations

import bpy
import numpy as np

from ..worker.dist_engine.protocol import Bounds, RequestError
from . import cameras as scene_cameras

SMALLEST = 1e-6


def read_bounds(empty: bpy.types.Object | None, depsgraph: bpy.types.Depsgraph) -> Bounds:
    """Return an Empty's box: local [-s, s]^3 with s its display size, local +Z up and -Y the front.

    Raises
    ------
    RequestError
        There is no Empty, it has no size, or it is sheared.
    """
    if empty is None:
        raise RequestError("No bounds were chosen: press Add Bounds in the DIST tab, or choose an Empty there.")
    if empty.type != "EMPTY":
        raise RequestError(f"The bounds “{empty.name}” are no Empty: choose an Empty, or press Add Bounds.")
    evaluated = empty.evaluated_get(depsgraph)
    matrix = np.array(evaluated.matrix_world, dtype=np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    half_size = lengths * evaluated.empty_display_size
    if not np.isfinite(matrix).all() or not (half_size > SMALLEST).all():
        raise RequestError(f"The bounds “{empty.name}” have no size: scale the Empty so that its box holds the thing.")
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


def add_bounds(
    cameras: list[bpy.types.Object], scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph
) -> bpy.types.Object:
    """Add an Empty where the cameras look, of about the size that they all see.

    Parameters
    ----------
    cameras : list of Object
        At least two, which look at one place from different directions.
    scene : Scene
        The Empty is linked into its collection.
    depsgraph : Depsgraph

    Returns
    -------
    Object

    Raises
    ------
    RequestError
        The cameras' axes do not tell where the thing is.
    """
    size = scene_cameras.render_size(scene)
    poses = [scene_cameras.world_to_camera(camera, depsgraph) for camera in cameras]
    origins = np.array([-pose[:, :3].T @ pose[:, 3] for pose in poses])
    axes = np.array([pose[2, :3] for pose in poses])
    # The point nearest to all axes: sum (I - a a^T) p = sum (I - a a^T) o.
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = across.sum(axis=0)
    parallel = np.linalg.eigvalsh(normal)[0] < 1e-3
    center = np.zeros(3) if parallel else np.linalg.solve(normal, np.einsum("nij,nj->i", across, origins))
    depths = np.einsum("ni,ni->n", axes, center - origins)
    if parallel or (depths <= 0).any():
        raise RequestError(
            f"The axes of the {len(cameras)} cameras do not meet in front of them, so they do not tell where the "
            "thing is: add an Empty by hand and choose it as bounds."
        )
    half = np.inf
    for camera, depth in zip(cameras, depths, strict=True):
        K = scene_cameras.intrinsics(camera, size, scene, depsgraph)
        half = min(half, depth * min(size[0] / K[0, 0], size[1] / K[1, 1]) / 2)
    empty = bpy.data.objects.new("DIST Bounds", None)
    empty.empty_display_type = "CUBE"
    # A thing seldom fills the whole frame.
    empty.empty_display_size = 0.6 * float(half)
    empty.location = center.tolist()
    scene.collection.objects.link(empty)
    return empty
