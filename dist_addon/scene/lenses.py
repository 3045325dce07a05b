"""Lens distortion of a movie clip, as Blender's tracker models it, taken out of pictures and places in them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import RequestError

# The coefficients of each model; where all are zero, there is no distortion.
MODELS = {
    "POLYNOMIAL": ("k1", "k2", "k3"),
    "DIVISION": ("division_k1", "division_k2"),
    "NUKE": ("nuke_k1", "nuke_k2"),
    "BROWN": ("brown_k1", "brown_k2", "brown_k3", "brown_k4", "brown_p1", "brown_p2"),
}
# What Blender's tracker has too, in some versions, and we have not.
UNKNOWN = {"NUKE": ("nuke_p1", "nuke_p2")}
# An inverse is found by so many steps at most; the last is no longer than this (1 is the focal length).
STEPS, CLOSE = 100, 1e-9


@dataclass(frozen=True)
class Lens:
    """A lens that bends straight lines.

    Places in the picture are shares of its width and height, from its lower left corner, as the tracker's markers are.

    Attributes
    ----------
    model : str
        A key of `MODELS`.
    coefficients : tuple of float
    focal : float
        Pixels of the clip.
    middle : (x, y)
        The principal point, in pixels of the clip from its lower left corner.
    size : (width, height)
        Of the clip.
    aspect : float
        Of the clip's pixels: width by height.
    """

    model: str
    coefficients: tuple[float, ...]
    focal: float
    middle: tuple[float, float]
    size: tuple[int, int]
    aspect: float

    def bend(self, places: np.ndarray) -> np.ndarray:
        """Return where the lens shows (..., 2) what is at these places of a picture without distortion."""
        flat = self._to_lens(places)
        return self._to_picture(self._undo(flat) if self.model == "NUKE" else self._apply(flat))

    def unbend(self, places: np.ndarray) -> np.ndarray:
        """Return where in a picture without distortion (..., 2) is what the lens shows at these places."""
        bent = self._to_lens(places)
        return self._to_picture(self._apply(bent) if self.model == "NUKE" else self._undo(bent))

    def straighten(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture (H, W, C), rows from top to bottom, of the same type, without the distortion.

        What the lens did not show is as it is along the picture's border; see `shows`.
        """
        height, width, channels = pixels.shape
        places, right, down, _ = _where(self, width, height)
        flat = pixels.reshape(-1, channels)
        upper = flat[places] * (1 - right) + flat[places + 1] * right
        lower = flat[places + width] * (1 - right) + flat[places + width + 1] * right
        straight = (upper * (1 - down) + lower * down).reshape(height, width, channels)
        return straight if pixels.dtype == np.float32 else np.round(straight).astype(pixels.dtype)

    def shows(self, width: int, height: int) -> np.ndarray:
        """Which pixels (height, width) of a picture without the distortion the lens showed."""
        return _where(self, width, height)[3]

    def _apply(self, flat: np.ndarray) -> np.ndarray:
        """Move places (..., 2) as the model says: from straight to bent, but Nuke's the other way around."""
        factor, shift = self._terms(flat)
        return flat * factor + shift

    def _undo(self, moved: np.ndarray) -> np.ndarray:
        """Return the places (..., 2) that `_apply` moves to these; NaN where there are none near."""
        found = moved
        for _ in range(STEPS):
            factor, shift = self._terms(found)
            before, found = found, (moved - shift) / factor
            if not (np.abs(found - before) > CLOSE).any():
                break
        return np.where(np.abs(found - before) < 1e3 * CLOSE, found, np.nan)

    def _terms(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """What places (..., 2) are multiplied by, (..., 1), and what is added."""
        square = (flat**2).sum(axis=-1, keepdims=True)
        if self.model in ("DIVISION", "NUKE"):
            # Nuke's unit of length is half the picture's longer side.
            square = square * (2 * self.focal / max(self.size)) ** 2 if self.model == "NUKE" else square
            return 1 / _series(square, self.coefficients), 0.0
        if self.model == "POLYNOMIAL":
            return _series(square, self.coefficients), 0.0
        radial, tangential = self.coefficients[:4], np.array(self.coefficients[4:])
        return _series(square, radial), square * tangential + 2 * flat * (flat @ tangential)[..., None]

    def _to_lens(self, places: np.ndarray) -> np.ndarray:
        return (np.asarray(places) * self.size - self.middle) / self.focal / [1, self.aspect]

    def _to_picture(self, flat: np.ndarray) -> np.ndarray:
        return (flat * [1, self.aspect] * self.focal + self.middle) / self.size


def _series(square: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """1 + k1 r^2 + k2 r^4 + ..."""
    total = np.ones_like(square)
    for power, value in enumerate(coefficients, 1):
        total += value * square**power
    return total


def lens_of(clip: bpy.types.MovieClip) -> Lens | None:
    """Return the lens of a clip; None where it bends nothing.

    Raises
    ------
    RequestError
        Its kind of distortion is not known here, or the clip cannot be read.
    """
    tracking: Any = clip.tracking
    camera = tracking.camera
    model = camera.distortion_model
    if model not in MODELS or any(getattr(camera, name, 0) for name in UNKNOWN.get(model, ())):
        raise RequestError(
            f"The clip “{clip.name}” has lens distortion of a kind that cannot be taken out here: render the "
            "undistorted clip (Movie Distortion in the compositor, set to Undistort) as an image sequence, and use "
            "that as the camera's background image; the solved camera and its tracks stay good."
        )
    coefficients = tuple(float(getattr(camera, name)) for name in MODELS[model])
    size: Any = clip.size
    if not any(coefficients):
        return None
    if not all(size):
        raise RequestError(
            f"The clip “{clip.name}” cannot be read: find it with File > External Data > Find Missing Files."
        )
    middle: Any = camera.principal_point_pixels
    return Lens(model, coefficients, camera.focal_length_pixels, tuple(middle), tuple(size), camera.pixel_aspect)


@functools.lru_cache(maxsize=1)
def _where(lens: Lens, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel without distortion, four neighbours' first one (N,), and shares (N, 1) of the right and lower; and
    whether (height, width) its middle is in the lens's picture.
    """
    rows, columns = np.indices((height, width))
    places = np.stack([(columns + 0.5) / width, 1 - (rows + 0.5) / height], axis=-1).reshape(-1, 2)
    found = lens.bend(places)
    spots = np.column_stack([found[:, 0] * width, (1 - found[:, 1]) * height]) - 0.5
    spots = np.nan_to_num(spots).clip(0, [width - 1, height - 1])
    corner = np.floor(spots).clip(0, [max(width - 2, 0), max(height - 2, 0)]).astype(np.int64)
    right, down = (spots - corner).astype(np.float32).T
    shown = ((found >= 0) & (found <= 1)).all(axis=1).reshape(height, width)
    return corner[:, 1] * width + corner[:, 0], right[:, None], down[:, None], shown
