"""The Python that runs the worker: found, tried and installed beside Blender's window."""

from __future__ import annotations

import contextlib
import queue
import threading
from pathlib import Path
from typing import Any

import bpy

from . import storage
from .jobs import (
    Job,
    JobError,
    Plan,
    Progress,
    WorkerPython,
    check_python,
    end_spare,
    find_python,
    installed,
    start_install,
)
from .window import in_background, redraw_preferences

# Seconds between two looks at a test or an installation.
INTERVAL = 0.2

# What runs, and what came of it last, for the preferences.
job: Job | None = None
progress = Progress()
testing = False
outcome = ""
failed = False
# For which choice of the user's one was sought before it was needed.
_sought: str | None = None
# What was found, by the user's choice and the environment of the add-on's own.
_found: dict[tuple[str, str], WorkerPython] = {}

_answers: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()


def folder() -> Path:
    """Return where the add-on's own environment is, or would be."""
    return storage.user_folder("python") or Path(bpy.utils.user_resource("DATAFILES", path="dist_python"))


def find(chosen: str) -> WorkerPython:
    """Return the Python that runs the worker, `chosen` by the user or found; `JobError` where there is none."""
    return _find(chosen, installed(folder()))


def known(chosen: str) -> WorkerPython | None:
    """What `find` last returned, without the time that it takes; None where it has not, or while one is installed."""
    return None if job else _found.get((chosen, installed(folder())))


def seek(chosen: str) -> None:
    """Do `find` beside the window before its answer is needed: a Python takes a moment to start."""
    global _sought
    if chosen != _sought and not in_background():
        _sought = chosen
        threading.Thread(target=_seek, args=(chosen, installed(folder())), name="DIST seek", daemon=True).start()


def say(text: str, failure: bool = False) -> None:
    """Show in the preferences what came of a test or an installation."""
    global outcome, failed
    outcome, failed = text, failure


def test(chosen: str) -> str:
    """Load the packages of the Python that runs the worker, which takes seconds; return what it is and has.

    Raises
    ------
    JobError
        There is none, or a package does not load.
    """
    return _test(chosen, installed(folder()))


def begin_test(chosen: str) -> None:
    """Do `test` beside the window; what comes of it is shown in the preferences."""
    global testing
    testing = True
    say("")
    threading.Thread(target=_answer, args=(chosen, installed(folder())), name="DIST test", daemon=True).start()
    _watch()


def begin_install(plan: Plan) -> Job:
    """Make the add-on's own environment beside the window.

    Raises
    ------
    JobError
        It could not be started.
    """
    global job, progress
    # On Windows, nobody could replace the files that it has open.
    end_spare()
    job, progress = start_install(folder(), plan.request()), Progress()
    say("")
    _watch()
    return job


def cancel() -> None:
    """Cancel the installation; what it made is taken away."""
    if job:
        job.cancel()


def stop() -> None:
    """Forget what runs: the add-on is being disabled."""
    global job, testing
    job, testing = None, False
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def tick() -> float | None:
    """See how far things are; the timer calls this until it returns None."""
    global job, testing
    if job:
        for event in job.poll():
            progress.take(event)
        if job.finished:
            ended, job = job, None
            if ended.state == "done":
                say(f"PyTorch is installed in {ended.folder}. Press Test to see its versions and devices.")
            elif ended.state == "cancelled":
                say("The installation was cancelled; nothing is left of it.")
            else:
                say(ended.error, failure=True)
    while not _answers.empty():
        testing = False
        say(*_answers.get())
    redraw_preferences()
    return INTERVAL if job or testing else None


def _watch() -> None:
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def _seek(chosen: str, own: str) -> None:
    # Who needs it is told.
    with contextlib.suppress(JobError):
        _find(chosen, own)


def _find(chosen: str, own: str) -> WorkerPython:
    _found.pop((chosen, own), None)
    found = find_python(chosen, own)
    _found[chosen, own] = found
    return found


def _test(chosen: str, own: str) -> str:
    found = check_python(find_python(chosen, own).path, thorough=True)
    return f"{found.path}\n{found}"


def _answer(*arguments: Any) -> None:
    try:
        _answers.put((_test(*arguments), False))
    except JobError as error:
        _answers.put((str(error), True))
