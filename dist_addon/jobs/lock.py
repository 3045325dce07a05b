"""Who is at work on a job's folder: a lock that the system takes back when its holder ends, however that was."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO

from ..worker.dist_engine.protocol import IrregularError, open_regular

NAME = "lock"
# A look of `is_locked` holds the file for an instant: try again.
TRIES, PAUSE = 5, 0.01

if os.name == "nt":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import errno
    import fcntl

    def _lock(file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network folders know no locks: better none than no job.
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise


def lock(folder: Path) -> BinaryIO | None:
    """Lock a folder until the file that is returned is closed; None where another holds it."""
    file = open_regular(folder / NAME, "ab")
    for _ in range(TRIES):
        try:
            _lock(file)
            return file
        except OSError:
            time.sleep(PAUSE)
    file.close()
    return None


def is_locked(folder: Path) -> bool:
    """Whether a process is at work on a folder."""
    try:
        with open_regular(folder / NAME, "r+b") as file:
            _lock(file)
    except (FileNotFoundError, IrregularError):
        return False
    except OSError:
        return True
    return False
