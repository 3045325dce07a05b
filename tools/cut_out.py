"""Masks of photographs whose background is dark and plain."""

from __future__ import annotations

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]

# How bright the thing is at least; specks up to so many pixels go, and what gaps up to so many would close may be its
# shadows.
BRIGHT, SPECK, SHADOW = 0.16, 2, 16


def from_dark_background(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a picture (H, W, 3) uint8 shows a bright thing before a dark ground, and where that is known: both bool."""
    bright = picture.mean(2) / 255 > BRIGHT
    pieces, _ = ndimage.label(bright)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    thing = ndimage.binary_opening((pieces == sizes.argmax()) & bright, _disc(SPECK))
    # With room, so that a picture's edge closes nothing.
    closed = ndimage.binary_closing(np.pad(thing, 2 * SHADOW), _disc(SHADOW))[
        2 * SHADOW : -2 * SHADOW, 2 * SHADOW : -2 * SHADOW
    ]
    return thing, thing | ~ndimage.binary_fill_holes(closed)


def _disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x**2 + y**2 <= radius**2)
