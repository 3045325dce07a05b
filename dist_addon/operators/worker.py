"""Test the Python that runs the worker."""

from __future__ import annotations

from typing import Any

import bpy

from .. import preferences
from ..jobs import JobError, check_python, find_python


class DIST_OT_test_worker(bpy.types.Operator):
    """Find the Python that runs the worker, and load its packages"""  # noqa: D400

    bl_idname = "dist.test_worker"
    bl_label = "Test"

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Report the versions, or what is wrong."""
        try:
            found = check_python(find_python(preferences.python()).path, thorough=True)
        except JobError as error:
            preferences.say(str(error), failure=True)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        preferences.say(f"{found.path}\n{found}")
        self.report({"INFO"}, f"{found.path}: {found}")
        return {"FINISHED"}


CLASSES = (DIST_OT_test_worker,)
