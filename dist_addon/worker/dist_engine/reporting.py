"""Where the work tells of itself, and learns that it should stop, rest or make an end."""

from __future__ import annotations

import os
import queue
import threading
import time
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

    def progress(
        self, stage: protocol.Stage, step: int, steps: int, loss: float | None, seconds_left: float | None
    ) -> None:
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
