"""A finished job's result as a mesh object."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..worker.dist_engine.protocol import RequestError, Result

COLLECTION = "DIST Reconstructions"
# Custom properties of a result's object: its shape's code, the code's prior (as `prior_files.find_prior` takes it), and
# how many of the object's units the prior's unit is long.
CODE, PRIOR, SCALE = "dist_code", "dist_prior", "dist_scale"


def add_result(result: Result, scene: bpy.types.Scene, name: str = "DIST Shape") -> bpy.types.Object:
    """Add a result to a scene, in the collection "DIST Reconstructions".

    Parameters
    ----------
    result : Result
    scene : Scene
    name : str
        Of the object and its mesh.

    Returns
    -------
    Object
        At scale 1, its matrix the result's rotation and translation; the report's numbers are custom properties.

    Raises
    ------
    RequestError
        The result is empty or not a mesh.
    """
    vertices, faces = np.asarray(result.vertices), np.asarray(result.faces)
    if len(vertices) == 0 or len(faces) == 0:
        raise RequestError(
            "The result holds no surface: the fit found no shape. Check that the bounds hold the thing, and the masks."
        )
    if not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
        raise RequestError("The result's mesh is damaged: run the reconstruction again.")
    thing = bpy.data.objects.new(name, make_mesh(name, vertices, faces, np.asarray(result.normals)))
    thing.matrix_world = Matrix(
        [[*row, shift] for row, shift in zip(result.rotation.tolist(), result.translation.tolist(), strict=True)]
        + [[0.0, 0.0, 0.0, 1.0]]
    )
    for key, value in result.report.items():
        _set_property(thing, f"dist_{key}", value)
    _collection(scene).objects.link(thing)
    return thing


def is_result(thing: bpy.types.Object | None) -> bool:
    """Whether an object is a reconstruction, whose shape has a code."""
    return thing is not None and thing.get(CODE) is not None and thing.get(SCALE) is not None


def make_mesh(name: str, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> bpy.types.Mesh:
    """Make a smooth mesh of triangles.

    Parameters
    ----------
    name : str
    vertices : (N, 3) array, Blender units
    faces : (M, 3) array of indices
    normals : (N, 3) array
        Kept as custom normals where the mesh needed no repair.
    """
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    repaired = mesh.validate()
    mesh.shade_smooth()
    if not repaired and normals.shape == vertices.shape and np.isfinite(normals).all():
        mesh.normals_split_custom_set_from_vertices(normals.tolist())
    mesh.update()
    return mesh


def _collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    for child in scene.collection.children:
        if child.name.startswith(COLLECTION) and child.library is None:
            return child
    collection = bpy.data.collections.new(COLLECTION)
    scene.collection.children.link(collection)
    return collection


def _set_property(thing: bpy.types.Object, name: str, value: Any) -> None:
    """Keep numbers, texts and lists of numbers; a dictionary becomes one property an entry."""
    if isinstance(value, dict):
        for key, entry in value.items():
            _set_property(thing, f"{name}_{key}", entry)
    elif isinstance(value, (bool, int, float, str)):
        # Blender's integers have 32 bits.
        thing[name] = float(value) if type(value) is int and abs(value) > 2**31 - 1 else value
    elif isinstance(value, list) and value and all(isinstance(entry, (int, float)) for entry in value):
        thing[name] = [float(entry) for entry in value]
