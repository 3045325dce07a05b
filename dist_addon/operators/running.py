"""The job that runs, beside Blender's window or in its way, and what comes of it.

Beside the window, a timer reads its events, and imports its result at the end. The state is kept here rather than in
the scene, where an undo would turn it back and a save would keep it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty

from .. import properties
from ..jobs import Job, Progress
from ..scene import training
from ..scene.renderings import IMAGES
from ..window import in_background, redraw
from ..worker.dist_engine.protocol import (
    IMPORT,
    RECONSTRUCT,
    RENDER,
    SHAPE,
    TRAIN,
    PriorResult,
    RequestError,
    read_task,
)
from .result import show_one

# Seconds between two looks at a job, and between two pictures of a training.
INTERVAL, PICTURE_INTERVAL = 0.2, 2.0
# What a person calls a job of each task.
NOUNS = {RECONSTRUCT: "reconstruction", RENDER: "rendering", SHAPE: "meshing", TRAIN: "training", IMPORT: "import"}


@dataclass
class Run:
    """A job, the scene that it is for, and where it stands."""

    job: Job
    task: str
    scene_uid: int
    # Whether another file was opened since.
    file_closed: bool = False
    cancelling: bool = False
    progress: Progress = field(default_factory=Progress)
    pictured: float = 0.0


current: Run | None = None
# What came of the last job, for the panel of its task.
outcome = ""
outcome_task = ""
failed = False


class JobOperator:
    """What operators that start a job share; each has a `task`."""

    task: ClassVar[str]
    # The scene remembers its last job: without a step of its own, undoing the import would forget it.
    bl_options: ClassVar = {"UNDO"}

    wait: BoolProperty(
        name="Wait",
        description="Return only when the result is in the scene",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll_idle(cls: Any) -> bool:
        """Whether nothing runs; says so where something does."""
        if current:
            noun = NOUNS[current.task]
            cls.poll_message_set(f"{'An' if noun[0] == 'i' else 'A'} {noun} is running: wait for it or cancel it")
        return not current

    def run(self: Any, begin: Callable[[], Job], scene: bpy.types.Scene) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        try:
            job = begin()
        except RequestError as error:
            say(str(error), self.task, failure=True)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        properties.of(scene).last_job = str(job.folder)
        if not (self.wait or in_background()):
            watch(job, scene)
            return {"FINISHED"}
        progress = Progress()
        job.wait(progress.take)
        for warning in progress.warnings:
            self.report({"WARNING"}, warning)
        if job.state != "done":
            print(job.log_tail(), file=sys.stderr)
            self.report({"ERROR"}, job.error or f"The {NOUNS[self.task]} was cancelled.")
            return {"CANCELLED"}
        try:
            import_with_undo(str(job.folder), scene)
        except RuntimeError as error:
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}
        return {"FINISHED"}


def watch(job: Job, scene: bpy.types.Scene) -> None:
    """Follow a started job until it ends."""
    global current
    current = Run(job, read_task(job.folder), scene.session_uid)
    say("")
    # Persistent: a job outlives File > Open.
    bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def say(text: str, task: str = "", failure: bool = False) -> None:
    """Show the user what came of a job."""
    global outcome, outcome_task, failed
    outcome, outcome_task, failed = text, task, failure


def cancel() -> None:
    """Cancel the running job; the timer sees its end."""
    if current:
        current.cancelling = True
        current.job.cancel()


@bpy.app.handlers.persistent
def forget(*_arguments: Any) -> None:
    """Another file is open now: clear what came of the last job, and don't import the running one's result into it."""
    say("")
    if current:
        current.file_closed = True


def stop() -> None:
    """Forget the running job: the add-on is being disabled."""
    global current
    current = None
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def tick() -> float | None:
    """Read the job's events; the timer calls this until it returns None."""
    global current
    run = current
    if run is None:
        return None
    for event in run.job.poll():
        run.progress.take(event)
    _picture(run)
    if run.job.finished:
        current = None
        _finish(run)
    redraw("UI")
    return INTERVAL if current else None


