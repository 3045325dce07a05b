"""What the training of a shape prior, or the import of one, needs, and what it leaves behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import VERSION, RequestError, copy_file, read_array, read_json, reading_fields, write_array, write_json

TRAIN, IMPORT = "train", "import"
# The prior that a job uses, or makes.
PRIOR_FILE = "prior.safetensors"
# What is chosen instead of a prior where the thing is of no class; so no prior can be called so.
ANYTHING = "anything"
# Kept current while a prior is trained: see `TrainRequest`.
LOSSES_FILE, PREVIEWS_FILE, CHECKPOINT_FILE = "losses.npy", "previews.npy", "checkpoint.safetensors"
MESH_FILES = (".obj", ".off", ".ply", ".stl", ".glb")
AXES = ("+x", "-x", "+y", "-y", "+z", "-z")
# `dist_engine.training.sizes` says what they are.
SIZES = ("small", "official")
# One shape has nothing to blend with; with many more, the names alone would fill the prior file's header.
FEWEST, MOST = 2, 5000
# Files that are larger together stay where they are.
COPIED_BYTES = 64 << 20


@dataclass(frozen=True)
class MeshArrays:
    """A mesh of the scene.

    Attributes
    ----------
    name : str
    vertices : (N, 3) float32 array
        In any unit, in axes that all meshes of a request share.
    faces : (M, 3) int32 array
        Triangles.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class MeshFile:
    """A mesh on disk.

    Attributes
    ----------
    name : str
        For messages, and in the prior.
    path : Path
        One of `MESH_FILES`.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class TrainRequest:
    """Everything that the training of a shape prior needs.

    Its folder holds all meshes, but for files of more than 64 MB together, which stay where they are. While the worker
    trains, it keeps there ``losses.npy`` (K, 2), steps and the mean loss since the last, ``previews.npy`` (H, W, 3),
    uint8, pictures of some shapes, and the checkpoint, from which a training of the same goes on.

    Attributes
    ----------
    name : str
        What the prior is to be called.
    meshes : sequence of MeshArrays or MeshFile
        All of one kind.
    up, front : str
        Which of the meshes' axes points up, and where the shapes' front looks: one of `AXES` each.
    size : str
        One of `SIZES`.
    steps : int
        Optimiser steps; 0 leaves the number to the size and the number of shapes.
    seed : int
    licence : str
        Of the meshes, and so of the prior; kept in it.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    threads : int
        CPU threads for the worker; 0 leaves the choice to PyTorch.
    """

    name: str
    meshes: Sequence[MeshArrays | MeshFile]
    up: str = "+z"
    front: str = "-y"
    size: str = "small"
    steps: int = 0
    seed: int = 0
    licence: str = ""
    device: str = "auto"
    threads: int = 0

    def check(self) -> None:
        """Raise `RequestError` for anything that no prior could be trained from."""
        check_name(self.name)
        count = len(self.meshes)
        if not FEWEST <= count <= MOST:
            raise RequestError(f"A prior is trained from {FEWEST} to {MOST} meshes; there are {count}.")
        if self.up not in AXES or self.front not in AXES or self.up[1] == self.front[1]:
            raise RequestError(f"Up {self.up} and front {self.front} must be two different axes of {', '.join(AXES)}.")
        if self.size not in SIZES:
            raise RequestError(f"There is no size “{self.size}”: choose one of {', '.join(SIZES)}.")
        if not 0 <= self.steps <= 10_000_000 or not 0 <= self.seed < 1 << 31:
            raise RequestError(
                f"Steps ({self.steps}) and seed ({self.seed}) must be numbers of 0 or more, not too large."
            )
        for mesh in self.meshes:
            if isinstance(mesh, MeshArrays) and not (_is_list_of_3(mesh.vertices) and _is_list_of_3(mesh.faces)):
                raise RequestError(f"The mesh “{mesh.name}” has vertices or faces that are not (N, 3) arrays.")

    def save(self, folder: Path) -> None:
        """Write the request into `folder` (which exists), with its meshes or copies of their files."""
        self.check()
        names = ("name", "up", "front", "size", "steps", "seed", "licence", "device", "threads")
        data: dict[str, Any] = {"version": VERSION, "task": TRAIN} | {name: getattr(self, name) for name in names}
        arrays = [mesh for mesh in self.meshes if isinstance(mesh, MeshArrays)]
        files = [mesh for mesh in self.meshes if isinstance(mesh, MeshFile)]
        if arrays:
            write_array(
                folder / "mesh_vertices.npy", np.concatenate([mesh.vertices for mesh in arrays], dtype=np.float32)
            )
            write_array(folder / "mesh_faces.npy", np.concatenate([mesh.faces for mesh in arrays], dtype=np.int32))
            data["arrays"] = [[mesh.name, len(mesh.vertices), len(mesh.faces)] for mesh in arrays]
        else:
            data["files"] = [[mesh.name, str(path)] for mesh, path in zip(files, _copy(files, folder), strict=True)]
        write_json(folder / "request.json", data)

    @staticmethod
    def load(folder: Path) -> TrainRequest:
        """Read and check a request.

        Raises
        ------
        RequestError
            A part is missing, of another version, or inconsistent.
        """
        path = folder / "request.json"
        data = read_json(path)
        meshes: list[Any]
        with reading_fields(path):
            if "arrays" in data:
                meshes = _cut(
                    data["arrays"], read_array(folder / "mesh_vertices.npy"), read_array(folder / "mesh_faces.npy")
                )
            else:
                meshes = [MeshFile(name, folder / path) for name, path in data["files"]]
            names = ("name", "up", "front", "size", "steps", "seed", "licence", "device", "threads")
            request = TrainRequest(meshes=meshes, **{name: data[name] for name in names})
            request.check()
        return request


@dataclass(frozen=True)
class ImportRequest:
    """Which checkpoint to make a prior file from.

    Attributes
    ----------
    name : str
        What the prior is to be called.
    source : Path
        A folder in the official DeepSDF layout; it is read where it is.
    """

    name: str
    source: Path

    def check(self) -> None:
        """Raise `RequestError` for a name that cannot be used."""
        check_name(self.name)

    def save(self, folder: Path) -> None:
        """Write the request into `folder` (which exists)."""
        self.check()
        data = {"version": VERSION, "task": IMPORT, "name": self.name, "source": str(self.source)}
        write_json(folder / "request.json", data)

    @staticmethod
    def load(folder: Path) -> ImportRequest:
        """Read and check a request; raises `RequestError` where a part is missing."""
        path = folder / "request.json"
        data = read_json(path)
        with reading_fields(path):
            request = ImportRequest(data["name"], Path(data["source"]))
            request.check()
        return request


@dataclass(frozen=True)
class PriorResult:
    """What a finished training or import leaves behind, beside the prior file.

    Attributes
    ----------
    report : dict
        ``name`` and ``shapes`` (the names of those that it holds). Of a training also: ``left_out`` (why, by the mesh's
        name), ``warnings`` (a list of them, by the mesh's name), ``size``, ``steps``, ``loss``, ``seconds`` (a number a
        stage) and ``device``.
    """

    report: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the result; the prior file is there already."""
        write_json(folder / "result.json", {"version": VERSION, "report": self.report})

    @staticmethod
    def load(folder: Path) -> PriorResult:
        """Read a result; raises `RequestError` where it is missing or damaged."""
        report = read_json(folder / "result.json").get("report")
        if not isinstance(report, dict) or "name" not in report or not (folder / PRIOR_FILE).is_file():
            raise RequestError(f"The folder {folder} holds no finished prior: run the job again.")
        return PriorResult(report)


