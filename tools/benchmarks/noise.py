"""Shapes from eight views whose depths are noisy, whose masks' edges are moved, or some of whose masks are wrong."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from dist_engine.prior import Prior
from torch.nn.functional import max_pool2d

from . import figures, scenes
from .scenes import Row, Scene

VIEWS, STEPS = 8, 60
# Standard deviations, as shares of the object's largest extent; pixels; shares of the views.
DEPTHS, EDGES, WRONG = (0.0, 0.01, 0.02, 0.05), (0, 1, 2, 4), (0.0, 0.05, 0.2)
KINDS = {"depth": DEPTHS, "depth-alone": DEPTHS, "edges": EDGES, "wrong": WRONG}


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("table", "sofa", "aeroplane"), 1)
    figures.add_argument(parser)
    parser.add_argument(
        "--kinds",
        default=",".join(KINDS),
        help="what is noisy: depth (with right masks, or alone), masks' edges, or masks",
    )


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows = scenes.measured(options, measure)
    for kind in options.kinds.split(","):
        some = [row for row in rows if row["kind"] == kind]
        scenes.medians(some, kind, list(KINDS[kind]))
        figures.sheet(options, f"noise-{kind}", some, kind, list(KINDS[kind]), "seed")
        figures.curves(options, f"noise-{kind}-errors", some, kind, list(KINDS[kind]), "class")
    scenes.write(options, rows)


def measure(options: argparse.Namespace, prior: Prior, seed: int) -> Iterator[Row]:
    """Fit to what is seen of one shape, with all kinds of noise."""
    scene = scenes.unseen_scene(prior, seed, VIEWS)
    for kind in options.kinds.split(","):
        for level, given in spoilt(scene, prior, seed, kind):
            found, cost = scenes.run_fit(scene, scene.request(iterations=STEPS, **given))
            row = {"class": prior.name, "seed": seed, "kind": kind, kind: level}
            yield row | figures.judged(options, scene, found.shape, found.place) | cost


def spoilt(scene: Scene, prior: Prior, seed: int, kind: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield each level of a kind of noise, and what of the request it replaces."""
    random = np.random.default_rng(seed)
    if kind.startswith("depth"):
        given = {"masked": np.zeros(VIEWS, bool)} if kind == "depth-alone" else {}
        size = float(np.ptp(scene.vertices, axis=0).max())
        noise = random.normal(size=scene.depths.shape).astype(np.float32)
        for level in DEPTHS:
            # The fit is told the deviation that they have.
            told = max(level * size / prior.radius, 0.01)
            depths = scene.depths + np.float32(level * size) * noise
            yield level, {"depths": depths, "depth_noise": told} | given
    elif kind == "edges":
        for pixels in EDGES:
            yield pixels, {"masks": moved_edges(scene.masks, pixels)}
    else:
        other = scenes.unseen_scene(prior, seed + 1000, VIEWS)
        order = random.permutation(VIEWS)
        for share in WRONG:
            masks = scene.masks.copy()
            chosen = order[: math.ceil(share * VIEWS)]
            masks[chosen] = other.masks[chosen]
            yield share, {"masks": masks}


def moved_edges(masks: np.ndarray, pixels: int) -> np.ndarray:
    """Masks (V, H, W) whose edges are moved, outwards in every other view and inwards in the rest."""
    moved = torch.from_numpy(masks).float()[:, None]
    for view in range(len(masks)):
        sign = 1 if view % 2 == 0 else -1
        moved[view] = sign * max_pool2d(sign * moved[view], 2 * pixels + 1, 1, pixels)
    spoilt = moved[:, 0].numpy().astype(np.uint8)
    # A thing that is gone altogether would be refused.
    return np.where(spoilt.any((1, 2), keepdims=True), spoilt, masks)
