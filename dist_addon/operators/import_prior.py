"""Make a shape prior from a DeepSDF checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import api, prior_files
from ..jobs import Job
from ..view_properties import RELATIVE
from ..worker.dist_engine.protocol import IMPORT
from . import running


class DIST_OT_import_prior(running.JobOperator, bpy.types.Operator):
    """Add a checkpoint in the layout of DeepSDF (a folder with specs.json) to the shape priors"""  # noqa: D400

    bl_idname = "dist.import_prior"
    bl_label = "Import DeepSDF Checkpoint"
    task = IMPORT

    # Blender's file browser fills this in, and shows folders only.
    directory: StringProperty(
        name="Folder",
        description="The checkpoint's folder",
        subtype="DIR_PATH",
        options={"SKIP_SAVE", "HIDDEN"} | RELATIVE,
    )
    filter_folder: BoolProperty(default=True, options={"SKIP_SAVE", "HIDDEN"})
    name: StringProperty(
        name="Name",
        description="What the prior is to be called; as the folder where empty",
        maxlen=63,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """Ask for the folder where none is given."""
        if self.directory:
            return self.execute(context)
        bpy.data.window_managers[0].fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""

        def begin() -> Job:
            folder = Path(bpy.path.abspath(self.directory))
            name = self.name or folder.absolute().name
            prior_files.check_free(name)
            return api.start_import(folder, name)

        return self.run(begin, context.scene)


CLASSES = (DIST_OT_import_prior,)
