"""What files, one a view, tell of the thing's surface, pixel by pixel: what their kinds have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..steps import Steps
from ..worker.dist_engine.protocol import RequestError, View
from .folders import Folder
from .images import Picture
from .shots import Shot

# Of all views together.
MOST_NUMBERS = 500_000_000
# Takes a file, what messages call it, the view, and where (H, W) the thing is. Returns the numbers (H, W, ...); NaN
# where unknown, anything beside the thing.
Read = Callable[[Path, str, View, np.ndarray], np.ndarray]


def read_passes(
    path: str | os.PathLike[str],
    what: str,
    shots: list[Shot],
    views: list[View],
    masks: np.ndarray,
    read: Read,
    channels: tuple[int, ...] = (),
) -> Steps[np.ndarray]:
    """Read the numbers of some or all of the views from a folder's files.

    Parameters
    ----------
    path : path
        The folder.
    what : str
        What the files hold, for messages, such as ``depth``.
    shots : list of V Shot
    views : list of V View
    masks : (V, H, W) uint8 array
        What they do not wholly cover is not the thing.
    read : callable
        See `Read`.
    channels : tuple of int
        Of a pixel's numbers.

    Returns
    -------
    (V, H, W, *channels) float32 array
        NaN where unknown, or where there is no file.

    Raises
    ------
    RequestError
        There are no files for the views, or no numbers of the thing; or the pictures' lens is distorted.
    """
    if any(shot.lens for shot in shots):
        raise RequestError(
            f"The clip has lens distortion, and nothing says whether the {what} files have it, too: render the "
            "undistorted clip (Movie Distortion in the compositor, set to Undistort) as an image sequence, and use "
            f"that as the camera's background image; or leave the {what} files out."
        )
    folder = Folder(path, what)
    files = [folder.find(shot.names, shot.number) for shot in shots]
    if not any(files):
        raise RequestError(
            f"The {what} folder {folder.path} has no file for any of the {len(shots)} views: a file is to be called as "
            "the camera or its picture, or, of an animated camera, to end in the picture's number."
        )
    if masks.size * np.prod(channels) > MOST_NUMBERS:
        count, height, width = masks.shape
        raise RequestError(f"The {what} files of {count} views, {width} x {height}, are too much: scale them down.")
    made = np.full((*masks.shape, *channels), np.nan, np.float32)
    for own, file, shot, view, mask in zip(made, files, shots, views, masks, strict=True):
        if file is not None:
            inside = mask == 255
            own[inside] = read(file, f"The {what} file “{file.name}” of camera “{shot.name}”", view, inside)[inside]
            yield
    if not np.isfinite(made).any():
        raise RequestError(
            f"The files of the {what} folder {folder.path} hold no {what} where the masks show the thing: check "
            "that they belong together."
        )
    return made


def read_numbers(file: Path, who: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return what a file's red, green and blue say, (H, W, 3) float32; `RequestError` where they are not of `shape`."""
    pixels = Picture(file.name, path=file).read(who, as_data=True)[..., :3]
    if pixels.shape[:2] != shape:
        raise RequestError(
            f"{who} is {pixels.shape[1]} x {pixels.shape[0]}, but the mask is {shape[1]} x {shape[0]}: bring them to "
            "one size."
        )
    return pixels
