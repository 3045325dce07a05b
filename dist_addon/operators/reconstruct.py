"""Start a reconstruction."""

from __future__ import annotations

from typing import Any

import bpy

from .. import api, properties
from ..jobs import Job
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
        if not cls.poll_idle():
            return False
        if settings.cameras is None and settings.points is None:
            cls.poll_message_set("Choose a collection of cameras, or points, first")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        scene = context.scene
        settings = properties.of(scene)

        def begin() -> Job:
            return api.start_reconstruction(
                settings.cameras,
                settings.bounds,
                points=settings.points,
                prior=settings.prior,
                start=settings.start,
                quality=settings.quality,
                refine_shape=settings.refine_shape or settings.start is None,
                refine_placement=settings.refine_placement,
                refine_cameras=settings.refine_cameras,
                refine_focal_length=settings.refine_focal_length,
                scene=scene,
            )

        return self.run(begin, scene)


CLASSES = (DIST_OT_reconstruct,)
