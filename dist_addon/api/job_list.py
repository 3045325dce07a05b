"""Earlier jobs: list them, take them up again, remove them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .. import jobs as job_folders
from ..jobs import Job, Record
from ..jobs.program import WORKER_FOLDER
from ..worker.dist_engine.protocol import (
    IMPORT,
    PRIOR_FILE,
    RECONSTRUCT,
    RENDER,
    SHAPE,
    TRAIN,
    ImportRequest,
    RenderRequest,
    Request,
    RequestError,
    ShapeRequest,
    TrainRequest,
    copy_file,
)
from . import common

REQUESTS: dict[str, Callable[[Path], common.AnyRequest]] = {
    RECONSTRUCT: Request.load,
    RENDER: RenderRequest.load,
    SHAPE: ShapeRequest.load,
    TRAIN: TrainRequest.load,
    IMPORT: ImportRequest.load,
}


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
    return common.launch(folder, worker_folder, True, lambda _: None)


def rerun(folder: str | os.PathLike[str], *, worker_folder: Path = WORKER_FOLDER) -> Job:
    """Run a job again from the beginning, as a new one with a copy of its request. Else as `resume`."""
    task, old = _record(folder).task, Path(folder)
    request = REQUESTS[task](old)

    def write(target: Path) -> None:
        # Without a prior the thing is of no class.
        named: str = getattr(request, "prior", "")
        if task not in (TRAIN, IMPORT) and (named or (old / PRIOR_FILE).is_file()):
            copy_file(old / PRIOR_FILE, target / PRIOR_FILE)
        request.save(target)

    return common.launch(None, worker_folder, False, write)


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
    if not found.task:
        raise RequestError(f"The job in {folder} is damaged: {found.error}")
    return found
