"""Reading files of others: their size is looked at before they are, and damage names the file and the line."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..worker.dist_engine.protocol import RequestError

MOST_TEXT = 1 << 30
# Where JPEG files say their size: all markers of a frame.
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield a text file's lines, stripped, and their numbers from 1 on."""
    check_size(path)
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            for number, line in enumerate(stream, 1):
                yield number, line.strip()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error}") from error


def check_size(path: Path) -> None:
    """Raise `RequestError` where a path is no file, or a text file is larger than any of cameras."""
    # To open a pipe would wait for its other end.
    if path.exists() and not path.is_file():
        raise RequestError(f"{path} is no file: choose a file of cameras.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
    if size > MOST_TEXT:
        raise RequestError(f"{path} has {size:,} bytes, more than {MOST_TEXT:,}: choose a file of cameras.")


def numbers(texts: Iterable[str], where: str) -> list[float]:
    """Return finite numbers; raises `RequestError` with the place for anything else."""
    try:
        found = [float(text) for text in texts]
    except ValueError as error:
        raise RequestError(f"{where}: {error}: write the file again.") from error
    if not all(map(math.isfinite, found)):
        raise RequestError(f"{where}: a number is not finite: calibrate again without this entry.")
    return found


def exists(path: Path) -> bool:
    """Whether a file is there; none is, of a name that the system does not know."""
    try:
        return path.is_file()
    except OSError:  # The name is too long.
        return False


def picture_size(path: Path) -> tuple[int, int] | None:
    """Return a PNG's or JPEG's width and height in pixels, from its head alone; None for any other file, or none."""
    if not exists(path):
        return None
    try:
        with path.open("rb") as stream:
            head = stream.read(24)
            if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
                width, height = struct.unpack(">2I", head[16:])
                return width, height
            if not head.startswith(b"\xff\xd8"):
                return None
            stream.seek(2)
            while len(marker := stream.read(4)) == 4 and marker[0] == 0xFF:
                length = int.from_bytes(marker[2:], "big")
                if marker[1] in FRAMES:
                    height, width = struct.unpack(">x2H", stream.read(5))
                    return width, height
                stream.seek(max(length - 2, 0), 1)
    except (OSError, ValueError, struct.error):
        pass
    return None


def sizes_of(pictures: list[Path], where: str) -> list[tuple[int, int]]:
    """Return the pictures' sizes, where a file of cameras does not say them; of a missing one, that of the first there.

    Raises
    ------
    RequestError
        None is there.
    """
    found = [picture_size(path) for path in pictures]
    known = next((size for size in found if size), None)
    if known is None:
        raise RequestError(
            f"{where} does not say how large the pictures are, and none of them can be read, such as "
            f"{pictures[0]}: put them there, as PNG or JPEG."
        )
    return [size or known for size in found]
