"""Training a decoder and one code a shape together (Park et al., CVPR 2019, section 4.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import checkpoint
from ..decoder import Architecture, Decoder


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    steps : int
        Optimiser steps.
    shapes, samples : int
        Shapes a step, and samples of each. Few samples and many steps: for the same number of samples, steps four
        times as large left twice the error.
    lr_decoder, lr_codes : float
        Peak rates of Adam; both fall to a hundredth along a cosine.
    soft : float
        Errors count ``soft / (soft + |distance|)``: fully at the surface, less in the far field, where the tracer only
        needs to know that nothing is near. A clamp, as in the official recipe, leaves the far field to chance.
    over : float
        Far outside, a distance that is too large counts this many times as much as one that is too small: the tracer
        walks by it.
    code_weight : float
        Weight of the mean of |z|^2.
    """

    steps: int = 24_000
    shapes: int = 64
    samples: int = 32
    lr_decoder: float = 3e-3
    lr_codes: float = 1e-2
    soft: float = 0.05
    over: float = 4.0
    code_weight: float = 1e-4
    seed: int = 0


@dataclass
class Progress:
    """One line of a training's progress; the loss is the weighted mean absolute error of the distance."""

    step: int
    loss: float
    seconds_left: float


def train(
    architecture: Architecture,
    points: Tensor,
    distances: Tensor,
    recipe: Recipe,
    file: Path,
    report: Callable[[Progress], bool],
) -> tuple[Decoder, Tensor]:
    """Fit decoder and codes to samples.

    Parameters
    ----------
    points, distances : (N, M, 3) and (N, M) tensors
        Samples of N shapes in the object frame.
    file : Path
        Written every 1000 steps; training goes on from it where it exists.
    report : callable
        Called every 100 steps; training ends early where it returns False.

    Returns
    -------
    decoder : Decoder
    codes : (N, latent) tensor
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    decoder = Decoder(architecture)
    decoder.initialise(generator)
    codes = torch.empty(len(points), architecture.latent)
    # Of length 1: with much shorter codes the decoder takes long to tell one shape from another.
    codes.normal_(0, architecture.latent**-0.5, generator=generator).requires_grad_()
    unknowns = {**dict(decoder.named_parameters()), "codes": codes}
    optimiser = torch.optim.Adam(
        [
            {"params": list(decoder.parameters()), "peak": recipe.lr_decoder},
            {"params": [codes], "peak": recipe.lr_codes},
        ]
    )
    step = checkpoint.resume(file, unknowns, optimiser)
    generator.manual_seed(recipe.seed + step)
    started, first, running = time.monotonic(), step, 0.0
    while step < recipe.steps:
        _schedule(optimiser, recipe, step)
        shapes = torch.randint(len(points), (recipe.shapes,), generator=generator)
        picks = torch.randint(points.shape[1], (recipe.shapes, recipe.samples), generator=generator)
        target = distances[shapes[:, None], picks]
        value = decoder(points[shapes[:, None], picks], codes[shapes])
        off = value - target
        blame = 1 + (recipe.over - 1) * (off > 0) * (target / recipe.soft).clamp(0, 1)
        error = (off.abs() * blame * recipe.soft / (recipe.soft + target.abs())).mean()
        loss = error + recipe.code_weight * codes[shapes].square().sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        step += 1
        running += float(error.detach())
        if step % 1000 == 0 or step == recipe.steps:
            checkpoint.save(file, step, unknowns, optimiser)
        if step % 100 == 0:
            pace = (time.monotonic() - started) / (step - first)
            if not report(Progress(step, running / 100, pace * (recipe.steps - step))):
                break
            running = 0.0
    return decoder.eval(), codes.detach()


def _schedule(optimiser: torch.optim.Adam, recipe: Recipe, step: int) -> None:
    warm = min(1.0, (step + 1) / 50)
    fall = 0.01 + 0.99 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / recipe.steps)).item())
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * warm * fall
