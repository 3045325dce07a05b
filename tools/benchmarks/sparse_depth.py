"""Shapes from one view's depth, dense to 20 points: without a renderer as in DeepSDF, and ours without and with a mask.

All three know where the thing stands, and use the same decoder, the same kind of prior on the code, the same starts and
the same Levenberg-Marquardt steps. "DeepSDF" is Park et al.'s shape completion (CVPR 2019, section 6.3): f is zero at
the points, and plus and minus a little before and behind them, along the rays. How far, how sure that is, and how much
the prior on the code holds was chosen with ``--tune``, on other shapes, at 20 and at 100 points; other numbers of
points take what is best at 100.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.fitting.levenberg_marquardt import minimise
from dist_engine.fitting.model import Linearised
from dist_engine.observations.observation import INDEPENDENT
from dist_engine.observations.rows import Rows
from dist_engine.prior import Prior
from dist_engine.shapes.latent import LatentKind, LatentShape
from dist_engine.shapes.shape import Shape
from torch import Tensor

from . import figures, scenes
from .priors import held
from .scenes import Row, Scene

COUNTS = ("dense", "50%", "10%", "100", "50", "20")
METHODS = ("DeepSDF", "ours", "ours (mask)")
STEPS = 60


class Choice(NamedTuple):
    """Of the baseline: the samples' distance to the surface, their standard deviation, and the weight of the prior."""

    beside: float
    noise: float
    hold: float


# The best on other shapes (``--tune``).
CHOSEN = dict.fromkeys(COUNTS, Choice(0.005, 0.0006, 5.0)) | {"20": Choice(0.01, 0.0025, 0.1)}
CHOICES = {
    "beside": (0.005, 0.01, 0.02, 0.04),
    "noise": (0.0006, 0.00125, 0.0025, 0.005, 0.01),
    "hold": (0.01, 0.1, 1.0, 5.0),
}
STARTS, START_POINTS, FIRST_STEPS, CANDIDATES = 6, 500, 8, 500


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("sofa", "aeroplane", "table"), 2)
    figures.add_argument(parser)
    parser.add_argument("--counts", default=",".join(COUNTS), help="numbers or shares of the pixels with depth")
    parser.add_argument("--tune", action="store_true", help="choose the baseline's constants, on other shapes")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    counts = options.counts.split(",")
    if options.tune:
        tune([scenes.built_in(name) for name in options.classes.split(",")], counts, options.instances)
        return
    rows = scenes.measured(options, measure)
    print(f"\nMedian Chamfer distance x 1000\n{'':>24}" + "".join(f"{count:>9}" for count in counts))
    for name, method in product(options.classes.split(","), METHODS):
        some = [row for row in rows if row["class"] == name and row["method"] == method]
        cells = [np.median([row["chamfer_x1000"] for row in some if row["points"] == count]) for count in counts]
        print(f"{name:>10} {method:>13}" + "".join(f"{cell:9.3f}" for cell in cells))
    figures.sheet(options, "sparse-depth", rows, "points", counts, "method")
    for name in options.classes.split(","):
        some = [row for row in rows if row["class"] == name]
        figures.curves(options, f"sparse-depth-{name}-errors", some, "points", counts, "method")
    scenes.write(options, rows)


def measure(options: argparse.Namespace, prior: Prior, seed: int) -> Iterator[Row]:
    """Fit to all numbers of one shape's depths, with all methods."""
    scene = scenes.unseen_scene(prior, seed, 1)
    for count, method in product(options.counts.split(","), METHODS):
        shape, cost = fitted(scene, count, method)
        row = {"class": prior.name, "seed": seed, "points": count, "method": method}
        yield row | figures.judged(options, scene, shape) | cost


def fitted(scene: Scene, count: str, method: str) -> tuple[Shape, dict[str, float]]:
    """Fit with one method to some of the depths; the shape, with seconds and queries."""
    depths = thinned(scene.depths, count)
    if method == "DeepSDF":
        began, counter = time.monotonic(), Counter[str]()
        shape = without_renderer(scene, depths, *CHOSEN[count], counter)
        return shape, {"seconds": time.monotonic() - began, "queries": sum(counter.values())}
    given = {} if method == "ours (mask)" else {"masked": np.zeros(1, bool)}
    found, cost = scenes.run_fit(scene, scene.request(depths=depths, iterations=STEPS, **given))
    return found.shape, cost


