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
    cli.register()


def unregister() -> None:
    """Undo `register`, and end every running worker."""
    running.stop()
    jobs.cancel_all()
    cli.unregister()
    properties.detach()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
