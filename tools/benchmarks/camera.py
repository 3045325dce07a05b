"""How well cameras are found: alone before a known shape, and eight together with an unknown one.

Where neither is known, no picture tells where all of it is together, how it is turned and how large: the shape is also
compared as the cameras have it that are brought to the true ones by a similarity, as is usual of structure from motion.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from dist_engine.cameras import Cameras, Similarity, skew
from dist_engine.fitting.fit import Fit
from dist_engine.prior import Prior
from dist_engine.protocol import View

from . import scenes
from .scenes import Row

VIEWS = 8
# Pixels along the side of a known shape's picture.
KNOWN_SIZE = 256
FAR, NEAR = (15.0, 0.10), (3.0, 0.03)
FOUND = (0.5, 0.005)


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("table", "chair", "sofa", "aeroplane"), 2)
    parser.add_argument("--trials", type=int, default=2, metavar="N", help="starts of each shape that is known")
    parser.add_argument("--skip-unknown", action="store_true", help="measure known shapes only")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows = scenes.measured(options, measure)
    alone = [row for row in rows if row["shape"] == "known"]
    if alone:
        found = np.mean([row["degrees"] < FOUND[0] and row["distance"] < FOUND[1] for row in alone])
        print(f"known shape: {found:.1%} of {len(alone)} within {FOUND[0]} degrees and {FOUND[1]:.1%} of the distance")
    together = [row for row in rows if row["shape"] == "unknown"]
    if together:
        keys = ("degrees_before", "degrees", "distance_before", "distance")
        for key in (*keys, "chamfer_true_cameras", "chamfer", "chamfer_as_it_stands"):
            print(f"unknown shape, median {key}: {np.median([row[key] for row in together]):.4f}")
    scenes.write(options, rows)


def measure(options: argparse.Namespace, prior: Prior, seed: int) -> Iterator[Row]:
    """Find cameras before one shape, known and unknown."""
    for trial in range(options.trials):
        yield known(prior, seed, trial)
    if not options.skip_unknown:
        yield unknown(prior, seed)


def known(prior: Prior, seed: int, trial: int) -> dict[str, Any]:
    """One camera before a training shape of the prior, whose pictures the shape itself makes."""
    number = (seed * 7 + trial * 3) % len(prior.codes)
    scene = scenes.member_scene(prior, number, 1, KNOWN_SIZE)
    wrong = [off(view, *FAR, np.random.default_rng([seed, trial])) for view in scene.views]
    found, cost = scenes.run_fit(
        scene,
        scene.request(
            views=wrong, code=prior.codes[number].numpy(), refine_shape=False, refine_cameras=True, iterations=60
        ),
    )
    degrees, distance = errors(found, scene.views)
    return {"shape": "known", "name": scene.name, "degrees": degrees[0], "distance": distance[0]} | cost


def unknown(prior: Prior, seed: int) -> dict[str, Any]:
    """Eight cameras that are a little off, before an unseen shape."""
    scene = scenes.unseen_scene(prior, seed, VIEWS)
    random = np.random.default_rng(seed)
    wrong = [off(view, *NEAR, random) for view in scene.views]
    true, _ = scenes.run_fit(scene, scene.request(iterations=60))
    before = replace(true, state=replace(true.state, cameras=Cameras.from_views(wrong, torch.device("cpu"))))
    found, cost = scenes.run_fit(scene, scene.request(views=wrong, refine_cameras=True, iterations=60))
    was, now = errors(before, scene.views), errors(found, scene.views)
    return {
        "shape": "unknown",
        "name": scene.name,
        "degrees_before": float(np.median(was[0])),
        "degrees": float(np.median(now[0])),
        "distance_before": float(np.median(was[1])),
        "distance": float(np.median(now[1])),
        "chamfer": scenes.chamfer(scene, scenes.surface(scene, found.shape, aligned(found.cameras, scene.views))),
        "chamfer_as_it_stands": scenes.chamfer(scene, scenes.surface(scene, found.shape)),
        "chamfer_true_cameras": scenes.chamfer(scene, scenes.surface(scene, true.code)),
    } | cost


def off(view: View, degrees: float, share: float, random: np.random.Generator) -> View:
    """A camera turned about the object and moved by a share of its distance, in random directions."""
    turn, shift = (v / np.linalg.norm(v) for v in random.normal(size=(2, 3)))
    rotation, translation = view.world_to_camera[:, :3], view.world_to_camera[:, 3]
    turned = rotation @ torch.linalg.matrix_exp(skew(torch.tensor(np.radians(degrees) * turn))).numpy()
    moved = translation + share * np.linalg.norm(translation) * shift
    return replace(view, world_to_camera=np.column_stack([turned, moved]))


def aligned(found: Cameras, true: list[View]) -> Similarity:
    """What brings the cameras' centres nearest to the true ones.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    wanted = Cameras.from_views(true, torch.device("cpu"))
    here, there = (-(c.rotation.mT @ c.translation[..., None])[..., 0].double() for c in (found, wanted))
    start, end = here - here.mean(0), there - there.mean(0)
    left, sizes, right = torch.linalg.svd(end.T @ start)
    signs = sizes.new_tensor([1, 1, torch.linalg.det(left @ right).sign()])
    rotation = left @ torch.diag(signs) @ right
    scale = (sizes * signs).sum() / start.square().sum()
    shift = there.mean(0) - scale * rotation @ here.mean(0)
    return Similarity(scale.float(), rotation.float(), shift.float())


def errors(found: Fit, true: list[View]) -> tuple[np.ndarray, np.ndarray]:
    """Degrees (V,) and shares of the distance (V,) that the cameras are off, as the object sees them."""
    degrees, shares = [], []
    place = found.place
    for index, view in enumerate(true):
        rotation = (found.cameras.rotation[index] @ place.rotation).double().numpy()
        shift = found.cameras.rotation[index] @ place.translation + found.cameras.translation[index]
        off_by = rotation @ view.world_to_camera[:, :3].T
        degrees.append(np.degrees(np.arccos(np.clip((np.trace(off_by) - 1) / 2, -1, 1))))
        translation = view.world_to_camera[:, 3]
        gap = (shift / place.scale).double().numpy() - translation
        shares.append(np.linalg.norm(gap) / np.linalg.norm(translation))
    return np.array(degrees), np.array(shares)
