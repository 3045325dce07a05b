"""The folder that holds the jobs' folders: a new one for a job, and old ones away."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from pathlib import Path

# Finished jobs that are kept, the newest.
KEPT = 20
# The time, so that names sort by age, and what `tempfile.mkdtemp` adds.
NAME = re.compile(r"dist_\d{8}_\d{6}_\w{8}")


def new_folder(parent: Path) -> Path:
    """Make a folder for a job in `parent`, and delete what `prune` finds there."""
    prune(parent)
    return Path(tempfile.mkdtemp(prefix=time.strftime("dist_%Y%m%d_%H%M%S_"), dir=parent))


def prune(parent: Path, keep: int = KEPT) -> None:
    """Delete the folders of finished jobs in `parent`, but for those among the newest `keep`.

    A job that may still run, or could go on, stays; so does everything that `new_folder` did not make.
    """
    made = sorted(path for path in parent.glob("dist_*") if NAME.fullmatch(path.name))
    for folder in made[: max(len(made) - keep, 0)]:
        if not folder.is_symlink() and is_finished(folder):
            # One that is open elsewhere, or another user's, goes another time.
            shutil.rmtree(folder, ignore_errors=True)


def is_finished(folder: Path) -> bool:
    """Whether the last event in a job's folder is its end."""
    try:
        last = json.loads((folder / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        return last["event"] in {"done", "error", "cancelled"}
    except (OSError, ValueError, LookupError, TypeError):
        return False
