"""Which Python runs the worker, and on which device."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from .labels import draw_text

# What came of the last test, for the page: a report would appear in another window, behind this one.
tested = ""
test_failed = False


class DIST_AddonPreferences(bpy.types.AddonPreferences):
    """Settings of the add-on, kept in Blender's preferences."""

    bl_idname = __package__

    python: StringProperty(
        name="Python",
        description="The Python that runs the worker; it needs PyTorch, libigl and safetensors. Empty: found by itself",
        subtype="FILE_PATH",
    )
    device: EnumProperty(
        name="Device",
        description="What the worker computes on",
        items=(
            ("auto", "Automatic", "The graphics card where PyTorch can use it, else the processor"),
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
        layout.operator("dist.test_worker", icon="PLAY")
        if tested:
            draw_text(layout, context, tested, "ERROR" if test_failed else "CHECKMARK")


def say(text: str, failure: bool = False) -> None:
    """Show on the page what came of a test."""
    global tested, test_failed
    tested, test_failed = text, failure


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
