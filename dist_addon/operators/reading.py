"""What operators that read pictures share: in a window, they let it be drawn meanwhile, and Esc stops them."""

from __future__ import annotations

import time
from typing import Any

import bpy

from ..api.common import prepare
from ..steps import Steps, finish
from ..window import in_background, redraw
from ..worker.dist_engine.protocol import RequestError

# Seconds between two looks, and how long one reads: a picture at least.
INTERVAL, SPAN = 0.01, 0.05


class ReadingOperator:
    """An operator whose `reading` are steps, and whose `done` takes what comes of them.

    Nothing else can be pressed before it is done: what it reads stays as it is.
    """

    def reading(self: Any, context: bpy.types.Context) -> Steps[Any]:
        """Return the steps; they may raise `RequestError`, as may this."""
        raise NotImplementedError

    def done(self: Any, context: bpy.types.Context, found: Any) -> set[Any]:
        """Use what was read, and return what an operator returns."""
        raise NotImplementedError

    def fail(self: Any, error: RequestError) -> set[Any]:
        """Tell the user."""
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}

    def execute(self: Any, context: bpy.types.Context) -> set[Any]:
        """Read everything, then go on."""
        try:
            found = finish(self.reading(context))
        except RequestError as error:
            return self.fail(error)
        return self.done(context, found)

    def invoke(self: Any, context: bpy.types.Context, _event: bpy.types.Event) -> set[Any]:
        """Begin to read, where there is a window."""
        if in_background():
            return self.execute(context)
        try:
            self.steps, self.count = self.reading(context), 0
        except RequestError as error:
            return self.fail(error)
        # A reconstruction comes of it, or comes next.
        prepare()
        manager = context.window_manager
        self.timer = manager.event_timer_add(INTERVAL, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self: Any, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """Read on; at the end, go on with what was read."""
        if event.type == "ESC":
            self.cancel(context)
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        until = time.monotonic() + SPAN
        try:
            while time.monotonic() < until:
                next(self.steps)
                self.count += 1
        except StopIteration as end:
            self.cancel(context)
            return self.done(context, end.value)
        except RequestError as error:
            self.cancel(context)
            return self.fail(error)
        context.workspace.status_text_set(f"{self.count} pictures read. Esc: stop")
        return {"RUNNING_MODAL"}

    def cancel(self: Any, context: bpy.types.Context) -> None:
        """Read no further; Blender calls this, too, when it closes the window."""
        self.steps.close()
        context.window_manager.event_timer_remove(self.timer)
        context.workspace.status_text_set(None)
        # What comes of it is told in the sidebar.
        redraw("UI")
