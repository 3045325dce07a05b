"""The DIST tab in the 3D viewport's sidebar. Draws, decides nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy

from . import properties
from .labels import draw_text
from .operators import running


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
        layout = self.layout
        assert layout is not None
        run = running.current
        if run is None:
            column = layout.column()
            column.scale_y = 1.4
            column.operator("dist.reconstruct", icon="MOD_REMESH")
        else:
            progress = run.progress
            doing = "Cancelling" if run.cancelling else progress.message
            layout.label(text=f"{doing}, for a closed file" if run.file_closed else doing)
            layout.progress(text=progress.detail, factor=progress.factor, type="BAR")
            layout.operator("dist.cancel", icon="X")
        if running.outcome:
            draw_text(layout, context, running.outcome, "ERROR" if running.failed else "INFO")


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


CLASSES = (DIST_PT_inputs, DIST_PT_fit, DIST_PT_reconstruct, DIST_PT_jobs)
