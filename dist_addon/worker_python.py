"""The Python that runs the worker: found, tried and installed beside Blender's window."""

from __future__ import annotations

import contextlib
import queue
import threading
from pathlib import Path

import bpy

from . import storage
from .jobs import (
    Job,
    JobError,
    Plan,
    Progress,
    WorkerPython,
    check_python,
    find_python,
    installed,
    python_finder,
    spare,
    start_install,
)
from .window import Timer, in_background, redraw_preferences

# Seconds between two looks at a test or an installation.
INTERVAL = 0.2

# What was found, by the user's choice and the environment of the add-on's own.
Found = dict[tuple[str, str], WorkerPython]
# What came of a test, and whether it is bad.
Answers = queue.SimpleQueue[tuple[str, bool]]


def folder() -> Path:
    """Return where the add-on's own environment is, or would be."""
    return storage.user_folder("python") or Path(bpy.utils.user_resource("DATAFILES", path="dist_python"))


class Setup:
    """What is known of the Python that runs the worker, and what runs to find, to try or to install it.

    Attributes
    ----------
    job : Job or None
        An installation that runs, and its `progress`.
    progress : Progress
    testing : bool
        Whether a test runs.
    outcome : str
        What came of the last one, for the preferences.
    failed : bool
        Whether that is bad.
    timer : Timer
        Calls `tick`.
    """

    def __init__(self) -> None:
        self.timer = Timer(self.tick)
        self._forget()

    def _forget(self) -> None:
        self.job: Job | None = None
        self.progress = Progress()
        self.testing = False
        self.outcome = ""
        self.failed = False
        # Threads that go on write into these as they were when they began.
        self._found: Found = {}
        self._answers: Answers = queue.SimpleQueue()

    def close(self) -> None:
        """Forget what runs and what is known, and be as new."""
        self.timer.stop()
        python_finder.forget()
        self._forget()

    def find(self, chosen: str) -> WorkerPython:
        """Return the Python that runs the worker, `chosen` by the user or found; `JobError` where there is none."""
        return _find(self._found, chosen, installed(folder()))

    def known(self, chosen: str) -> WorkerPython | None:
        """What `find` last returned, without the time that it takes; None before, and while one is installed."""
        return None if self.job else self._found.get((chosen, installed(folder())))

    def seek(self, chosen: str) -> None:
        """Do `find` beside the window before its answer is needed: a Python takes a moment to start."""
        if not in_background():
            arguments = self._found, chosen, installed(folder())
            threading.Thread(target=_seek, args=arguments, name="DIST seek", daemon=True).start()

    def say(self, text: str, failure: bool = False) -> None:
        """Show in the preferences what came of a test or an installation."""
        self.outcome, self.failed = text, failure

    def begin_test(self, chosen: str) -> None:
        """Do `test` beside the window; what comes of it is shown in the preferences."""
        self.testing = True
        self.say("")
        arguments = self._answers, chosen, installed(folder())
        threading.Thread(target=_answer, args=arguments, name="DIST test", daemon=True).start()
        self.timer.start(INTERVAL)

    def begin_install(self, plan: Plan) -> Job:
        """Make the add-on's own environment beside the window.

        Raises
        ------
        JobError
            It could not be started.
        """
        # On Windows, nobody could replace the files that it has open.
        spare.end()
        self.job, self.progress = start_install(folder(), plan.request()), Progress()
        self.say("")
        self.timer.start(INTERVAL)
        return self.job

    def cancel(self) -> None:
        """Cancel the installation; what it made is taken away."""
        if self.job:
            self.job.cancel()

    def tick(self) -> float | None:
        """See how far things are; the timer calls this until it returns None."""
        if self.job:
            for event in self.job.poll():
                self.progress.take(event)
            if self.job.finished:
                ended, self.job = self.job, None
                if ended.state == "done":
                    self.say(f"PyTorch is installed in {ended.folder}. Press Test to see its versions and devices.")
                elif ended.state == "cancelled":
                    self.say("The installation was cancelled; nothing is left of it.")
                else:
                    self.say(ended.error, failure=True)
        while not self._answers.empty():
            self.testing = False
            self.say(*self._answers.get())
        redraw_preferences()
        return INTERVAL if self.job or self.testing else None


# A machine has one.
setup = Setup()


def test(chosen: str) -> str:
    """Load the packages of the Python that runs the worker, which takes seconds; return what it is and has.

    Raises
    ------
    JobError
        There is none, or a package does not load.
    """
    return _test(chosen, installed(folder()))


def _seek(found: Found, chosen: str, own: str) -> None:
    # Who needs it is told.
    with contextlib.suppress(JobError):
        _find(found, chosen, own)


def _find(found: Found, chosen: str, own: str) -> WorkerPython:
    # Another thread may be at it, too.
    found.pop((chosen, own), None)
    python = find_python(chosen, own)
    found[chosen, own] = python
    return python


def _test(chosen: str, own: str) -> str:
    found = check_python(find_python(chosen, own).path, thorough=True)
    return f"{found.path}\n{found}"


def _answer(answers: Answers, chosen: str, own: str) -> None:
    try:
        answers.put((_test(chosen, own), False))
    except JobError as error:
        answers.put((str(error), True))
