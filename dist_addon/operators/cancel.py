"""Steer jobs that wait or run."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import StringProperty

from ..worker.dist_engine.protocol import RECONSTRUCT, TRAIN
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
        if not running.jobs.queue.runs:
            cls.poll_message_set("Nothing is running")
        elif all(run.cancelling for run in running.jobs.queue.runs):
            cls.poll_message_set("The background process is being stopped")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Cancel; the panel tells when the worker is gone."""
        run = running.jobs.queue.find(self.folder)
        if run is None:
            self.report({"ERROR"}, f"The job in {self.folder} neither waits nor runs in this Blender.")
            return {"CANCELLED"}
        run.cancel()
        return {"FINISHED"}


def _is_running(cls: Any) -> bool:
    """Whether a job runs that no one is stopping; where not, an operator's button says so."""
    run = running.jobs.queue.current
    if run is not None and run.job.state == "running" and not run.cancelling:
        return True
    cls.poll_message_set("Nothing is running")
    return False


class DIST_OT_pause(bpy.types.Operator):
    """Hold the job up at its next step, or let it go on. Those in line wait on"""  # noqa: D400

    bl_idname = "dist.pause"
    bl_label = "Pause"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        return _is_running(cls)

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Tell the worker."""
        run = running.jobs.queue.current
        run.pause(not run.progress.paused)
        return {"FINISHED"}


class DIST_OT_finish(bpy.types.Operator):
    """End the fit or the training here, and make the result of what there is"""  # noqa: D400

    bl_idname = "dist.finish"
    bl_label = "Take It Now"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if not _is_running(cls):
            return False
        run = running.jobs.queue.current
        if run.task not in (RECONSTRUCT, TRAIN):
            cls.poll_message_set("Only a reconstruction or a training can be taken early")
        elif run.finishing:
            cls.poll_message_set("The result is being made")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Tell the worker."""
        running.jobs.queue.current.finish()
        return {"FINISHED"}


CLASSES = (DIST_OT_cancel, DIST_OT_pause, DIST_OT_finish)
