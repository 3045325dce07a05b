"""Start a worker's process; and one to spare, which loads PyTorch and waits, so that the next job need not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..worker.dist_engine.protocol import SPARE_SECONDS, open_regular
from .environment import NO_WINDOW, clean_environment

WORKER_FOLDER = Path(__file__).resolve().parent.parent / "worker"
# Of a worker that comes after Blender: POSIX's priority, from 0 to 19 the last, and Windows's.
NICENESS = 10
BELOW_NORMAL: int = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
# A spare one that is about to end by itself is left alone.
FRESH = SPARE_SECONDS - 30


@dataclass(frozen=True)
class Program:
    """What runs as a worker.

    Attributes
    ----------
    python : str
        The interpreter.
    worker_folder : Path
        A folder with ``__main__.py``.
    environment : mapping
        By default a cleaned copy of this process's own.
    gently : bool
        Whether others come first where the processor is short: Blender has a window to draw.
    """

    python: str
    worker_folder: Path = WORKER_FOLDER
    environment: Mapping[str, str] = field(default_factory=clean_environment)
    gently: bool = False

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start a worker on a job's folder: the spare one, where it is of this program.

        Raises
        ------
        OSError, ValueError
            The interpreter could not be started, or the log not be written.
        """
        with open_regular(folder / "log.txt", "ab") as log:
            if (process := spare.take(self)) is not None:
                try:
                    stdin: Any = process.stdin
                    stdin.write(json.dumps(str(folder)).encode() + b"\n")
                    stdin.flush()
                    return process
                except OSError:
                    _end(process)
            return self._run([str(folder)], folder, log)

    def _run(self, arguments: list[str], folder: Path | None, log: int | IO[bytes]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [self.python, "-I", "-u", str(self.worker_folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=dict(self.environment),
            creationflags=NO_WINDOW | (BELOW_NORMAL if self.gently else 0),
            # Ctrl+C in Blender's terminal reaches Blender alone, which then cancels. No session of its own: Linux
            # shares the processor among sessions whatever their priorities.
            process_group=0 if os.name == "posix" else None,
        )
        if self.gently and os.name == "posix":
            # It has one thread so far; those that come have its priority. It may have ended already.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return process


class SpareWorker:
    """The worker that waits for a job of its program, where there is one; it ends with this process, or in a while."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._program: Program | None = None
        self._since = 0.0

    @property
    def pid(self) -> int | None:
        """Process number of the worker; None where none waits."""
        return self._process.pid if self._process else None

    def start(self, program: Program) -> None:
        """Have a worker of a program load PyTorch and wait, unless one does already."""
        if self._fits(program):
            return
        self.end()
        # Who starts a job is told.
        with contextlib.suppress(OSError, ValueError):
            self._process = program._run([], None, subprocess.DEVNULL)
            self._program, self._since = program, time.monotonic()

    def take(self, program: Program) -> subprocess.Popen[bytes] | None:
        """Hand the worker out, where it is of a program; there is none any more, either way."""
        if not self._fits(program):
            self.end()
        process, self._process = self._process, None
        return process

    def end(self) -> None:
        """End the worker, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _fits(self, program: Program) -> bool:
        """Whether a job of a program can be handed to it."""
        if self._process is None or self._program != program:
            return False
        return self._process.poll() is None and time.monotonic() - self._since < FRESH


# One a process, as long as the process: whoever starts a job may take it.
spare = SpareWorker()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    # Its pipes may hold what nobody took.
    with contextlib.suppress(OSError), process:
        pass
