"""Blender's window, where it has one."""

from __future__ import annotations

import bpy


def in_background() -> bool:
    """Whether Blender has no window: its timers don't fire then."""
    return bpy.app.background


def viewports() -> list[bpy.types.Area]:
    """All 3D viewports of all windows."""
    windows = bpy.data.window_managers[0].windows
    return [area for window in windows for area in window.screen.areas if area.type == "VIEW_3D"]


def redraw(kind: str = "WINDOW") -> None:
    """Have the regions of a kind drawn again in all 3D viewports: what they show, or their sidebars (``UI``)."""
    for area in viewports():
        for region in area.regions:
            if region.type == kind:
                region.tag_redraw()


def redraw_preferences() -> None:
    """Have the preferences drawn again, where a window shows them."""
    for window in bpy.data.window_managers[0].windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()
