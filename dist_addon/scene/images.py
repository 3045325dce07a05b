"""Pictures as arrays: images of the file, image files, frames of movies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import RequestError

# Pixels of one picture. Blender takes 16 bytes for each, and so do we.
MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class Picture:
    """A picture that can be read: an image, or a file.

    Attributes
    ----------
    name : str
        What the user calls it.
    image : Image or None
        One of the blend file.
    path : Path or None
        Otherwise, an image file or a movie.
    frame : int or None
        Which frame of the movie, from 1.
    """

    name: str
    image: bpy.types.Image | None = None
    path: Path | None = None
    frame: int | None = None

    def size(self, who: str) -> tuple[int, int]:
        """Return width and height in pixels; `who` names the picture in messages.

        Raises
        ------
        RequestError
            The picture cannot be read, or is too large.
        """
        with self._opened(who) as image:
            return _size(image, who)

    def read(self, who: str, as_data: bool = False) -> np.ndarray:
        """Return the pixels.

        Parameters
        ----------
        who : str
            Names the picture in messages.
        as_data : bool
            Whether a file's numbers mean no colours: they are taken as they stand there.

        Returns
        -------
        (height, width, 4) float32 array
            Red, green, blue and alpha, rows from top to bottom. Of a file with 8 bits a channel, as they stand there,
            from 0 to 1.

        Raises
        ------
        RequestError
            The picture cannot be read, or is too large.
        """
        with self._opened(who) as image:
            if as_data and self.path is not None:
                image.colorspace_settings.name, image.alpha_mode = "Non-Color", "NONE"
            width, height = _size(image, who)
            if self.frame is not None:
                # Nothing else than scaling takes a movie's frame; to its own size, it leaves the pixels as they are.
                image.scale(width, height, frame=self.frame)
            flat = np.empty(len(image.pixels), np.float32)
            image.pixels.foreach_get(flat)
        pixels = flat.reshape(height, width, -1)[::-1]
        channels = pixels.shape[2]
        if channels == 4:
            return pixels
        full = np.ones((height, width, 4), np.float32)
        full[..., :3] = pixels if channels == 3 else pixels[..., :1]
        return full

    @contextmanager
    def _opened(self, who: str) -> Iterator[Any]:
        """The image to read; what has to be loaded for it is freed again."""
        if self.image is not None:
            was_loaded = self.image.has_data
            try:
                yield self.image
            finally:
                if not was_loaded and not self.image.is_dirty:
                    self.image.buffers_free()
            return
        try:
            image = bpy.data.images.load(str(self.path))
        except RuntimeError as error:
            raise RequestError(f"{who} cannot be read from {self.path}: {error}. Replace the file.") from error
        try:
            yield image
        finally:
            bpy.data.images.remove(image)


def _size(image: bpy.types.Image, who: str) -> tuple[int, int]:
    size: Any = image.size
    width, height = size
    if image.type == "MULTILAYER":
        raise RequestError(
            f"{who} is an EXR of several layers: save the one that counts as a file of its own, such as with the File "
            "Output node, its format set to OpenEXR."
        )
    if width == 0 or height == 0:
        raise RequestError(f"{who} cannot be read: open it in the Image Editor to see why, or replace it.")
    if width * height > MOST_PIXELS:
        raise RequestError(f"{who} is {width} x {height}, which is too large: scale the pictures down.")
    return width, height
