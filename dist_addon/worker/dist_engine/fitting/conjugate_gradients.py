"""Conjugate gradients for a model of many unknowns, whose matrix is never formed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def solve(product: Map, target: Tensor, precondition: Map, steps: int, tolerance: float) -> Tensor:
    """Roughly the x (n,) with ``product(x) = target`` (n,).

    Parameters
    ----------
    product : callable
        A symmetric, positive definite map.
    target : (n,) tensor
    precondition : callable
        An approximate inverse of it, symmetric and positive definite, too.
    steps : int
        Most steps.
    tolerance : float
        The search ends where the preconditioned residual, squared, has fallen to this share.
    """
    found = torch.zeros_like(target)
    residual = target.clone()
    ahead = better = precondition(residual)
    size = first = float(residual @ better)
    if not first > 0:
        return found
    for _ in range(steps):
        mapped = product(ahead)
        length = size / float(ahead @ mapped)
        found = found + length * ahead
        residual = residual - length * mapped
        better = precondition(residual)
        before, size = size, float(residual @ better)
        if size <= tolerance * first:
            break
        ahead = better + (size / before) * ahead
    return found
