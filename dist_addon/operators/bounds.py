"""Make bounds around what the masks show."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy

from .. import api, properties
from ..steps import Steps
from ..worker.dist_engine.protocol import RECONSTRUCT
from . import running
from .reading import ReadingOperator
from .result import select


class DIST_OT_make_bounds(ReadingOperator, bpy.types.Operator):
    """Bring the bounds around what all masks show, or else where the cameras look; their rotation stays, and where none are chosen, an upright Empty is added. For a shape prior, turn it so that its -Y is the thing's front"""  # noqa: D400, E501

    bl_idname = "dist.make_bounds"
    bl_label = "Make Bounds"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if properties.of(context.scene).cameras is None:
            cls.poll_message_set("Choose a collection of cameras first")
            return False
        return True

    def reading(self, context: bpy.types.Context) -> Steps[api.MadeBounds]:
        """Make the bounds."""
        inputs = properties.inputs(context.scene)
        chosen = {name: inputs[name] for name in ("cameras", "frames", "pictures", "masks", "scene")}
        return api.making_bounds(empty=properties.of(context.scene).bounds, **chosen)

    def done(self: Any, context: bpy.types.Context, made: api.MadeBounds) -> set[Any]:
        """Choose them."""
        properties.of(context.scene).bounds = made.object
        # Ready to be turned.
        select(context, [made.object])
        # What was wrong with the bounds may be told still.
        if running.jobs.outcome.failed and running.jobs.outcome.task == RECONSTRUCT:
            running.jobs.say("")
        if made.problem:
            self.report({"WARNING"}, f"The bounds are only where the cameras look: {made.problem}")
        return {"FINISHED"}


CLASSES = (DIST_OT_make_bounds,)
