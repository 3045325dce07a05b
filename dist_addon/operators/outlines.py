"""Look at results through the cameras, with their outlines over the pictures."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import IntProperty

from .. import outlines, properties
from ..scene.cameras import list_cameras
from ..scene.result import is_result
from ..window import redraw, viewports
from ..worker.dist_engine.protocol import RequestError

# What `DIST_OT_look_through` changes of a viewport. A view through a camera turns the view behind it, too.
SETTINGS = (
    "shading.show_xray",
    "shading.xray_alpha",
    "use_local_camera",
    "region_3d.view_camera_zoom",
    "region_3d.view_camera_offset",
)
VIEW = ("region_3d.view_perspective", "region_3d.view_rotation")


class DIST_OT_show_outlines(bpy.types.Operator):
    """Draw the outlines of reconstructions over the pictures, in views through a camera, or no longer"""  # noqa: D400

    bl_idname = "dist.show_outlines"
    bl_label = "Outlines"

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Turn them on or off; off, viewports are as they were before one looked through the cameras."""
        outlines.overlay.show(not outlines.overlay.shown)
        if not outlines.overlay.shown:
            for area in viewports():
                space: Any = area.spaces.active
                was = outlines.overlay.before.pop(space.as_pointer(), {})
                # Who has left the camera since has a view of their own.
                left = space.region_3d.view_perspective != "CAMERA"
                for path, value in was.items():
                    if not (left and path in VIEW):
                        owner, name = _part(space, path)
                        setattr(owner, name, value)
        elif not any(is_result(thing) for thing in context.visible_objects):
            self.report({"INFO"}, "There is nothing to outline yet: press Reconstruct, or Sample Shape")
        elif not any(_looks_through(area) for area in viewports()):
            self.report({"INFO"}, "Outlines are drawn in views through a camera: press an arrow beside the button")
        redraw()
        return {"FINISHED"}


class DIST_OT_look_through(bpy.types.Operator):
    """Look through the next of the cameras, at its picture, with the shapes see-through and outlined. Outlines, pressed
    once more, leaves it again"""  # noqa: D209, D400

    bl_idname = "dist.look_through"
    bl_label = "Look Through"

    step: IntProperty(name="Step", description="How many cameras on; backwards where negative", default=1)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if context.area is None or context.area.type != "VIEW_3D":
            cls.poll_message_set("Press it in a 3D viewport")
        elif properties.of(context.scene).cameras is None:
            cls.poll_message_set("Choose a collection of cameras first")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Look through the next camera in this viewport; the scene's own camera stays as it is."""
        scene, space = context.scene, context.space_data
        assert isinstance(space, bpy.types.SpaceView3D)
        try:
            cameras = list_cameras(properties.of(scene).cameras)
        except RequestError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        now = {path: _value(*_part(space, path)) for path in SETTINGS + VIEW}
        outlines.overlay.before.setdefault(space.as_pointer(), now)
        view: Any = space.region_3d
        camera = outlines.camera_of(space, scene)
        # The first press looks through the camera that is the viewport's already, if it is one of them.
        if camera not in cameras:
            camera = cameras[0 if self.step > 0 else -1]
        elif view.view_perspective == "CAMERA":
            camera = cameras[(cameras.index(camera) + self.step) % len(cameras)]
        space.use_local_camera, space.camera = True, camera
        view.view_perspective = "CAMERA"
        view.view_camera_zoom, view.view_camera_offset = outlines.framed(context.area, scene, camera)
        camera.data.show_background_images = True
        if space.shading.type == "SOLID":
            space.shading.show_xray, space.shading.xray_alpha = True, 0.25
        outlines.overlay.show(True)
        redraw()
        self.report({"INFO"}, f"Looking through “{camera.name}”")
        return {"FINISHED"}


def _part(space: bpy.types.SpaceView3D, path: str) -> tuple[Any, str]:
    """Who has a property of a viewport, and its name there."""
    owner, _, name = path.rpartition(".")
    return (getattr(space, owner) if owner else space), name


def _value(owner: Any, name: str) -> Any:
    """The value of a property, which does not follow it."""
    value = getattr(owner, name)
    return value if isinstance(value, (bool, float, str)) else tuple(value)


def _looks_through(area: bpy.types.Area) -> bool:
    space: Any = area.spaces.active
    return space.region_3d.view_perspective == "CAMERA"


CLASSES = (DIST_OT_show_outlines, DIST_OT_look_through)
