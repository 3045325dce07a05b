"""Train a shape prior from meshes, or make one from a DeepSDF checkpoint."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import preferences, prior_files
from ..jobs import Job
from ..jobs.program import WORKER_FOLDER
from ..prior_files import PriorFile
from ..scene import meshes as scene_meshes
from ..scene import training as scene_training
from ..worker.dist_engine.protocol import (
    IMPORT,
    PRIOR_FILE,
    TRAIN,
    ImportRequest,
    MeshArrays,
    MeshFile,
    PriorResult,
    RequestError,
    TrainRequest,
    copy_file,
)
from . import common
from .pairs import waits_for

# Meshes to train from: those of a collection, or the files of a folder.
Source = bpy.types.Collection | str | os.PathLike[str]


@dataclass(frozen=True)
class Training:
    """What `train_prior` or `import_prior` made.

    Attributes
    ----------
    prior : PriorFile
    report : dict
        The worker's report; see `protocol.PriorResult`.
    folder : Path
        The job's folder, with the request, the log and the result.
    image : Image or None
        The image “DIST Training”, with the training's losses and pictures; None for an import.
    """

    prior: PriorFile
    report: dict[str, Any]
    folder: Path
    image: bpy.types.Image | None


def start_training(
    source: Source | None,
    name: str,
    *,
    size: str = "small",
    up: str = "+y",
    front: str = "+z",
    steps: int = 0,
    seed: int = 0,
    licence: str = "",
    scene: bpy.types.Scene | None = None,
    file: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
) -> Job:
    """Gather the meshes, write a request and start a worker on it; returns at once.

    Parameters
    ----------
    source : Collection or path
        A collection: what can be seen of it in the scene, with modifiers; see `scene.meshes.read_collection`. A
        folder: its mesh files, also those in folders within it.
    name : str
        What the prior is to be called.
    size : str
        ``small`` for a CPU or ``official`` for a GPU; `dist_engine.training.sizes` explains them.
    up, front : str
        For a folder: which axis of its meshes points up, and where their front looks, such as ``+y`` and ``+z``. In a
        collection, Z is up and the front looks along -Y.
    steps : int
        Optimiser steps; 0 leaves the number to the size and the number of meshes.
    seed : int
    licence : str
        Of the meshes, and so of the prior; kept in it.
    scene : Scene, optional
        The current one by default.
    file : path, optional
        Where the prior is to go, among the user's priors by default: refused before any work where it cannot be kept.
        `add_prior` takes it, too.
    folder : path, optional
        The job's folder, made where it is missing, else empty or an earlier job's; a new one by default. With that of a
        training which was cancelled or failed, it goes on from the checkpoint, as long as nothing else that is asked
        for has changed.
    worker_folder : Path
        The worker that Python runs.

    Returns
    -------
    Job
        Call its `poll`, or `wait`; then `add_prior` with its folder.

    Raises
    ------
    RequestError
        Something is missing or unfit. JobError, a kind of it: no Python can run the worker.
    """
    _check_target(name, file)
    meshes: list[MeshArrays] | list[MeshFile]
    if isinstance(source, bpy.types.Collection):
        meshes = scene_meshes.read_collection(source, common.evaluate(common.or_current(scene)))
        up, front = "+z", "-y"
    elif source is None or not str(source):
        raise RequestError("Nothing to train from was chosen: choose a collection or a folder of meshes.")
    else:
        meshes = scene_meshes.list_files(Path(bpy.path.abspath(os.fspath(source))))
    request = TrainRequest(
        name=name,
        meshes=meshes,
        up=up,
        front=front,
        size=size,
        steps=steps,
        seed=seed,
        licence=licence,
        device=preferences.device(),
    )
    request.check()
    return common.start(request, folder, worker_folder, resumes=True)


@waits_for(start_training, "training")
def train_prior(job: Job, file: str | os.PathLike[str] | None) -> Training:
    """Train a shape prior from meshes; returns when it is there."""
    return add_prior(job.folder, file)


def start_import(
    source: str | os.PathLike[str],
    name: str | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    worker_folder: Path = WORKER_FOLDER,
) -> Job:
    """Start a worker that makes a prior from a checkpoint in the official DeepSDF layout; returns at once.

    Parameters
    ----------
    source : path
        A folder with ``specs.json``, ``ModelParameters/latest.pth`` and ``LatentCodes/latest.pth``.
    name : str, optional
        What the prior is to be called; as the folder by default.
    file, folder, worker_folder
        See `start_training`.

    Raises
    ------
    RequestError
        It is no such folder, or the name cannot be used. JobError, a kind of it: no Python can run the worker.
    """
    chosen = Path(bpy.path.abspath(os.fspath(source))).absolute()
    if not (chosen / "specs.json").is_file():
        raise RequestError(f"{chosen} holds no specs.json: choose the folder of a DeepSDF checkpoint.")
    name = chosen.name if name is None else name
    _check_target(name, file)
    request = ImportRequest(name, chosen)
    request.check()
    return common.start(request, folder, worker_folder)


@waits_for(start_import, "import")
def import_prior(job: Job, file: str | os.PathLike[str] | None) -> Training:
    """Make a prior from a checkpoint in the official DeepSDF layout; returns when it is there."""
    return add_prior(job.folder, file)


def keep_prior(
    source: str | os.PathLike[str], name: str | None = None, *, file: str | os.PathLike[str] | None = None
) -> PriorFile:
    """Copy a prior's file, such as another person's, among the user's priors, with the picture beside it.

    Parameters
    ----------
    source : path
        A .safetensors file.
    name : str, optional
        What the prior is to be called; as the file by default.
    file : path, optional
        Put it there rather than among the user's priors.

    Raises
    ------
    RequestError
        It is no prior, the name cannot be used, or it cannot be copied.
    """
    path = Path(bpy.path.abspath(os.fspath(source))).absolute()
    if path.suffix != ".safetensors" or not path.is_file():
        raise RequestError(
            f"{path} is no .safetensors file: choose the file of a shape prior, or the folder of a DeepSDF checkpoint."
        )
    name = path.stem if name is None else name
    _check_target(name, file)
    found = prior_files.find_prior(path)
    found.codes()
    kept = prior_files.keep_prior(path, name, None if file is None else Path(file))
    # It can do without.
    with contextlib.suppress(OSError):
        if not kept.picture.exists():
            copy_file(found.picture, kept.picture)
    return next((listed for listed in prior_files.priors() if listed.path == kept.path), kept)


def add_prior(folder: str | os.PathLike[str], file: str | os.PathLike[str] | None = None) -> Training:
    """Put the prior that a finished training or import made among the user's priors, or where `file` says.

    A training's losses and pictures are shown as the image “DIST Training”, and one picture is kept beside the prior.

    Raises
    ------
    RequestError
        The folder holds no prior, or there is another of its name.
    """
    folder = Path(folder).absolute()
    task = common.task_of(folder)
    if task not in (TRAIN, IMPORT):
        raise RequestError(f"The folder {folder} holds no prior, but what another job made: import it as a result.")
    report = PriorResult.load(folder).report
    prior = prior_files.keep_prior(folder / PRIOR_FILE, str(report["name"]), None if file is None else Path(file))
    image = None
    if task == TRAIN:
        # One of that name beside a file of the user's is the user's.
        if not prior.picture.exists():
            scene_training.keep_picture(folder, prior.picture)
        image = scene_training.show(folder)
    return Training(prior, report, folder, image)


def _check_target(name: str, file: str | os.PathLike[str] | None) -> None:
    """Raise `RequestError` before any work where the prior could not be kept."""
    if file is None:
        prior_files.check_free(name)
    elif Path(file).suffix != ".safetensors":
        raise RequestError(f"The prior's file {file} must end in .safetensors.")
