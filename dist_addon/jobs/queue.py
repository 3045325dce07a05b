"""Jobs that run one after the other."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from .job import Job, JobError
from .progress import Progress


@dataclass
class Run:
    """A job that waits or runs, and whom it is for.

    Attributes
    ----------
    job : Job
    task : str
        One of the protocol's tasks.
    scene_uid : int
        The scene that gets the result, as `session_uid`.
    file_closed : bool
        Whether another file was opened since.
    cancelling : bool
        Whether it was told to end.
    finishing : bool
        Whether it was told to make its result of what it has.
    progress : Progress
    """

    job: Job
    task: str
    scene_uid: int = 0
    file_closed: bool = False
    cancelling: bool = False
    finishing: bool = False
    progress: Progress = field(default_factory=Progress)

    def cancel(self) -> None:
        """End it; `Queue.poll` tells when it has."""
        self.cancelling = True
        self.job.cancel()

    def pause(self, pause: bool) -> None:
        """Hold the job up at its next step, or let it go on; `progress` tells when it does."""
        self.job.send("pause" if pause else "resume")

    def finish(self) -> None:
        """Have a fit or a training make its result of what it has."""
        self.finishing = True
        self.job.send("finish")


class Queue:
    """Jobs in the order in which they run; the first one runs, or is about to.

    Attributes
    ----------
    runs : list of Run
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []

    @property
    def current(self) -> Run | None:
        """The one that runs; None where nothing is in the queue."""
        return self.runs[0] if self.runs else None

    def find(self, folder: str | Path) -> Run | None:
        """The one in a folder; the current one for an empty name."""
        if not str(folder):
            return self.current
        return next((run for run in self.runs if run.job.folder == Path(folder)), None)

    def poll(self) -> list[Run]:
        """Read the current job's events, and start the next where it has finished. Never waits.

        Returns
        -------
        list of Run
            Those that have finished; they are in the queue no more.
        """
        for run in self.runs[:1]:
            for event in run.job.poll():
                run.progress.take(event)
        finished = [run for run in self.runs if run.job.finished]
        self.runs = [run for run in self.runs if not run.job.finished]
        if self.runs and self.runs[0].job.state == "queued":
            # The job itself tells why it failed; the next call takes it out.
            with contextlib.suppress(JobError):
                self.runs[0].job.start()
                self.runs[0].job.send("watch")
        return finished

    def leave(self) -> None:
        """Forget all of them; those that wait can be resumed from their folders."""
        for run in self.runs:
            run.job.let_go()
        self.runs = []
