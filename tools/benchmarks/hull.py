"""The visual hull: what all masks leave of space, as a mesh. What every other method must be better than."""

from __future__ import annotations

import igl
import numpy as np
from dist_engine.protocol import View
from scipy import ndimage  # type: ignore[import-untyped]

from .things import Mesh

CELLS = 128
# The box's half side, where the thing is in the unit sphere.
ROOM = 1.06


def visual_hull(
    views: list[View],
    masks: np.ndarray,
    known: np.ndarray | None = None,
    centre: tuple[float, float, float] = (0, 0, 0),
    radius: float = 1.0,
) -> Mesh:
    """The hull of masks (V, H, W) bool, in a sphere; what is not `known`, or beside some pictures, may be inside.

    Each mask's distance from its outline, in pixels, becomes one in space at the depth where it is asked; the largest
    of all views is smooth enough for marching cubes.
    """
    axis = np.linspace(-ROOM, ROOM, CELLS + 1)
    # The first axis runs fastest.
    nodes = radius * np.stack(np.meshgrid(axis, axis, axis, indexing="ij")[::-1], -1).reshape(-1, 3)
    values = np.linalg.norm(nodes, axis=1) - 1.02 * radius
    nodes += centre
    looks = np.zeros(len(nodes), int)
    for number, (view, mask) in enumerate(zip(views, masks, strict=True)):
        may_be = mask if known is None else mask | ~known[number]
        distance = np.where(may_be, 0.5 - _to(~may_be), _to(may_be) - 0.5)
        seen = nodes @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]
        depth = np.maximum(seen[:, 2], 1e-6 * radius)
        x, y = (seen @ view.K.T)[:, :2].T / depth
        # Pixels' middles are at halves.
        asked = ndimage.map_coordinates(distance, [y - 0.5, x - 0.5], order=1, mode="nearest")
        inside = (x >= 0) & (y >= 0) & (x <= mask.shape[1]) & (y <= mask.shape[0]) & (seen[:, 2] > 0)
        values = np.where(inside, np.maximum(values, asked * depth / view.K[0, 0]), values)
        looks += inside
    # What most pictures do not show is not the thing that they were taken of.
    values = np.where(2 * looks < len(views), np.maximum(values, radius / CELLS), values)
    vertices, faces, _ = igl.marching_cubes(values, nodes, *[CELLS + 1] * 3, 0.0)
    return vertices, faces


def _to(mask: np.ndarray) -> np.ndarray:
    """Pixels (H, W) to the nearest of a mask's; far where it has none."""
    return np.asarray(ndimage.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, 1e3))
