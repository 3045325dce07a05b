"""The pictures of the cameras, as masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import RequestError

KEY_OUT = "Use a picture with a transparent background, such as a PNG with alpha (RGBA)."


def picture_of(camera: bpy.types.Object) -> bpy.types.Image:
    """Return the first enabled background image of a camera.

    Raises
    ------
    RequestError
        There is none, its file is missing, or it is moved within the camera's frame.
    """
    assert isinstance(camera.data, bpy.types.Camera)
    for background in camera.data.background_images:
        if background.show_background_image and background.source == "IMAGE" and background.image:
            break
    else:
        raise RequestError(
            f"Camera “{camera.name}” has no picture: add one under Background Images in the camera's properties, or "
            "take the camera out of the collection."
        )
    image = background.image
    offset = background.offset
    moved = (offset[0], offset[1], background.rotation, background.scale - 1)
    if any(abs(value) > 1e-6 for value in moved) or background.use_flip_x or background.use_flip_y:
        raise RequestError(
            f"The picture “{image.name}” of camera “{camera.name}” is moved, turned, scaled or flipped in the frame: "
            "reset it under Background Images, since the camera must see what the picture shows."
        )
    if image.source not in {"FILE", "GENERATED"}:
        raise RequestError(
            f"The picture “{image.name}” of camera “{camera.name}” is of the kind {image.source}: use a single image."
        )
    if image.source == "FILE" and not image.packed_file and not image.has_data:
        path = Path(bpy.path.abspath(image.filepath, library=image.library))
        if not path.is_file():
            raise RequestError(
                f"The picture “{image.name}” of camera “{camera.name}” is not on disk at {path}: find it with "
                "File > External Data > Find Missing Files."
            )
    return image


def read_mask(camera: bpy.types.Object, image: bpy.types.Image) -> np.ndarray:
    """Return a picture's alpha channel.

    Parameters
    ----------
    camera : Object
        Whose picture it is, for messages.
    image : Image
        Left as it was: what had to be loaded is freed again.

    Returns
    -------
    (height, width) uint8 array
        Coverage, 0 to 255, rows from top to bottom.

    Raises
    ------
    RequestError
        The picture can't be read, has no alpha, is opaque throughout or empty.
    """
    who = f"The picture “{image.name}” of camera “{camera.name}”"
    was_loaded = image.has_data
    size: Any = image.size
    width, height = size
    if width == 0 or height == 0:
        raise RequestError(f"{who} cannot be read: open it in the Image Editor to see why, or replace it.")
    try:
        if image.channels != 4:
            raise RequestError(f"{who} has no alpha channel. {KEY_OUT}")
        pixels = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        if not was_loaded and not image.is_dirty:
            image.buffers_free()
    alpha = np.nan_to_num(pixels.reshape(height, width, 4)[::-1, :, 3], nan=0.0)
    mask = (np.clip(alpha, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    if mask.min() == 255:
        raise RequestError(f"{who} is opaque throughout, so nothing tells the thing from its surroundings. {KEY_OUT}")
    if not (mask >= 128).any():
        raise RequestError(f"{who} has an empty mask: it shows nothing. Take the camera out of the collection.")
    return mask


def read_masks(cameras: list[bpy.types.Object]) -> tuple[np.ndarray, list[bpy.types.Image]]:
    """Return the masks of all cameras, (V, H, W) uint8, and the pictures that they come from.

    Raises
    ------
    RequestError
        A picture is missing or unfit, or the pictures differ in size.
    """
    images = [picture_of(camera) for camera in cameras]
    masks: list[np.ndarray] = []
    for camera, image in zip(cameras, images, strict=True):
        mask = read_mask(camera, image)
        if masks and mask.shape != masks[0].shape:
            (high, wide), (height, width) = masks[0].shape, mask.shape
            raise RequestError(
                f"The pictures differ in size: “{images[0].name}” of camera “{cameras[0].name}” is {wide} x {high}, "
                f"“{image.name}” of camera “{camera.name}” is {width} x {height}. Bring them to one size."
            )
        masks.append(mask)
    return np.stack(masks), images
