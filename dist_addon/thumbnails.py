"""Small pictures for the panels: in no file, and no images of the user's. Drawing a panel makes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy.utils.previews
import numpy as np


class Pictures:
    """A collection of Blender's for pictures in panels, which is there from the first picture until `close`."""

    def __init__(self) -> None:
        self._collection: Any = None

    def __len__(self) -> int:
        return len(self._collection or ())

    def __getitem__(self, name: str) -> bpy.types.ImagePreview:
        return self._collection[name]

    def draw(self, name: str, pixels: np.ndarray) -> None:
        """Keep pixels (H, W, 4), RGBA from 0 to 1, rows from top to bottom, in place of the last ones of that name.

        Blender draws a picture of this kind in a panel without reading a file.
        """
        made = self._own().get(name) or self._own().new(name)
        made.image_size = pixels.shape[1::-1]
        made.image_pixels_float.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())

    def icon(self, name: str) -> int:
        """A picture's number, as ``icon_value``; 0 where there is none, and always so without a window."""
        found = self._collection and self._collection.get(name)
        return found.icon_id if found else 0

    def of_file(self, path: Path) -> int:
        """The number of a file's picture, which Blender reads by itself when it is first drawn; 0 without the file."""
        try:
            stamp = path.stat().st_mtime_ns
        except OSError:
            return 0
        name = f"{path} {stamp}"
        found = self._own().get(name) or self._own().load(name, str(path), "IMAGE")
        return found.icon_id

    def close(self) -> None:
        """Take all pictures away."""
        if self._collection is not None:
            bpy.utils.previews.remove(self._collection)
            self._collection = None

    def _own(self) -> Any:
        if self._collection is None:
            self._collection = bpy.utils.previews.new()
        return self._collection


# Of the priors' files.
priors = Pictures()
