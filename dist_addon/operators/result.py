"""Import the result of a job: a shape into the scene, the images of a rendering, or a prior."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import api
from ..input_properties import RELATIVE
from ..scene.result import how_well
from ..worker.dist_engine.protocol import IMPORT, RENDER, SHAPE, TRAIN, RequestError


class DIST_OT_import_result(bpy.types.Operator):
    """Add the shape of a finished job to the scene, show the images that it rendered, or keep the prior that it made"""  # noqa: D400

    bl_idname = "dist.import_result"
    bl_label = "Import Result"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    folder: StringProperty(
        name="Folder",
        description="The folder of a finished job",
        subtype="DIR_PATH",
        # Hidden: the file browser would offer it beside its own folder.
        options={"SKIP_SAVE", "HIDDEN"} | RELATIVE,
    )
    # Blender's file browser fills this in, and shows folders only.
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"} | RELATIVE)
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
        folder = bpy.path.abspath(self.folder or self.directory)
        poor = False
        try:
            task = api.task_of(folder)
            if task in (TRAIN, IMPORT):
                made = api.add_prior(folder)
                if made.image is not None:
                    show_one(made.image, [made.image])
                told = f"Added the shape prior “{made.prior.name}”"
            elif task == RENDER:
                images = api.import_rendering(folder).images
                show_one(images["normal"], list(images.values()))
                told = f"Made the images {', '.join(image.name for image in images.values())}"
            elif task == SHAPE:
                added = api.import_shapes(folder, context.scene)
                select(context, added)
                told = f"Added {', '.join(f'“{thing.name}”' for thing in added)}"
            else:
                thing = api.import_result(folder, context.scene)
                # A fit is long: when it ends by itself, the user works on something else.
                if self.options.is_invoke:
                    select(context, [thing])
                fit, poor = how_well(thing)
                told = f"Added “{thing.name}”. {fit}".strip()
        except RequestError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"WARNING"} if poor else {"INFO"}, told)
        return {"FINISHED"}


def show_one(image: bpy.types.Image, known: Sequence[bpy.types.Image]) -> None:
    """Show an image in an open Image Editor, unless one shows it or another of the `known` ones already."""
    areas = [area for window in bpy.data.window_managers[0].windows for area in window.screen.areas]
    editors: list[Any] = [area.spaces.active for area in areas if area.ui_type == "IMAGE_EDITOR"]
    free = [editor for editor in editors if not editor.use_image_pin]
    if free and not any(editor.image in known for editor in editors):
        free[0].image = image


def select(context: bpy.types.Context, things: Sequence[bpy.types.Object]) -> None:
    """Select nothing but these objects, the last one active; not while editing, nor what is not in the view layer."""
    layer = context.view_layer
    # New ones are not in it before; and their collection may be excluded.
    layer.update()
    things = [thing for thing in things if thing.name in layer.objects]
    if context.mode != "OBJECT" or not things:
        return
    for thing in layer.objects:
        thing.select_set(thing in things, view_layer=layer)
    layer.objects.active = things[-1]


CLASSES = (DIST_OT_import_result,)
