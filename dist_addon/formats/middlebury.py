"""Middlebury's multi-view stereo cameras: ``NAME_par.txt``, a line a picture beside it.

https://vision.middlebury.edu/mview/data: ``imgname.png k11 ... k33 r11 ... r33 t1 t2 t3``, row by row, P = K [R | t],
image origin top left.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..worker.dist_engine.protocol import RequestError
from .calibration import MOST_VIEWS, CalibratedPicture, Calibration, combine
from .files import numbers, read_lines, sizes_of

# In the benchmark's dinosaur and temple, y points up.
UP = "+y"


def read(path: Path) -> Calibration:
    """Read ``*_par.txt``; the pictures' size is that of the pictures beside it.

    Raises
    ------
    RequestError
        A line is damaged, the count is wrong, no picture is there, or Blender has no such camera.
    """
    rows: list[tuple[str, str, np.ndarray]] = []
    count = None
    for number, line in read_lines(path):
        where, words = f"{path.name}, line {number}", line.split()
        if not words:
            continue
        if count is None:
            if len(words) != 1 or not words[0].isdecimal() or len(words[0]) > 9:
                raise RequestError(f"{where}: “{line:.40}” is not the number of pictures: choose a Middlebury file.")
            count = int(words[0])
            continue
        if len(words) != 22:
            raise RequestError(f"{where}: there are {len(words)} entries, not a picture's name and 21 numbers.")
        if len(rows) == min(count, MOST_VIEWS):
            raise RequestError(f"{where}: the first line says {count} pictures, but there are more.")
        rows.append((where, words[0], np.array(numbers(words[1:], where))))
    if not rows or len(rows) != count:
        raise RequestError(f"{path.name} holds {len(rows)} pictures, but its first line says {count}: it is cut off.")
    pictures = [path.parent / name for _, name, _ in rows]
    shots = []
    for (where, name, values), picture, size in zip(rows, pictures, sizes_of(pictures, path.name), strict=True):
        K, rotation, translation = values[:9].reshape(3, 3), values[9:18].reshape(3, 3), values[18:]
        if K[2, 2] == 0 or (K[[1, 2, 2], [0, 0, 1]] != 0).any():
            raise RequestError(f"{where}: K is {K.tolist()}: it must be upper triangular.")
        pose = np.column_stack([rotation, translation])
        shots.append(CalibratedPicture(where, Path(name).stem, picture, size, K / K[2, 2], pose))
    return combine(path.parent.absolute().name or path.name.removesuffix("_par.txt"), shots, UP)
