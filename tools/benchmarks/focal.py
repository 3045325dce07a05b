"""Shapes from silhouettes by short and long lenses, and by a focal length that is told wrong."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from dist_engine.prior import Prior

from . import figures, scenes
from .scenes import Row

VIEWS, STEPS = 8, 60
LENSES = (0.5, 1.0, 2.0)
# So much too long is the focal length that is told where it is refined.
WRONG = 1.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("table", "chair", "sofa", "aeroplane", "car"), 3)
    figures.add_argument(parser)
    parser.add_argument("--refine", action="store_true", help=f"also refine a focal length told {WRONG} times too long")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows = scenes.measured(options, measure)
    scenes.medians(rows, "lens", lenses(options))
    figures.sheet(options, "focal", rows, "lens", lenses(options), "seed")
    figures.curves(options, "focal-errors", rows, "lens", lenses(options), "class")
    scenes.write(options, rows)


def lenses(options: argparse.Namespace) -> list[str]:
    """The focal lengths, as shares of the usual one; "refined" is one that is told wrong."""
    return [str(lens) for lens in LENSES] + ["refined"] * options.refine


def measure(options: argparse.Namespace, prior: Prior, seed: int) -> Iterator[Row]:
    """Fit to one shape's masks by each lens."""
    for column in lenses(options):
        lens = 1.0 if column == "refined" else float(column)
        scene = scenes.unseen_scene(prior, seed, VIEWS, focal=lens * scenes.FOCAL)
        given: dict[str, Any] = {}
        if column == "refined":
            wrong = [replace(view, K=view.K * np.array([[WRONG], [WRONG], [1]])) for view in scene.views]
            for view in wrong:
                view.K[:2, 2] /= WRONG
            given = {"views": wrong, "refine_focal_length": True}
        found, cost = scenes.run_fit(scene, scene.request(iterations=STEPS, **given))
        off = float(found.cameras.K[0, 0, 0]) / scene.views[0].K[0, 0] - 1
        row = {"class": prior.name, "seed": seed, "lens": column, "focal_off": off}
        yield row | figures.judged(options, scene, found.shape, found.place) | cost
