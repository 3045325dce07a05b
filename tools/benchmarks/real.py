"""Shapes that no generator made, from silhouettes of eight views: what the outlines of eight other views say of them.

The meshes of ``--meshes DIR/<class>/*`` are turned upright, with the front in front, as a user would turn the bounds.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import igl
import numpy as np
import torch
from dist_engine.fitting.fit import Fit
from dist_engine.observations import Observations
from dist_engine.prior import Prior
from dist_engine.protocol import Bounds
from dist_engine.training.sampling import normalisation, sdf_samples

from . import scenes
from .priors import FOLDERS, SAMPLES, best_pose
from .scenes import Row, Scene

VIEWS, STEPS = 8, 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("table", "chair", "aeroplane"), 3)
    parser.add_argument("--meshes", type=Path, required=True, metavar="DIR", help="foreign shapes: DIR/<class>/*.off")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    names = options.classes.split(",")
    folders = {name: options.meshes / FOLDERS.get(name, name) for name in names}
    meshes = [(name, path) for name in names for path in sorted(folders[name].glob("*.*"))[: options.instances]]
    rows = scenes.measured(options, measure, meshes)
    for name in ("iou_fitted", "iou_held_out", "chamfer_x1000"):
        print(f"median {name}: {np.median([row[name] for row in rows]):.3f}")
    scenes.write(options, rows)


def measure(options: argparse.Namespace, prior: Prior, path: Path) -> list[Row]:
    """Fit a mesh file's silhouettes and compare with others."""
    vertices, faces = igl.read_triangle_mesh(str(path))
    vertices = normalisation(vertices, prior.radius)(vertices)
    points, distances = sdf_samples(vertices, faces, SAMPLES, np.random.default_rng(0))
    vertices = vertices @ best_pose(prior, points, distances).T
    views = scenes.orbit(prior, 0, 2 * VIEWS, scenes.SIZE)
    whole = scenes.mesh_scene(path.stem, prior, vertices, faces, views)
    fitted, held_out = part(whole, 0), part(whole, 1)
    found, cost = scenes.run_fit(
        fitted,
        replace(fitted.request(refine_placement=True, iterations=STEPS, placement=None), bounds=around(fitted)),
    )
    errors = {
        "iou_fitted": iou(fitted, found),
        "iou_held_out": iou(held_out, found),
        "chamfer_x1000": scenes.chamfer(fitted, scenes.surface(fitted, found.shape, found.place)),
    }
    return [{"class": prior.name, "mesh": path.stem} | errors | cost]


def part(scene: Scene, first: int) -> Scene:
    """Every other view of a scene."""
    some = slice(first, None, 2)
    return replace(scene, views=scene.views[some], masks=scene.masks[some], depths=scene.depths[some])


def around(scene: Scene) -> Bounds:
    """The box of a scene's shape, along its own axes."""
    axes = scene.prior.axes()
    low, high = (end(scene.vertices @ axes, axis=0) for end in (np.min, np.max))
    return Bounds(axes @ (low + high) / 2, axes, (high - low) / 2)


def iou(scene: Scene, found: Fit) -> float:
    """Mean overlap of the scene's masks and what its cameras see of what was found."""
    observations = Observations(scene.request(), torch.device("cpu"), torch.Generator())
    assert observations.outlines is not None
    field = found.shape.field(Counter())
    return float(observations.outlines.overlaps(field, observations.cameras, found.place).mean())
