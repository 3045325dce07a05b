"""Train a shape prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import api, properties
from ..jobs import Job
from ..worker.dist_engine.protocol import TRAIN, RequestError, read_task
from . import running


class DIST_OT_train_prior(running.JobOperator, bpy.types.Operator):
    """Train a shape prior from the meshes of a collection or a folder. After a cancel it goes on where it stopped"""  # noqa: D400

    bl_idname = "dist.train_prior"
    bl_label = "Train Prior"
    task = TRAIN

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Say why the button is grey."""
        chosen = properties.of(context.scene).training
        if any(run.task == TRAIN for run in running.jobs.queue.runs):
            cls.poll_message_set("A training runs or waits: wait for it or cancel it")
        elif chosen.source == "COLLECTION" and chosen.collection is None:
            cls.poll_message_set("Choose a collection of meshes first")
        elif chosen.source == "FOLDER" and not chosen.folder:
            cls.poll_message_set("Choose a folder of meshes first")
        elif not chosen.name:
            cls.poll_message_set("Give the prior a name first")
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Start a job; wait for it in background mode, or where asked to."""
        scene = context.scene
        chosen = properties.of(scene).training

        def begin() -> Job:
            job = api.start_training(
                chosen.collection if chosen.source == "COLLECTION" else chosen.folder,
                chosen.name,
                size=chosen.size,
                up=chosen.up,
                front=chosen.front,
                licence=chosen.licence,
                scene=scene,
                folder=unfinished(chosen.job),
            )
            chosen.job = str(job.folder)
            return job

        return self.run(begin, scene)


def unfinished(folder: str) -> str | None:
    """The folder of a training that did not come to its end, to go on from; None where there is none."""
    try:
        return folder if folder and read_task(Path(folder)) and not (Path(folder) / "result.json").exists() else None
    except RequestError:
        return None


CLASSES = (DIST_OT_train_prior,)
