"""What a video of a textured thing on a floor tells: from the mean shape, by colours, by silhouettes, by both."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from dist_engine.prior import Prior
from dist_engine.protocol import Bounds, View
from dist_engine.training.sampling import normalisation
from generators import GENERATORS

from . import figures, scenes
from .scenes import Row

FRAMES = 24
OBSERVED = ("colours", "silhouettes", "both")
# What a person leaves between the thing and its bounds.
ROOM = 1.05


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("table", "chair", "sofa"), 2)
    figures.add_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows = scenes.measured(options, measure)
    print(f"\n{'':>12} {'runs':>5} {'Chamfer x 1000, median':>24} {'share of the start, median':>28}")
    for observed in ("start", *OBSERVED):
        some = [row for row in rows if row["observed"] == observed]
        cells = [float(np.median([row[key] for row in some])) for key in ("chamfer_x1000", "share")]
        print(f"{observed:>12} {len(some):5d} {cells[0]:24.3f} {cells[1]:28.3f}")
    figures.sheet(options, "multi-view", rows, "observed", ["start", *OBSERVED], "seed")
    scenes.write(options, rows)


def measure(options: argparse.Namespace, prior: Prior, seed: int) -> list[Row]:
    """The start and the fits of one shape."""
    # bpy changes the module path, and a process that inherits that cannot import it again.
    from . import video

    vertices, faces = GENERATORS[prior.name](seed)
    vertices = normalisation(vertices, prior.radius)(vertices)
    scene = scenes.mesh_scene(f"{prior.name} {seed}", prior, vertices, faces, orbit(prior))
    pictures = video.frames(scene.name, prior, scene.vertices, scene.faces, scene.views, scenes.SIZE)
    who = {"class": prior.name, "seed": seed}
    begin = figures.judged(options, scene, prior.mean)
    rows: list[Row] = [who | {"observed": "start", "share": 1.0} | begin]
    nothing = {"masks": np.zeros_like(scene.masks), "masked": np.zeros(FRAMES, bool)}
    given: dict[str, dict[str, Any]] = {
        "colours": {"pictures": pictures, "compare_colours": True} | nothing,
        "silhouettes": {},
        "both": {"pictures": pictures, "compare_colours": True},
    }
    for observed in OBSERVED:
        request = scene.request(
            code=prior.mean.double().numpy(), bounds=around(scene), iterations=60, **given[observed]
        )
        found, cost = scenes.run_fit(scene, request)
        made = figures.judged(options, scene, found.shape)
        share = made["chamfer_x1000"] / begin["chamfer_x1000"]
        rows.append(who | {"observed": observed, "share": share} | made | cost)
    return rows


def orbit(prior: Prior) -> list[View]:
    """Frames of one way round, up and down a little."""
    angles = 2 * np.pi * np.arange(FRAMES) / FRAMES
    return [
        scenes.look(prior, f"frame {index}", angle, 0.4 + 0.2 * np.sin(2 * angle), scenes.SIZE)
        for index, angle in enumerate(angles)
    ]


def around(scene: scenes.Scene) -> Bounds:
    """The bounds that a person gives: with some room, upright, as the thing stands."""
    axes = scene.prior.axes()
    own = scene.vertices @ axes
    low, high = own.min(0), own.max(0)
    return Bounds(axes @ ((low + high) / 2), axes, ROOM * (high - low) / 2)
