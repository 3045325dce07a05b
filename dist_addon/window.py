"""Blender's window, where it has one."""

from __future__ import annotations

import bpy


def in_background() -> bool:
    """Whether Blender has no window: its timers don't fire then."""
    return bpy.app.background


def redraw_sidebars() -> None:
    """Have the sidebars of all 3D viewports drawn again."""
    for window in bpy.data.window_managers[0].windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
