"""Small pictures for the panels: in no file, and no images of the user's. Drawing a panel reads and makes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy.utils.previews
import numpy as np

# Blender's collections of pictures: of the views that were looked at last, and of the priors' files.
_views: Any = None
_files: Any = None


def show_views(pictures: list[np.ndarray | None]) -> None:
    """Keep pictures (H, W, 4), RGBA from 0 to 1, rows from top to bottom, in place of the last ones."""
    global _views
    if _views is not None:
        bpy.utils.previews.remove(_views)
    _views = bpy.utils.previews.new()
    for number, pixels in enumerate(pictures):
        if pixels is not None:
            made = _views.new(str(number))
            made.image_size = pixels.shape[1::-1]
            made.image_pixels_float.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())


def of_view(number: int) -> int:
    """The number, for ``icon_value``, of the picture of a view; 0 where there is none, and without a window."""
    found = None if _views is None else _views.get(str(number))
    return found.icon_id if found else 0


def of_file(path: Path) -> int:
    """The number of a picture's file, which Blender reads by itself when it is first drawn; 0 where there is none."""
    global _files
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return 0
    if _files is None:
        _files = bpy.utils.previews.new()
    name = f"{path} {stamp}"
    found = _files.get(name) or _files.load(name, str(path), "IMAGE")
    return found.icon_id


def clear() -> None:
    """Take all pictures away."""
    global _views, _files
    for pictures in (_views, _files):
        if pictures is not None:
            bpy.utils.previews.remove(pictures)
    _views = _files = None
