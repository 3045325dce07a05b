"""One worker process: start it, read its events, cancel it, and say in plain words why it failed."""

from __future__ import annotations

import atexit
import contextlib
import json
import queue
import re
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from io import RawIOBase
from pathlib import Path
from typing import Any

from ..worker.dist_engine import protocol
from .lock import lock
from .program import Program, spare

# Seconds that a worker gets to obey "cancel", and then to obey termination, before it is killed.
CANCEL_GRACE = 2.2
TERMINATE_GRACE = 0.3
# A line longer than this is no event: read it in pieces rather than hold it all.
LONGEST_LINE = 1 << 20

_running: weakref.WeakSet[Job] = weakref.WeakSet()


class JobError(protocol.RequestError):
    """A job that could not run, failed or was cancelled; the message names the cause and the remedy."""


class Job:
    """A worker and its folder.

    The state goes ``queued``, ``running``, then one of ``done``, ``failed``, ``cancelled``; `poll` moves it on.

    Parameters
    ----------
    folder : Path
        Holds the request; the worker writes the result there. Nobody else works on it until the job has finished.
    program : Program

    Attributes
    ----------
    state : str
    error : str
        Why the job failed, in plain words; empty otherwise.
    left : bool
        Whether Blender quits before its end: its folder will say that it was interrupted, not how it ended.

    Raises
    ------
    JobError
        Another job works on the folder.
    OSError
        The folder cannot be written.
    """

    def __init__(self, folder: Path, program: Program) -> None:
        self.folder = Path(folder).resolve()
        self.state = "queued"
        self._program = program
        self.error = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outbox = Outbox()
        self._closed = False
        self.left = False
        self._last_event = ""
        self._reported = ""
        self._ender: threading.Thread | None = None
        self._ended_at = 0.0
        held = lock(self.folder)
        if held is None:
            raise JobError(f"A job waits or runs in {self.folder} already: wait for it, or choose another folder.")
        self._lock = held

    @property
    def pid(self) -> int | None:
        """Process number of the worker; None before `start`."""
        return self._process.pid if self._process else None

    @property
    def finished(self) -> bool:
        """Whether the job is done, failed or cancelled."""
        return self.state not in {"queued", "running"}

    def start(self) -> None:
        """Start the worker.

        Raises
        ------
        JobError
            The interpreter could not be started.
        """
        if self.state != "queued":
            raise JobError(f"The job in {self.folder} was started before: make a new one.")
        try:
            # Tells others that it waits no more.
            protocol.open_regular(self.folder / "events.jsonl", "ab").close()
            self._process = self._program.start(self.folder)
        except (OSError, ValueError) as error:
            self.state = "failed"
            self.error = (
                f"“{self._program.python}” could not be started ({error}). Choose another Python in the preferences."
            )
            self._note_end()
            self._lock.close()
            raise JobError(self.error) from error
        self.state = "running"
        _running.add(self)
        threading.Thread(target=self._read, args=(self._process,), name="DIST events", daemon=True).start()
        # A pipe that nobody reads fills up: only a thread of its own may wait for it.
        pipe: Any = self._process.stdin
        threading.Thread(target=self._outbox.write, args=(pipe.detach(),), name="DIST orders", daemon=True).start()
        self._process.stdin = None

    def send(self, line: str) -> None:
        """Send the worker a line. Never waits; what an earlier call sent and is not on its way yet is dropped."""
        self._outbox.put(line)

    def poll(self) -> list[dict[str, Any]]:
        """Return the events since the last call, and bring `state` up to date. Never waits."""
        events: list[dict[str, Any]] = []
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                self._closed = True
                continue
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            try:
                event = protocol.parse_event(text)
            except protocol.RequestError:
                self._append("log.txt", f"(not an event) {text[:500]}")
                continue
            events.append(event)
            if not (self.left and event["event"] == "cancelled"):
                self._append("events.jsonl", json.dumps(event))
            if event["event"] in {"done", "error", "cancelled"}:
                self._last_event = event["event"]
            if event["event"] == "error":
                self._reported = str(event["message"])
        self._settle()
        return events

    def wait(self, on_event: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Block until the job has finished, handing over each event; an exception cancels the job."""
        try:
            while True:
                for event in self.poll():
                    if on_event:
                        on_event(event)
                if self.finished:
                    return
                time.sleep(0.05)
        except BaseException:
            self.cancel(wait=True)
            raise

    def cancel(self, wait: bool = False) -> None:
        """Ask the worker to stop, and make it stop if it does not within 2.5 seconds.

        Parameters
        ----------
        wait : bool
            Return only when the worker is gone.
        """
        if self.state == "queued":
            self.state = "cancelled"
            self._note_end()
            self._lock.close()
        if self._process is None or self.finished:
            return
        if self._ender is None:
            self._ender = threading.Thread(
                target=_end, args=(self._process, self._outbox), name="DIST cancel", daemon=True
            )
            self._ender.start()
        if wait:
            self._ender.join()
            # The last lines may still be on their way.
            while not self.finished:
                self.poll()
                time.sleep(0.01)

    def let_go(self) -> None:
        """Leave a job that was not started to whoever takes it up from its folder."""
        if self.state == "queued":
            self.state = "cancelled"
            self._lock.close()

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the worker's log."""
        try:
            text = protocol.read_tail(self.folder / "log.txt", 16384)
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline(LONGEST_LINE):
                self._lines.put(line)
        self._lines.put(None)

    def _append(self, name: str, text: str) -> None:
        # A full disk must not hide the job's end from the user.
        with contextlib.suppress(OSError), protocol.open_regular(self.folder / name, "ab") as stream:
            stream.write(f"{text}\n".encode())

    def _settle(self) -> None:
        """Take the process's end into `state`, once its last event is read."""
        if self.state != "running" or self._process is None or (code := self._process.poll()) is None:
            return
        # A child of the worker's may hold the pipe open: don't wait for ever.
        self._ended_at = self._ended_at or time.monotonic()
        if not self._closed and time.monotonic() - self._ended_at < 1.0:
            return
        if self._ender is not None or self._last_event == "cancelled":
            self.state = "cancelled"
        elif self._last_event == "done":
            self.state = "done"
        else:
            self.state = "failed"
            cause = self._reported or explain_exit(code, self.log_tail(200))
            self.error = f"{cause}\nThe worker's log: {self.folder / 'log.txt'}"
        if not self._last_event:
            self._note_end()
        self._outbox.close()
        self._lock.close()
        _running.discard(self)

    def _note_end(self) -> None:
        """Say in the folder how a job ended whose worker could not say so itself."""
        if self.left:
            return
        fields = {"message": self.error.splitlines()[0]} if self.state == "failed" else {}
        event = {"v": protocol.VERSION, "event": "error" if fields else "cancelled", **fields}
        self._append("events.jsonl", json.dumps(event))


class Outbox:
    """The one line that is next to be written to a worker."""

    def __init__(self) -> None:
        self._line = ""
        self._last = self._closed = False
        self._news = threading.Condition()

    def put(self, line: str, last: bool = False) -> None:
        """Replace the line that waits; nothing replaces the `last`."""
        with self._news:
            if not self._last:
                self._line, self._last = line, last
                self._news.notify()

    def close(self) -> None:
        """The worker is gone: let `write` end."""
        with self._news:
            self._closed = True
            self._news.notify()

    def write(self, pipe: RawIOBase) -> None:
        """Write what is put until `close`."""
        with contextlib.suppress(OSError), pipe:
            while True:
                with self._news:
                    self._news.wait_for(lambda: self._line or self._closed)
                    if self._closed:
                        return
                    line, self._line = self._line, ""
                pipe.write(line.encode() + b"\n")


def _end(process: subprocess.Popen[bytes], outbox: Outbox) -> None:
    """Ask, then terminate, then kill."""
    outbox.put("cancel", last=True)
    for grace, action in ((CANCEL_GRACE, process.terminate), (TERMINATE_GRACE, process.kill)):
        try:
            process.wait(grace)
            break
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                action()
    process.wait()
    outbox.close()


def any_running() -> bool:
    """Whether a worker of this process runs."""
    return bool(_running)


def leave_all() -> None:
    """Interrupt every running job of this process and wait until the workers are gone, the spare one, too."""
    spare.end()
    jobs = list(_running)
    for job in jobs:
        job.left = job._ender is None
        job.cancel()
    for job in jobs:
        job.cancel(wait=True)


# `unregister` is not called when Blender quits.
atexit.register(leave_all)


# What a log says when memory ran out, and when PyTorch does not fit the GPU.
OUT_OF_MEMORY = (
    "MemoryError",
    "out of memory",
    "OutOfMemoryError",
    "bad_alloc",
    "can't allocate memory",
)
SAVE_MEMORY = "choose a lower quality, smaller pictures or fewer cameras."
NO_MEMORY = "The worker ran out of memory: " + SAVE_MEMORY
WINDOWS_CODES = {0xC0000017: NO_MEMORY, 0xC0000005: "The worker crashed (access violation)."}


def explain_exit(code: int, log: str) -> str:
    """Say in plain words why a worker ended without a result.

    Parameters
    ----------
    code : int
        Its exit code; negative for a signal.
    log : str
        The end of its log.
    """
    if any(sign in log for sign in OUT_OF_MEMORY):
        return NO_MEMORY
    if "no kernel image is available" in log:
        return "The worker's PyTorch is too old for this GPU: install a newer one, or choose the CPU as device."
    if code == -int(getattr(signal, "SIGKILL", 9)):
        return "The worker was killed, most likely by the system for want of memory: " + SAVE_MEMORY
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"The worker crashed with {signal.Signals(-code).name}: its log may tell where."
    if code & 0xFFFFFFFF in WINDOWS_CODES:
        return WINDOWS_CODES[code & 0xFFFFFFFF]
    last = log.strip().splitlines()[-1].strip() if log.strip() else ""
    # An exception's message may run over several lines: its name starts the first.
    raised = re.findall(r"^([\w.]+(?:Error|Exception|Exit|Interrupt)\b.*)$", log, flags=re.MULTILINE)
    if "Traceback (most recent call last)" in log and last:
        return f"The worker failed: {raised[-1] if raised else last}"
    return f"The worker ended (exit code {code}) without a result." + (f" It last said: {last}" if last else "")
