"""How good a reconstruction is, once the truth is known."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree  # type: ignore[import-untyped]

from ..training import sampling


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Return points spread evenly by area over a mesh.

    Parameters
    ----------
    vertices : (N, 3) array
    faces : (M, 3) array of indices
    count : int
    seed : int
        The same seed gives the same points.

    Returns
    -------
    (count, 3) float64 array
        In the frame of `vertices`.
    """
    return sampling.sample_surface(np.asarray(vertices, float), faces, count, np.random.default_rng(seed))


def chamfer_x1000(points_a: np.ndarray, points_b: np.ndarray) -> float:
    """Return 1000 times the Chamfer distance of two point sets, as DIST (Liu et al., CVPR 2020) tabulates it.

    Mean squared distance to the nearest neighbour, both directions added. Two samplings of one surface do not give 0.

    Parameters
    ----------
    points_a, points_b : (N, 3) and (M, 3) arrays
        In the same frame, which is the normalised one for numbers that can be compared.
    """
    return 1000.0 * (_squared_distances(points_a, points_b).mean() + _squared_distances(points_b, points_a).mean())


def silhouette_iou(mask_a: np.ndarray, mask_b: np.ndarray) -> float:
    """Return intersection over union of two boolean masks of one shape; 1 where both are empty."""
    union = np.count_nonzero(mask_a | mask_b)
    return np.count_nonzero(mask_a & mask_b) / union if union else 1.0


def _squared_distances(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Squared distance (N,) from each of `points` to the nearest of `targets`."""
    return KDTree(targets).query(points)[0] ** 2
