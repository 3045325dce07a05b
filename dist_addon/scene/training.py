"""How a training goes, as one picture: the losses over the steps, and some of the shapes."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from ..worker.dist_engine.protocol import LOSSES_FILE, PREVIEWS_FILE, read_array
from . import renderings

IMAGE, FILE = "DIST Training", "training.png"
WIDTH, HEIGHT = 512, 192
GROUND, GRID, TEXT, CURVE = (np.array(c) for c in ([0.1] * 3, [0.2] * 3, [0.7] * 3, [1.0, 0.55, 0.15]))
# What the scale's numbers are written with, 3 x 5 pixels each.
GLYPHS = {"0": "111101101101111", "1": "010110010010111", ".": "000000000000010"}


def show(folder: Path) -> bpy.types.Image | None:
    """Draw the state of a training into its folder, as ``training.png``, and show it as the image “DIST Training”.

    Returns
    -------
    Image or None
        None where the training has not got so far.

    Raises
    ------
    RequestError
        The worker's arrays are damaged, or the picture can't be written.
    """
    if not (folder / LOSSES_FILE).exists():
        return None
    picture = draw_losses(read_array(folder / LOSSES_FILE))
    if (folder / PREVIEWS_FILE).exists():
        shapes = read_array(folder / PREVIEWS_FILE)[:, :WIDTH] / 255
        row = np.tile(GROUND, (len(shapes), WIDTH, 1))
        row[:, : shapes.shape[1]] = shapes
        picture = np.concatenate([row, picture])
    return renderings.show_picture(IMAGE, renderings.write_picture(folder / FILE, picture), is_data=False)


def keep_picture(folder: Path, path: Path) -> None:
    """Keep the picture of a training's first shape as a PNG, where there is one.

    Raises
    ------
    RequestError
        The worker's array is damaged, or the picture can't be written.
    """
    if (folder / PREVIEWS_FILE).exists():
        shapes = read_array(folder / PREVIEWS_FILE)
        # They are square, side by side.
        renderings.write_picture(path, shapes[:, : len(shapes)] / 255)


def is_behind(folder: Path) -> bool:
    """Whether a training has told something that `show` has not drawn yet."""
    drawn, told = folder / FILE, folder / LOSSES_FILE
    return told.exists() and not (drawn.exists() and drawn.stat().st_mtime_ns >= told.stat().st_mtime_ns)


def draw_losses(losses: np.ndarray) -> np.ndarray:
    """Draw a loss curve.

    Parameters
    ----------
    losses : (K, 2) array
        Steps and losses.

    Returns
    -------
    (HEIGHT, WIDTH, 3) array
        From the first step to the last; upwards, the loss's logarithm, with a line at each power of ten.
    """
    picture = np.tile(GROUND, (HEIGHT, WIDTH, 1))
    steps, heights = losses[:, 0], np.log10(np.maximum(losses[:, 1], 1e-9))
    low, high = heights.min() - 0.1, heights.max() + 0.1

    def row(height: np.ndarray) -> np.ndarray:
        return ((HEIGHT - 1) * (high - height) / (high - low)).astype(int)

    for power in range(int(np.ceil(low)), int(np.floor(high)) + 1):
        line = int(row(np.array(power)))
        picture[line] = GRID
        _write(picture, f"{10.0**power:.{max(-power, 0)}f}", min(line + 3, HEIGHT - 6))
    rows = row(np.interp(np.linspace(steps[0], steps[-1], WIDTH), steps, heights))
    for column, (here, before) in enumerate(zip(rows, [rows[0], *rows], strict=False)):
        picture[min(here, before) : max(here, before) + 2, column] = CURVE
    return picture


def _write(picture: np.ndarray, number: str, top: int) -> None:
    for place, letter in enumerate(number):
        glyph = np.array(list(GLYPHS[letter])).reshape(5, 3) == "1"
        picture[top : top + 5, 4 + 4 * place : 7 + 4 * place][glyph] = TEXT
