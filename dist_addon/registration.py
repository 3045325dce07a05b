"""The one place that registers: each module lists its CLASSES."""

from __future__ import annotations

import bpy

from . import cli, jobs, operators, panels, preferences, properties
from .operators import running

CLASSES = (
    *preferences.CLASSES,
    *properties.CLASSES,
    *operators.CLASSES,
    *panels.CLASSES,
)


def register() -> None:
    """Register every class, the scene's properties and the command line."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.attach()
    bpy.app.handlers.load_post.append(running.forget)
    cli.register()


def unregister() -> None:
    """Undo `register`, and end every running worker."""
    running.stop()
    if running.forget in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(running.forget)
    jobs.cancel_all()
    cli.unregister()
    properties.detach()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
