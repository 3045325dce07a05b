"""Depth from files: EXR passes, and PNGs with 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..inputs import DEPTH_KINDS, Depths
from ..steps import Steps
from ..worker.dist_engine.protocol import RequestError, View
from .folders import Folder
from .images import Picture
from .shots import Shot

# What is farther stands for nothing: Blender writes 1e10.
FARTHEST = 1e9
MOST_PIXELS = 500_000_000
KINDS = tuple(kind.value for kind in DEPTH_KINDS)


def read_depths(depths: Depths, shots: list[Shot], views: list[View], masks: np.ndarray) -> Steps[np.ndarray]:
    """Read the thing's depths.

    Parameters
    ----------
    depths : Depths
    shots : list of V Shot
    views : list of V View
    masks : (V, H, W) uint8 array
        What they do not wholly cover is not the thing.

    Returns
    -------
    (V, H, W) float32 array, Blender units
        Along the cameras' axes; NaN where unknown, or where there is no file.

    Raises
    ------
    RequestError
        A file is no depth, or of another size than the masks; or there is no depth of the thing at all.
    """
    if depths.kind not in KINDS:
        raise RequestError(f"There is no kind of depth “{depths.kind}”: choose one of {', '.join(KINDS)}.")
    if not (np.isfinite(depths.scale) and depths.scale > 0):
        raise RequestError(f"The depths' scale is {depths.scale}: give a number above 0.")
    folder = Folder(depths.folder, "depth")
    files = [folder.find(shot.names, shot.number) for shot in shots]
    if not any(files):
        raise RequestError(
            f"The depth folder {folder.path} has no file for any of the {len(shots)} views: a file is to be called as "
            "the camera or its picture, or, of an animated camera, to end in the picture's number."
        )
    if masks.size > MOST_PIXELS:
        count, height, width = masks.shape
        raise RequestError(f"Depths of {count} views of {width} x {height} are too much: scale them down.")
    made = np.full(masks.shape, np.nan, np.float32)
    for own, file, shot, view, mask in zip(made, files, shots, views, masks, strict=True):
        if file is None:
            continue
        read = _read(file, f"The depth “{file.name}” of camera “{shot.name}”", mask.shape)
        known = np.isfinite(read) & (read > 0) & (read < FARTHEST) & (mask == 255)
        read = read * (_cosines(view, mask.shape) if depths.kind == "distance" else 1.0) * depths.scale
        own[known] = read[known]
        yield
    if not np.isfinite(made).any():
        raise RequestError(
            f"The files of the depth folder {folder.path} hold no depth where the masks show the thing: check "
            "that they belong together."
        )
    return made


def _read(file: Path, who: str, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers (H, W) of a depth file."""
    if file.suffix.lower() == ".png":
        with file.open("rb") as opened:
            header = opened.read(26)
        # After the signature comes the header's chunk: width, height, bits, kind of colour.
        if header[24:25] != b"\x10":
            raise RequestError(f"{who} has less than 16 bits, which is too coarse: save it as a 16-bit PNG, or as EXR.")
    elif file.suffix.lower() != ".exr":
        raise RequestError(f"{who} is of no kind that holds depth: save it as EXR, or as a PNG with 16 bits.")
    pixels = Picture(file.name, path=file).read(who, as_data=True)[..., 0]
    if pixels.shape != shape:
        raise RequestError(
            f"{who} is {pixels.shape[1]} x {pixels.shape[0]}, but the mask is {shape[1]} x {shape[0]}: bring them to "
            "one size."
        )
    return np.rint(pixels.astype(np.float64) * 65535) if file.suffix.lower() == ".png" else pixels.astype(np.float64)


def _cosines(view: View, shape: tuple[int, ...]) -> np.ndarray:
    """Cosines (H, W) of the angles between a camera's axis and the rays through its pixels' centres."""
    rows, columns = np.indices(shape) + 0.5
    rays = np.stack([columns, rows, np.ones(shape)], axis=-1) @ np.linalg.inv(view.K).T
    return 1 / np.linalg.norm(rays, axis=-1)
