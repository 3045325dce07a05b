"""The paper's solver: Adam on the code and the object's place, over rays drawn anew at each step."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import checkpoint, losses
from ..cameras import Similarity
from ..gradients import implicit_depth, values_along
from ..prior import Prior
from ..protocol import Settings
from ..tracing.march import march
from .observations import Observations

if TYPE_CHECKING:
    from ..run import Reporter

LEARNING_RATE_CODE = 0.05
LEARNING_RATE_PLACE = 0.004
DEPTH_WEIGHT = 10.0
PRIOR_WEIGHT = 2e-4
CHECKPOINT_STEPS = 25


@dataclass(frozen=True)
class Fit:
    """What a solver found: the code (latent,), the object's place and the last steps' mean loss."""

    code: Tensor
    place: Similarity
    loss: float


class Unknowns:
    """The code, in units of the training codes' spread, and a Sim(3) increment on the start's place.

    In these units every direction of the code is as likely as any other, so one learning rate suits them all and the
    squared length is the Mahalanobis distance to the training codes.
    """

    def __init__(self, prior: Prior, code: Tensor, place: Similarity) -> None:
        root = prior.precision_root()
        self.start = place
        self.mean = prior.mean
        self.spread = torch.linalg.inv(root)
        self.whitened = (root @ (code - self.mean)).requires_grad_()
        self.step = torch.zeros(7, device=code.device, requires_grad=True)

    def code(self) -> Tensor:
        """The code (latent,) with its graph."""
        return self.mean + self.spread @ self.whitened

    def place(self) -> Similarity:
        """The object's place with its graph."""
        return self.start.moved(self.step)


def fit(
    prior: Prior,
    observations: Observations,
    code: Tensor,
    place: Similarity,
    settings: Settings,
    counter: Counter[str],
    folder: Path,
    reporter: Reporter,
) -> Fit:
    """Minimise silhouette and depth errors from a start `code` and `place`.

    Goes on from the checkpoint in `folder` where there is one, and writes it as it goes.
    """
    unknowns = Unknowns(prior, code, place)
    groups = [{"params": [unknowns.whitened], "peak": LEARNING_RATE_CODE}]
    if settings.refine_placement:
        groups.append({"params": [unknowns.step], "peak": LEARNING_RATE_PLACE})
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98))
    path = folder / "checkpoint.safetensors"
    tensors = {"whitened": unknowns.whitened, "place": unknowns.step}
    first = checkpoint.resume(path, tensors, optimiser)
    started, average = time.monotonic(), math.nan
    for step in range(first, settings.iterations):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * 0.5 * (1.02 + math.cos(math.pi * step / settings.iterations))
        optimiser.zero_grad()
        loss = objective(prior, observations, unknowns, settings.rays, counter)
        loss.backward()
        optimiser.step()
        average = float(loss.detach()) if math.isnan(average) else 0.9 * average + 0.1 * float(loss.detach())
        if (step + 1) % CHECKPOINT_STEPS == 0:
            checkpoint.save(path, step + 1, tensors, optimiser)
        left = (time.monotonic() - started) / (step + 1 - first) * (settings.iterations - step - 1)
        reporter.progress("fit", step + 1, settings.iterations, average, left)
    found = unknowns.place()
    place = Similarity(found.scale.detach(), found.rotation.detach(), found.translation.detach())
    return Fit(unknowns.code().detach(), place, average)


def objective(prior: Prior, observations: Observations, unknowns: Unknowns, rays: int, counter: Counter[str]) -> Tensor:
    """The loss on freshly drawn rays, with its graph."""
    code, place = unknowns.code(), unknowns.place()
    sample = observations.sample(observations.draw(rays), place)
    field = prior.decoder.field(code, counter)
    threshold = sample.rays.threshold()
    trace = march(field, sample.rays.detach(), threshold)
    # A ray that agrees with its mask and has no depth to compare says nothing: it needs no derivative.
    asks = (trace.hit != sample.inside) | (trace.hit & sample.depth.isfinite())
    chosen = asks.nonzero()[:, 0]
    hit, distance = trace.hit[chosen], trace.distance[chosen]
    value, slope = values_along(field, sample.rays[chosen], distance, code)
    total = losses.silhouette(value, hit, sample.inside[chosen], threshold[chosen])
    loss = total * (len(chosen) / len(threshold)) if len(chosen) else code.sum() * 0
    if observations.depths is not None:
        surface = implicit_depth(value, slope, distance)
        loss = loss + DEPTH_WEIGHT * losses.depth(surface, sample.depth[chosen] / place.scale, hit)
    return loss + PRIOR_WEIGHT * unknowns.whitened.square().mean()
