"""The worker process: read a request, do its task, write a result, and say how it goes.

Started without a job's folder, it loads PyTorch and waits for the folder as a line of JSON on standard input.

Only events go to standard output; everything else that is printed goes to the log (standard error). A line ``cancel``
on standard input, or its end (Blender is gone), ends the process within seconds; ``pause`` and ``resume`` hold it up at
the next step; ``finish`` has a fit or a training make its result of what it has; ``watch`` asks for previews. Other
lines are for a task that stays and takes orders.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from . import protocol

# Long enough to end a step and tell; the other side waits 3 s at most.
GRACE_SECONDS = 1.2


class Cancelled(Exception):
    """Raised between two steps once the user, or the end of Blender, has asked to stop."""


class Reporter:
    """Where the work tells of itself, and learns that it should stop."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._going = threading.Event()
        self._going.set()
        # Whether the result should be made of what is there, and whether somebody watches.
        self.finishing = self.watched = False

    def event(self, event: str, **fields: Any) -> None:
        """Write one event of `protocol.EVENTS`; a closed pipe is left to the listener on standard input."""
        with self._lock:
            try:
                protocol.write_event(self._stream, event, **fields)
            except OSError:
                self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether the work should stop."""
        return self._stop.is_set()

    def rest(self) -> None:
        """Wait while the work is paused."""
        if not self._going.is_set():
            self.event("paused")
            self._going.wait()
            self.event("resumed")

    def progress(self, stage: str, step: int, steps: int, loss: float | None, seconds_left: float | None) -> None:
        """Report progress, and wait while the work is paused.

        Raises
        ------
        Cancelled
            The work should stop here.
        """
        if self._stop.is_set():
            raise Cancelled
        self.event("progress", stage=stage, step=step, steps=steps, loss=loss, seconds_left=seconds_left)
        self.rest()
        if self._stop.is_set():
            raise Cancelled

    @property
    def called(self) -> bool:
        """Whether an order waits to be taken, or the work should stop."""
        return not self._lines.empty()

    def take_line(self, seconds: float) -> str | None:
        """The next line on standard input; None where none comes in that time.

        Raises
        ------
        Cancelled
            The work should stop here.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if self._stop.is_set():
            raise Cancelled
        return line

    def take_order(self, seconds: float) -> str | None:
        """The newest of the lines that are there, as `take_line`: the others are out of date."""
        line = self.take_line(seconds)
        while self.called:
            line = self.take_line(seconds)
        return line

    def listen(self, stream: TextIO) -> None:
        """Obey `stream` until it ends, then end the process even where the work does not come to a step's end."""
        for line in stream:
            match line.strip():
                case "cancel":
                    break
                case "watch":
                    self.watched = True
                case "pause":
                    self._going.clear()
                case "resume":
                    self._going.set()
                case "finish":
                    self.finishing = True
                    self._going.set()
                case _:
                    self._lines.put(line)
        self._stop.set()
        self._going.set()
        # Wakes a task that waits for orders.
        self._lines.put("")
        time.sleep(GRACE_SECONDS)
        self.event("cancelled")
        os._exit(1)


def main(arguments: list[str]) -> int:
    """Run the job in the folder that `arguments` or, later, standard input names.

    Returns 0 when done, or when no folder came for long, 1 when cancelled, and 2 after an error.
    """
    # Libraries that print must not be taken for events: the pipe gets a descriptor of its own.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    reporter = Reporter(events)
    # And none may wait for the input: on Windows, to load one asks after descriptor 0, which waits while it is read.
    orders = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8")
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    threading.Thread(target=reporter.listen, args=(orders,), daemon=True).start()
    if len(arguments) > 1:
        reporter.event("error", message="The worker takes one argument at most: the job's folder.")
        return 2
    try:
        if arguments:
            reporter.event("status", message="Loading PyTorch")
            folder = Path(arguments[0])
        else:
            load_task(protocol.RECONSTRUCT)
            line = reporter.take_line(protocol.SPARE_SECONDS)
            if line is None:
                return 0
            folder = Path(json.loads(line))
            _move_into(folder)
        load_task(protocol.read_task(folder))(folder, reporter)
    except Cancelled:
        reporter.event("cancelled")
        return 1
    except Exception as error:
        traceback.print_exc()
        reporter.event("error", message=explain(error))
        return 2
    reporter.event("done")
    return 0


def _move_into(folder: Path) -> None:
    """Work in a job's folder, and write its log: as who is started for it does from the beginning."""
    os.chdir(folder)
    with (folder / "log.txt").open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())


def load_task(task: str) -> Callable[[Path, Reporter], None]:
    """Import what does a task: not before it is needed, since PyTorch takes seconds and a cancel must be heard."""
    # Blender draws meanwhile: threads that wait must not keep the processor busy, or both stand still.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if task == protocol.RENDER:
        from .render import render

        return render
    if task == protocol.SHAPE:
        from .shape import make_shapes

        return make_shapes
    if task == protocol.TRAIN:
        from .train import train_prior

        return train_prior
    if task == protocol.IMPORT:
        from .import_prior import import_prior

        return import_prior
    from .reconstruct import reconstruct

    return reconstruct


def explain(error: Exception) -> str:
    """Say what went wrong in words for the person who pressed the button."""
    name = type(error).__name__
    if name == "ModuleNotFoundError":
        remedy = f"Install torch, libigl and safetensors into {sys.executable}."
        return f"The worker's Python lacks a package: {error}. {remedy}"
    if name in ("OutOfMemoryError", "MemoryError"):
        return "There was not enough memory: choose a lower quality or smaller pictures, or run on the CPU."
    if isinstance(error, ValueError):
        return str(error)
    return f"{name}: {error} (the job's log has the details)"
