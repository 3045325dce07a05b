"""How far the outlines of what is found lie outside their masks, in pixels: whether fits are too thin, or too thick.

The masks are exact, cast from meshes through the middles of pixels, of two unseen shapes a class; the offset is
(what the found mesh covers - what the masks do) / the masks' perimeter, over the views that were fitted.
"""

from __future__ import annotations

import argparse

import numpy as np
from dist_engine.protocol import covered
from dist_engine.training.sampling import normalisation
from generators import GENERATORS

from . import methods, scenes
from .freedom import SHAPES
from .photographed import DIRECTIONS, SIZE, Photographs, Scene, all_around
from .priors import UNSEEN
from .things import Mesh


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--classes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--instances", type=int, default=2, metavar="N", help="shapes of each class")
    methods.add_arguments(parser, ("hull", "outlines", "prior", "freed"), [12])


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    some, left_out = list[Scene](), list[str]()
    for name in options.classes:
        for seed in range(UNSEEN, UNSEEN + options.instances):
            vertices, faces = GENERATORS[name](seed)
            some.append(cast_scene(f"{name} {seed}", vertices, faces, name))
    rows = methods.measured(options, some, left_out, offset)
    for method in options.methods:
        offsets = [row["offset"] for row in rows if row["method"] == method]
        if offsets:
            print(
                f"{method:>10}: {np.median(offsets):+.3f} px in the median, {min(offsets):+.3f} to {max(offsets):+.3f}"
            )
    methods.finish(options, rows, left_out)


def cast_scene(name: str, vertices: np.ndarray, faces: np.ndarray, prior: str) -> Scene:
    """A mesh before the cameras of `photographed`, with exact masks and no colours."""
    vertices, views = normalisation(vertices, 1.0)(vertices), all_around()
    masks = np.stack([np.isfinite(scenes.cast(vertices, faces, view, SIZE)) for view in views]).astype(np.uint8) * 255
    seen, held_back = (
        Photographs(views[some], masks[some], None) for some in (slice(DIRECTIONS), slice(DIRECTIONS, None))
    )
    return Scene(name, prior, vertices, faces, seen, held_back)


def offset(found: Mesh, given: Photographs) -> dict[str, float]:
    """How far the outline of a mesh lies outside the masks, in pixels."""
    masks = covered(given.masks)
    area = sum(np.isfinite(scenes.cast(*found, view, SIZE)).sum() for view in given.views)
    return {"offset": float((area - masks.sum()) / sum(perimeter(mask) for mask in masks))}


def perimeter(mask: np.ndarray) -> float:
    """Length of a mask's outline in pixels: its steps along rows and columns, which are 4 / pi as long on average."""
    padded = np.pad(mask, 1)
    steps = sum(np.count_nonzero(np.diff(padded.astype(np.int8), axis=axis)) for axis in (0, 1))
    return float(np.pi / 4 * steps)
