"""The job that runs beside Blender's window: a timer reads its events, and imports its result at the end.

The state is kept here rather than in the scene, where an undo would turn it back and a save would keep it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import bpy

from ..jobs import Job, Progress

INTERVAL = 0.2


@dataclass
class Run:
    """A job, the scene that it is for, and where it stands."""

    job: Job
    scene_uid: int
    # Whether another file was opened since.
    file_closed: bool = False
    cancelling: bool = False
    progress: Progress = field(default_factory=Progress)


current: Run | None = None
# What came of the last job, for the panel.
outcome = ""
failed = False


def watch(job: Job, scene: bpy.types.Scene) -> None:
    """Follow a started job until it ends."""
    global current
    current = Run(job, scene.session_uid)
    say("")
    # Persistent: a job outlives File > Open.
    bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def say(text: str, failure: bool = False) -> None:
    """Show the user what came of a job."""
    global outcome, failed
    outcome, failed = text, failure


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
    if run.job.finished:
        current = None
        _finish(run)
    _redraw()
    return INTERVAL if current else None


def _finish(run: Run) -> None:
    if run.job.state == "cancelled":
        say("The reconstruction was cancelled.")
    elif run.job.state == "failed":
        say(run.job.error, failure=True)
        print(f"DIST: {run.job.error}\n{run.job.log_tail()}")
    else:
        scene = next((s for s in bpy.data.scenes if s.session_uid == run.scene_uid), None)
        if scene is None or run.file_closed:
            say(
                "The reconstruction is done, but its scene is closed. Import Result, under Last Job, adds it to any "
                f"scene, from this folder:\n{run.job.folder}"
            )
            return
        try:
            added = import_with_undo(str(run.job.folder), scene)
        except RuntimeError as error:
            say(str(error).removeprefix("Error: ").strip(), failure=True)
        else:
            say("\n".join([f"Added “{added.name}”.{_overlap(added)}", *run.progress.warnings]))


def _overlap(thing: bpy.types.Object) -> str:
    """How well an imported shape fits its pictures, as a sentence."""
    iou = [value for name, value in thing.items() if name.startswith("dist_iou_")]
    return f" Its outlines overlap the pictures' by {100 * sum(iou) / len(iou):.0f} % (IoU)." if iou else ""


def import_with_undo(folder: str, scene: bpy.types.Scene) -> bpy.types.Object:
    """Call the import operator as a user's action of its own, which can be undone; return the object that it added.

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
    return next(thing for thing in scene.objects if thing not in before)


def _redraw() -> None:
    for window in bpy.data.window_managers[0].windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
