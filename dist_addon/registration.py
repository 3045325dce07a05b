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
from .operators import running

CLASSES = (
    *preferences.CLASSES,
    *properties.CLASSES,
    *job_items.CLASSES,
    *operators.CLASSES,
    *panels.CLASSES,
)


def _handlers() -> list[tuple[Any, Callable[..., None]]]:
    """What Blender is to call, and when."""
    when = bpy.app.handlers
    return [
        (when.load_post, running.forget),
        (when.undo_post, running.tidy),
        (when.redo_post, running.tidy),
        (when.save_pre, running.keep_out),
        (when.load_post, outlines.forget),
        (when.load_post, job_items.refresh_later),
        (when.load_post, live.end_for_another_file),
        (when.undo_post, live.check),
        (when.redo_post, live.check),
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


def unregister() -> None:
    """Undo `register`, and end every running worker."""
    running.stop()
    worker_python.stop()
    outlines.show(False)
    thumbnails.clear()
    for handlers, function in _handlers():
        if function in handlers:
            handlers.remove(function)
    live.end(wait=True)
    jobs.leave_all()
    cli.unregister()
    job_items.detach()
    properties.detach()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
