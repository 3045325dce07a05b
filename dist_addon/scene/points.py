"""Points of the thing's surface: tracked, scanned or placed by hand."""

from __future__ import annotations

import bpy
import numpy as np

from ..worker.dist_engine.protocol import RequestError

# A mesh object, or an array (N, 3) of the world.
Points = bpy.types.Object | np.ndarray

MOST = 1_000_000


def read_points(points: Points, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Return points in the world.

    Parameters
    ----------
    points : Object or (N, 3) array
        A mesh's vertices, with its modifiers, where it stands now; or world positions.
    depsgraph : Depsgraph

    Returns
    -------
    (N, 3) array, Blender units

    Raises
    ------
    RequestError
        It is neither, there are none or too many, or one is not finite.
    """
    if isinstance(points, bpy.types.Object):
        who = f"The points “{points.name}”"
        if points.type != "MESH":
            raise RequestError(f"{who} are no mesh: choose a mesh whose vertices lie on the thing's surface.")
        evaluated = points.evaluated_get(depsgraph)
        mesh = evaluated.to_mesh()
        try:
            own = np.empty(3 * len(mesh.vertices), np.float32)
            mesh.vertices.foreach_get("co", own)
        finally:
            evaluated.to_mesh_clear()
        matrix = np.array(evaluated.matrix_world, dtype=np.float64)
        found = own.reshape(-1, 3).astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    else:
        who = "The points"
        try:
            found = np.array(points, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise RequestError(f"The points must be a mesh object, or rows of three numbers: {error}") from error
        if found.ndim != 2 or found.shape[1] != 3:
            raise RequestError(f"The points are {found.shape}: give a mesh object, or an array of rows (x, y, z).")
    if not 0 < len(found) <= MOST:
        raise RequestError(f"{who} are {len(found):,}: give between 1 and {MOST:,}.")
    if not np.isfinite(found).all():
        raise RequestError(f"{who} hold a place that is not finite: remove it.")
    return found
