"""What the commands share: exit codes, progress on stderr, files written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from ..jobs import Progress
from ..worker.dist_engine import protocol
from ..worker.dist_engine.protocol import RequestError

DONE, FAILED, MISUSED = 0, 1, 2
# Things of the file that an error names.
MOST_NAMES = 8


def named(kind: str, name: str | None) -> Any:
    """Return the thing of a kind, such as an object, that the file has under that name; None where no name is given.

    Raises
    ------
    RequestError
        The file has no such thing.
    """
    known = getattr(bpy.data, f"{kind}s")
    found = None if name is None else known.get(name)
    if name is not None and found is None:
        some = [f"“{each.name}”" for each in known[:MOST_NAMES]] + ["…"] * (len(known) > MOST_NAMES)
        raise RequestError(f"The file has no {kind} “{name}”: it has {', '.join(some) or 'none'}.")
    return found


def show(progress: Progress) -> None:
    """Tell on stderr where a job stands."""
    print(progress, file=sys.stderr, flush=True)


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """As `protocol.written_beside`, in a folder that may be missing; what is no file, such as a pipe, is written to."""
    path = path.absolute()
    if path.exists() and not path.is_file():  # such as /dev/stdout
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with protocol.written_beside(path) as part:
        yield part


def save_scene(path: Path | None) -> None:
    """Save a copy of the scene, where a file is given for it."""
    if path:
        with written_beside(path) as part:
            bpy.ops.wm.save_as_mainfile(filepath=str(part), copy=True)


def write_report(path: Path | None, report: dict[str, Any]) -> None:
    """Write a report as JSON, where a file is given for it."""
    if path:
        with written_beside(path) as part:
            part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
