"""The DIST tab in the 3D viewport's sidebar. Draws, decides nothing."""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar

import bpy

from . import properties
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
            layout.label(text=progress.message)
            layout.progress(text=str(progress) if progress.stage else "", factor=progress.factor, type="BAR")
            layout.operator("dist.cancel", icon="X")
        if running.outcome:
            box = layout.box()
            for number, line in enumerate(running.outcome.splitlines()):
                icon: Any = "NONE" if number else "ERROR" if running.failed else "CHECKMARK"
                for piece, text in enumerate(_wrap(line, context.region.width if context.region else 300)):
                    box.label(text=text, icon="BLANK1" if piece and icon != "NONE" else icon)


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


def _wrap(line: str, width: int) -> list[str]:
    """Cut a line for a label, which Blender would shorten; a letter is about 7 pixels wide."""
    return textwrap.wrap(line, max(width // 7, 20)) or [""]


CLASSES = (DIST_PT_inputs, DIST_PT_fit, DIST_PT_reconstruct, DIST_PT_jobs)
