"""What can be done with the job that is chosen in the list."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import bpy

from .. import api, job_items
from ..window import in_background
from ..worker.dist_engine.protocol import RequestError, read_json, read_tail
from . import running

TEXT = "DIST Job"
# Bytes of a log's end that are shown.
LONGEST_LOG = 200_000


class ChosenJob:
    """What operators on the chosen job share."""

    @classmethod
    def poll(cls: Any, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        item = job_items.active()
        why = "Choose a job in the list first" if item is None else cls.why_not(item)
        if why:
            cls.poll_message_set(why)
        return not why

    @classmethod
    def why_not(cls, item: job_items.DIST_JobItem) -> str:
        """Why it cannot be done with this job; empty where it can."""
        return "The job waits or runs: cancel it first" if item.state in job_items.ACTIVE else ""


class DIST_OT_refresh_jobs(bpy.types.Operator):
    """Read the list of jobs anew: another Blender may have changed them"""  # noqa: D400

    bl_idname = "dist.refresh_jobs"
    bl_label = "Refresh"

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Read the list."""
        job_items.refresh()
        return {"FINISHED"}


class DIST_OT_resume_job(ChosenJob, running.JobOperator, bpy.types.Operator):
    """Take the job up again: from its checkpoint, or from the beginning where it had not come so far"""  # noqa: D400

    bl_idname = "dist.resume_job"
    bl_label = "Resume"

    @classmethod
    def why_not(cls, item: job_items.DIST_JobItem) -> str:
        """Why it cannot be done with this job; empty where it can."""
        return "The job is done: import its result" if item.state == "done" else super().why_not(item)

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Put the job in line; wait for it in background mode, or where asked to."""
        item = job_items.active()
        self.task = item.task
        return self.run(lambda: api.resume(item.folder), context.scene)


class DIST_OT_rerun_job(ChosenJob, running.JobOperator, bpy.types.Operator):
    """Run the job again from the beginning, as a new one, with what was asked for then; this one stays"""  # noqa: D400

    bl_idname = "dist.rerun_job"
    bl_label = "Run Again"

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Put the job in line; wait for it in background mode, or where asked to."""
        item = job_items.active()
        self.task = item.task
        return self.run(lambda: api.rerun(item.folder), context.scene)


class DIST_OT_remove_job(ChosenJob, bpy.types.Operator):
    """Delete the job's folder, with its request, log and result; what was imported stays"""  # noqa: D400

    bl_idname = "dist.remove_job"
    bl_label = "Delete Job"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """Ask first."""
        told = "Its folder is deleted, with the result. Shapes in the scene stay."
        return context.window_manager.invoke_confirm(self, event, message=told)

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Delete the folder."""
        try:
            api.remove(job_items.active().folder)
        except RequestError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            job_items.refresh()
        return {"FINISHED"}


class DIST_OT_open_job(ChosenJob, bpy.types.Operator):
    """Show the job's folder in the system's file manager"""  # noqa: D400

    bl_idname = "dist.open_job"
    bl_label = "Open Folder"

    @classmethod
    def why_not(cls, item: job_items.DIST_JobItem) -> str:
        """Nothing speaks against it."""
        return ""

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Show the folder."""
        return bpy.ops.wm.path_open(filepath=job_items.active().folder)


class DIST_OT_show_log(ChosenJob, bpy.types.Operator):
    """Show the job's report and its log, in an open Text Editor or else in a window of their own"""  # noqa: D400

    bl_idname = "dist.show_log"
    bl_label = "Show Report and Log"

    @classmethod
    def why_not(cls, item: job_items.DIST_JobItem) -> str:
        """Nothing speaks against it."""
        return ""

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Fill the text."""
        item = job_items.active()
        text = bpy.data.texts.get((TEXT, None)) or bpy.data.texts.new(TEXT)
        text.from_string(describe(item))
        areas = [area for window in context.window_manager.windows for area in window.screen.areas]
        editors = [area for area in areas if area.type == "TEXT_EDITOR"]
        if not editors and not in_background():
            # Blender makes none of a full screen.
            with contextlib.suppress(RuntimeError):
                bpy.ops.wm.window_new()
                editors = context.window_manager.windows[-1].screen.areas[:1]
                editors[0].type = "TEXT_EDITOR"
        if editors:
            space: Any = editors[0].spaces.active
            space.text, space.top = text, 0
        self.report({"INFO"}, f"The report and the log are in the text “{TEXT}”")
        return {"FINISHED"}


def describe(item: job_items.DIST_JobItem) -> str:
    """All that is known of a job, for a person to read."""
    folder = Path(item.folder)
    parts = [f"{item.name}, {item.when}: {item.state}\n{folder}", item.error]
    try:
        report = dict(read_json(folder / "result.json")["report"])
        # Of no use to a reader: to a script, the file is.
        report.pop("code", None)
        parts.append("Report\n" + json.dumps(report, indent=1, ensure_ascii=False))
    except (KeyError, TypeError, ValueError, RecursionError):
        # No result, or one that is damaged.
        pass
    try:
        parts.append("Log\n" + read_tail(folder / "log.txt", LONGEST_LOG))
    except OSError:
        parts.append("There is no log.")
    return "\n\n".join(part for part in parts if part) + "\n"


CLASSES = (
    DIST_OT_refresh_jobs,
    DIST_OT_resume_job,
    DIST_OT_rerun_job,
    DIST_OT_remove_job,
    DIST_OT_open_job,
    DIST_OT_show_log,
)
