"""Blender's window, where it has one."""

from __future__ import annotations

from collections.abc import Callable

import bpy


def in_background() -> bool:
    """Whether Blender has no window: its timers don't fire then."""
    return bpy.app.background


class Timer:
    """Has Blender call a function until it returns None, over File > Open, too; in background mode, it never does.

    Blender tells functions apart by identity, and a method is another object each time it is asked for: this keeps it.
    """

    def __init__(self, function: Callable[[], float | None]) -> None:
        self._function = function

    @property
    def is_set(self) -> bool:
        """Whether the function is going to be called."""
        return bpy.app.timers.is_registered(self._function)

    def start(self, seconds: float = 0.0) -> None:
        """Have it called first after some seconds, unless it is going to be called anyway."""
        if not self.is_set:
            bpy.app.timers.register(self._function, first_interval=seconds, persistent=True)

    def stop(self) -> None:
        """Have it called no more."""
        if self.is_set:
            bpy.app.timers.unregister(self._function)


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