def check_name(name: str) -> None:
    """Raise `RequestError` where a prior cannot be called so: its name is a file's name, on any system."""
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, re.IGNORECASE)
    if not name.isprintable() or re.search(r'[<>:"/\\|?*]', name) or name != name.strip(" .") or reserved:
        raise RequestError(f"“{name}” cannot be a prior's name: take letters, digits, spaces, “-” and “_”.")
    if name.casefold() == ANYTHING:
        raise RequestError(f"A prior cannot be called “{name}”, which stands for no class: choose another name.")
    if not 0 < len(name.encode("utf-8", "replace")) <= 100:
        raise RequestError("The prior needs a name, of at most 100 letters.")


def _copy(meshes: list[MeshFile], folder: Path) -> list[Path]:
    """Copy mesh files that are not too large into a folder; returns where each is, from there."""
    try:
        if sum(mesh.path.stat().st_size for mesh in meshes) > COPIED_BYTES:
            return [mesh.path.absolute() for mesh in meshes]
        places = [Path("meshes", str(index), mesh.path.name) for index, mesh in enumerate(meshes)]
        for mesh, place in zip(meshes, places, strict=True):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            copy_file(mesh.path, folder / place)
    except OSError as error:
        raise RequestError(f"A mesh cannot be read: {error}. Choose another folder.") from error
    return places


def _cut(entries: list[Any], vertices: np.ndarray, faces: np.ndarray) -> list[MeshArrays]:
    """Cut the arrays of all meshes into those of each."""
    if sum(entry[1] for entry in entries) != len(vertices) or sum(entry[2] for entry in entries) != len(faces):
        raise RequestError("mesh_vertices.npy or mesh_faces.npy is not what request.json says: make the request again.")
    cut, vertex, face = [], 0, 0
    for name, vertex_count, face_count in entries:
        cut.append(MeshArrays(name, vertices[vertex : vertex + vertex_count], faces[face : face + face_count]))
        vertex, face = vertex + vertex_count, face + face_count
    return cut


def _is_list_of_3(array: np.ndarray) -> bool:
    return array.ndim == 2 and array.shape[1] == 3
