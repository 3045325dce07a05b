"""The folder that holds the jobs' folders, and what each says of its job."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..worker.dist_engine.protocol import (
    CHECKPOINT_FILE,
    RequestError,
    check_folder,
    parse_event,
    plain,
    read_request,
    read_tail,
)
from .lock import is_locked

# Finished jobs that are kept, the newest.
KEPT = 20
# The time, so that names sort by age, and what `tempfile.mkdtemp` adds.
NAME = re.compile(r"dist_\d{8}_\d{6}_\w{8}")
# What a job's last event says of its state.
ENDS = {"done": "done", "error": "failed", "cancelled": "cancelled"}
# What file managers leave in folders.
OF_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}
# How much of the end of a job's events is read.
TAIL = 1 << 16


@dataclass(frozen=True)
class Record:
    """What a job's folder says of it.

    Attributes
    ----------
    folder : Path
    task : str
        One of the protocol's tasks, such as ``reconstruct``; empty where the folder is damaged.
    name : str
        The prior that it is of, or makes; empty for a thing of no class.
    state : str
        ``queued``, ``running`` or ``paused`` while a Blender takes care of it; ``done``, ``failed`` or ``cancelled``;
        ``interrupted`` where its Blender was quit, or went down. A damaged one has ``failed``.
    when : float
        When it was asked for, in seconds since 1970.
    error : str
        Why it failed, or what is damaged in the folder; empty otherwise.
    can_resume : bool
        Whether it has a checkpoint to go on from.
    """

    folder: Path
    task: str
    name: str
    state: str
    when: float
    error: str
    can_resume: bool

    @property
    def active(self) -> bool:
        """Whether a Blender takes care of it."""
        return self.state in {"queued", "running", "paused"}


def read_record(folder: Path) -> Record | None:
    """What a folder says of its job; None where it holds none, or that of a worker which only follows sliders."""
    try:
        when = (folder / "request.json").lstat().st_mtime
    except OSError:
        return None
    try:
        data, last = read_request(folder), last_event(folder)
    except RequestError as error:
        return Record(folder, "", "", "failed", when, plain(str(error)), False)
    if data.get("stay"):
        return None
    state = ENDS.get(last.get("event", ""), "interrupted")
    if is_locked(folder):
        began = (folder / "events.jsonl").exists()
        state = "paused" if last.get("event") == "paused" else "running" if began else "queued"
    elif (folder / "result.json").is_file():
        state = "done"
    return Record(
        folder=folder,
        task=data["task"],
        name=next((_name(data[key]) for key in ("prior", "name") if data.get(key)), ""),
        state=state,
        when=when,
        error=last.get("message", "") if state == "failed" else "",
        can_resume=state != "done" and (folder / CHECKPOINT_FILE).is_file(),
    )


def _name(prior: Any) -> str:
    return plain(Path(prior).name.removesuffix(".safetensors")) if isinstance(prior, str) else ""


def list_records(parent: Path) -> list[Record]:
    """The jobs whose folders are in `parent`, the newest first."""
    records = [read_record(path) for path in parent.glob("dist_*") if NAME.fullmatch(path.name)]
    return sorted((record for record in records if record), key=lambda record: record.when, reverse=True)


def last_event(folder: Path) -> dict[str, Any]:
    """The last event in a job's folder; empty where there is none. `RequestError` where its file cannot be read."""
    path = folder / "events.jsonl"
    try:
        lines = read_tail(path, TAIL).splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
    # A crash may have cut the last line short.
    for line in reversed(lines):
        with contextlib.suppress(RequestError):
            return parse_event(line)
    return {}


def check_usable(folder: Path) -> None:
    """Raise `RequestError` where a folder cannot be a job's: it holds something else, or leads out of itself."""
    if all(path.name in OF_SYSTEMS for path in folder.iterdir()):
        return
    try:
        read_request(folder)
    except RequestError as error:
        raise RequestError(
            f"The folder {folder} is not empty and holds no job: choose an empty or new folder, or a job's. ({error})"
        ) from error
    check_folder(folder)


def new_folder(parent: Path) -> Path:
    """Make a folder for a job in `parent`, and delete what `prune` finds there."""
    prune(parent)
    return Path(tempfile.mkdtemp(prefix=time.strftime("dist_%Y%m%d_%H%M%S_"), dir=parent))


def prune(parent: Path, keep: int = KEPT) -> None:
    """Delete the folders of finished jobs in `parent`, but for those among the newest `keep`.

    A job that may still run, was not begun, or could go on from a checkpoint stays; so does everything that
    `new_folder` did not make, or that holds no job, or a damaged one.
    """
    made = sorted(path for path in parent.glob("dist_*") if NAME.fullmatch(path.name))
    for folder in made[: max(len(made) - keep, 0)]:
        try:
            read_request(folder)
            last = last_event(folder).get("event")
        except RequestError:
            continue
        over = last in ENDS or (last is not None and not (folder / CHECKPOINT_FILE).exists())
        if over and not folder.is_symlink() and not is_locked(folder):
            # One that is open elsewhere, or another user's, goes another time.
            shutil.rmtree(folder, ignore_errors=True)


def remove(folder: Path) -> None:
    """Delete a job's folder.

    Raises
    ------
    RequestError
        Something works on it, or it is no folder that `new_folder` made: another may hold more than a job.
    """
    if read_record(folder) is None:
        raise RequestError(f"The folder {folder} holds no job: choose the folder of a job.")
    if not NAME.fullmatch(folder.name) or folder.is_symlink():
        raise RequestError(f"The folder {folder} was not made by this add-on and may hold more: delete it yourself.")
    if is_locked(folder):
        raise RequestError(f"The job in {folder} waits or runs: cancel it first.")
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise RequestError(f"The folder {folder} cannot be deleted: something in it is open, or another user's.")
