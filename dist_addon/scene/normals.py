"""Normals from files: EXR passes, in the world's space or the cameras'."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..inputs import NORMAL_SPACES, Normals
from ..steps import Steps
from ..worker.dist_engine.protocol import RequestError, View
from .cameras import BLENDER_TO_PROTOCOL
from .passes import read_numbers, read_passes
from .shots import Shot

SPACES = {space.value: space.label for space in NORMAL_SPACES}
# How far from 1 a normal's length may be. What is farther is a mean across an edge, the normal of nothing.
UNIT_LENGTH = 0.1
# A surface that is seen faces the camera. Up to this cosine (3 degrees) it may seem not to, where the camera is a
# little off; and so may this share of a view's pixels, where edges of the mesh are shaded smooth. Of other meshes none
# do. In the wrong space, turned by 25 degrees, more of a ball's do; and a box's upright sides, but by little.
GRAZING = 0.05
MOST_AWAY = 0.03


def read_normals(normals: Normals, shots: list[Shot], views: list[View], masks: np.ndarray) -> Steps[np.ndarray]:
    """Read the normals of the thing's surface.

    Parameters
    ----------
    normals : Normals
    shots, views, masks
        As `read_passes` takes them.

    Returns
    -------
    (V, H, W, 3) float32 array
        Unit length, in the cameras' frames (x right, y down, z forward); NaN where unknown, or where there is no file.

    Raises
    ------
    RequestError
        A file holds no normals, or in another space, or is of another size than the masks; or there is no normal of
        the thing at all.
    """
    if normals.space not in SPACES:
        raise RequestError(f"There is no space “{normals.space}” of normals: choose one of {', '.join(SPACES)}.")

    def read(file: Path, who: str, view: View, inside: np.ndarray) -> np.ndarray:
        if file.suffix.lower() != ".exr":
            raise RequestError(
                f"{who} is no EXR: save the Normal pass as OpenEXR, which holds vectors as they are; a picture of "
                "colours does not."
            )
        numbers = read_numbers(file, who, inside.shape)
        there = inside & np.isfinite(numbers).all(axis=-1) & numbers.any(axis=-1)
        vectors = numbers[there].astype(np.float64)
        _check_lengths(vectors, who)
        right = _are_units(vectors)
        there[there] = right
        units = vectors[right] / np.linalg.norm(vectors[right], axis=1, keepdims=True)
        _check_facing(units, there, view, who, normals.space)
        found = np.full(numbers.shape, np.nan, np.float32)
        found[there] = units @ _to_camera(view, normals.space).T
        return found

    return (yield from read_passes(normals.folder, "normal", shots, views, masks, read, (3,)))


def _are_units(vectors: np.ndarray) -> np.ndarray:
    """Which (N,) of vectors (N, 3) have the length 1, or nearly so."""
    return np.abs(np.linalg.norm(vectors, axis=1) - 1) <= UNIT_LENGTH


def _check_lengths(vectors: np.ndarray, who: str) -> None:
    """Refuse vectors (N, 3) most of which are no normals, or are so only once they are taken for colours."""
    if not len(vectors):
        return
    right, as_colours = _are_units(vectors).mean(), _are_units(2 * vectors - 1).mean()
    if as_colours > max(right, 0.5):
        raise RequestError(
            f"{who} holds colours, (n + 1) / 2, where vectors n belong: save the Normal pass itself as OpenEXR, or "
            "turn the colours into vectors, 2 c - 1, in the compositor."
        )
    if right < 0.5:
        raise RequestError(
            f"{who} holds no normals: {1 - right:.0%} of its vectors on the thing are not of length 1. Save the Normal "
            "pass itself as OpenEXR."
        )


def _check_facing(units: np.ndarray, known: np.ndarray, view: View, who: str, chosen: str) -> None:
    """Refuse unit vectors (N, 3) at the pixels that are known (H, W), where too many face away from the camera."""
    if not len(units):
        return
    y, x = np.nonzero(known)
    rays = np.linalg.solve(view.K, np.stack([x + 0.5, y + 0.5, np.ones(len(x))])).T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    away = {space: float(((units @ _to_camera(view, space).T * rays).sum(axis=1) > GRAZING).mean()) for space in SPACES}
    if away[chosen] <= MOST_AWAY:
        return
    (other,) = SPACES.keys() - {chosen}
    remedy = (
        f"In {SPACES[other]} they do not: choose that."
        if away[other] <= MOST_AWAY
        else f"In {SPACES[other]} they do so, too: check that the file belongs to this camera, and that camera space "
        "has x right, y up and z towards the camera."
    )
    raise RequestError(
        f"{who} does not fit {SPACES[chosen]}: {away[chosen]:.0%} of its normals on the thing face away from the "
        f"camera there. {remedy}"
    )


def _to_camera(view: View, space: str) -> np.ndarray:
    """The matrix (3, 3) that takes vectors in a space to the camera's frame."""
    return view.world_to_camera[:, :3] if space == "world" else BLENDER_TO_PROTOCOL
