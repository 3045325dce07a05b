"""Numbered image files, and frames of movies."""

from __future__ import annotations

import re
from pathlib import Path

from ..worker.dist_engine.protocol import RequestError
from .images import Picture


def first_number(path: Path) -> int:
    """Return the number in a file's name: the last one, as Blender takes it.

    Raises
    ------
    RequestError
        There is none.
    """
    return int(_split(path)[1])


def numbered_file(path: Path, number: int) -> Picture:
    """Return the file of a sequence that has this number, as Blender finds it from any file of the sequence.

    Raises
    ------
    RequestError
        The name holds no number, or there is no such file.
    """
    head, digits, tail = _split(path)
    file = path.with_name(f"{head}{number:0{len(digits)}d}{tail}")
    if not file.is_file():
        raise RequestError(
            f"The picture “{file.name}” of the sequence is not in the folder {path.parent}: find the sequence with "
            "File > External Data > Find Missing Files, or choose frames that are there."
        )
    return Picture(file.name, path=file)


def movie_frame(path: Path, name: str, number: int, count: int) -> Picture:
    """Return a frame, from 1 to `count`, of a movie.

    Raises
    ------
    RequestError
        There is no such file, or no such frame in it.
    """
    if not path.is_file():
        raise RequestError(
            f"The movie “{name}” is not on disk at {path}: find it with File > External Data > Find Missing Files."
        )
    if not 1 <= number <= count:
        raise RequestError(f"The movie “{name}” has {count} frames, but frame {number} of it was asked for.")
    return Picture(name, path=path, frame=number)


def _split(path: Path) -> tuple[str, str, str]:
    """The name before its last number, that number, and what comes after."""
    found = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
    if found is None:
        raise RequestError(f"The sequence “{path.name}” has no number in its name: choose a file of numbered ones.")
    return found[1], found[2], found[3] + path.suffix
