"""Cancel the running job."""

from __future__ import annotations

from typing import Any

import bpy

from . import running


class DIST_OT_cancel(bpy.types.Operator):
    """Stop the running job"""  # noqa: D400

    bl_idname = "dist.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if not running.current:
            cls.poll_message_set("Nothing is running")
        elif running.current.cancelling:
            cls.poll_message_set("The worker is being stopped")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Cancel; the panel tells when the worker is gone."""
        running.cancel()
        return {"FINISHED"}


CLASSES = (DIST_OT_cancel,)
