"""Shapes from silhouettes by short and long lenses, and by a focal length that is told wrong."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from . import scenes
from .priors import UNSEEN

VIEWS, STEPS = 8, 60
LENSES = (0.5, 1.0, 2.0)
# So much too long is the focal length that is told where it is refined.
WRONG = 1.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("table", "chair", "sofa", "aeroplane", "car"), 3)
    parser.add_argument("--refine", action="store_true", help=f"also refine a focal length told {WRONG} times too long")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows: list[dict[str, Any]] = []
    columns = [str(lens) for lens in LENSES] + ["refined"] * options.refine
    for prior in scenes.classes_of(options):
        for seed in range(UNSEEN, UNSEEN + options.instances):
            for column in columns:
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
                rows.append(row | {"chamfer_x1000": scenes.chamfer(scene, found.code, found.place)} | cost)
                print(scenes.line(rows[-1]), flush=True)
    scenes.medians(rows, "lens", columns)
    scenes.write(options, rows)
