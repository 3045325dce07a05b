"""How good a reconstruction is, once the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np

from ..training.sampling import normalisation, spread

# Of each surface. Their triangles are measured to, so that there is no floor: two samplings of one surface give 0.
POINTS = 60_000
# How near counts as found, where the truth's farthest vertex is at 1: a hundredth of what spans the unit sphere.
REACH = 0.02


@dataclass(frozen=True)
class Errors:
    """How far a surface is from the true one, in the unit of length in which the truth's farthest vertex is at 1.

    Attributes
    ----------
    chamfer_x1000 : float
        1000 times the mean squared distance to the other surface, both ways added (DIST, Liu et al., CVPR 2020).
    f : float
        Harmonic mean of the shares of both surfaces that are within a reach of the other.
    normal_error : float
        Mean angle between the normal of a place and that of the nearest place on the other surface, both ways
        averaged, in degrees.
    """

    chamfer_x1000: float
    f: float
    normal_error: float


def compare(
    found_vertices: np.ndarray,
    found_faces: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    reach: float = REACH,
    seed: int = 0,
) -> Errors:
    """Measure a mesh that was found by the true one: points spread by area over each, to the other's triangles.

    Parameters
    ----------
    found_vertices, found_faces : (N, 3) and (M, 3) arrays
        Wound outwards. Without faces, all is missed.
    vertices, faces : (P, 3) and (Q, 3) arrays
        The truth, in the same frame and unit, which may be any.
    reach : float
        In the unit in which the truth's farthest vertex is 1 from the middle of its box.
    seed : int
        Of the points.
    """
    if not len(found_faces):
        return Errors(float("inf"), 0.0, float("nan"))
    normalise = normalisation(np.asarray(vertices, float), 1.0)
    one, two = (normalise(np.asarray(v, float)) for v in (found_vertices, vertices))
    precise, turned = _errors(one, found_faces, two, faces, seed)
    recalled, turned_back = _errors(two, faces, one, found_faces, seed + 1)
    precision, recall = (float((d < reach).mean()) for d in (precise, recalled))
    return Errors(
        1000 * float((precise**2).mean() + (recalled**2).mean()),
        2 * precision * recall / max(precision + recall, 1e-9),
        float((turned.mean() + turned_back.mean()) / 2),
    )


def silhouette_iou(mask_a: np.ndarray, mask_b: np.ndarray, known: np.ndarray | bool = True) -> float:
    """Return intersection over union of two boolean masks of one shape, where both are `known`; 1 if both are empty."""
    union = np.count_nonzero((mask_a | mask_b) & known)
    return np.count_nonzero(mask_a & mask_b & known) / union if union else 1.0


def nearest(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each of `points` (N, 3) to a mesh, and which of its triangles is nearest: both (N,)."""
    points, vertices = (np.ascontiguousarray(array, float) for array in (points, vertices))
    squared, face, _ = igl.point_mesh_squared_distance(points, vertices, np.ascontiguousarray(faces, np.int64))
    return np.sqrt(squared), face


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (M, 3) of triangles."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def _errors(
    vertices: np.ndarray, faces: np.ndarray, other: np.ndarray, other_faces: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distances to another mesh, and angles between the normals in degrees, of `POINTS` places: both (POINTS,)."""
    points, face = spread(vertices, faces, POINTS, np.random.default_rng(seed))
    distances, near = nearest(points, other, other_faces)
    cosine = (face_normals(vertices, faces)[face] * face_normals(other, other_faces)[near]).sum(1)
    return distances, np.degrees(np.arccos(cosine.clip(-1, 1)))
