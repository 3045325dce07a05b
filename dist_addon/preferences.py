"""Which Python runs the worker, and on which device."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from . import worker_python
from .jobs import PACKAGES, installed
from .labels import draw_text


def seek_other(_self: Any, _context: Any) -> None:
    """What came of a test was said of another Python, and another one is needed next."""
    worker_python.setup.say("")
    worker_python.setup.seek(python())


class DIST_AddonPreferences(bpy.types.AddonPreferences):
    """Settings of the add-on, kept in Blender's preferences."""

    bl_idname = __package__

    python: StringProperty(
        name="Python",
        description=(
            f"The Python that runs the background process; it needs {', '.join(PACKAGES)}. Empty: found by itself, or "
            "the one that Install PyTorch made"
        ),
        subtype="FILE_PATH",
        update=seek_other,
    )
    device: EnumProperty(
        name="Device",
        description="What the background process computes on",
        items=(
            ("auto", "Automatic", "An NVIDIA or AMD graphics card where PyTorch can use it, else the processor"),
            ("cpu", "CPU", "The processor"),
            ("cuda", "CUDA", "An NVIDIA (or, with ROCm, AMD) graphics card"),
            ("mps", "Metal", "The graphics of an Apple computer"),
        ),
        default="auto",
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the settings in the add-on's preferences."""
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "python")
        layout.prop(self, "device")
        row = layout.row()
        row.operator("dist.test_worker", icon="PLAY")
        whole = installed(worker_python.folder())
        row.operator("dist.install_worker", text="Repair PyTorch" if whole else "Install PyTorch", icon="IMPORT")
        log = worker_python.folder() / "log.txt"
        if log.is_file():
            button: Any = row.operator("wm.path_open", text="Log", icon="TEXT")
            button.filepath = str(log)
        if whole and self.python:
            layout.label(text="Empty the field Python to use the PyTorch that is installed", icon="INFO")
        # A report would appear in another window, behind this one.
        setup = worker_python.setup
        if setup.job:
            state = setup.progress
            layout.label(text=state.message)
            layout.progress(text=state.detail and f"{state.step} of {state.steps} MB", factor=state.factor)
            layout.operator("dist.cancel_install", icon="CANCEL")
        elif setup.testing:
            layout.label(text="Loading PyTorch", icon="SORTTIME")
        elif setup.outcome:
            draw_text(layout, context, setup.outcome, "ERROR" if setup.failed else "CHECKMARK")


def _get() -> bpy.types.AddonPreferences | None:
    """The preferences, or None where the package is used without being an enabled add-on."""
    assert bpy.context.preferences is not None and __package__
    addon: Any = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon else None


def python() -> str:
    """Return the Python that the user chose; empty where it is to be found."""
    chosen = getattr(_get(), "python", "")
    return bpy.path.abspath(chosen) if chosen else ""


def device() -> str:
    """Return the device that the user chose."""
    return getattr(_get(), "device", "auto")


CLASSES = (DIST_AddonPreferences,)