def _picture(run: Run) -> None:
    """Bring the picture of a training up to date now and then."""
    if run.task != TRAIN or time.monotonic() - run.pictured < PICTURE_INTERVAL:
        return
    run.pictured = time.monotonic()
    try:
        image = training.show(run.job.folder)
    except RequestError as error:
        print(f"DIST: {error}")
        return
    if image is not None:
        show_one(image, [image])


def _finish(run: Run) -> None:
    noun = NOUNS[run.task]
    if run.job.state == "cancelled":
        kept = " Train Prior goes on where it stopped, unless something was changed." if run.task == TRAIN else ""
        say(f"The {noun} was cancelled.{kept}", run.task)
    elif run.job.state == "failed":
        say(run.job.error, run.task, failure=True)
        print(f"DIST: {run.job.error}\n{run.job.log_tail()}")
    else:
        scene = next((s for s in bpy.data.scenes if s.session_uid == run.scene_uid), None)
        if scene is None or run.file_closed:
            if run.task not in (TRAIN, IMPORT):
                say(
                    f"The {noun} is done, but its scene is closed. Import Result, under Last Job, adds it to any "
                    f"scene, from this folder:\n{run.job.folder}",
                    run.task,
                )
                return
            # A prior belongs to no scene.
            scene = bpy.context.scene
        try:
            added = import_with_undo(str(run.job.folder), scene)
        except RuntimeError as error:
            say(str(error).removeprefix("Error: ").strip(), run.task, failure=True)
        else:
            say("\n".join([*_made(run, added), *run.progress.warnings]), run.task)


def _made(run: Run, added: list[bpy.types.Object]) -> list[str]:
    """What a finished job has made, in sentences."""
    if run.task in (TRAIN, IMPORT):
        report = PriorResult.load(run.job.folder).report
        return [f"“{report['name']}” is among the shape priors now, made from {len(report['shapes'])} shapes."]
    if run.task == RENDER:
        return [f"Made the images {', '.join(IMAGES.values())}; their files are in:\n{run.job.folder}"]
    cameras = [thing for thing in added if thing.type == "CAMERA"]
    shapes = [thing for thing in added if thing not in cameras]
    if len(shapes) > 1:
        return [f"Added {len(shapes)} shapes, “{shapes[0].name}” to “{shapes[-1].name}”."]
    told = [f"Added “{thing.name}”.{_overlap(thing)}" for thing in shapes]
    if cameras:
        turned = max(camera["dist_turned"] for camera in cameras)
        told.append(f"Added {len(cameras)} refined cameras, turned by up to {turned:.1f}° from where they were.")
    return told


def _overlap(thing: bpy.types.Object) -> str:
    """How well an imported shape fits its pictures, as a sentence."""
    iou = [value for name, value in thing.items() if name.startswith("dist_iou_")]
    text = f" Its outlines overlap the pictures' by {100 * sum(iou) / len(iou):.0f} % (IoU)." if iou else ""
    if odd := thing.get("dist_disagree"):
        text += f" Far less than the others: {odd}. Check the mask and the camera there."
    return text


def import_with_undo(folder: str, scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Call the import operator as a user's action of its own, which can be undone; return the objects that it added.

    Raises
    ------
    RuntimeError
        The import failed; the text is the operator's report.
    """
    windows = bpy.data.window_managers[0].windows
    # A window that shows the scene, since an undo step belongs to what a window shows.
    window = next((w for w in windows if w.scene == scene), windows[0] if len(windows) else None)
    override = {"scene": scene} if window is None or window.scene != scene else {"window": window}
    before = set(scene.objects)
    with bpy.context.temp_override(**override):
        bpy.ops.dist.import_result("EXEC_DEFAULT", True, folder=folder)  # type: ignore[attr-defined]
    return [thing for thing in scene.objects if thing not in before]
