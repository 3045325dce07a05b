"""The one object that shows a fit as it goes. Not part of the user's work: no undo steps, and it goes with the job."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import Result
from . import result as scene_result

NAME = "DIST Preview"
# A custom property by which it is known, whatever an undo made of it.
MARK = "dist_preview"


def show(result: Result, scene: bpy.types.Scene) -> bpy.types.Object:
    """Put a mesh into the preview object of a scene, which is made where it is missing.

    Raises
    ------
    RequestError
        The result is empty or not a mesh.
    """
    scene_result.check(result)
    thing = next((found for found in _all() if found.name in scene.objects), None)
    if thing is None:
        thing = bpy.data.objects.new(NAME, bpy.data.meshes.new(NAME))
        thing[MARK] = True
        thing.hide_select = thing.hide_render = True
        scene_result.collection(scene).objects.link(thing)
    mesh: Any = thing.data
    mesh.clear_geometry()
    # Custom normals take older Blenders longer than all the rest.
    scene_result.fill_mesh(mesh, replace(result, vertex_normals=np.empty((0, 3))))
    thing.matrix_world = scene_result.matrix(result)
    return thing


def remove() -> None:
    """Delete the preview, and a collection that was made for nothing else."""
    for thing in _all():
        mesh: Any = thing.data
        collections = thing.users_collection
        bpy.data.objects.remove(thing)
        if mesh.users == 0:
            bpy.data.meshes.remove(mesh)
        for collection in collections:
            if collection.name.startswith(scene_result.COLLECTION) and not collection.all_objects:
                bpy.data.collections.remove(collection)


def _all() -> list[bpy.types.Object]:
    return [thing for thing in bpy.data.objects if thing.get(MARK) and isinstance(thing.data, bpy.types.Mesh)]
