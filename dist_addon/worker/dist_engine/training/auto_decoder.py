"""Training a decoder and one code a shape together (Park et al., CVPR 2019, section 4.2)."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import checkpoint
from ..decoder import Architecture, Decoder

# Seconds between two checkpoints, and between two reports.
KEEP_EVERY, REPORT_EVERY = 10.0, 0.5
# The tracer walks by f: where that exceeds the distance, it may walk through a surface, and an unseen shape's far field
# is never learnt exactly. Beyond the first distance, f grows by the second for each unit of distance.
NEAR, FAR_SLOPE = 0.1, 0.8
# Share of the steps that a GPU takes in half precision; the last ones, which settle the thousandths, in full.
HALF = 0.8


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
        Far outside, an f that is too large counts this many times as much as one that is too small.
    gross : float
        An error of this size counts twice, and much larger ones by their square: that a wing is where none should be is
        then no matter of a few samples. 0: errors count as they are.
    crossed : float
        A sample on the wrong side of the surface counts this much more (after Duan et al., Curriculum DeepSDF, ECCV
        2020): where a strut is thinner than the usual error, nothing else tells that it is missing.
    missing : float
        A sample inside that is taken to be outside counts this much more again: a strut that is a little too thick is
        better than one in pieces.
    code_weight : float
        Weight of the mean of |z|^2.
    seed : int
        The same seed gives the same codes, weights and batches on every machine, and on one machine the same result.
    """

    steps: int = 24_000
    shapes: int = 64
    samples: int = 32
    lr_decoder: float = 3e-3
    lr_codes: float = 1e-2
    soft: float = 0.05
    over: float = 4.0
    gross: float = 0.0
    crossed: float = 0.0
    missing: float = 0.0
    code_weight: float = 1e-4
    seed: int = 0


@dataclass
class TrainingProgress:
    """Where a training stands.

    Attributes
    ----------
    step : int
        Steps done.
    loss : float
        The weighted mean absolute error of the distance, in the object frame's units, since the last report.
    seconds_left : float
    decoder : Decoder
        As it is now; it goes on changing.
    codes : (N, latent) tensor
        Likewise.
    """

    step: int
    loss: float
    seconds_left: float
    decoder: Decoder
    codes: Tensor


def taught(distances: Tensor) -> Tensor:
    """What f is taught where the signed distance is so: the same near the surface and inside, less far outside."""
    return distances - (1 - FAR_SLOPE) * (distances - NEAR).clamp(min=0)


