"""Shapes of a prior without pictures: draw one, blend two, and put one back."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy
import numpy as np

from .. import api, live, properties
from ..jobs import Job
from ..scene import result as scene_result
from ..worker.dist_engine.protocol import ANYTHING, SHAPE
from . import running


class DIST_OT_sample_shape(running.JobOperator, bpy.types.Operator):
    """Add a random member of the prior at the 3D cursor, or amid the bounds and about as large"""  # noqa: D400

    bl_idname = "dist.sample_shape"
    bl_label = "Sample Shape"
    task = SHAPE

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if properties.of(context.scene).prior == ANYTHING:
            cls.poll_message_set(running.NO_PRIOR)
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        scene = context.scene
        settings = properties.of(scene)
        cursor = np.eye(4)
        cursor[:3, 3] = scene.cursor.location

        def begin() -> Job:
            job = api.start_sample(
                prior=settings.prior,
                seed=settings.shapes.seed,
                spread=settings.shapes.spread,
                placement=settings.bounds or cursor,
                quality=settings.quality,
                scene=scene,
            )
            settings.shapes.seed += 1
            return job

        return self.run(begin, scene)


class DIST_OT_blend_shapes(running.JobOperator, bpy.types.Operator):
    """Add shapes between the two selected ones, which are of one prior"""  # noqa: D400

    bl_idname = "dist.blend_shapes"
    bl_label = "Blend"
    task = SHAPE

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        selected = [thing for thing in context.selected_objects if scene_result.has_code(thing)]
        if len(selected) != 2 or context.view_layer.objects.active not in selected:
            cls.poll_message_set("Select two shapes of a prior first, one of them active")
        elif selected[0].get(scene_result.PRIOR) != selected[1].get(scene_result.PRIOR):
            cls.poll_message_set("The two selected shapes are of different priors: select two of one prior")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        scene = context.scene
        chosen = properties.of(scene).shapes
        active = context.view_layer.objects.active
        other = next(t for t in context.selected_objects if t != active and scene_result.has_code(t))
        steps = chosen.count + 1
        factors = [chosen.factor] if chosen.count == 1 else [step / steps for step in range(1, steps)]
        return self.run(lambda: api.start_blend(other, active, factors, scene=scene), scene)


class DIST_OT_reset_shape(bpy.types.Operator):
    """Give the active shape back what it was before its sliders were moved"""  # noqa: D400

    bl_idname = "dist.reset_shape"
    bl_label = "Reset"
    bl_options: ClassVar = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        active = context.view_layer.objects.active
        if not scene_result.has_code(active) or active.get(scene_result.FIRST_CODE) is None:
            cls.poll_message_set("The active object's sliders were not moved")
        elif why := scene_result.why_fixed(active):
            cls.poll_message_set(why)
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Put the code back; the mesh follows."""
        active = context.view_layer.objects.active
        scene_result.reset_code(active)
        live.meshes.follow(active)
        return {"FINISHED"}


CLASSES = (DIST_OT_sample_shape, DIST_OT_blend_shapes, DIST_OT_reset_shape)
