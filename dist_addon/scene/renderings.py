"""A finished rendering as picture files and as images in Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import RenderResult, RequestError, written_beside

IMAGES = {"depth": "DIST Depth", "normal": "DIST Normal", "silhouette": "DIST Silhouette"}


def write_files(result: RenderResult, folder: Path) -> dict[str, Path]:
    """Write a rendering's pictures into a folder.

    Returns
    -------
    dict of str to Path
        ``depth`` and ``normal``: EXR of 32-bit floats, with the numbers of `RenderResult`. ``silhouette``: PNG, white
        and opaque where the shape is, black and clear elsewhere. ``preview``: PNG of the normals as colours,
        ``(normal + 1) / 2``.

    Raises
    ------
    RequestError
        A file can't be written.
    """
    inside = result.silhouette[..., None].astype(np.float32)
    depth = np.repeat(result.depth[..., None], 3, axis=2)
    colours = np.concatenate([(result.normal + 1) / 2 * inside, inside], axis=2)
    return {
        "depth": write_picture(folder / "depth.exr", depth),
        "normal": write_picture(folder / "normal.exr", result.normal),
        "silhouette": write_picture(folder / "silhouette.png", np.repeat(inside, 4, axis=2)),
        "preview": write_picture(folder / "normal.png", colours),
    }


def show_files(files: dict[str, Path]) -> dict[str, bpy.types.Image]:
    """Make Blender's images of `IMAGES` show a rendering's files, in place of the last rendering's."""
    return {kind: show_picture(name, files[kind]) for kind, name in IMAGES.items()}


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    """Write (H, W, 3 or 4) numbers as they are, rows from top to bottom: an ``.exr`` holds floats, a ``.png`` bytes."""
    height, width, channels = pixels.shape
    exr = path.suffix == ".exr"
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :channels] = pixels
    image = bpy.data.images.new(path.name, width, height, alpha=channels == 4, float_buffer=exr, is_data=True)
    try:
        image.pixels.foreach_set(rgba[::-1].ravel())  # type: ignore[arg-type]
        with written_beside(path) as part:
            image.filepath_raw, image.file_format = str(part), "OPEN_EXR" if exr else "PNG"
            image.save()
    except (RuntimeError, OSError) as error:
        raise RequestError(f"{path} cannot be written: {error}") from error
    finally:
        bpy.data.images.remove(image)
    return path


def show_picture(name: str, path: Path, is_data: bool = True) -> bpy.types.Image:
    """Make the image of a name show a file, in place of what it showed before; as data or as colours."""
    # Not one that belongs to a linked library.
    image: Any = bpy.data.images.get((name, None))
    if image is None:
        image = bpy.data.images.load(str(path))
        image.name = name
    else:
        image.source, image.filepath = "FILE", str(path)
        image.reload()
    image.colorspace_settings.name = "Non-Color" if is_data else "sRGB"
    return image
