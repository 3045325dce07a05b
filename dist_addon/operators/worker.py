"""The Python that runs the worker: test it, install one."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty

from .. import preferences, worker_python
from ..jobs import PACKAGES, JobError, any_running, make_plan
from ..window import in_background

OFFLINE = "Nothing may be fetched: allow it in Preferences > System > Network > Allow Online Access"


class DIST_OT_test_worker(bpy.types.Operator):
    """Find the Python that runs the background process, and load its packages"""  # noqa: D400

    bl_idname = "dist.test_worker"
    bl_label = "Test"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether no test and no installation runs."""
        if worker_python.setup.testing or worker_python.setup.job:
            cls.poll_message_set("A test or an installation is running: wait for it")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Tell the versions and devices, or what is wrong: in the preferences, once they are known."""
        if not in_background():
            worker_python.setup.begin_test(preferences.python())
            return {"FINISHED"}
        try:
            told = worker_python.test(preferences.python())
        except JobError as error:
            worker_python.setup.say(str(error), failure=True)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        worker_python.setup.say(told)
        self.report({"INFO"}, told)
        return {"FINISHED"}


class DIST_OT_install_worker(bpy.types.Operator):
    """Fetch PyTorch and what else the background process needs, into an environment of the add-on's own. Asks first"""  # noqa: D400

    bl_idname = "dist.install_worker"
    bl_label = "Install PyTorch"

    device: EnumProperty(
        name="Device",
        description="What PyTorch is to compute on",
        items=(
            ("auto", "Automatic", "What this machine has"),
            ("cpu", "CPU", "The processor: the smallest download"),
            ("cuda", "CUDA", "An NVIDIA graphics card"),
            ("rocm", "ROCm", "An AMD graphics card, on Linux"),
            ("mps", "Metal", "An Apple computer"),
        ),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether something may be fetched, and nothing runs."""
        if not bpy.app.online_access:
            cls.poll_message_set(OFFLINE)
        elif worker_python.setup.testing or worker_python.setup.job:
            cls.poll_message_set("A test or an installation is running: wait for it or cancel it")
        elif any_running():
            cls.poll_message_set("The background process is running: wait for its jobs or cancel them")
        else:
            return True
        return False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """Ask first."""
        return context.window_manager.invoke_props_dialog(self, width=480)

    def draw(self, context: bpy.types.Context) -> None:
        """Say what is fetched, from where, how much it is, and where it is put."""
        self.layout.prop(self, "device")
        column = self.layout.column(align=True)
        for line in describe(self.device):
            column.label(text=line)

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start; wait for it in background mode."""
        try:
            job = worker_python.setup.begin_install(make_plan(self.device))
        except JobError as error:
            worker_python.setup.say(str(error), failure=True)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not in_background():
            return {"FINISHED"}
        job.wait()
        worker_python.setup.tick()
        self.report({"ERROR" if worker_python.setup.failed else "INFO"}, worker_python.setup.outcome)
        return {"FINISHED" if job.state == "done" else "CANCELLED"}


class DIST_OT_cancel_install(bpy.types.Operator):
    """Stop the installation and take away what it has made"""  # noqa: D400

    bl_idname = "dist.cancel_install"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether one runs."""
        return worker_python.setup.job is not None

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Cancel it; its end is seen by a timer."""
        worker_python.setup.cancel()
        return {"FINISHED"}


def describe(device: str) -> list[str]:
    """Say in lines what an installation for a device does."""
    try:
        plan = make_plan(device)
    except JobError as error:
        return [str(error)]
    others = ", ".join(name for name in PACKAGES if name != "torch")
    return [
        f"Fetches PyTorch for {plan.device}, with {others}: about {plan.download:g} GB.",
        f"From: {plan.index or 'the package index of pip'}" + (", and the package index of pip" if plan.index else ""),
        f"Needs {plan.disk:g} GB in: {worker_python.folder()}",
        "An environment that is there already is made again. Blender can be used meanwhile.",
    ]


CLASSES = (DIST_OT_test_worker, DIST_OT_install_worker, DIST_OT_cancel_install)