def train(
    architecture: Architecture,
    points: Tensor,
    distances: Tensor,
    recipe: Recipe,
    file: Path,
    report: Callable[[TrainingProgress], bool],
    device: torch.device | str = "cpu",
    start: tuple[Decoder, Tensor] | None = None,
    blame: Tensor | None = None,
) -> tuple[Decoder, Tensor]:
    """Fit decoder and codes to samples.

    Parameters
    ----------
    architecture : Architecture
    points, distances : (N, M, 3) and (N, M) tensors
        Samples of N shapes in the object frame, on the CPU.
    recipe : Recipe
    file : Path
        The checkpoint, written every 10 seconds and at the end. Training goes on from it where it is of the same
        architecture, samples and recipe, and ends with the same weights as if it had never stopped.
    report : callable
        Called twice a second and after the last step; training ends early where it returns False.
    device : torch.device
        What to compute on. The samples go there as well, if they fit into half of its free memory.
    start : Decoder and (K, latent) tensor, optional
        Of the same architecture, trained on other shapes: the weights are the first, and codes are drawn about the
        mean of these. What was learnt of edges and thin parts holds for other shapes too: after 2,500 steps, chairs
        that came from tables had a fifth less error. As many codes as shapes are the first themselves.
    blame : (N,) tensor, optional
        How often each shape is looked at, in the first quarter of the steps.

    Returns
    -------
    decoder : Decoder
    codes : (N, latent) tensor
        Both on `device`.

    Raises
    ------
    ValueError
        The loss is no longer a finite number.
    """
    device = torch.device(device)
    generator = torch.Generator().manual_seed(recipe.seed)
    decoder = Decoder(architecture)
    decoder.initialise(generator)
    # Of length 1: with much shorter codes the decoder takes long to tell one shape from another.
    codes = torch.randn(len(points), architecture.latent, generator=generator) * architecture.latent**-0.5
    if start is not None:
        decoder.load_state_dict(start[0].state_dict())
        same = len(start[1]) == len(points)
        codes = start[1].clone() if same else start[1].mean(0) + start[1].std(0) * codes * architecture.latent**0.5 / 2
    # It would end up at 0, where f is flat: without a normal, and without a derivative to the code.
    decoder.parts()[-1]["bias"].requires_grad_(False)
    decoder, codes = decoder.to(device), codes.to(device).requires_grad_()
    unknowns = {**dict(decoder.named_parameters()), "codes": codes}
    optimiser = torch.optim.Adam(
        [
            {"params": list(decoder.parameters()), "peak": recipe.lr_decoder},
            {"params": [codes], "peak": recipe.lr_codes},
        ]
    )
    purpose = _purpose(decoder, recipe, points, distances)
    step = checkpoint.resume(file, unknowns, optimiser, purpose)
    if _fits(points, distances, device):
        points, distances = points.to(device), distances.to(device)
    started = kept = reported = time.monotonic()
    first, told, running = step, step, torch.zeros((), device=device)
    going = True
    while going and step < recipe.steps:
        _schedule(optimiser, recipe, step)
        # Batches depend on the step alone, so that a training that goes on sees those it would have seen.
        generator.manual_seed(recipe.seed * 1_000_003 + step)
        if blame is not None and step < recipe.steps // 4:
            shapes = torch.multinomial(blame, recipe.shapes, replacement=True, generator=generator)
        else:
            shapes = torch.randint(len(points), (recipe.shapes,), generator=generator)
        picks = torch.randint(points.shape[1], (recipe.shapes, recipe.samples), generator=generator)
        where = (shapes[:, None].to(points.device), picks.to(points.device))
        target = taught(distances[where].to(device))
        # On a CPU, and on Apple's GPUs, half precision is no faster.
        half = device.type == "cuda" and step < HALF * recipe.steps
        with torch.autocast("cuda", torch.bfloat16) if half else contextlib.nullcontext():
            value = decoder(points[where].to(device), codes[shapes.to(device)])
        value = value.float()
        off = value - target
        # Near the surface, an outline that is too thin is as bad as one that is too thick.
        tilt = 1 + (recipe.over - 1) * (off > 0) * (target / recipe.soft - 1).clamp(0, 1)
        wrong = 1 + recipe.crossed * (value * target < 0) + recipe.missing * ((value > 0) & (target < 0))
        weight = wrong * tilt * recipe.soft / (recipe.soft + target.abs())
        error = (off.abs() * weight).mean()
        loss = error if recipe.gross == 0 else error + (off.square() * weight).mean() / recipe.gross
        loss = loss + recipe.code_weight * codes[shapes.to(device)].square().sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        step += 1
        running += error.detach()
        now, last = time.monotonic(), step == recipe.steps
        if last or now - reported >= REPORT_EVERY:
            mean = float(running) / (step - told)
            if not math.isfinite(mean):
                raise ValueError(f"The training went astray after {step} steps: try another seed.")
            pace = (now - started) / (step - first)
            going = report(TrainingProgress(step, mean, pace * (recipe.steps - step), decoder, codes.detach()))
            # What the report itself takes does not count as pace.
            started += time.monotonic() - now
            told, reported, running = step, time.monotonic(), torch.zeros_like(running)
        if last or not going or now - kept >= KEEP_EVERY:
            checkpoint.save(file, step, unknowns, optimiser, purpose)
            kept = now
    return decoder.eval(), codes.detach()


def _schedule(optimiser: torch.optim.Adam, recipe: Recipe, step: int) -> None:
    warm = min(1.0, (step + 1) / 50)
    fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * warm * fall


def _purpose(decoder: Decoder, recipe: Recipe, points: Tensor, distances: Tensor) -> str:
    """What tells one training from another, before its first step."""
    digest = hashlib.sha256(repr((decoder.architecture, recipe, tuple(points.shape))).encode())
    # A part of the samples will do: other meshes change all of them.
    for part in (points[:, ::16], distances[:, ::16], *decoder.state_dict().values()):
        digest.update(part.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _fits(points: Tensor, distances: Tensor, device: torch.device) -> bool:
    needed = points.nbytes + distances.nbytes
    if device.type == "cuda":
        return needed < torch.cuda.mem_get_info(device)[0] / 2
    if device.type == "mps":
        return needed < torch.mps.recommended_max_memory() / 2
    return True
