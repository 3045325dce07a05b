"""Depth from files: EXR passes, and PNGs with 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..inputs import DEPTH_KINDS, Depths
from ..steps import Steps
from ..worker.dist_engine.protocol import RequestError, View
from .passes import read_numbers, read_passes
from .shots import Shot

# What is farther stands for nothing: Blender writes 1e10.
FARTHEST = 1e9
KINDS = tuple(kind.value for kind in DEPTH_KINDS)


def read_depths(depths: Depths, shots: list[Shot], views: list[View], masks: np.ndarray) -> Steps[np.ndarray]:
    """Read the thing's depths.

    Parameters
    ----------
    depths : Depths
    shots, views, masks
        As `read_passes` takes them.

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

    def read(file: Path, who: str, view: View, inside: np.ndarray) -> np.ndarray:
        found = _read(file, who, inside.shape)
        known = np.isfinite(found) & (found > 0) & (found < FARTHEST)
        along = _cosines(view, inside.shape) if depths.kind == "distance" else 1.0
        return np.where(known, found * along * depths.scale, np.nan)

    return (yield from read_passes(depths.folder, "depth", shots, views, masks, read))


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
    numbers = read_numbers(file, who, shape)[..., 0].astype(np.float64)
    return np.rint(numbers * 65535) if file.suffix.lower() == ".png" else numbers


def _cosines(view: View, shape: tuple[int, ...]) -> np.ndarray:
    """Cosines (H, W) of the angles between a camera's axis and the rays through its pixels' centres."""
    rows, columns = np.indices(shape) + 0.5
    rays = np.stack([columns, rows, np.ones(shape)], axis=-1) @ np.linalg.inv(view.K).T
    return 1 / np.linalg.norm(rays, axis=-1)
