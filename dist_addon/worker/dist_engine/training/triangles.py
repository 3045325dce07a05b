"""What is measured of triangles, each given by its corners: arrays (K, 3, 3)."""

from __future__ import annotations

import numpy as np


def areas(triangles: np.ndarray) -> np.ndarray:
    """Area (K,) of each of triangles (K, 3, 3)."""
    return np.linalg.norm(_cross(triangles), axis=1) / 2


def normals(triangles: np.ndarray) -> np.ndarray:
    """Unit normal (K, 3) of each of triangles (K, 3, 3); 0 where there is no area."""
    cross = _cross(triangles)
    return cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-300)


def volumes(triangles: np.ndarray) -> np.ndarray:
    """Signed volume (K,) between the origin and each of triangles (K, 3, 3)."""
    return np.einsum("ij,ij->i", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6


def longest_edge(triangles: np.ndarray) -> np.ndarray:
    """Length (K,) of the longest edge of each of triangles (K, 3, 3)."""
    return np.linalg.norm(triangles - np.roll(triangles, -1, 1), axis=2).max(1)


def halve(triangles: np.ndarray, times: int) -> np.ndarray:
    """Halve each of triangles (K, 3, 3) at its longest edge, and the halves again: (K * 2**times, 3, 3)."""
    for _ in range(times):
        lengths = np.linalg.norm(triangles - np.roll(triangles, -1, 1), axis=2)
        order = (lengths.argmax(1)[:, None] + np.arange(3)) % 3
        a, b, c = np.moveaxis(np.take_along_axis(triangles, order[..., None], 1), 1, 0)
        middle = (a + b) / 2
        triangles = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
    return triangles


def bisect(triangles: np.ndarray, edge: float) -> np.ndarray:
    """Halve triangles (K, 3, 3) at their longest edges until none is longer than `edge`."""
    done = []
    while len(triangles):
        long = longest_edge(triangles) > edge
        done.append(triangles[~long])
        triangles = halve(triangles[long], 1)
    return np.concatenate(done)


def spread(triangles: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Some of triangles (K, 3, 3), drawn by area (count, 3, 3), and a point (count, 3) in each."""
    area = areas(triangles)
    chosen = triangles[rng.choice(len(triangles), count, p=area / area.sum())]
    return chosen, np.einsum("nij,ni->nj", chosen, rng.dirichlet((1, 1, 1), count))


def _cross(triangles: np.ndarray) -> np.ndarray:
    return np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
