"""The list of jobs as Blender's interface shows it, read from the jobs' folders when something changes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, IntProperty, PointerProperty, StringProperty

from . import api
from .jobs import Record, read_record
from .window import Timer, redraw
from .worker.dist_engine.protocol import IMPORT, RECONSTRUCT, RENDER, SHAPE, TRAIN

# What a person calls a job of each task.
NOUNS = {RECONSTRUCT: "reconstruction", RENDER: "rendering", SHAPE: "meshing", TRAIN: "training", IMPORT: "import"}
ACTIVE = {"queued", "running", "paused"}


class DIST_JobItem(bpy.types.PropertyGroup):
    """A job in the list: what `jobs.Record` says, as texts."""

    name: StringProperty(name="Job")
    folder: StringProperty(name="Folder")
    task: StringProperty(name="Task")
    state: StringProperty(name="State")
    when: StringProperty(name="Asked For")
    error: StringProperty(name="Error")
    can_resume: BoolProperty(name="Has a Checkpoint")


class DIST_WindowProperties(bpy.types.PropertyGroup):
    """What belongs to no file."""

    jobs: CollectionProperty(type=DIST_JobItem)
    active_job: IntProperty(name="Job", description="What the buttons below are for")


CLASSES = (DIST_JobItem, DIST_WindowProperties)


def of(manager: bpy.types.WindowManager) -> DIST_WindowProperties:
    """Return what a window manager remembers."""
    return manager.dist  # type: ignore[attr-defined]


def active() -> DIST_JobItem | None:
    """The job that is chosen in the list."""
    known: Any = of(bpy.data.window_managers[0])
    return known.jobs[known.active_job] if 0 <= known.active_job < len(known.jobs) else None


def refresh(choose: Path | None = None) -> None:
    """Read the list anew; the job in the folder `choose`, or else the same as before, is the chosen one."""
    known: Any = of(bpy.data.window_managers[0])
    chosen = active()
    folder = str(choose) if choose else chosen.folder if chosen else ""
    known.jobs.clear()
    for record in _records():
        item = known.jobs.add()
        # In a narrow sidebar, its end is not seen.
        item.name = f"{record.name or 'Anything'}, {NOUNS[record.task]}" if record.task else "damaged"
        item.folder, item.task, item.state, item.error = str(record.folder), record.task, record.state, record.error
        when = time.localtime(record.when)
        item.when = time.strftime("%H:%M" if when[:3] == time.localtime()[:3] else "%d %b %H:%M", when)
        item.can_resume = record.can_resume
    folders = [item.folder for item in known.jobs]
    known.active_job = folders.index(folder) if folder in folders else 0
    redraw("UI")


def _records() -> list[Record]:
    """The jobs in the jobs' folder, and those that scenes remember from elsewhere."""
    found = api.jobs()
    folders = {record.folder for record in found}
    for scene in bpy.data.scenes:
        last = Path(scene.dist.last_job)  # type: ignore[attr-defined]
        if scene.dist.last_job and last not in folders and (record := read_record(last)):  # type: ignore[attr-defined]
            found.append(record)
            folders.add(last)
    return sorted(found, key=lambda record: record.when, reverse=True)


_timer = Timer(refresh)


@bpy.app.handlers.persistent
def refresh_later(*_arguments: Any) -> None:
    """Read the list as soon as Blender has time: not while it starts, or opens a file."""
    _timer.start()


def attach() -> None:
    """Give the window manager the properties, as ``window_manager.dist``."""
    bpy.types.WindowManager.dist = PointerProperty(type=DIST_WindowProperties)  # type: ignore[attr-defined]


def detach() -> None:
    """Take the properties away."""
    _timer.stop()
    del bpy.types.WindowManager.dist  # type: ignore[attr-defined]
