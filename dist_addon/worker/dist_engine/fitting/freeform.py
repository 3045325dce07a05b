"""Fitting a free shape: from coarse grids to fine ones, by Gauss-Newton steps of conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..observations.rows import Rows
from ..shapes.free.shape import FreeShape
from .conjugate_gradients import solve

# Steps of conjugate gradients, and where they end; how often a step weighs its rows anew.
STEPS, TOLERANCE, REWEIGHTED = 25, 1e-5, 2


def gauss_newton(shape: FreeShape, rows: Sequence[Rows], reweighted: int = REWEIGHTED) -> tuple[FreeShape, float]:
    """One step of a shape towards what rows say, and the cost that it had before."""
    own = shape.own_term()
    step = torch.zeros_like(shape.grid.values[shape.band.ids])
    starts = [each.in_sigmas() for each in rows]
    before = 0.0
    for turn in range(reweighted):
        cost, slope = own.after(step)
        trusts = []
        for each, start in zip(rows, starts, strict=True):
            residual = start + each.forward(step) if turn else start
            if each.side is not None:
                residual = torch.where(each.side * residual < 0, 0.0, residual)
            paid, trust = each.robust(residual)
            trusts.append(each.share * trust)
            cost += each.share * float(paid)
            slope = slope + each.backward(trusts[-1] * residual)
        before = before if turn else cost
        diagonal = own.diagonal()
        for each, trust in zip(rows, trusts, strict=True):
            diagonal = diagonal + each.diagonal(trust)

        def product(vector: Tensor, trusts: list[Tensor] = trusts) -> Tensor:
            mapped = own.product(vector)
            for each, trust in zip(rows, trusts, strict=True):
                mapped = mapped + each.backward(trust * each.forward(vector))
            return mapped

        scale = 1 / diagonal
        way, taken, left = solve(product, -slope, lambda r, scale=scale: scale * r, STEPS, TOLERANCE)
        step = step + way
        LOG.append((taken, left))
    return shape.retract(step), before

LOG = []
