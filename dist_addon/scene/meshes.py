"""Meshes to train a prior from, those that a collection shows or a folder's files; and one to start a fit from."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import MESH_FILES, MeshArrays, MeshFile, RequestError

# A folder with more in it was chosen by mistake, and takes long to look through.
MOST_ENTRIES = 100_000
# A mesh is open where the area that is missing, as seen from its best side, is this share of its own: a box without a
# lid, .2, still has an inside. And flat where it holds less than this share of the cube about it.
MOST_OPEN, LEAST_VOLUME = 0.3, 1e-6


def read_collection(collection: bpy.types.Collection, depsgraph: bpy.types.Depsgraph) -> list[MeshArrays]:
    """Return the shapes of a collection as triangles, with modifiers, as they stand in the world.

    Each object is a shape, and so is each collection in the collection, with all that is in it. Meshes, curves,
    surfaces, texts and metaballs count, and what instancers and geometry nodes make of them; what is hidden does not.

    Parameters
    ----------
    collection : Collection
    depsgraph : Depsgraph
        Of the view layer that shows them.

    Returns
    -------
    list of MeshArrays
        Turned and scaled as in the world, each about its own middle; Blender units.

    Raises
    ------
    RequestError
        Nothing of the collection can be seen.
    """
    # What shape each object is part of.
    shape_of: dict[bpy.types.Object, str] = {}
    for child in collection.children:
        for thing in child.all_objects:
            shape_of.setdefault(thing, child.name)
    for thing in collection.objects:
        shape_of.setdefault(thing, thing.name)
    parts: defaultdict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for instance in depsgraph.object_instances:
        owner: Any = instance.parent if instance.is_instance else instance.object
        name = shape_of.get(owner.original)
        matrix = np.array(instance.matrix_world, dtype=np.float64)
        if name is not None and (triangles := _triangles(instance.object, matrix)):
            parts[name].append(triangles)
    if not parts:
        raise RequestError(f"The collection “{collection.name}” shows no mesh: put meshes into it, and unhide them.")
    # In the collection's order, which the same file always has.
    return [_join(name, parts[name]) for name in dict.fromkeys(shape_of.values()) if name in parts]


def read_closed(thing: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> tuple[np.ndarray, np.ndarray]:
    """Return an object's triangles, with modifiers, where it stands: vertices (N, 3) in the world, faces (M, 3).

    They look outwards, also where the mesh was inside out; a small hole will do.

    Raises
    ------
    RequestError
        It is no mesh, or has no faces or no inside.
    """
    who = f"The mesh to start from, “{thing.name}”,"
    if thing.type != "MESH":
        raise RequestError(f"“{thing.name}”, chosen to start from, is no mesh: choose one, or none.")
    evaluated = thing.evaluated_get(depsgraph)
    found = _triangles(evaluated, np.array(evaluated.matrix_world, dtype=np.float64))
    if found is None:
        raise RequestError(f"{who} has no faces: give it some, or choose another one.")
    vertices, faces = found
    if not np.isfinite(vertices).all():
        raise RequestError(f"{who} has a vertex that is not finite: remove it.")
    corners = vertices[faces] - vertices[faces].mean(axis=(0, 1))
    # Twice the triangles' areas, along their normals: those of a closed surface add up to nothing.
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    volume = float((corners[:, 0] * areas).sum() / 6)
    missing = np.linalg.norm(areas.sum(axis=0)) / max(np.linalg.norm(areas, axis=1).sum(), 1e-30)
    if abs(volume) <= LEAST_VOLUME * np.ptp(corners.reshape(-1, 3), axis=0).max() ** 3 or missing > MOST_OPEN:
        raise RequestError(
            f"{who} has no inside: it is open or flat. Close it with Mesh > Fill, or with a Remesh or Solidify "
            "modifier, or choose another one."
        )
    return vertices, faces if volume > 0 else faces[:, ::-1]


def list_files(folder: Path) -> list[MeshFile]:
    """Return the mesh files in a folder and in those within it, sorted; hidden ones are left out.

    Raises
    ------
    RequestError
        There is no such folder, it holds no mesh files, or far too much else.
    """
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}: choose one that holds meshes.")
    entries = list(itertools.islice(folder.rglob("*"), MOST_ENTRIES + 1))
    if len(entries) > MOST_ENTRIES:
        raise RequestError(f"The folder {folder} holds more than {MOST_ENTRIES:,} files: choose one of meshes only.")
    found = sorted(path for path in entries if path.suffix.lower() in MESH_FILES and path.is_file())
    meshes = [MeshFile(path.relative_to(folder).as_posix(), path.absolute()) for path in found]
    meshes = [mesh for mesh in meshes if not any(part.startswith(".") for part in mesh.name.split("/"))]
    if not meshes:
        raise RequestError(f"The folder {folder} holds no meshes: it takes files that end in {', '.join(MESH_FILES)}.")
    return meshes


def _triangles(thing: Any, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """World vertices (N, 3) and faces (M, 3) of an evaluated object that stands at a matrix; None where it has none."""
    try:
        mesh = thing.to_mesh()
    except RuntimeError:  # A camera, say.
        return None
    try:
        mesh.calc_loop_triangles()
        if not len(mesh.loop_triangles):
            return None
        vertices = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", vertices)
        faces = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", faces)
    finally:
        thing.to_mesh_clear()
    vertices, faces = vertices.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3], faces.reshape(-1, 3)
    # A mirror turns faces round.
    return vertices, faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else faces


def _join(name: str, parts: list[tuple[np.ndarray, np.ndarray]]) -> MeshArrays:
    vertices = np.concatenate([part[0] for part in parts])
    first = np.cumsum([0, *(len(part[0]) for part in parts)])
    faces = np.concatenate([part[1] + start for part, start in zip(parts, first, strict=False)])
    # Far from the world's origin, single precision would leave little of a small thing.
    vertices = vertices - (vertices.min(0) + vertices.max(0)) / 2
    return MeshArrays(name, vertices.astype(np.float32), faces.astype(np.int32))
