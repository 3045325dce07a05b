"""Where a shape stands that is to be rendered."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from ..prior_files import PriorFile
from ..worker.dist_engine.protocol import Placement, RequestError
from . import bounds as scene_bounds
from . import result as scene_result

# A 4x4 matrix: a mathutils.Matrix, an array, or rows of numbers.
Matrix = Sequence[Sequence[float]] | np.ndarray


def read_placement(
    where: bpy.types.Object | Matrix | None, prior: PriorFile, depsgraph: bpy.types.Depsgraph
) -> Placement:
    """Return where a thing stands.

    Parameters
    ----------
    where : Object, 4x4 matrix or None
        A reconstruction's object: where it stands now. An Empty: bounds, which the thing fills as a fit starts. A
        matrix: from the thing's own frame (right, back, up; the prior's unit) to the world. None: the world's origin,
        with the prior's unit one Blender unit long.
    prior : PriorFile
        What the thing's shape is from.
    depsgraph : Depsgraph

    Raises
    ------
    RequestError
        The object is none of these, or it is sheared, mirrored or not scaled evenly.
    """
    if where is None:
        return Placement(1.0, np.eye(3), np.zeros(3))
    if not isinstance(where, bpy.types.Object):
        try:
            return _similarity(np.array(where, dtype=np.float64), 1.0, "The placement")
        except (TypeError, ValueError) as error:
            raise RequestError(f"The placement must be a 4x4 matrix or an object: {error}") from error
    if scene_result.is_result(where):
        matrix = np.array(where.evaluated_get(depsgraph).matrix_world, dtype=np.float64)
        if isinstance(where.data, bpy.types.Mesh):
            matrix = matrix @ scene_result.applied(where.data)
        return _similarity(matrix, float(where[scene_result.SCALE]), f"The object “{where.name}”")
    bounds = scene_bounds.read_bounds(where, depsgraph)
    return Placement(float(np.linalg.norm(bounds.half_size)) / prior.radius, bounds.rotation, bounds.center)


def _similarity(matrix: np.ndarray, unit: float, who: str) -> Placement:
    """Take a matrix apart; `unit` is the length of the prior's unit in the matrix's own frame."""
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise RequestError(f"{who} needs a 4x4 matrix of finite numbers.")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    scale = float(lengths.mean())
    axes = matrix[:3, :3] / max(scale, 1e-12)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3) or np.linalg.det(axes) < 0:
        raise RequestError(
            f"{who} is sheared, mirrored, or not scaled evenly: clear its scale (Alt+S), its parents' too."
        )
    left, _, right = np.linalg.svd(axes)
    return Placement(scale * unit, left @ right, matrix[:3, 3].copy())
