"""Look at each view before a fit."""

from __future__ import annotations

from typing import Any

import bpy

from .. import api, properties
from ..inputs import OF_EACH_VIEW
from ..steps import Steps
from ..thumbnails import Pictures
from ..worker.dist_engine.protocol import RequestError
from .reading import ReadingOperator


class CheckedViews:
    """What was found when one last looked at a scene's views.

    Attributes
    ----------
    pictures : Pictures
        By the view's number.
    """

    def __init__(self) -> None:
        self.pictures = Pictures()
        self.forget()

    def forget(self) -> None:
        """It is not known any more."""
        self._found: list[api.ViewCheck] = []
        self._choices = ""

    def close(self) -> None:
        """Be as new."""
        self.forget()
        self.pictures.close()

    def keep(self, found: list[api.ViewCheck], scene: bpy.types.Scene) -> None:
        """Keep what was found of the views that a scene has chosen."""
        self._found, self._choices = found, _now_chosen(scene)
        self.pictures.close()
        for number, check in enumerate(found):
            if check.thumbnail is not None:
                self.pictures.draw(str(number), check.thumbnail)

    def found(self, scene: bpy.types.Scene) -> list[api.ViewCheck]:
        """What was found of the views that a scene has chosen; nothing where it has chosen others since."""
        return self._found if self._found and self._choices == _now_chosen(scene) else []


views = CheckedViews()


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
        views.forget()
        inputs = properties.inputs(context.scene)
        inputs.pop("bounds")
        return api.checking_views(**inputs)

    def done(self: Any, context: bpy.types.Context, found: list[api.ViewCheck]) -> set[Any]:
        """Keep what was found for the panel."""
        views.keep(found, context.scene)
        wrong = sum(bool(check.problem) for check in found)
        self.report({"WARNING"} if wrong else {"INFO"}, f"{len(found)} views, {wrong or 'none'} with a problem")
        return {"FINISHED"}


def _now_chosen(scene: bpy.types.Scene) -> str:
    try:
        inputs = properties.inputs(scene)
    except RequestError:
        return ""
    return repr([scene.session_uid, *(inputs[name] for name in ("cameras", *OF_EACH_VIEW))])


CLASSES = (DIST_OT_check_inputs,)
