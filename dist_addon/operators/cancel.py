"""Steer jobs that wait or run."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import StringProperty

from . import running


class DIST_OT_cancel(bpy.types.Operator):
    """Stop the job; it can be resumed from the list of jobs"""  # noqa: D400

    bl_idname = "dist.cancel"
    bl_label = "Cancel"

    folder: StringProperty(
        name="Folder", description="Of the job; empty: the one that runs", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if not running.queue.runs:
            cls.poll_message_set("Nothing is running")
        elif all(run.cancelling for run in running.queue.runs):
            cls.poll_message_set("The worker is being stopped")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Cancel; the panel tells when the worker is gone."""
        run = running.queue.find(self.folder)
        if run is None:
            self.report({"ERROR"}, f"The job in {self.folder} neither waits nor runs in this Blender.")
            return {"CANCELLED"}
        run.cancel()
        return {"FINISHED"}


CLASSES = (DIST_OT_cancel,)
