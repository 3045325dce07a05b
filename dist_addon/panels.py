"""The DIST tab in the 3D viewport's sidebar. Draws, decides nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy

from . import properties
from .labels import draw_text
from .operators import running
from .scene.result import is_result
from .worker.dist_engine.protocol import IMPORT, RECONSTRUCT, RENDER, TRAIN


class DIST_Panel:
    """Where all panels of the add-on are."""

    bl_space_type: Any = "VIEW_3D"
    bl_region_type: Any = "UI"
    bl_category = "DIST"


class DIST_PT_inputs(DIST_Panel, bpy.types.Panel):
    """What to reconstruct from."""

    bl_idname = "DIST_PT_inputs"
    bl_label = "Inputs"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the cameras and the bounds."""
        layout = self.layout
        assert layout is not None
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = properties.of(context.scene)
        layout.prop(settings, "cameras")
        layout.prop(settings, "bounds")
        layout.operator("dist.add_bounds", icon="EMPTY_DATA")


class DIST_PT_fit(DIST_Panel, bpy.types.Panel):
    """How to reconstruct."""

    bl_idname = "DIST_PT_fit"
    bl_label = "Fit"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the prior and the fit's settings."""
        layout = self.layout
        assert layout is not None
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = properties.of(context.scene)
        layout.prop(settings, "prior")
        layout.prop(settings, "quality")
        layout.prop(settings, "refine_placement")


class DIST_PT_reconstruct(DIST_Panel, bpy.types.Panel):
    """Start a reconstruction and watch it."""

    bl_idname = "DIST_PT_reconstruct"
    bl_label = "Reconstruct"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the button, or the running job."""
        draw_job(self.layout, context, RECONSTRUCT, "dist.reconstruct", "MOD_REMESH")


class DIST_PT_render(DIST_Panel, bpy.types.Panel):
    """Render a shape without a mesh."""

    bl_idname = "DIST_PT_render"
    bl_label = "Render Shape"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw which shape, and the button or the running job."""
        layout = self.layout
        assert layout is not None
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = properties.of(context.scene)
        active = context.view_layer.objects.active
        if is_result(active):
            layout.label(text=f"The shape of “{active.name}”", icon="OBJECT_DATA")
        else:
            layout.prop(settings, "prior")
            layout.prop(settings, "render_code")
        draw_job(layout, context, RENDER, "dist.render_shape", "RENDER_STILL")


class DIST_PT_train(DIST_Panel, bpy.types.Panel):
    """Make shape priors."""

    bl_idname = "DIST_PT_train"
    bl_label = "Train a Prior"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw what to train from, and the buttons or the running job."""
        layout = self.layout
        assert layout is not None
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = properties.of(context.scene).training
        layout.prop(settings, "source")
        if settings.source == "COLLECTION":
            layout.prop(settings, "collection")
        else:
            layout.prop(settings, "folder")
            layout.prop(settings, "up")
            layout.prop(settings, "front")
        layout.prop(settings, "name")
        layout.prop(settings, "size")
        layout.prop(settings, "licence")
        draw_job(layout, context, TRAIN, "dist.train_prior", "OUTLINER_DATA_LIGHTPROBE")
        draw_job(layout, context, IMPORT, "dist.import_prior", "IMPORT")


class DIST_PT_jobs(DIST_Panel, bpy.types.Panel):
    """Earlier jobs."""

    bl_idname = "DIST_PT_jobs"
    bl_label = "Last Job"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the last job's folder, and the button that imports its result again."""
        layout = self.layout
        assert layout is not None
        settings = properties.of(context.scene)
        layout.prop(settings, "last_job", text="")
        button: Any = layout.operator("dist.import_result", icon="IMPORT")
        button.folder = settings.last_job


def draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, task: str, operator: str, icon: Any) -> None:
    """Draw the button that starts a task, or how its running job stands; and what came of the last one."""
    run = running.current
    if run is None or run.task != task:
        column = layout.column()
        column.scale_y = 1.4
        column.operator(operator, icon=icon)
    else:
        progress = run.progress
        doing = "Cancelling" if run.cancelling else progress.message
        layout.label(text=f"{doing}, for a closed file" if run.file_closed else doing)
        layout.progress(text=progress.detail, factor=progress.factor, type="BAR")
        layout.operator("dist.cancel", icon="X")
    if running.outcome and running.outcome_task == task:
        draw_text(layout, context, running.outcome, "ERROR" if running.failed else "INFO")


CLASSES = (DIST_PT_inputs, DIST_PT_fit, DIST_PT_reconstruct, DIST_PT_render, DIST_PT_train, DIST_PT_jobs)
