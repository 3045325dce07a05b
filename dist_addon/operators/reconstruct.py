"""Start a reconstruction."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty

from .. import api, properties
from ..worker.dist_engine.protocol import RequestError
from . import running


class DIST_OT_reconstruct(bpy.types.Operator):
    """Reconstruct the thing that the cameras' pictures show"""  # noqa: D400

    bl_idname = "dist.reconstruct"
    bl_label = "Reconstruct"
    # The scene remembers its last job: without a step of its own, undoing the import would forget it.
    bl_options: ClassVar = {"UNDO"}

    wait: BoolProperty(
        name="Wait",
        description="Return only when the shape is in the scene",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        settings = properties.of(context.scene)
        if running.current:
            cls.poll_message_set("A reconstruction is running: wait for it or cancel it")
        elif settings.cameras is None:
            cls.poll_message_set("Choose a collection of cameras first")
        elif settings.bounds is None:
            cls.poll_message_set("Choose an Empty as bounds first, or press Add Bounds")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        scene = context.scene
        assert scene is not None
        settings = properties.of(scene)
        try:
            job = api.start_reconstruction(
                settings.cameras,
                settings.bounds,
                prior=settings.prior,
                quality=settings.quality,
                refine_placement=settings.refine_placement,
                scene=scene,
            )
        except RequestError as error:
            running.say(str(error), failure=True)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        settings.last_job = str(job.folder)
        # Timers don't fire in background mode.
        if not (self.wait or bpy.app.background):
            running.watch(job, scene)
            return {"FINISHED"}
        job.wait()
        if job.state != "done":
            print(job.log_tail(), file=sys.stderr)
            self.report({"ERROR"}, job.error or "The reconstruction was cancelled.")
            return {"CANCELLED"}
        try:
            running.import_with_undo(str(job.folder), scene)
        except RuntimeError as error:
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (DIST_OT_reconstruct,)
