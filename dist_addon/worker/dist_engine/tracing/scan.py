"""Along rays through the interpolant: what it shows of the surface, and where it leaves doubt; asks nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..rays import Rays
from .lattice import Level

# Samples of the interpolant are never closer than this (of the finest cell).
NEAREST = 0.3
# The interpolant may be off by this much more than its error estimate.
DOUBT = 1.3
# Longest stretch (in the sphere's units) in doubt that is searched at a time.
STRETCH = 0.08
# On so long a way through doubt a ray hovers above the surface if in the end it falls so many times more steeply.
HOVERING, HOVER = 0.04, 3

MISS, DOUBTFUL, SURE = 0, 1, 2


@dataclass
class Scan:
    """What the interpolant g shows along N rays.

    Attributes
    ----------
    kind : (N,) tensor
        `SURE`: g falls through zero by more than its error, swiftly and without turning back; `DOUBTFUL`: there is a
        stretch in which f may or may not reach zero; `MISS`: neither.
    outside : (N,) tensor
        Distance of the last sample that was surely outside: where the stretch begins.
    behind : (N,) tensor
        Where it ends.
    root, slope : (N,) tensors
        First root of g on a sure ray and the derivative of g along the ray there.
    lowest, lowest_at : (N,) tensors
        Smallest |g| and where it is.
    """

    kind: Tensor
    outside: Tensor
    behind: Tensor
    root: Tensor
    slope: Tensor
    lowest: Tensor
    lowest_at: Tensor


def scan(lattice: Level, rays: Rays, start: Tensor) -> Scan:
    """Walk along the interpolant from `start` (N,) to its first root or doubtful stretch; asks the decoder nothing."""
    count, nearest = len(rays), NEAREST * 2 / lattice.side
    kind = torch.zeros(count, dtype=torch.long, device=start.device)
    outside, behind, above, below = (start.clone() for _ in range(4))
    lowest, lowest_at = torch.full_like(start, float("inf")), start.clone()
    active = (start < rays.far).nonzero()[:, 0]
    t, now = start[active], rays[active]
    last = torch.full_like(t, float("inf"))
    was_low = turned = torch.zeros_like(t, dtype=torch.bool)
    while len(active):
        g, error = lattice.at(now.at(t))
        error = DOUBT * error
        closer = g.abs() < lowest[active]
        lowest[active[closer]], lowest_at[active[closer]] = g[closer].abs(), t[closer]
        above[active[g > 0]], below[active] = t[g > 0], t
        low, inside = g < error, g < -error
        turned = was_low & (turned | (g > last))
        long = t - outside[active] > STRETCH
        doubtful = (was_low & ~low) | (low & long) | (inside & (turned | long))
        sure = inside & ~doubtful
        kind[active[sure]], kind[active[doubtful]] = SURE, DOUBTFUL
        behind[active[doubtful]] = t[doubtful]
        calm = ~low & ~doubtful
        outside[active[calm]] = t[calm]
        step = (0.9 * (g - error)).clamp(min=nearest)
        going = ~inside & ~doubtful & (t + step < now.far)
        last, was_low, turned = g[going], low[going], turned[going]
        active, t = active[going], (t + step)[going]
        now = rays[active]
    root, slope = _root_of_interpolant(lattice, rays, kind == SURE, above, below)
    way = root - outside
    hovers = (way > HOVERING) & (-slope * way > HOVER * lattice.at(rays.at(outside))[0])
    kind[hovers], behind[hovers] = DOUBTFUL, below[hovers]
    return Scan(kind, outside, behind, root, slope, lowest, lowest_at)


def _root_of_interpolant(
    lattice: Level, rays: Rays, wanted: Tensor, above: Tensor, below: Tensor
) -> tuple[Tensor, Tensor]:
    """Root of g between a sample above zero and one below, by false position with halved ends (Illinois)."""
    root, slope = torch.full_like(above, float("nan")), torch.full_like(above, float("nan"))
    chosen = rays[wanted]
    a, b = above[wanted], below[wanted]
    fa, fb = lattice.at(chosen.at(a))[0].clamp(min=1e-9), lattice.at(chosen.at(b))[0].clamp(max=-1e-9)
    slope[wanted] = (fb - fa) / (b - a).clamp(min=1e-9)
    for _ in range(5):
        t = a + (b - a) * fa / (fa - fb)
        g = lattice.at(chosen.at(t))[0]
        positive = g > 0
        a, b = torch.where(positive, t, a), torch.where(positive, b, t)
        fa, fb = torch.where(positive, g, fa / 2), torch.where(positive, fb / 2, g)
    root[wanted] = t
    return root, slope
