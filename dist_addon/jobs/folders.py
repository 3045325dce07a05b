"""The folder that holds the jobs' folders, and what each says of its job."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..worker.dist_engine.protocol import CHECKPOINT_FILE, RequestError, read_json
from .lock import is_locked

# Finished jobs that are kept, the newest.
KEPT = 20
# The time, so that names sort by age, and what `tempfile.mkdtemp` adds.
NAME = re.compile(r"dist_\d{8}_\d{6}_\w{8}")
# What a job's last event says of its state.
ENDS = {"done": "done", "error": "failed", "cancelled": "cancelled"}
# How much of the end of a job's events is read.
TAIL = 1 << 16


@dataclass(frozen=True)
class Record:
    """What a job's folder says of it.

    Attributes
    ----------
    folder : Path
    task : str
        One of the protocol's tasks, such as ``reconstruct``.
    name : str
        The prior that it is of, or makes.
    state : str
        ``queued``, ``running`` or ``paused`` while a Blender takes care of it; ``done``, ``failed`` or ``cancelled``;
        ``interrupted`` where its Blender was quit, or went down.
    when : float
        When it was asked for, in seconds since 1970.
    error : str
        Why it failed; empty otherwise.
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
        data = read_json(folder / "request.json")
        when = (folder / "request.json").stat().st_mtime
    except (RequestError, OSError):
        return None
    if data.get("stay"):
        return None
    last = last_event(folder)
    state = ENDS.get(last.get("event", ""), "interrupted")
    if is_locked(folder):
        began = (folder / "events.jsonl").exists()
        state = "paused" if last.get("event") == "paused" else "running" if began else "queued"
    elif (folder / "result.json").is_file():
        state = "done"
    return Record(
        folder=folder,
        task=str(data.get("task", "")),
        name=Path(str(data.get("prior") or data.get("name") or "")).name.removesuffix(".safetensors"),
        state=state,
        when=when,
        error=str(last.get("message", "")) if state == "failed" else "",
        can_resume=state != "done" and (folder / CHECKPOINT_FILE).is_file(),
    )


def list_records(parent: Path) -> list[Record]:
    """The jobs whose folders are in `parent`, the newest first."""
    records = [read_record(path) for path in parent.glob("dist_*") if NAME.fullmatch(path.name)]
    return sorted((record for record in records if record), key=lambda record: record.when, reverse=True)


def last_event(folder: Path) -> dict[str, Any]:
    """The last event in a job's folder; empty where there is none."""
    try:
        with (folder / "events.jsonl").open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    # A crash may have cut the last line short.
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        return event if isinstance(event, dict) else {}
    return {}


def new_folder(parent: Path) -> Path:
    """Make a folder for a job in `parent`, and delete what `prune` finds there."""
    prune(parent)
    return Path(tempfile.mkdtemp(prefix=time.strftime("dist_%Y%m%d_%H%M%S_"), dir=parent))


def prune(parent: Path, keep: int = KEPT) -> None:
    """Delete the folders of finished jobs in `parent`, but for those among the newest `keep`.

    A job that may still run, was not begun, or could go on from a checkpoint stays; so does everything that
    `new_folder` did not make.
    """
    made = sorted(path for path in parent.glob("dist_*") if NAME.fullmatch(path.name))
    for folder in made[: max(len(made) - keep, 0)]:
        last = last_event(folder).get("event")
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
