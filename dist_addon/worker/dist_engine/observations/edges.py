"""Where the outlines in masks are, to a fraction of a pixel: between the middles of pixels that know what they show."""

from __future__ import annotations

import igl
import numpy as np
import torch
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor

from ..protocol import COVERED


def signed_distance(masks: np.ndarray, known: np.ndarray | None = None) -> Tensor:
    """Distance of the middle of every pixel from its view's outline, in pixels.

    The outline is where the coverage, linear between the middles of neighbours, is a half: from masks of coverage,
    within a tenth of a pixel; from masks of black and white, half way between the middles. There is none between a
    pixel that is known and one that is not, and none at the picture's edge.

    Parameters
    ----------
    masks : (V, H, W) uint8 array
        Coverage, 0 to 255.
    known : (V, H, W) bool array, optional
        Where the masks know what they show; everywhere if not given.

    Returns
    -------
    (V, H, W) float tensor
        Negative inside; infinite where a view has no outline; NaN where nothing is known.
    """
    known = np.ones(masks.shape, bool) if known is None else known
    found = np.empty(masks.shape, np.float32)
    for mask, sure, own in zip(masks, known, found, strict=True):
        own[:] = _distance(mask, sure)
    return torch.as_tensor(found)


def distance_to_unknown(known: np.ndarray) -> Tensor:
    """Distance (V, H, W) of the middle of every pixel from the nearest that is not known (V, H, W), in pixels.

    Beyond a picture's edge nothing is known. No outline that the masks do not show is nearer than this.
    """
    found = np.empty(known.shape, np.float32)
    for sure, own in zip(known, found, strict=True):
        own[:] = ndimage.distance_transform_edt(np.pad(sure, 1))[1:-1, 1:-1]
    # The nearest may lie anywhere in the pixel that is not known.
    return torch.as_tensor(found - 0.5).clamp(min=0)


def _distance(mask: np.ndarray, known: np.ndarray) -> np.ndarray:
    above = mask.astype(float) - (COVERED - 0.5)
    ends = _outline(above, known)
    length = np.full(mask.shape, np.inf)
    if len(ends):
        y, x = np.nonzero(known)
        segments = np.arange(2 * len(ends)).reshape(-1, 2)
        squared = igl.point_mesh_squared_distance(np.column_stack([x, y]).astype(float), ends.reshape(-1, 2), segments)
        length[y, x] = np.sqrt(squared[0])
    return np.where(known, np.where(above > 0, -length, length), np.nan)


def _outline(above: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Pieces (S, 2 ends, 2) of where `above` (H, W) is zero, by marching squares between the middles of pixels."""
    # The corners of each square, and the sides from each to the next.
    corners = np.stack([above[:-1, :-1], above[:-1, 1:], above[1:, 1:], above[1:, :-1]])
    sure = known[:-1, :-1] & known[:-1, 1:] & known[1:, 1:] & known[1:, :-1]
    crossed = (corners > 0) != (np.roll(corners, -1, 0) > 0)
    y, x = np.nonzero(sure & crossed.any(0))
    corners, crossed = corners[:, y, x], crossed[:, y, x]
    places = np.stack([np.stack([x + right, y + down], 1) for right, down in ((0, 0), (1, 0), (1, 1), (0, 1))])
    ahead, share = np.roll(places, -1, 0), corners - np.roll(corners, -1, 0)
    share = np.divide(corners, share, out=np.zeros_like(corners), where=crossed)
    points = places + share[..., None] * (ahead - places)
    twice = np.nonzero(crossed.sum(0) == 2)[0]
    first, last = crossed[:, twice].argmax(0), 3 - crossed[::-1, twice].argmax(0)
    pieces = [np.stack([points[first, twice], points[last, twice]], 1)]
    # Where opposite corners are alike, the middle tells which two are joined; in doubt those inside: thin parts hold.
    through = crossed.all(0)
    joined = (corners.mean(0) >= 0) == (corners[0] > 0)
    for chosen, pairs in ((through & joined, ((0, 1), (2, 3))), (through & ~joined, ((1, 2), (3, 0)))):
        pieces += [points[pair, :][:, chosen].transpose(1, 0, 2) for pair in pairs]
    return np.concatenate(pieces)
