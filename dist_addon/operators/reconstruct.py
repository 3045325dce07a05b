"""Start a reconstruction."""

from __future__ import annotations

from typing import Any

import bpy

from .. import api, properties
from ..worker.dist_engine.protocol import RECONSTRUCT
from . import running


class DIST_OT_reconstruct(running.JobOperator, bpy.types.Operator):
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

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        scene = context.scene
        return self.run(lambda: api.start_reconstruction(**properties.inputs(scene)), scene)


CLASSES = (DIST_OT_reconstruct,)
