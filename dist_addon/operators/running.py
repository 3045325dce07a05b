"""The jobs that run, one after the other, beside Blender's window or in its way, and what comes of them."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import bpy
import numpy as np
from bpy.app.handlers import persistent
from bpy.props import BoolProperty

from .. import job_items, properties
from ..api import common
from ..job_items import NOUNS
from ..jobs import Job, Progress, Queue, Run
from ..scene import preview, training
from ..scene import result as scene_result
from ..scene.renderings import IMAGES
from ..thumbnails import Pictures
from ..window import Timer, in_background, redraw
from ..worker.dist_engine.protocol import (
    IMPORT,
    RECONSTRUCT,
    RENDER,
    TRAIN,
    PriorResult,
    RequestError,
    Result,
    read_task,
    shape_folder,
)
from .result import show_one

# Seconds between two looks at a job, and between two pictures of a training.
INTERVAL, PICTURE_INTERVAL = 0.2, 2.0
# How much of the time the window may be late for previews. Without a graphics card, it draws one for seconds.
LATE_SHARE = 0.2
# Two shapes nearer to each other than this share of one's size stand in the same place.
NEAR = 0.2
# Seconds of one delay that count: a longer one has other causes.
LONGEST_DELAY = 2.0
# Why shapes of a prior cannot be made.
NO_PRIOR = "Choose a shape prior first: Anything has no shapes of its own"
# The name of the picture of the losses.
LOSSES = "losses"


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

    def run(self: Any, begin: Callable[[], Job], scene: bpy.types.Scene) -> set[Any]:
        """Put a job in line; or, in background mode and where asked to, start it and wait for it."""
        beside = not (self.wait or in_background())
        try:
            with common.in_line() if beside else contextlib.nullcontext():
                job = begin()
        except RequestError as error:
            return self.fail(error)
        properties.of(scene).last_job = str(job.folder)
        if beside:
            jobs.watch(job, scene)
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

    def fail(self: Any, error: RequestError) -> set[Any]:
        """Tell the user why there is no job, also in the panel."""
        jobs.say(str(error), self.task, failure=True)
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}


@dataclass(frozen=True)
class Outcome:
    """What came of a job, for the panel of its task.

    Attributes
    ----------
    text : str
        Empty where there is nothing to tell.
    task : str
    failed : bool
    added_uids : tuple of int
        The objects that it added, by `session_uid`.
    """

    text: str = ""
    task: str = ""
    failed: bool = False
    added_uids: tuple[int, ...] = ()


class RunningJobs:
    """The jobs beside the window: a timer reads the current one's events, and imports its result at the end.

    They are kept here rather than in the scene, where an undo would turn them back and a save would keep them.

    Attributes
    ----------
    queue : Queue
    outcome : Outcome
        Of the last job.
    curve : Pictures
        The losses of the current job, as `LOSSES`.
    timer : Timer
        Calls `tick`.
    due, late, previewed : float
        When the timer is due; how late it came in all since the last preview, and when that was shown.
    """

    def __init__(self) -> None:
        self.timer = Timer(self.tick)
        self.queue = Queue()
        self.curve = Pictures()
        self._forget()

    def _forget(self) -> None:
        self.outcome = Outcome()
        self.due = self.late = self.previewed = self._pictured = 0.0

    def close(self) -> None:
        """Forget the jobs, and be as new."""
        self.timer.stop()
        self.queue.leave()
        preview.remove()
        self.curve.close()
        self._forget()

    def watch(self, job: Job, scene: bpy.types.Scene) -> None:
        """Put a job in line, and follow it until it ends."""
        self.due, self.late = time.monotonic(), 0.0
        self.queue.runs.append(Run(job, read_task(job.folder), scene.session_uid))
        self.say("")
        job_items.refresh(choose=job.folder)
        self.timer.start()

    def say(self, text: str, task: str = "", failure: bool = False, added: Sequence[bpy.types.Object] = ()) -> None:
        """Show the user what came of a job, as long as the objects that it added are there."""
        self.outcome = Outcome(text, task, failure, tuple(thing.session_uid for thing in added))

    @persistent
    def forget(self, *_arguments: Any) -> None:
        """Another file is open now: clear what came of the last job, and don't import the others' results into it."""
        self.say("")
        # One that was saved by an autosave.
        preview.remove()
        for run in self.queue.runs:
            run.file_closed = True

    def tick(self) -> float | None:
        """Read the current job's events; the timer calls this until it returns None."""
        self.late += min(max(time.monotonic() - self.due, 0.0), LONGEST_DELAY)
        try:
            again = self._tick()
        except Exception as error:
            # One job that shows a flaw of ours must not keep those in line from their turn.
            traceback.print_exc()
            run = self.queue.current
            self.say(f"{type(error).__name__}: {error}", run.task if run else RECONSTRUCT, failure=True)
            again = INTERVAL
        self.due = time.monotonic() + INTERVAL
        return again

    def _tick(self) -> float | None:
        # What changes the scene then may crash it.
        if bpy.app.is_job_running("RENDER"):
            return INTERVAL
        before, looked = self._states(), self._looks()
        ended = self.queue.poll()
        if ended or not self.queue.runs:
            preview.remove()
            self.curve.close()
        for run in ended:
            self._finish(run)
        if run := self.queue.current:
            self._picture(run)
            self._preview(run)
        if ended or before != self._states():
            job_items.refresh()
        # Drawing takes longest of all this, above all without a graphics card.
        if ended or looked != self._looks():
            redraw("UI")
        return INTERVAL if self.queue.runs else None

    def _states(self) -> list[tuple[str, bool]]:
        return [(run.job.state, run.progress.paused) for run in self.queue.runs]

    def _looks(self) -> list[tuple[Any, ...]]:
        """What the panels show of the jobs."""
        looks = [(run.progress, run.cancelling, run.file_closed) for run in self.queue.runs]
        return [(p.message, p.detail, p.paused, *rest) for p, *rest in looks]

    def _preview(self, run: Run) -> None:
        """Show the newest mesh of the fit in its scene, unless the window was long late for the last one."""
        serial, scene, now = run.progress.preview, _scene(run), time.monotonic()
        if serial is None or run.cancelling or scene is None or self.late > LATE_SHARE * (now - self.previewed):
            return
        self.previewed, self.late, run.progress.preview = now, 0.0, None
        # The worker has deleted it where a newer one came meanwhile.
        with contextlib.suppress(RequestError):
            preview.show(Result.load(shape_folder(run.job.folder, serial)), scene)

    @persistent
    def tidy(self, *_arguments: Any) -> None:
        """After an undo or a redo: a preview may be back of a job that ended; a result may be gone, told of still."""
        if not {thing.session_uid for thing in bpy.data.objects}.issuperset(self.outcome.added_uids):
            self.say("")
        self.timer.start()

    @persistent
    def keep_out(self, *_arguments: Any) -> None:
        """Before a file is saved: the preview is none of the user's."""
        preview.remove()

    def _picture(self, run: Run) -> None:
        """Bring the loss curve, and the picture of a training, up to date now and then."""
        if time.monotonic() - self._pictured < PICTURE_INTERVAL:
            return
        self._pictured = time.monotonic()
        self.draw_losses(run.progress.losses)
        if run.task != TRAIN or not training.is_behind(run.job.folder):
            return
        try:
            image = training.show(run.job.folder)
        except RequestError as error:
            print(f"DIST: {error}")
            return
        if image is not None:
            show_one(image, [image])

    def draw_losses(self, losses: Sequence[tuple[int, float]]) -> None:
        """Draw a curve of steps and losses in place of the last one; nothing is shown for fewer than two."""
        if len(losses) < 2:
            self.curve.close()
            return
        pixels = np.ones((training.HEIGHT, training.WIDTH, 4), np.float32)
        pixels[..., :3] = training.draw_losses(np.array(losses, float))
        self.curve.draw(LOSSES, pixels)

    def _finish(self, run: Run) -> None:
        noun = NOUNS[run.task]
        if run.job.state == "cancelled":
            kept = " Train Prior goes on where it stopped, unless something was changed." if run.task == TRAIN else ""
            self.say(f"The {noun} was cancelled.{kept}", run.task)
        elif run.job.state == "failed":
            self.say(run.job.error, run.task, failure=True)
            print(f"DIST: {run.job.error}\n{run.job.log_tail()}")
        else:
            scene = _scene(run)
            if run.task == RECONSTRUCT and not self.queue.runs:
                # With other settings, more often than not.
                common.prepare()
            if scene is None:
                if run.task not in (TRAIN, IMPORT):
                    self.say(
                        f"The {noun} is done, but its scene is closed. Import Result, under Jobs, adds it to any "
                        f"scene, from this folder:\n{run.job.folder}",
                        run.task,
                    )
                    return
                # A prior belongs to no scene.
                scene = bpy.context.scene
            try:
                added = import_with_undo(str(run.job.folder), scene)
            except RuntimeError as error:
                self.say(str(error).removeprefix("Error: ").strip(), run.task, failure=True)
            else:
                poor = any(scene_result.how_well(thing)[1] for thing in added)
                self.say("\n".join([*_made(run, added), *run.progress.warnings]), run.task, failure=poor, added=added)


