"""Gauss-Newton for a free shape: its model has as many unknowns as the surface has nodes, so no matrix is formed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..observations.rows import Rows
from ..shapes.free.bending import Bending
from ..shapes.free.shape import FreeShape
from .conjugate_gradients import solve

# Steps of conjugate gradients, for each time that a step weighs its rows anew, and where they end; fewer for samples.
STEPS, TOLERANCE, SAMPLE_STEPS = (10, 25), 1e-5, 15


def gauss_newton(shape: FreeShape, rows: Sequence[Rows]) -> tuple[FreeShape, float]:
    """One step of a shape towards what rows say, and the cost that it had before."""
    own = shape.own_term()
    step = shape.grid.values.new_zeros(shape.size)
    starts = [each.in_sigmas() for each in rows]
    before = 0.0
    for turn, most in enumerate(STEPS):
        cost, slope = own.after(step)
        trusts = []
        for each, start in zip(rows, starts, strict=True):
            residual = start + each.forward(step) if turn else start
            if each.side is not None:
                # What is right on its side counts nothing now; a step that breaks it is weighed at the next turn.
                residual = torch.where(each.side * residual < 0, 0.0, residual)
            paid, trust = each.robust(residual)
            trusts.append(each.share * trust)
            cost += each.share * float(paid)
            slope = slope + each.backward(trusts[-1] * residual)
        if not turn:
            before = cost
        product, precondition = _model(own, rows, trusts)
        step = step + solve(product, -slope, precondition, most, TOLERANCE)
    return shape.retract(step), before


def spread(shape: FreeShape, rows: Sequence[Rows], count: int, generator: torch.Generator) -> list[Tensor]:
    """Samples (n,) of where the shape may be, as far as its rows and its own term tell: of the model's posterior.

    Each is the answer to the model with noise of its deviations on all that it is told (Papandreou and Yuille,
    "Gaussian sampling by local perturbations", 2010).
    """
    own = shape.own_term()
    trusts = []
    for each in rows:
        # Where the fit has ended, one-sided rows bind or nearly do.
        binding = each.in_sigmas()
        _, trust = each.robust(torch.where(binding == 0, 1e-6, binding))
        trusts.append(each.share * trust * (binding.abs() < each.bound))
    product, precondition = _model(own, rows, trusts)
    found = []
    for _ in range(count):
        noise = own.noise(generator)
        for each, trust in zip(rows, trusts, strict=True):
            noise = noise + each.backward(trust.sqrt() * torch.randn(len(trust), generator=generator).to(trust))
        found.append(solve(product, noise, precondition, SAMPLE_STEPS, TOLERANCE))
    return found


def _model(
    own: Bending, rows: Sequence[Rows], trusts: Sequence[Tensor]
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The Gauss-Newton curvature times a vector, and roughly its inverse."""
    diagonal = own.diagonal()
    for each, trust in zip(rows, trusts, strict=True):
        diagonal = diagonal + each.diagonal(trust)

    def product(vector: Tensor) -> Tensor:
        mapped = own.product(vector)
        for each, trust in zip(rows, trusts, strict=True):
            mapped = mapped + each.backward(trust * each.forward(vector))
        return mapped

    return product, lambda residual: residual / diagonal
