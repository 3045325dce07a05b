"""Points of the thing's surface: tracked, scanned or placed by hand."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import Bounds, RequestError

# A mesh or a point cloud, or an array (N, 3) of the world.
PointSource = bpy.types.Object | np.ndarray

KINDS = {"MESH", "POINTCLOUD"}
MOST = 1_000_000
# Bounds are rough: points count up to so many times their size.
ROOM = 1.2


def read_points(points: PointSource, depsgraph: bpy.types.Depsgraph, bounds: Bounds | None = None) -> np.ndarray:
    """Return points in the world; where there are bounds, those about them only: a scan shows more than the thing.

    Parameters
    ----------
    points : Object or (N, 3) array
        A mesh's vertices or a point cloud's points, with modifiers, where they stand now; or world positions.
    depsgraph : Depsgraph
    bounds : Bounds, optional

    Returns
    -------
    (N, 3) array, Blender units

    Raises
    ------
    RequestError
        It is neither, there are none, none within the bounds, or too many, or one is not finite.
    """
    if isinstance(points, bpy.types.Object):
        who = f"The points “{points.name}”"
        if points.type not in KINDS:
            raise RequestError(
                f"{who} are neither a mesh nor a point cloud: choose one whose vertices or points lie on the thing's "
                "surface."
            )
        evaluated = points.evaluated_get(depsgraph)
        # In Edit Mode, an evaluated mesh itself has no vertices.
        data: Any = evaluated.to_mesh() if points.type == "MESH" else evaluated.data
        places = data.attributes.get("position")
        own = np.empty(3 * len(places.data) if places else 0, np.float32)
        if places:
            places.data.foreach_get("vector", own)
        if points.type == "MESH":
            evaluated.to_mesh_clear()
        matrix = np.array(evaluated.matrix_world, dtype=np.float64)
        found = own.reshape(-1, 3).astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    else:
        who = "The points"
        try:
            found = np.array(points, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise RequestError(
                f"The points must be a mesh, a point cloud, or rows of three numbers: {error}"
            ) from error
        if found.ndim != 2 or found.shape[1] != 3:
            raise RequestError(
                f"The points are {found.shape}: give a mesh, a point cloud, or an array of rows (x, y, z)."
            )
    if not 0 < len(found) <= MOST:
        raise RequestError(f"{who} are {len(found):,}: give between 1 and {MOST:,}.")
    if not np.isfinite(found).all():
        raise RequestError(f"{who} hold a place that is not finite: remove it.")
    if bounds is not None:
        found = found[(np.abs((found - bounds.center) @ bounds.rotation) <= ROOM * bounds.half_size).all(1)]
        if not len(found):
            raise RequestError(f"{who} are all outside the bounds: move the bounds to where the thing is.")
    return found
