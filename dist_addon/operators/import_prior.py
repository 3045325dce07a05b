"""Add shape priors that are files: others' ones, and DeepSDF checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import api, properties
from ..input_properties import RELATIVE
from ..jobs import Job
from ..worker.dist_engine.protocol import IMPORT, RequestError
from . import running


class DIST_OT_import_prior(running.JobOperator, bpy.types.Operator):
    """Add a prior's .safetensors file to the shape priors, or a checkpoint of DeepSDF (a folder with specs.json)"""  # noqa: D400

    bl_idname = "dist.import_prior"
    bl_label = "Import Shape Prior"
    task = IMPORT

    # Blender's file browser fills these in.
    filepath: StringProperty(
        name="File",
        description="The prior's file",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", "HIDDEN"} | RELATIVE,
    )
    directory: StringProperty(
        name="Folder",
        description="The checkpoint's folder",
        subtype="DIR_PATH",
        options={"SKIP_SAVE", "HIDDEN"} | RELATIVE,
    )
    filter_folder: BoolProperty(default=True, options={"SKIP_SAVE", "HIDDEN"})
    filter_glob: StringProperty(default="*.safetensors", options={"SKIP_SAVE", "HIDDEN"})
    name: StringProperty(
        name="Name",
        description="What the prior is to be called; as the file or the folder where empty",
        maxlen=63,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """Ask for the file or the folder where none is given."""
        if self.filepath or self.directory:
            return self.execute(context)
        bpy.data.window_managers[0].fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Copy a file; or start a job, and wait for it in background mode, or where asked to."""
        file = bpy.path.abspath(self.filepath)
        # Of a folder, the file browser gives the path, too.
        if file and not Path(file).is_dir():
            try:
                kept = api.keep_prior(file, self.name or None)
            except RequestError as error:
                return self.fail(error)
            properties.of(context.scene).prior = kept.name
            running.jobs.say(f"“{kept.name}” is among the shape priors now.", IMPORT)
            return {"FINISHED"}

        def begin() -> Job:
            return api.start_import(bpy.path.abspath(self.directory) or file, self.name or None)

        return self.run(begin, context.scene)


CLASSES = (DIST_OT_import_prior,)
