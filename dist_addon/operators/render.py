"""Render a shape of the prior through the scene's camera."""

from __future__ import annotations

from typing import Any

import bpy

from .. import api, properties
from ..jobs import Job
from ..scene.result import is_result, why_no_code
from ..worker.dist_engine.protocol import ANYTHING, RENDER
from . import running


class DIST_OT_render_shape(running.JobOperator, bpy.types.Operator):
    """Render depth, normals and silhouette of the active reconstruction, or of a shape of the prior, through the
    scene's camera and without a mesh"""  # noqa: D209, D400

    bl_idname = "dist.render_shape"
    bl_label = "Render Shape"
    task = RENDER

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if context.scene.camera is None:
            cls.poll_message_set("The scene has no camera: add one first")
            return False
        active = context.view_layer.objects.active
        if is_result(active):
            if why := why_no_code(active):
                cls.poll_message_set(f"{why} Render that as any other, with F12")
                return False
        elif properties.of(context.scene).prior == ANYTHING:
            cls.poll_message_set(running.NO_PRIOR)
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        scene = context.scene
        settings = properties.of(scene)
        active = context.view_layer.objects.active

        def begin() -> Job:
            if is_result(active):
                return api.start_render(code=active, scene=scene)
            return api.start_render(
                prior=settings.prior, code=settings.render_code, placement=settings.bounds, scene=scene
            )

        return self.run(begin, scene)


CLASSES = (DIST_OT_render_shape,)
