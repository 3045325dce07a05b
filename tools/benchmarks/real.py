"""Shapes that no generator made: a prior's shape alone and freed, and the visual hull, from pictures all around.

The meshes of ``--meshes DIR/<class>/*`` are turned upright, with the front in front, as a user would turn the bounds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import igl
import numpy as np
from dist_engine.training.sampling import normalisation, sdf_samples

from . import methods, scenes
from .photographed import Scene, mesh_photographed
from .priors import FOLDERS, SAMPLES, best_pose
from .scenes import Row


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--classes", default="table,chair,aeroplane", help="built-in priors, with commas between")
    parser.add_argument("--instances", type=int, default=3, metavar="N", help="shapes of each class")
    parser.add_argument("--meshes", type=Path, required=True, metavar="DIR", help="foreign shapes: DIR/<class>/*.off")
    methods.add_arguments(parser, ("hull", "prior", "freed"), [4, 8, 12])


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    some, left_out = list[Scene](), list[str]()
    for name in options.classes.split(","):
        folder = options.meshes / FOLDERS.get(name, name)
        some += [upright(name, path) for path in sorted(folder.glob("*.*"))[: options.instances]]
    rows = methods.measured(options, some, left_out)
    table(options, rows, "chamfer")
    table(options, rows, "iou_heldout")
    methods.finish(options, rows, left_out)


def upright(name: str, path: Path) -> Scene:
    """A mesh file before cameras, in the pose that its class's prior explains best."""
    prior = scenes.built_in(name)
    vertices, faces = igl.read_triangle_mesh(str(path))
    inside = normalisation(vertices, prior.radius)(vertices)
    turn = best_pose(prior, *sdf_samples(inside, faces, SAMPLES, np.random.default_rng(0)))
    # From the prior's frame to the thing's own, whose up is +Z.
    return mesh_photographed(f"{name} {path.stem}", inside @ turn.T @ prior.axes(), faces, name)


def table(options: argparse.Namespace, rows: list[Row], value: str) -> None:
    """Print the median of a value over the shapes, a line each method, a column each number of views."""
    print(f"\nMedian {value}\n{'':>10}" + "".join(f"{count:>9} views" for count in options.views))
    for method in options.methods:
        cells = [
            [row[value] for row in rows if (row["method"], row["views"]) == (method, count)] for count in options.views
        ]
        print(f"{method:>10}" + "".join(f"{np.median(some):15.4g}" if some else f"{'-':>15}" for some in cells))
