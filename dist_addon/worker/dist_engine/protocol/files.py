"""JSON and ``.npy`` on disk, versioned, and never half written where a reader looks."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

VERSION = 1
MAX_PIXELS = 1 << 30
# How often, and after how many seconds, a file that cannot be replaced is tried again.
TRIES, PAUSE = 20, 0.05


class RequestError(ValueError):
    """A request, event or result that cannot be used; the message names the thing and the remedy."""


def move_into_place(beside: Path, path: Path) -> None:
    """Replace a file by one beside it; on Windows that is refused while somebody, such as a virus scanner, reads it."""
    for _ in range(TRIES):
        try:
            beside.replace(path)
            return
        except PermissionError:
            time.sleep(PAUSE)
    beside.replace(path)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON beside `path` and move it into place, so that a reader never sees half a file."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(data, indent=1), encoding="utf-8")
    move_into_place(beside, path)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write ``.npy`` beside `path` and move it into place."""
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    move_into_place(beside, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a versioned JSON file of ours."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise RequestError(f"{path} is not of version {VERSION}: make the request again with this add-on.")
    return data


def read_array(path: Path, most: int = MAX_PIXELS) -> np.ndarray:
    """Read ``.npy`` without unpickling, its size checked before memory is taken."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.size > most:
            raise RequestError(f"{path} claims {mapped.size:,} numbers, more than {most:,}.")
        return np.array(mapped)
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
