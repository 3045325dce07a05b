"""The one place that registers: each module lists its CLASSES."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from . import (
    cli,
    job_items,
    jobs,
    live,
    operators,
    outlines,
    panels,
    preferences,
    properties,
    thumbnails,
    worker_python,
)
from .operators import check_inputs, running
from .window import Timer

CLASSES = (
    *preferences.CLASSES,
    *properties.CLASSES,
    *job_items.CLASSES,
    *operators.CLASSES,
    *panels.CLASSES,
)


# What is known in the window and in no file: as new again when the add-on is disabled.
STATES = (
    running.jobs,
    check_inputs.views,
    live.meshes,
    outlines.overlay,
    thumbnails.priors,
    worker_python.setup,
)


def seek() -> None:
    """Find the worker's Python before it is needed."""
    worker_python.setup.seek(preferences.python())


# Not while Blender starts.
_seek_later = Timer(seek)


def _handlers() -> list[tuple[Any, Callable[..., None]]]:
    """What Blender is to call, and when."""
    when = bpy.app.handlers
    return [
        (when.load_post, running.jobs.forget),
        (when.undo_post, running.jobs.tidy),
        (when.redo_post, running.jobs.tidy),
        (when.save_pre, running.jobs.keep_out),
        (when.load_post, outlines.overlay.forget),
        (when.load_post, job_items.refresh_later),
        (when.load_post, live.meshes.end_for_another_file),
        (when.undo_post, live.meshes.check),
        (when.redo_post, live.meshes.check),
    ]


def register() -> None:
    """Register every class, the scene's properties and the command line."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.attach()
    job_items.attach()
    for handlers, function in _handlers():
        handlers.append(function)
    cli.register()
    job_items.refresh_later()
    _seek_later.start(1.0)


def unregister() -> None:
    """Undo `register`, and end every running worker."""
    _seek_later.stop()
    for handlers, function in _handlers():
        if function in handlers:
            handlers.remove(function)
    for each in STATES:
        each.close()
    jobs.leave_all()
    cli.unregister()
    job_items.detach()
    properties.detach()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
