"""The losses of the running job as a small picture for the panel: in no file, and no image of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy.utils.previews
import numpy as np

from .scene.training import HEIGHT, WIDTH, draw_losses

NAME = "losses"
# Blender's collection of pictures, as long as there is one.
_pictures: Any = None


def draw(losses: Sequence[tuple[int, float]]) -> None:
    """Draw a curve of steps and losses in place of the last one; nothing is shown for fewer than two.

    Blender draws a picture of this kind in a panel without reading a file.
    """
    global _pictures
    if len(losses) < 2:
        clear()
        return
    if _pictures is None:
        _pictures = bpy.utils.previews.new()
        _pictures.new(NAME).image_size = (WIDTH, HEIGHT)
    rgba = np.ones((HEIGHT, WIDTH, 4), np.float32)
    rgba[..., :3] = draw_losses(np.array(losses, float))
    _pictures[NAME].image_pixels_float.foreach_set(rgba[::-1].ravel())


def icon() -> int:
    """The picture's number for `UILayout.template_icon`; 0 where there is none, and always so without a window."""
    return _pictures[NAME].icon_id if _pictures else 0


def clear() -> None:
    """Take the picture away."""
    global _pictures
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
        _pictures = None
