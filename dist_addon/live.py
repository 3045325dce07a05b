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
from bpy.app.handlers import persistent

from . import api, preferences
from .api import common
from .jobs import Job
from .jobs.program import WORKER_FOLDER
from .prior_files import PriorFile
from .scene import result as scene_result
from .window import Timer, in_background, redraw
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
    prior : PriorFile
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
    prior: PriorFile
    order: ShapeOrder | None = None
    uid: int = 0
    unwanted: bool = False
    serial: int = 0
    ready: bool = False
    ending: bool = False


class LiveMeshes:
    """The meshes that are behind their codes, and the worker that makes them.

    Attributes
    ----------
    worker : Worker or None
    changed : dict of int to float
        When the code of each object changed whose mesh is behind, by the object's `session_uid`.
    problem : str
        What went wrong last, for the panel.
    timer : Timer
        Calls `tick`.
    """

    def __init__(self) -> None:
        self.timer = Timer(self.tick)
        self.worker: Worker | None = None
        self.changed: dict[int, float] = {}
        self.problem = ""

    def close(self) -> None:
        """Wait for the worker's end, and be as new."""
        self.end(wait=True)
        self._close()
        self.timer.stop()
        self.problem = ""

    def end(self, wait: bool = False) -> None:
        """Forget what is awaited and end the worker."""
        self.changed.clear()
        if self.worker:
            self.worker.ending = True
            self.worker.job.cancel(wait)

    def follow(self, thing: bpy.types.Object) -> None:
        """Bring an object's mesh up to date with its code: soon, or, without a window, before this returns."""
        self.problem = ""
        if in_background():
            self._remesh(thing)
            return
        self.changed[thing.session_uid] = time.monotonic()
        self._wake()
        # Blender calls no timer as long as the mouse moves without a pause.
        self.tick()

    def doing(self) -> str:
        """What a mesh that is behind waits for; empty where none is."""
        if not self.changed:
            return ""
        return "Making the mesh" if self.worker and self.worker.ready else "Starting the background process"

    @persistent
    def end_for_another_file(self, *_arguments: Any) -> None:
        """Another file is open now: nothing of the last one is awaited any more."""
        self.problem = ""
        self.end()

    @persistent
    def check(self, *_arguments: Any) -> None:
        """After an undo or a redo: what is awaited may be wrong now, and meshes may be behind."""
        if in_background():
            return
        if self.worker:
            self.worker.unwanted = True
        behind = [thing for thing in bpy.data.objects if scene_result.has_code(thing) and scene_result.is_behind(thing)]
        self.changed.clear()
        for thing in behind:
            self.changed[thing.session_uid] = time.monotonic()
        if behind:
            self._wake()

    def tick(self) -> float | None:
        """Take what the worker made and order what is due; the timer calls this until it returns None."""
        try:
            self._read()
            self._order()
        except RequestError as error:
            self._fail(str(error))
        redraw("UI")
        if self.worker is None and not self.changed:
            return None
        return INTERVAL if self.changed else IDLE_INTERVAL

    def _wake(self) -> None:
        """Have the timer call `tick` soon, also where it sleeps."""
        self.timer.stop()
        self.timer.start(INTERVAL / 3)

    def _read(self) -> None:
        """Read the worker's events; take its mesh, or its end."""
        if self.worker is None:
            return
        for event in self.worker.job.poll():
            self.worker.ready = self.worker.ready or event.get("message") == "Ready"
            if event["event"] == "shape":
                self._take(self.worker, int(event["serial"]), str(event["problem"]))
        if self.worker.job.finished:
            error = self.worker.job.error
            self._close()
            if error:
                raise RequestError(error)

    def _take(self, worker: Worker, serial: int, trouble: str) -> None:
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
            if scene_result.has_code(thing) and scene_result.is_current(thing, scene_result.resolution(thing)):
                return
            if trouble:
                self.changed.pop(worker.uid, None)
                raise RequestError(trouble)
            scene_result.replace_mesh(thing, Result.load(folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _order(self) -> None:
        """Order the mesh of the object that changed last, unless the worker is busy with what it should finish."""
        for uid in sorted(self.changed, key=lambda uid: self.changed[uid], reverse=True):
            thing = _find(uid)
            if thing is None or not scene_result.has_code(thing):
                del self.changed[uid]
                continue
            if why := scene_result.why_fixed(thing):
                raise RequestError(why)
            fine = scene_result.resolution(thing)
            rests = time.monotonic() - self.changed[uid] >= REST
            resolution = fine if rests else min(COARSE, fine)
            if scene_result.is_current(thing, resolution):
                if rests:
                    del self.changed[uid]
                continue
            prior, code = scene_result.read_code(thing)
            if self.worker and (self.worker.ending or self.worker.prior != prior):
                # Its end is waited for: two would share the processor.
                self.worker.ending = True
                self.worker.job.cancel()
                return
            if self.worker is None:
                self.worker = _start(prior, len(code))
            busy = self.worker.order
            if busy and (busy.resolution <= COARSE or (self.worker.uid, busy.code) == (uid, code.tolist())):
                return
            self.worker.serial += 1
            scale = float(thing[scene_result.SCALE])
            self.worker.order = ShapeOrder(self.worker.serial, code.tolist(), scale, resolution)
            self.worker.uid, self.worker.unwanted = uid, False
            self.worker.job.send(self.worker.order.to_line())
            return

    def _close(self) -> None:
        """Forget a worker that has ended, and its folder, unless its log tells why it failed."""
        if self.worker and self.worker.job.state != "failed":
            shutil.rmtree(self.worker.job.folder, ignore_errors=True)
        self.worker = None

    def _remesh(self, thing: bpy.types.Object) -> None:
        """Without a window there is nobody to wait for the timer: make the mesh at once."""
        try:
            api.reshape(thing, thing)
        except RequestError as error:
            self._fail(str(error))

    def _fail(self, text: str) -> None:
        """Show what went wrong; meshes that are behind stay so until their code changes again."""
        self.problem = text
        self.changed.clear()
        print(f"DIST: {text}")


meshes = LiveMeshes()


def _start(prior: PriorFile, latent: int) -> Worker:
    # Blender draws at the same time.
    threads = max((os.cpu_count() or 2) // 2, 1)
    request = ShapeRequest(
        np.zeros((0, latent)), [], prior=prior.reference, device=preferences.device(), threads=threads, stay=STAY
    )
    return Worker(common.start(request, None, WORKER_FOLDER, prior=prior), prior)


def _find(uid: int) -> bpy.types.Object | None:
    return next((thing for thing in bpy.data.objects if thing.session_uid == uid), None)
