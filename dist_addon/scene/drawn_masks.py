"""Blender's masks, drawn by hand or rotoscoped, as pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import RequestError

# Straight pieces that each of a spline's curves is cut into.
PIECES = 24

# How a layer's coverage goes over what is below it; else, it replaces that.
BLENDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "MERGE_ADD": lambda below, own: below + own * (1 - below),
    "MERGE_SUBTRACT": lambda below, own: below - own * below,
    "ADD": lambda below, own: below + own,
    "SUBTRACT": lambda below, own: below - own,
    "LIGHTEN": np.maximum,
    "DARKEN": np.minimum,
    "MUL": lambda below, own: below * own,
    "DIFFERENCE": lambda below, own: np.abs(below - own),
}


@dataclass(frozen=True)
class Layer:
    """A layer of a mask: closed curves as polygons (N, 2), in the mask's units, y up."""

    polygons: list[np.ndarray]
    blend: str
    alpha: float
    inverted: bool
    has_holes: bool


def read_layers(mask: bpy.types.Mask, depsgraph: bpy.types.Depsgraph) -> list[Layer]:
    """Return a mask's layers as they are at the scene's frame, from the lowest. Feathers are left out.

    Raises
    ------
    RequestError
        A spline is open, or follows a track.
    """
    evaluated: Any = mask.evaluated_get(depsgraph)
    layers = []
    for layer in evaluated.layers:
        if layer.hide_render:
            continue
        polygons = []
        for spline in layer.splines:
            if not spline.use_fill or len(spline.points) < 2:
                continue
            who = f"A spline in the layer “{layer.name}” of the mask “{mask.name}”"
            if not spline.use_cyclic:
                raise RequestError(f"{who} is open: close it with Toggle Cyclic (Alt C).")
            if any(point.parent.id for point in spline.points):
                raise RequestError(
                    f"{who} follows a track, which is not read: clear its parent (Alt P) and animate it, or render the "
                    "mask as pictures and choose their folder."
                )
            polygons.append(_polygon(spline.points))
        layers.append(Layer(polygons, layer.blend, layer.alpha, layer.invert, layer.use_fill_holes))
    if not any(layer.polygons for layer in layers):
        raise RequestError(f"The mask “{mask.name}” holds no filled spline: draw the thing's outline in it.")
    return layers


def draw_layers(layers: list[Layer], width: int, height: int) -> np.ndarray:
    """Return what layers cover of a picture, (height, width) uint8, 0 to 255, rows from top to bottom.

    A mask's unit is the picture's longer side, and its middle, (0.5, 0.5), is the picture's.
    """
    covered = np.zeros((height, width))
    side = max(width, height)
    for layer in layers:
        shape = np.zeros((height, width), bool)
        for polygon in layer.polygons:
            corners = (polygon - 0.5) * side * [1, -1] + [width / 2, height / 2]
            filled = _fill(corners, width, height)
            shape = shape ^ filled if layer.has_holes else shape | filled
        own = (shape != layer.inverted) * layer.alpha
        blend = BLENDS.get(layer.blend, lambda below, own, alpha=layer.alpha: below * (1 - alpha) + own)
        covered = np.clip(blend(covered, own), 0, 1)
    return (covered * 255 + 0.5).astype(np.uint8)


def _polygon(points: Any) -> np.ndarray:
    """A closed Bézier spline as straight pieces (N, 2)."""
    places, left, right = (
        np.array([getattr(point, name)[:] for point in points], float) for name in ("co", "handle_left", "handle_right")
    )
    t = np.arange(PIECES)[None, :, None] / PIECES
    p, q, r, s = (part[:, None] for part in (places, right, np.roll(left, -1, axis=0), np.roll(places, -1, axis=0)))
    curve = (1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t**2 * r + t**3 * s
    return curve.reshape(-1, 2)


def _fill(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """Whether (height, width) the pixels' centres are inside a polygon (N, 2), in pixels, y down: even-odd."""
    ends = np.roll(corners, -1, axis=0)
    # Where an edge crosses a row of centres, all pixels to its right change between inside and outside.
    first = np.ceil(np.minimum(corners[:, 1], ends[:, 1]) - 0.5).clip(0, height).astype(int)
    last = np.ceil(np.maximum(corners[:, 1], ends[:, 1]) - 0.5).clip(0, height).astype(int)
    crossings = np.zeros((height, width + 1), np.int32)
    for edge in np.flatnonzero(last > first):
        (x, y), (x_end, y_end) = corners[edge], ends[edge]
        rows = np.arange(first[edge], last[edge])
        at = x + (rows + 0.5 - y) * (x_end - x) / (y_end - y)
        crossings[rows, np.ceil(at - 0.5).clip(0, width).astype(int)] += 1
    return (np.cumsum(crossings, axis=1)[:, :width] % 2).astype(bool)
