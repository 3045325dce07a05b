"""JSON and ``.npy`` on disk, versioned, and never half written where a reader looks.

What a job's folder holds may be damaged, or somebody else's: no reader waits for a pipe, and no writer follows a link.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

VERSION = 1
MAX_PIXELS = 1 << 30
# A JSON file of ours: ten thousand views take a third of it.
MAX_JSON = 16 << 20
# How often, and after how many seconds, a file that cannot be replaced is tried again.
TRIES, PAUSE = 20, 0.05
# Windows knows neither.
NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)
NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)


class IrregularError(OSError):
    """What should be a file is none."""


class RequestError(ValueError):
    """A request, event or result that cannot be used; the message names the thing and the remedy."""


def open_regular(path: Path, mode: str) -> BinaryIO:
    """Open a file in a binary mode; never waits, as for the other end of a pipe.

    Raises
    ------
    IrregularError
        It is something else than a file, or, to be written to, a symbolic link. OSError otherwise.
    """

    def opener(_: str, flags: int) -> int:
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat(follow_symlinks=not writes).st_mode):
                raise IrregularError(f"{path} is no file, but a folder, a pipe or a link")
        # It may be another thing by now.
        return os.open(path, flags | NO_WAIT | (NO_LINK if writes else 0), 0o666)

    return cast(BinaryIO, open(path, mode, opener=opener))


def read_file(path: Path, largest: int) -> bytes:
    """Content of a regular file of at most `largest` bytes; raises ValueError or OSError for any other."""
    if not path.exists():
        raise ValueError("it is missing")
    if not path.is_file():
        raise ValueError("it is no file")
    with open_regular(path, "rb") as stream:
        if os.fstat(stream.fileno()).st_size <= largest:
            content = stream.read(largest + 1)
            if len(content) <= largest:
                return content
    raise ValueError(f"it is larger than {largest / 2**20:g} MiB")


def read_tail(path: Path, most: int) -> str:
    """The last `most` bytes of a regular file, as text; OSError for any other."""
    with open_regular(path, "rb") as stream:
        stream.seek(max(stream.seek(0, os.SEEK_END) - most, 0))
        return stream.read(most).decode("utf-8", "replace")


def parse_json(content: str | bytes) -> Any:
    """Parse JSON; ValueError where it is none, or nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def plain(text: str) -> str:
    """Text that Blender and a terminal can show: JSON can hold characters that are none."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to, and move what was written into its place.

    Whoever reads `path` finds the old file or the new one, never a part, whatever else writes it or ends half way. A
    symbolic link in its place is replaced, not followed.
    """
    # In the same folder, so that relative paths in a .blend file stay right; nobody can have put a link there before.
    part = path.with_name(f".{path.stem}_{secrets.token_hex(8)}{path.suffix}")
    try:
        yield part
        move_into_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def move_into_place(beside: Path, path: Path) -> None:
    """Replace a file by one beside it; on Windows that is refused while somebody, such as a virus scanner, reads it."""
    for _ in range(TRIES):
        try:
            beside.replace(path)
            return
        except PermissionError:
            time.sleep(PAUSE)
    beside.replace(path)


def copy_file(source: Path, path: Path) -> None:
    """Copy a file's content into the place of `path`."""
    with written_beside(path) as part:
        shutil.copyfile(source, part)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON of at most `MAX_JSON` bytes into the place of `path`."""
    content = json.dumps(data, indent=1).encode()
    if len(content) > MAX_JSON:
        raise RequestError(f"{path} would be larger than {MAX_JSON >> 20} MiB: give it fewer views or meshes.")
    with written_beside(path) as part:
        part.write_bytes(content)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write ``.npy`` into the place of `path`."""
    with written_beside(path) as part, part.open("xb") as stream:
        np.save(stream, array, allow_pickle=False)


def read_json(path: Path) -> dict[str, Any]:
    """Read a versioned JSON file of ours."""
    try:
        data = parse_json(read_file(path, MAX_JSON))
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise RequestError(f"{path} is not of version {VERSION}: make the request again with this add-on.")
    return data


@contextlib.contextmanager
def reading_fields(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with the fields of a JSON file of ours into a `RequestError` that names it."""
    try:
        yield
    except RequestError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        told = f"{path.name} in {path.parent} lacks or misnames a field: {plain(str(error)):.200}."
        raise RequestError(f"{told} Run the job again.") from error


def read_array(path: Path, most: int = MAX_PIXELS) -> np.ndarray:
    """Read ``.npy`` without unpickling, its size checked before memory is taken."""
    try:
        # To open a pipe would wait for its other end.
        open_regular(path, "rb").close()
        mapped = np.lib.format.open_memmap(path, mode="r")  # type: ignore[no-untyped-call]
    except Exception as error:  # Damaged headers make the parser raise anything.
        raise RequestError(f"{path} cannot be read: {error}") from error
    if mapped.size > most:
        raise RequestError(f"{path} claims {mapped.size:,} numbers, more than {most:,}.")
    return np.array(mapped)


def check_folder(folder: Path) -> None:
    """Raise `RequestError` where a folder holds anything but files and folders: links lead out of it, pipes block."""
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise RequestError(
                    f"{path} is neither a file nor a folder: take it out of the job's folder, or choose another one."
                )
