"""Blender's cameras as K and [R | t]. Nothing else in the add-on knows Blender's camera convention."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np
from mathutils import Matrix

from ..worker.dist_engine.protocol import RequestError, View

# Blender's camera looks along -z with y up; the protocol's looks along +z with y down.
BLENDER_TO_PROTOCOL = np.diag([1.0, -1.0, -1.0])


def list_cameras(
    cameras: bpy.types.Collection | Iterable[bpy.types.Object] | None,
) -> list[bpy.types.Object]:
    """Return the camera objects of a collection (with its children), or of a list.

    Raises
    ------
    RequestError
        There is none, or the list holds something else.
    """
    if cameras is None:
        raise RequestError("No cameras were chosen: choose a collection of cameras in the DIST tab.")
    if isinstance(cameras, bpy.types.Collection):
        found = [thing for thing in cameras.all_objects if thing.type == "CAMERA"]
        if not found:
            raise RequestError(f"The collection “{cameras.name}” holds no camera: put the cameras into it.")
        return found
    found = list(cameras)
    for thing in found:
        if not isinstance(thing, bpy.types.Object) or thing.type != "CAMERA":
            raise RequestError(f"“{getattr(thing, 'name', thing)}” is no camera: give camera objects only.")
    if not found:
        raise RequestError("The list of cameras is empty: give at least one camera.")
    return found


def render_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Return the width and height in pixels of the scene's renders, its percentage included."""
    render = scene.render
    share = render.resolution_percentage / 100
    return max(int(render.resolution_x * share), 1), max(int(render.resolution_y * share), 1)


def whole_frame(size: tuple[int, int], scene: bpy.types.Scene) -> tuple[tuple[int, int], tuple[int, int]]:
    """The width and height of the frame that a picture is of, and where in it its top left corner is, in pixels.

    The picture itself, but for one that is as large as what Crop to Render Region leaves of the scene's renders.
    """
    render, whole = scene.render, render_size(scene)
    if not (render.use_border and render.use_crop_to_border):
        return size, (0, 0)
    # As Blender's render_init_from_main: rounded down, rows from the bottom.
    left, right = (int(share * whole[0]) for share in (render.border_min_x, render.border_max_x))
    bottom, top = (int(share * whole[1]) for share in (render.border_min_y, render.border_max_y))
    return (whole, (left, whole[1] - top)) if size == (right - left, top - bottom) else (size, (0, 0))


def check_aspect(camera: bpy.types.Object, picture: str, size: tuple[int, int], scene: bpy.types.Scene) -> None:
    """Raise `RequestError` where a picture's shape is not that of the scene's render, beyond rounding to pixels.

    Blender's frame depends on the render's shape, so a picture of another shape was not seen through this frame.
    """
    wide, high = scene.render.resolution_x, scene.render.resolution_y
    width, height = whole_frame(size, scene)[0]
    # A pixel either way: Blender rounds a render's size down.
    fits = abs(width * high - height * wide) <= max(wide, high)
    if not fits:
        raise RequestError(
            f"The picture “{picture}” of camera “{camera.name}” is {width} x {height} pixels, but the scene renders "
            f"{wide} x {high}: set the resolution in the Output properties to the pictures' shape, or bring this "
            "picture to that of the others."
        )


def intrinsics(
    camera: bpy.types.Object,
    size: tuple[int, int],
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
) -> np.ndarray:
    """Return K of a perspective camera for a picture of the given size.

    Parameters
    ----------
    camera : Object
    size : (width, height), pixels
        Of the picture, whose shape is that of the scene's render, or of its Render Region.
    scene : Scene
        Its render settings hold the pixel aspect and the region.
    depsgraph : Depsgraph
        Where the camera, with its animation and drivers, is evaluated.

    Returns
    -------
    (3, 3) array, pixels
        Origin at the outer corner of the top left pixel, x right, y down.

    Raises
    ------
    RequestError
        The camera is orthographic or panoramic.
    """
    data = camera.evaluated_get(depsgraph).data
    assert isinstance(data, bpy.types.Camera)
    if data.type != "PERSP":
        raise RequestError(
            f"Camera “{camera.name}” is {'orthographic' if data.type == 'ORTHO' else data.type.lower()}: "
            "only perspective cameras can be used. Set its Lens Type to Perspective, or leave it out."
        )
    (width, height), (left, top) = whole_frame(size, scene)
    aspect = scene.render.pixel_aspect_y / scene.render.pixel_aspect_x
    fit = data.sensor_fit
    if fit == "AUTO":
        fit = "HORIZONTAL" if width >= height * aspect else "VERTICAL"
        sensor = data.sensor_width
    else:
        sensor = data.sensor_width if fit == "HORIZONTAL" else data.sensor_height
    # The picture's side that the sensor's size spans, in units of a pixel's width.
    span = width if fit == "HORIZONTAL" else height * aspect
    focal = data.lens / sensor * span
    return np.array(
        [
            [focal, 0.0, width / 2 - data.shift_x * span - left],
            [0.0, focal / aspect, height / 2 + data.shift_y * span / aspect - top],
            [0.0, 0.0, 1.0],
        ]
    )


def add_camera(
    view: View, size: tuple[int, int], like: bpy.types.Object | None, collection: bpy.types.Collection
) -> bpy.types.Object:
    """Add a camera with a view's `intrinsics` and `world_to_camera`.

    Parameters
    ----------
    view : View
    size : (width, height), pixels
        Of the picture that the view's K is for.
    like : Object, optional
        A camera whose other settings, and background images, the new one gets.
    collection : Collection
    """
    given = like and like.data
    data = given.copy() if given else bpy.data.cameras.new(view.name)
    assert isinstance(data, bpy.types.Camera)
    data.animation_data_clear()
    (focal, _, x), (_, focal_y, y), _ = view.K.tolist()
    width, height = size
    data.sensor_fit = "HORIZONTAL"
    data.lens = focal / width * data.sensor_width
    data.shift_x = (width / 2 - x) / width
    data.shift_y = (y - height / 2) / width * focal / focal_y
    rotation, translation = view.world_to_camera[:, :3], view.world_to_camera[:, 3]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.T @ BLENDER_TO_PROTOCOL
    matrix[:3, 3] = -rotation.T @ translation
    camera = bpy.data.objects.new(view.name, data)
    camera.matrix_world = Matrix(matrix.tolist())
    collection.objects.link(camera)
    return camera


def world_to_camera(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Return ``[R | t]`` of a camera, its scale and its parents' removed.

    Returns
    -------
    (3, 4) array
        World (Blender units) to the camera's frame: x right, y down, z forward.

    Raises
    ------
    RequestError
        The camera is sheared, mirrored or of zero size.
    """
    matrix = np.array(camera.evaluated_get(depsgraph).matrix_world, dtype=np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    axes = matrix[:3, :3] / np.where(lengths > 0, lengths, 1.0)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3) or np.linalg.det(axes) < 0:
        raise RequestError(
            f"Camera “{camera.name}” is mirrored, sheared or of zero size: apply the scale of the camera and of its "
            "parents (Object > Apply > Scale)."
        )
    # The nearest rotation, so that rounding in Blender's single precision leaves no shear.
    left, _, right = np.linalg.svd(axes)
    rotation = BLENDER_TO_PROTOCOL @ (left @ right).T
    return np.column_stack([rotation, -rotation @ matrix[:3, 3]])
