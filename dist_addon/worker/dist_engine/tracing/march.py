"""Sphere tracing as DIST does it: all rays at once, finished rays dropped, steps longer than the distance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..decoder import Field
from .rays import Rays


@dataclass(frozen=True)
class Trace:
    """What N rays saw.

    Attributes
    ----------
    hit : (N,) bool tensor
    distance : (N,) tensor
        Along the ray, to the surface where `hit`; elsewhere to the sample of smallest |f|.
    value : (N,) tensor
        f there.
    """

    hit: Tensor
    distance: Tensor
    value: Tensor


@torch.no_grad()
def march(
    field: Field,
    rays: Rays,
    threshold: Tensor,
    *,
    steps: int = 50,
    relaxation: float = 1.5,
    longest: float = 0.5,
) -> Trace:
    """Trace all rays in one batch (METHOD: parallel, dynamic and aggressive).

    Parameters
    ----------
    field : Field
    rays : Rays
    threshold : (N,) tensor
        A ray has converged where |f| is below it.
    steps : int
        Most steps a ray.
    relaxation : float
        Factor on each step (the poster's alpha); a ray that overshoots comes back, since f is negative inside.
    longest : float
        Distances are clamped to it: a decoder means less the farther from the surface it is asked.
    """
    count = len(rays)
    hit = torch.zeros(count, dtype=torch.bool, device=rays.near.device)
    best = torch.where(rays.near < rays.far, rays.near, (rays.near + rays.far) / 2)
    value = torch.full_like(best, float("inf"))
    active = (rays.near < rays.far).nonzero()[:, 0]
    distance = rays.near[active]
    for _ in range(steps):
        if len(active) == 0:
            break
        now = rays[active]
        f = field(now.at(distance), "march").clamp(-longest, longest)
        closer = f.abs() < value[active].abs()
        better = active[closer]
        value[better], best[better] = f[closer], distance[closer]
        converged = f.abs() < threshold[active]
        hit[active[converged]] = True
        distance = (distance + relaxation * f).clamp(min=0)
        going = ~converged & (distance < now.far) & (distance >= now.near - longest)
        active, distance = active[going], distance[going]
    return Trace(hit, best, value)
