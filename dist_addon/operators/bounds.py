"""Add bounds where the cameras look."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy

from .. import api, properties
from ..worker.dist_engine.protocol import RequestError


class DIST_OT_add_bounds(bpy.types.Operator):
    """Add an Empty where the cameras look; move, turn and scale it so that its box holds the thing"""  # noqa: D400

    bl_idname = "dist.add_bounds"
    bl_label = "Add Bounds"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if properties.of(context.scene).cameras is None:
            cls.poll_message_set("Choose a collection of cameras first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Add the Empty and choose it."""
        settings = properties.of(context.scene)
        try:
            settings.bounds = api.add_bounds(settings.cameras, context.scene)
        except RequestError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (DIST_OT_add_bounds,)
