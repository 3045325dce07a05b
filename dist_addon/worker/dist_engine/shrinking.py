"""Pictures that are larger than a fit can use, made smaller, and their cameras with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .protocol import Request

# Pixels along the longer side. In units of finer ones, an outline that is off is off by so many that all seem alike: of
# the same table, from eight pictures of 2048 and the same rays, fits at 384 and 256 ended at an IoU of 0.98, at 512 of
# 0.97, and at 1024 of 0.95.
LONGEST = 384


def shrunk(request: Request) -> tuple[Request, int]:
    """Return a request for the same thing with smaller pictures, and how many times as long theirs were.

    Masks, and the pictures where they are compared, are averaged over blocks of pixels; of depths and normals, the
    known one nearest to a block's middle is taken. What fills no block, at the right and at the foot, is left out.
    """
    factor = -(-max(request.masks.shape[1:]) // LONGEST)
    if factor <= 1:
        return request, 1
    scale = np.diag([1 / factor, 1 / factor, 1])
    smaller = replace(
        request,
        views=[replace(view, K=scale @ view.K) for view in request.views],
        masks=_means(request.masks, factor),
        pictures=None if request.compared is None else _means(request.compared, factor),
        depths=None if request.depths is None else _nearest(request.depths, factor),
        normals=None if request.normals is None else _nearest(request.normals, factor),
    )
    return smaller, factor


def _means(pictures: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of pictures (V, H, W, ...) uint8; one picture after the other, to save memory."""
    return np.stack([np.rint(_blocks(picture, factor).mean((1, 3))).astype(np.uint8) for picture in pictures])


def _nearest(pictures: np.ndarray, factor: int) -> np.ndarray:
    """Of each block of pictures (V, H, W, ...), the finite value nearest to its middle; NaN where there is none."""
    middle = (factor - 1) / 2
    places = sorted(np.ndindex(factor, factor), key=lambda at: (at[0] - middle) ** 2 + (at[1] - middle) ** 2)
    made = []
    for picture in pictures:
        blocks = _blocks(picture, factor)
        chosen = np.full_like(blocks[:, 0, :, 0], np.nan)
        for down, across in places:
            there = blocks[:, down, :, across]
            chosen = np.where(np.isfinite(chosen), chosen, there)
        made.append(chosen)
    return np.stack(made)


def _blocks(picture: np.ndarray, factor: int) -> np.ndarray:
    """A picture (H, W, ...) as (rows, factor, columns, factor, ...)."""
    rows, columns = (length // factor for length in picture.shape[:2])
    whole = picture[: rows * factor, : columns * factor]
    return whole.reshape(rows, factor, columns, factor, *picture.shape[2:])
