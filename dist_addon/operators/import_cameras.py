"""Bring in calibrated cameras with their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import EnumProperty, StringProperty

from .. import api, properties
from ..input_properties import RELATIVE
from ..worker.dist_engine.protocol import AXES, RequestError
from .result import select


class DIST_OT_import_cameras(bpy.types.Operator):
    """Add the cameras of a transforms.json, of a COLMAP model or of a Middlebury *_par.txt, with their pictures"""  # noqa: D400

    bl_idname = "dist.import_cameras"
    bl_label = "Import Cameras"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    # Blender's file browser fills this in: a file, or the folder that it shows.
    filepath: StringProperty(
        name="File", description="The file of cameras, or its folder", subtype="FILE_PATH", options=RELATIVE
    )
    filter_glob: StringProperty(default="*.json;*.txt;*.bin", options={"HIDDEN", "SKIP_SAVE"})
    up: EnumProperty(
        name="Up",
        description="Which axis of the file's world points up; it becomes Z",
        items=[
            ("usual", "Format's Default", "Z in transforms.json, -Y in COLMAP's models, Y in Middlebury's files"),
            *((axis, axis.upper(), "") for axis in AXES),
        ],
        default="usual",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if context.scene is None or context.scene.library:
            cls.poll_message_set("The scene is linked from another file: open that file, or add a scene")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """Ask for the file, or the folder."""
        bpy.data.window_managers[0].fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Add the cameras and choose them."""
        path = Path(bpy.path.abspath(self.filepath))
        # Blender's file browser proposes the open file's name, which stands for the folder.
        if path.suffix == ".blend":
            path = path.parent
        try:
            found = api.import_cameras(path, None if self.up == "usual" else self.up, context.scene)
        except RequestError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        properties.choose(context.scene, found)
        # Numpad . shows then where they are, however small.
        select(context, found.cameras)
        self.report({"WARNING" if found.missing else "INFO"}, " ".join(found.notes))
        return {"FINISHED"}


CLASSES = (DIST_OT_import_cameras,)
