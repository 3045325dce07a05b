"""Signed distance samples of a mesh, taken as DeepSDF takes them: most of them near the surface."""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np

# Shares of the samples and how far (in the unit sphere's units) they lie from the surface; the official recipe has 0.05
# and 0.016 only, and legs thinner than that would be seen by few samples.
NEAR_SURFACE = ((0.35, 0.006), (0.3, 0.02), (0.2, 0.06))


@dataclass(frozen=True)
class Normalisation:
    """How a mesh was carried into the object frame: ``object = (mesh - center) * scale``."""

    center: np.ndarray
    scale: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the mesh's frame in the object frame."""
        return (points - self.center) * self.scale


def normalisation(vertices: np.ndarray, radius: float = 1 / 1.03) -> Normalisation:
    """Centre the bounding box and put the farthest of `vertices` (N, 3) at `radius`."""
    center = (vertices.min(0) + vertices.max(0)) / 2
    reach = float(np.linalg.norm(vertices - center, axis=1).max())
    if not np.isfinite(reach) or reach <= 0:
        raise ValueError("The mesh has no extent, or a vertex that is not finite.")
    return Normalisation(center, radius / reach)


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points (count, 3) spread evenly by area over a triangle mesh."""
    corners = vertices[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = corners[rng.choice(len(faces), size=count, p=areas / areas.sum())]
    u, v = rng.random((2, count, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return chosen[:, 0] + u * (chosen[:, 1] - chosen[:, 0]) + v * (chosen[:, 2] - chosen[:, 0])


def signed_distance(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Signed distance (N,) at points (N, 3) to a closed mesh, negative inside (fast winding number)."""
    return igl.signed_distance(
        np.ascontiguousarray(points, float),
        np.ascontiguousarray(vertices, float),
        np.ascontiguousarray(faces, np.int64),
        igl.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER,
    )[0]


def sdf_samples(
    vertices: np.ndarray, faces: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) and their signed distances (count,), both float32, of a mesh in the object frame."""
    parts = [
        points + rng.normal(scale=sigma, size=points.shape)
        for share, sigma in NEAR_SURFACE
        for points in [sample_surface(vertices, faces, int(share * count), rng)]
    ]
    rest = count - sum(len(part) for part in parts)
    direction = rng.normal(size=(rest, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    parts.append(direction * rng.random((rest, 1)) ** (1 / 3))
    points = np.concatenate(parts)
    return points.astype(np.float32), signed_distance(vertices, faces, points).astype(np.float32)
