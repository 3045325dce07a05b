"""The least f along whole rays, and where they first meet the surface: of fields that cost little to ask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..rays import Rays
from ..shapes.shape import Field

# Share of the distance that a step goes: f is interpolated, and no exact distance.
STEP = 0.9
# Steps of a ray, at most, and after how many those that are done are left out.
STEPS, SIEVE = 400, 4
# The least f is made exact where it is less than so many of the shortest steps.
CLOSE = 8.0


@dataclass(frozen=True)
class Passage:
    """What N rays passed.

    Attributes
    ----------
    first : (N,) tensor
        Distance along the ray to where it first meets the surface; infinite where it misses.
    nearest : (N,) tensor
        Distance along the ray to the sample of least f.
    least : (N,) tensor
        f there; infinite where the ray misses the unit sphere.
    """

    first: Tensor
    nearest: Tensor
    least: Tensor


@torch.no_grad()
def pass_through(
    field: Field, rays: Rays, shortest: float, *, stop: bool = False, margin: float | None = None
) -> Passage:
    """March along whole rays, through the thing; steps are `shortest` or longer.

    With `stop`, rays end at the surface. With a `margin`, those that are deeper inside than it end there, since they
    need not be known better.
    """
    first = torch.full_like(rays.near, torch.inf)
    nearest, least = rays.near.clone(), torch.full_like(rays.near, torch.inf)
    index = (rays.near < rays.far).nonzero()[:, 0]
    ahead = rays[index]
    at, before, f_before = ahead.near.clone(), ahead.near.clone(), torch.full_like(ahead.near, torch.inf)
    best, best_at, hit = f_before.clone(), at.clone(), f_before.clone()
    for step in range(STEPS):
        if not len(index):
            break
        f = field(ahead.at(at), "march")
        less = f < best
        best, best_at = torch.where(less, f, best), torch.where(less, at, best_at)
        meets = (f <= 0) & (f_before > 0) & (f_before < torch.inf) & (hit == torch.inf)
        share = f_before / (f_before - f).clamp(min=1e-9)
        hit = torch.where(meets, before + (at - before) * share.clamp(0, 1), hit)
        before, f_before = at, f
        at = at + (STEP * f.abs()).clamp(min=shortest)
        if step % SIEVE == SIEVE - 1 or step == STEPS - 1:
            going = at < ahead.far
            if stop:
                going &= hit == torch.inf
            if margin is not None:
                going &= best > -margin
            if step < STEPS - 1 and bool(going.float().mean() > 0.9):
                continue
            first[index], nearest[index], least[index] = hit, best_at, best
            kept = going.nonzero()[:, 0]
            index, ahead = index[kept], ahead[kept]
            at, before, f_before = at[kept], before[kept], f_before[kept]
            best, best_at, hit = best[kept], best_at[kept], hit[kept]
    first[index], nearest[index], least[index] = hit, best_at, best
    if not stop:
        _refine(field, rays, shortest, nearest, least)
    return Passage(first, nearest, least)


def _refine(field: Field, rays: Rays, shortest: float, nearest: Tensor, least: Tensor) -> None:
    """Move the nearest samples that are near the surface to where f is less still, between them and the next ones."""
    index = (least.abs() < CLOSE * shortest).nonzero()[:, 0]
    close, at, best = rays[index], nearest[index], least[index]
    for part in (0.5, 0.25):
        for ahead in (at + part * shortest, at - part * shortest):
            f = field(close.at(ahead), "march")
            at, best = torch.where(f < best, ahead, at), torch.minimum(f, best)
    nearest[index], least[index] = at, best
