"""Levenberg-Marquardt against Adam: the same prior, rays, cost and starts; steps, seconds, queries, and shapes."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from dist_engine.fitting import adam, levenberg_marquardt
from dist_engine.fitting.problem import Problem
from dist_engine.fitting.start import start_places, start_states
from dist_engine.observations import Observations
from dist_engine.prior import Prior
from dist_engine.shapes.latent import LatentKind
from dist_engine.state import State, Unknowns

from . import scenes
from .scenes import Row, Scene

OBSERVED = ("silhouettes", "depth", "both")
STARTS = ("near", "far")
VIEWS, RAYS = 4, 2000
ADAM_STEPS, LM_STEPS = 200, 25


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("table", "aeroplane"), 2)
    parser.add_argument("--rate", type=float, default=adam.RATE, help="Adam's rate (default: the one that it has)")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows = scenes.measured(options, measure)
    keys = ("reached", "steps", "seconds_share", "queries_share", "chamfer_adam", "chamfer_lm")
    print(f"\n{'':>18} {'runs':>5} " + " ".join(f"{key:>13}" for key in keys))
    for observed, near in [*product(OBSERVED, STARTS), ("all", "")]:
        some = [row for row in rows if observed == "all" or (row["observed"], row["start"]) == (observed, near)]
        cells = [np.mean([row["reached"] for row in some])] + [
            np.median([row[key] for row in some]) for key in keys[1:]
        ]
        print(f"{observed:>12} {near:>5} {len(some):5d} " + " ".join(f"{cell:13.3f}" for cell in cells))
    print(f"reached: LM came to Adam's last cost in {LM_STEPS} steps and a quarter of its seconds and queries")
    scenes.write(options, rows)


def measure(options: argparse.Namespace, prior: Prior, seed: int) -> Iterator[Row]:
    """Compare the solvers on one shape, from all that may be observed and all starts."""
    adam.RATE = options.rate
    scene = scenes.unseen_scene(prior, seed, VIEWS)
    for observed, near in product(OBSERVED, STARTS):
        yield {"name": scene.name, "observed": observed, "start": near} | compare(scene, observed, near)


def compare(scene: Scene, observed: str, near: str) -> dict[str, Any]:
    """Both solvers from one start over one set of rays."""
    given: dict[str, Any] = {"depths": scene.depths} if observed != "silhouettes" else {}
    if observed == "depth":
        given["masked"] = np.zeros(VIEWS, bool)
    request = scene.request(refine_placement=True, **given)
    observations = Observations(request, torch.device("cpu"), torch.Generator().manual_seed(0))
    kind, paths = LatentKind(scene.prior), {}
    for name, solver, steps in (("adam", adam.minimise, ADAM_STEPS), ("lm", levenberg_marquardt.minimise, LM_STEPS)):
        # The same rays, but nothing of what the other solver has learnt of them.
        observations.generator.manual_seed(0)
        counter = Counter[str]()
        problem = Problem(observations, Unknowns(), counter)
        evaluate = problem.on_rays(RAYS)
        first = start(problem, kind, request, near)
        counter.clear()

        began, path, end = time.monotonic(), [], first
        for state, cost in solver(problem.retract, first, evaluate, steps):
            path.append((cost, time.monotonic() - began, sum(counter.values())))
            end = state
        paths[name] = path, scenes.chamfer(scene, scenes.surface(scene, end.shape, end.place))
    (gone, chamfer_adam), (path, chamfer_lm) = paths["adam"], paths["lm"]
    goal, seconds, queries = gone[-1]
    there = next((index for index, (cost, *_) in enumerate(path) if cost <= goal), None)
    last = len(path) - 1 if there is None else there
    shares = path[last][1] / seconds, path[last][2] / queries
    return {
        "reached": there is not None and max(shares) <= 0.25,
        "steps": float(last),
        "seconds_share": shares[0],
        "queries_share": shares[1],
        "cost_adam": goal,
        "cost_lm": path[-1][0],
        "chamfer_adam": chamfer_adam,
        "chamfer_lm": chamfer_lm,
    }


def start(problem: Problem, kind: LatentKind, request: Any, near: str) -> State:
    """The training code that fits best as it is, or, far away, the mean of them all in a place that is off."""
    observations = problem.observations
    places = start_places(request, kind, observations.device)
    if near == "near":
        observations.generator.manual_seed(1)
        return start_states(problem, kind, places, 1)[0]
    step = torch.tensor([0.1, 0.1, -0.1, 0.1, 0.05, -0.05, 0.05])
    return State.start(kind.of(kind.prior.mean), places[0].retract(step), observations.cameras)