# In a window, one is enough.
jobs = RunningJobs()


def _scene(run: Run) -> bpy.types.Scene | None:
    """The scene that a job is for; None where its file was closed, or it was deleted."""
    found = next((scene for scene in bpy.data.scenes if scene.session_uid == run.scene_uid), None)
    return None if run.file_closed else found


def _made(run: Run, added: list[bpy.types.Object]) -> list[str]:
    """What a finished job has made, in sentences."""
    if run.task in (TRAIN, IMPORT):
        report = PriorResult.load(run.job.folder).report
        return [f"“{report['name']}” is among the shape priors now, made from {len(report['shapes'])} shapes."]
    if run.task == RENDER:
        names = ", ".join(IMAGES.values())
        return [f"Made the images {names}: choose one in an Image Editor. Open Folder, under Jobs, shows their files."]
    cameras = [thing for thing in added if thing.type == "CAMERA"]
    shapes = [thing for thing in added if thing not in cameras]
    if len(shapes) > 1:
        return [f"Added {len(shapes)} shapes, “{shapes[0].name}” to “{shapes[-1].name}”."]
    told = [
        " ".join(filter(None, [f"Added “{thing.name}”.", scene_result.how_well(thing)[0], _in_its_place(thing)]))
        for thing in shapes
    ]
    if cameras:
        turned = max(camera["dist_turned"] for camera in cameras)
        told.append(f"Added {len(cameras)} refined cameras, turned by up to {turned:.1f}° from where they were.")
    return told


def _in_its_place(thing: bpy.types.Object) -> str:
    """Which other result stands where a new one does, as a sentence: neither is seen well then."""
    others = [other for other in thing.users_collection[0].objects if other != thing and other.visible_get()]
    reach = NEAR * max(*thing.dimensions)
    near = [o.name for o in others if scene_result.is_result(o) and (o.location - thing.location).length < reach]
    return f"“{near[-1]}” stands there, too: hide one of them (H) to see the other." if near else ""


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