def thinned(depths: np.ndarray, count: str) -> np.ndarray:
    """The depths of so many random pixels, or of such a share of them; NaN elsewhere."""
    known = np.flatnonzero(np.isfinite(depths))
    if count != "dense":
        most = round(len(known) * float(count[:-1]) / 100) if count.endswith("%") else int(count)
        known = np.random.default_rng(0).choice(known, min(most, len(known)), replace=False)
    some = np.full(depths.size, np.nan, np.float32)
    some[known] = depths.ravel()[known]
    return some.reshape(depths.shape)


def without_renderer(
    scene: Scene, depths: np.ndarray, beside: float, noise: float, hold: float, counter: Counter[str]
) -> Shape:
    """The shape whose f is zero at the points seen, and plus and minus `beside` before and behind them."""
    prior = scene.prior
    view, row, column = np.nonzero(np.isfinite(depths))
    pixels = torch.as_tensor(np.column_stack([column, row]) + 0.5, dtype=torch.float32)
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    rays = Cameras.from_views(scene.views, torch.device("cpu")).rays(torch.as_tensor(view), pixels, place)
    distance = torch.as_tensor(depths[view, row, column]) / rays.cosine
    spread = torch.linalg.inv(prior.precision_root())

    def cost_of(some: slice) -> Callable[[Tensor], Linearised]:
        points = torch.cat([rays.at(distance + step)[some] for step in (0.0, -beside, beside)])
        wanted = torch.tensor([0.0, beside, -beside]).repeat_interleave(len(points) // 3)

        def evaluate(whitened: Tensor) -> Linearised:
            at = prior.decoder.field(prior.mean + spread @ whitened, counter).jacobian(points, "fit")
            # The samples beside a point say little that the point does not.
            share = min(len(distance), INDEPENDENT) / len(points)
            rows = Rows(share, (at.value - wanted) / noise, at.d_code @ spread / noise)
            return Linearised([rows], held(whitened, hold), torch.ones_like(whitened))

        return evaluate

    # A part of the points tells which starts are good.
    part, whole = cost_of(slice(None, None, len(distance) // START_POINTS + 1)), cost_of(slice(None))
    stride = max(1, len(prior.codes) // CANDIDATES)
    starts = [torch.linalg.solve(spread, code - prior.mean) for code in (prior.mean, *prior.codes[::stride])]
    costs = [part(start).cost for start in starts]
    ends = []
    for index in sorted(range(len(starts)), key=costs.__getitem__)[:STARTS]:
        *_, end = minimise(torch.add, starts[index], part, FIRST_STEPS)
        ends.append(end)
    *_, (whitened, _) = minimise(torch.add, min(ends, key=lambda end: end[1])[0], whole, STEPS)
    return LatentShape(LatentKind(prior), whitened)


def tune(priors: list[Prior], counts: list[str], instances: int) -> None:
    """Print the baseline's geometric mean of the Chamfer distance for choices of its constants, one after the other."""
    seeds = range(scenes.TUNING, scenes.TUNING + instances)
    tried = [scenes.unseen_scene(prior, seed, 1) for prior in priors for seed in seeds]
    for count in counts:
        errors: dict[Choice, float] = {}
        best = CHOSEN[count]
        for name in ("", "hold", "noise", "beside"):
            for choice in [best._replace(**{name: value}) for value in CHOICES.get(name, ())] or [best]:
                if choice not in errors:
                    shapes = [without_renderer(s, thinned(s.depths, count), *choice, Counter()) for s in tried]
                    found = [scenes.surface(s, shape) for s, shape in zip(tried, shapes, strict=True)]
                    logs = [np.log(scenes.chamfer(s, mesh)) for s, mesh in zip(tried, found, strict=True)]
                    errors[choice] = float(np.exp(np.mean(logs)))
                    print(count, choice, f"{errors[choice]:.3f}", flush=True)
            best = min(errors, key=errors.__getitem__)
        print(f"{count}: best {best}, {errors[best]:.3f}", flush=True)
