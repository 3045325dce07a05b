"""Look at each view before a fit."""

from __future__ import annotations

from typing import Any

import bpy

from .. import api, properties, thumbnails
from ..steps import Steps
from ..worker.dist_engine.protocol import RequestError
from .reading import ReadingOperator

# What was found when `_choices` was chosen.
_checked: list[api.ViewCheck] = []
_choices = ""


class DIST_OT_check_inputs(ReadingOperator, bpy.types.Operator):
    """Look at each view's camera, picture and mask, and list what is wrong with which"""  # noqa: D400

    bl_idname = "dist.check_inputs"
    bl_label = "Check Views"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        if properties.of(context.scene).cameras is None:
            cls.poll_message_set("Choose a collection of cameras first")
            return False
        return True

    def reading(self, context: bpy.types.Context) -> Steps[list[api.ViewCheck]]:
        """Look at the views."""
        _checked.clear()
        inputs = properties.inputs(context.scene)
        inputs.pop("bounds")
        return api.checking_views(**inputs)

    def done(self: Any, context: bpy.types.Context, found: list[api.ViewCheck]) -> set[Any]:
        """Keep what was found for the panel."""
        global _choices
        _checked[:] = found
        thumbnails.show_views([check.thumbnail for check in _checked])
        _choices = _now_chosen(context.scene)
        wrong = sum(bool(check.problem) for check in _checked)
        self.report({"WARNING"} if wrong else {"INFO"}, f"{len(_checked)} views, {wrong or 'none'} with a problem")
        return {"FINISHED"}


def checked(scene: bpy.types.Scene) -> list[api.ViewCheck]:
    """Return what was found of the views that a scene has chosen; nothing where it has chosen others since."""
    return _checked if _checked and _choices == _now_chosen(scene) else []


def _now_chosen(scene: bpy.types.Scene) -> str:
    try:
        inputs = properties.inputs(scene)
    except RequestError:
        return ""
    return repr([scene.session_uid, *(inputs[name] for name in ("cameras", "frames", "pictures", "masks"))])


CLASSES = (DIST_OT_check_inputs,)
