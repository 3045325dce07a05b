"""How far what the rays see is from what the pictures show (METHOD: differentiable silhouette, depth)."""

from __future__ import annotations

import torch
from torch import Tensor


def silhouette(value: Tensor, hit: Tensor, inside: Tensor, threshold: Tensor) -> Tensor:
    """Mean silhouette error, in the object frame's units.

    Parameters
    ----------
    value : (N,) tensor
        f at each ray's sample of smallest |f|, with a graph.
    hit, inside : (N,) bool tensors
        The ray met the surface; the mask shows the thing.
    threshold : (N,) tensor
        The tracer's convergence threshold.
    """
    missing = torch.where(inside & ~hit, torch.relu(value - threshold), 0.0)
    extra = torch.where(~inside & hit, torch.relu(threshold - value), 0.0)
    return (missing + extra).mean()


def depth(distance: Tensor, observed: Tensor, hit: Tensor) -> Tensor:
    """Mean absolute error over the rays that hit and have an observation (NaN: none), in the unit of `distance`."""
    both = hit & observed.isfinite()
    error = torch.where(both, (distance - observed.nan_to_num()).abs(), 0.0)
    return error.sum() / both.sum().clamp(min=1)
