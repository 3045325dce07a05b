"""Whether freedom brings a prior's shape nearer to the truth, for shapes of its class that it was not trained on.

The rows tell each shape's errors before and after.
"""

from __future__ import annotations

import argparse

import numpy as np
from generators import GENERATORS

from . import methods
from .photographed import Scene, mesh_photographed
from .priors import UNSEEN
from .scenes import Row

MEASURES = ("chamfer", "f", "normal_error", "iou_heldout", "seconds", "cpu_seconds")
SHAPES = {"table": 10, "chair": 5, "sofa": 5, "aeroplane": 5, "car": 5}


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--classes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument(
        "--instances", type=int, metavar="N", help="shapes of each class (default: 10 tables, 5 others)"
    )
    methods.add_arguments(parser, ("prior", "freed"), [8, 4])


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    some, left_out = list[Scene](), list[str]()
    for name in options.classes:
        for seed in range(UNSEEN, UNSEEN + (options.instances or SHAPES[name])):
            vertices, faces = GENERATORS[name](seed)
            some.append(mesh_photographed(f"{name} {seed}", vertices, faces, name))
    rows = pairs(methods.measured(options, some, left_out))
    for views in options.views:
        summary(views, [row for row in rows if row["views"] == views])
    methods.finish(options, rows, left_out)


def pairs(rows: list[Row]) -> list[Row]:
    """A row a shape and number of views, with the errors before and after."""
    found: dict[tuple[str, int], Row] = {}
    for row in rows:
        name, seed = row["object"].split()
        pair = found.setdefault(
            (row["object"], row["views"]), {"class": name, "seed": int(seed), "views": row["views"]}
        )
        pair |= {f"{key}_{row['method']}": row[key] for key in MEASURES}
    return [pair for pair in found.values() if {"chamfer_prior", "chamfer_freed"} <= pair.keys()]


def summary(views: int, rows: list[Row]) -> None:
    """Print how many shapes are better, what the worst loses, and medians."""
    if not rows:
        return
    share = np.array([row["chamfer_freed"] / row["chamfer_prior"] for row in rows])
    print(f"\n{views} views: freed is better for {(share < 1).sum()} of {len(share)}, at worst x {share.max():.3f}")
    for key in MEASURES:
        before, after = (np.median([row[f"{key}_{method}"] for row in rows]) for method in ("prior", "freed"))
        print(f"    median {key}: {before:.4g} -> {after:.4g}")
