"""Objects whose mesh follows their code while it changes, through a worker that stays.

The code is in the object, and the mesh knows what code it was made with: where the two differ, a mesh is ordered. So
it does not matter how the code changed, by a slider, Reset or an undo. The worker makes one mesh after another, coarse
ones while the code moves and a fine one when it rests; only a fine one is given up for something newer.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from . import api, preferences
from .api import common
from .jobs import Job
from .jobs.program import WORKER_FOLDER
from .prior_files import Prior
from .scene import result as scene_result
from .window import in_background, redraw
from .worker.dist_engine.protocol import RequestError, Result, ShapeOrder, ShapeRequest, shape_folder

# The resolution while a code moves.
COARSE = 64
# Seconds without a change after which a code rests; between two looks at the worker while one is awaited, and else.
REST, INTERVAL, IDLE_INTERVAL = 0.3, 0.03, 0.5
# Seconds that the worker waits for another change: it holds a few hundred MB, and takes seconds to start.
STAY = 60.0


@dataclass
class Worker:
    """A worker that stays.

    Attributes
    ----------
    job : Job
    prior : Prior
        The only one that it knows.
    order : ShapeOrder or None
        What it is making.
    uid : int
        Whose mesh that is, as `session_uid`.
    unwanted : bool
        Whether nobody wants that any more.
    serial : int
        Of the last order.
    ready : bool
        Whether PyTorch is loaded.
    ending : bool
        Whether it was told to end.
    """

    job: Job
    prior: Prior
    order: ShapeOrder | None = None
    uid: int = 0
    unwanted: bool = False
    serial: int = 0
    ready: bool = False
    ending: bool = False


worker: Worker | None = None
# When the code of each object changed whose mesh is behind, by the object's `session_uid`.
changed: dict[int, float] = {}
# What went wrong last, for the panel.
problem = ""


def follow(thing: bpy.types.Object) -> None:
    """Bring an object's mesh up to date with its code: soon, or, without a window, before this returns."""
    global problem
    problem = ""
    if in_background():
        _remesh(thing)
        return
    changed[thing.session_uid] = time.monotonic()
    _wake()
    # Blender calls no timer as long as the mouse moves without a pause.
    tick()


def doing() -> str:
    """What a mesh that is behind waits for; empty where none is."""
    if not changed:
        return ""
    return "Making the mesh" if worker and worker.ready else "Starting the background process"


def end(wait: bool = False) -> None:
    """Forget what is awaited and end the worker."""
    changed.clear()
    if worker:
        worker.ending = True
        worker.job.cancel(wait)
    if wait:
        _close()
        if bpy.app.timers.is_registered(tick):
            bpy.app.timers.unregister(tick)


@bpy.app.handlers.persistent
def end_for_another_file(*_arguments: Any) -> None:
    """Another file is open now: nothing of the last one is awaited any more."""
    global problem
    problem = ""
    end()


@bpy.app.handlers.persistent
def check(*_arguments: Any) -> None:
    """After an undo or a redo: what is awaited may be wrong now, and meshes may be behind."""
    if in_background():
        return
    if worker:
        worker.unwanted = True
    behind = [thing for thing in bpy.data.objects if scene_result.is_result(thing) and scene_result.is_behind(thing)]
    changed.clear()
    for thing in behind:
        changed[thing.session_uid] = time.monotonic()
    if behind:
        _wake()


def tick() -> float | None:
    """Take what the worker made and order what is due; the timer calls this until it returns None."""
    try:
        _read()
        _order()
    except RequestError as error:
        _fail(str(error))
    redraw("UI")
    if worker is None and not changed:
        return None
    return INTERVAL if changed else IDLE_INTERVAL


def _wake() -> None:
    """Have the timer call `tick` soon, also where it sleeps."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    # Persistent: a worker that is ending has to be watched over File > Open, too.
    bpy.app.timers.register(tick, first_interval=INTERVAL / 3, persistent=True)


def _read() -> None:
    """Read the worker's events; take its mesh, or its end."""
    if worker is None:
        return
    for event in worker.job.poll():
        worker.ready = worker.ready or event.get("message") == "Ready"
        if event["event"] == "shape":
            _take(worker, int(event["serial"]), str(event["problem"]))
    if worker.job.finished:
        error = worker.job.error
        _close()
        if error:
            raise RequestError(error)


def _take(worker: Worker, serial: int, trouble: str) -> None:
    """Put a mesh that was made into its object."""
    folder = shape_folder(worker.job.folder, serial)
    try:
        order = worker.order
        if order is None or order.serial != serial:
            return
        worker.order = None
        thing = _find(worker.uid)
        if worker.unwanted or worker.ending or thing is None:
            return
        # Reset has brought the first mesh back meanwhile.
        if scene_result.is_result(thing) and scene_result.is_current(thing, scene_result.resolution(thing)):
            return
        if trouble:
            changed.pop(worker.uid, None)
            raise RequestError(trouble)
        scene_result.replace_mesh(thing, Result.load(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _order() -> None:
    """Order the mesh of the object that changed last, unless the worker is busy with what it should finish."""
    global worker
    for uid in sorted(changed, key=lambda uid: changed[uid], reverse=True):
        thing = _find(uid)
        if thing is None or not scene_result.is_result(thing):
            del changed[uid]
            continue
        if why := scene_result.why_fixed(thing):
            raise RequestError(why)
        fine = scene_result.resolution(thing)
        rests = time.monotonic() - changed[uid] >= REST
        resolution = fine if rests else min(COARSE, fine)
        if scene_result.is_current(thing, resolution):
            if rests:
                del changed[uid]
            continue
        prior, code = scene_result.read_code(thing)
        if worker and (worker.ending or worker.prior != prior):
            # Its end is waited for: two would share the processor.
            worker.ending = True
            worker.job.cancel()
            return
        if worker is None:
            worker = _start(prior, len(code))
        busy = worker.order
        if busy and (busy.resolution <= COARSE or (worker.uid, busy.code) == (uid, code.tolist())):
            return
        worker.serial += 1
        worker.order = ShapeOrder(worker.serial, code.tolist(), float(thing[scene_result.SCALE]), resolution)
        worker.uid, worker.unwanted = uid, False
        worker.job.send(worker.order.to_line())
        return


def _start(prior: Prior, latent: int) -> Worker:
    # Blender draws at the same time.
    threads = max((os.cpu_count() or 2) // 2, 1)
    request = ShapeRequest(
        np.zeros((0, latent)), [], prior=prior.reference, device=preferences.device(), threads=threads, stay=STAY
    )
    return Worker(common.start(request, None, WORKER_FOLDER, prior=prior), prior)


def _close() -> None:
    """Forget a worker that has ended, and its folder, unless its log tells why it failed."""
    global worker
    if worker and worker.job.state != "failed":
        shutil.rmtree(worker.job.folder, ignore_errors=True)
    worker = None


def _remesh(thing: bpy.types.Object) -> None:
    """Without a window there is nobody to wait for the timer: make the mesh at once."""
    try:
        api.reshape(thing, thing)
    except RequestError as error:
        _fail(str(error))


def _fail(text: str) -> None:
    """Show what went wrong; meshes that are behind stay so until their code changes again."""
    global problem
    problem = text
    changed.clear()
    print(f"DIST: {text}")


def _find(uid: int) -> bpy.types.Object | None:
    return next((thing for thing in bpy.data.objects if thing.session_uid == uid), None)
