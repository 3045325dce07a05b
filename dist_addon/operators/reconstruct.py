"""Start a reconstruction."""

from __future__ import annotations

from typing import Any

import bpy

from .. import api, properties
from ..steps import Steps
from ..worker.dist_engine.protocol import RECONSTRUCT, Request
from . import running
from .reading import ReadingOperator


class DIST_OT_reconstruct(running.JobOperator, ReadingOperator, bpy.types.Operator):
    """Reconstruct the thing that the cameras' pictures show"""  # noqa: D400

    bl_idname = "dist.reconstruct"
    bl_label = "Reconstruct"
    task = RECONSTRUCT

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        settings = properties.of(context.scene)
        if settings.cameras is None and settings.points is None:
            cls.poll_message_set("Choose a collection of cameras, or points, first")
        else:
            return True
        return False

    def reading(self, context: bpy.types.Context) -> Steps[Request]:
        """Check the scene and read its pictures."""
        return api.gathering(**properties.inputs(context.scene))

    def done(self: Any, context: bpy.types.Context, request: Request) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        return self.run(lambda: api.start_request(request), context.scene)


CLASSES = (DIST_OT_reconstruct,)
