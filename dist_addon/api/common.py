"""What all tasks share: jobs' folders, starting a worker, waiting for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import bpy

from .. import preferences, storage, worker_python
from ..jobs import Job, JobError, Program, Progress, WorkerPython, check_usable, new_folder, spare
from ..jobs.environment import clean_environment
from ..jobs.program import WORKER_FOLDER
from ..prior_files import PriorFile
from ..window import in_background
from ..worker.dist_engine.protocol import CHECKPOINT_FILE, PRIOR_FILE, RequestError, copy_file, read_task

_waits: ContextVar[bool] = ContextVar("waits", default=False)


class AnyRequest(Protocol):
    """A request of any task."""

    def save(self, folder: Path) -> None:
        """Write it into a folder that exists."""


def start(
    request: AnyRequest,
    folder: str | os.PathLike[str] | None,
    worker_folder: Path,
    prior: PriorFile | None = None,
    resumes: bool = False,
) -> Job:
    """Write a checked request, with the prior that it needs, into a folder and start a worker on it.

    Parameters
    ----------
    request : request of the protocol
    folder : path or None
        Made where it is missing; empty, or that of an earlier job; None: a new one.
    worker_folder : Path
        The worker that Python runs.
    prior : PriorFile, optional
    resumes : bool
        Keep an earlier run's checkpoint: the worker knows whether it can go on from it.

    Raises
    ------
    RequestError
        The folder cannot be written, or holds something else. JobError, a kind of it: no Python can run the worker.
    """

    def write(target: Path) -> None:
        if prior:
            copy_file(prior.path, target / PRIOR_FILE)
        request.save(target)
        if not prior:
            # An earlier job's would make the thing one of its class.
            (target / PRIOR_FILE).unlink(missing_ok=True)

    return launch(folder, worker_folder, resumes, write)


def launch(
    folder: str | os.PathLike[str] | None, worker_folder: Path, resumes: bool, write: Callable[[Path], None]
) -> Job:
    """Start a worker in a folder, once `write` has put a request there; else as `start`."""
    program = _program(worker_python.setup.find(preferences.python()), worker_folder)
    target = new_job_folder() if folder is None else Path(folder)
    try:
        new = not target.exists()
        target.mkdir(parents=True, exist_ok=True)
        check_usable(target)
        before = {path.name for path in target.iterdir()}
        job = Job(target, program)
        try:
            write(target)
        except BaseException:
            job.cancel()
            # Half a request is no job: the next try could not be made in this folder. What was there stays.
            _clear(target, before)
            if new:
                target.rmdir()
            raise
        # A folder that is used again must not show the last run's result; nor lose it before the next can begin.
        for name in ("result.json", "events.jsonl", "log.txt", *(() if resumes else (CHECKPOINT_FILE,))):
            (target / name).unlink(missing_ok=True)
    except OSError as error:
        raise RequestError(f"The job's folder {target} cannot be written: {error}. Choose another folder.") from error
    if not _waits.get():
        job.start()
    return job


def _clear(folder: Path, keep: set[str]) -> None:
    """Delete what a job has put into a folder, but for what has these names."""
    for path in folder.iterdir():
        if path.name not in keep:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def prepare() -> None:
    """Beside a window, have a worker load PyTorch for the job that is likely to come next."""
    python = None if in_background() else worker_python.setup.known(preferences.python())
    if python is not None:
        spare.start(_program(python, WORKER_FOLDER))


def _program(python: WorkerPython, worker_folder: Path) -> Program:
    blender = Path(bpy.app.binary_path).parent if bpy.app.binary_path else None
    return Program(python.path, worker_folder, clean_environment(program_folder=blender), not in_background())


@contextmanager
def in_line() -> Iterator[None]:
    """Jobs that are launched within are ready, but somebody else starts them when it is their turn."""
    token = _waits.set(True)
    try:
        yield
    finally:
        _waits.reset(token)


def wait(job: Job, progress: Callable[[Progress], None] | None, noun: str) -> None:
    """Wait until a job is done; `JobError` where it ended otherwise."""
    state = Progress()

    def show(event: dict[str, Any]) -> None:
        state.take(event)
        if progress:
            progress(state)

    job.wait(show)
    if job.state != "done":
        raise JobError(job.error or f"The {noun} was cancelled.")


def task_of(folder: str | os.PathLike[str]) -> str:
    """Return what a finished job did: one of the protocol's tasks, such as `protocol.RECONSTRUCT`.

    Raises
    ------
    RequestError
        The folder holds no result.
    """
    if not (Path(folder) / "result.json").is_file():
        raise RequestError(f"The folder {folder} holds no result: choose the folder of a finished job.")
    return read_task(Path(folder))


def new_job_folder() -> Path:
    """Make a folder for a job, in `jobs_folder`, and delete there what is older than the newest 20, and finished."""
    return new_folder(jobs_folder())


def jobs_folder() -> Path:
    """Return where jobs are kept: among the extension's files, or a temporary folder where it is a plain package."""
    return storage.user_folder("jobs") or Path(tempfile.gettempdir())


def evaluate(scene: bpy.types.Scene, frame: int | None = None) -> bpy.types.Depsgraph:
    """Return a scene's dependency graph, up to date: of the current view layer where the scene is the current one.

    Where a frame is given, the scene goes there, and stays: see `keep_frame`.
    """
    if frame is not None and frame != scene.frame_current_final:
        scene.frame_set(frame)
    layer = bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]
    assert layer is not None
    layer.update()
    assert layer.depsgraph is not None
    return layer.depsgraph


@contextmanager
def keep_frame(scene: bpy.types.Scene) -> Iterator[None]:
    """Bring a scene back to its frame in the end."""
    frame, subframe = scene.frame_current, scene.frame_subframe
    try:
        yield
    finally:
        if (frame, subframe) != (scene.frame_current, scene.frame_subframe):
            scene.frame_set(frame, subframe=subframe)


def or_current(scene: bpy.types.Scene | None) -> bpy.types.Scene:
    """A scene, or the current one where none is given."""
    chosen = scene or bpy.context.scene
    assert chosen is not None
    return chosen
