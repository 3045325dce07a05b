"""Import the result of a job."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import api
from ..worker.dist_engine.protocol import RequestError


class DIST_OT_import_result(bpy.types.Operator):
    """Add the shape of a finished job to the scene"""  # noqa: D400

    bl_idname = "dist.import_result"
    bl_label = "Import Result"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    folder: StringProperty(
        name="Folder",
        description="The folder of a finished job",
        subtype="DIR_PATH",
        # Hidden: the file browser would offer it beside its own folder.
        options={"SKIP_SAVE", "HIDDEN"},
    )
    # Blender's file browser fills this in, and shows folders only.
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"SKIP_SAVE", "HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """Ask for the folder where none is given."""
        if self.folder:
            return self.execute(context)
        self.directory = str(api.jobs_folder()) + os.sep
        bpy.data.window_managers[0].fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Import the result."""
        try:
            thing = api.import_result(bpy.path.abspath(self.folder or self.directory), context.scene)
        except RequestError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Added “{thing.name}”")
        return {"FINISHED"}


CLASSES = (DIST_OT_import_result,)
