"""Earlier jobs: list them, take them up again, remove them."""

from __future__ import annotations

import os
from pathlib import Path

from .. import jobs as job_folders
from ..jobs import Job, Record
from ..jobs.job import WORKER_FOLDER
from ..worker.dist_engine.protocol import RequestError
from . import common


def jobs() -> list[Record]:
    """The jobs in `jobs_folder`, the newest first: folder, task, state, when and more; see `jobs.Record`."""
    return job_folders.list_records(common.jobs_folder())


def resume(folder: str | os.PathLike[str], *, worker_folder: Path = WORKER_FOLDER) -> Job:
    """Take a job up again that was cancelled, interrupted or failed: from its checkpoint, or from the beginning.

    Parameters
    ----------
    folder : path
        The job's folder.
    worker_folder : Path
        The worker that Python runs.

    Returns
    -------
    Job
        Call its `poll`, or `wait`; then import the result as for a new one.

    Raises
    ------
    RequestError
        The folder holds no job, or one that is done. JobError, a kind of it: it is at work, or no Python can run it.
    """
    if _record(folder).state == "done":
        raise RequestError(f"The job in {folder} is done: import its result, or run it again.")
    return common.launch(folder, worker_folder, resumes=True)


def rerun(folder: str | os.PathLike[str], *, worker_folder: Path = WORKER_FOLDER) -> Job:
    """Run a job again from the beginning; once its new result is there, it replaces the old one. Else as `resume`."""
    _record(folder)
    return common.launch(folder, worker_folder, resumes=False)


def remove(folder: str | os.PathLike[str]) -> None:
    """Delete a job's folder, with its result; what was imported stays.

    Raises
    ------
    RequestError
        The job waits or runs, or its folder was made by someone else and may hold more than a job.
    """
    job_folders.remove(Path(folder))


def _record(folder: str | os.PathLike[str]) -> Record:
    found = job_folders.read_record(Path(folder))
    if found is None:
        raise RequestError(f"The folder {folder} holds no job: choose the folder of a job.")
    return found
