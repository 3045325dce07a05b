"""A row: a residual, and how it changes, to first order, with all that a fit may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..shapes.shape import Derivative


@dataclass(frozen=True)
class Rows:
    """M residuals of one kind of observation.

    Attributes
    ----------
    share : float
        Of each residual in the cost.
    residual : (M,) tensor
    columns : (M, p) tensor
        Derivatives to place, poses and focal length: few, and dense.
    d_shape : sequence of Derivative
        Their sum is the derivative to the shape's unknowns: each is df at a point of every row, times what it counts.
        Empty where the shape is known.
    sigma : (M,) tensor or float
        The residuals' standard deviation: they count linearly from it on (Huber).
    weight : (M,) tensor or None
        How much each counts in `share`, where they differ.
    side : (M,) tensor or None
        1 and -1 where only positive and negative residuals count; None or 0 where both do.
    views : (M,) int tensor or None
        Where a view may be wrong as a whole, the view of each,
    rays : (V,) int tensor or None
        and how many were asked in each, those without a residual, too.
    """

    share: float
    residual: Tensor
    columns: Tensor
    d_shape: Sequence[Derivative] = ()
    sigma: Tensor | float = 1.0
    weight: Tensor | None = None
    side: Tensor | None = None
    views: Tensor | None = None
    rays: Tensor | None = None

    def in_sigmas(self) -> Tensor:
        """The residuals (M,) in their standard deviations."""
        return self.residual / self.sigma

    def jacobian(self) -> Tensor:
        """Derivatives (M, n) of the residuals in their deviations: only where the unknowns are few."""
        shape = [sum(each.matrix() for each in self.d_shape)] if self.d_shape else []
        return torch.cat([*shape, self.columns], 1) / self._sigmas()[:, None]  # type: ignore[list-item]

    def forward(self, step: Tensor) -> Tensor:
        """How the residuals in their deviations change (M,) with a step (n,), without the Jacobian."""
        few = self.columns.shape[1]
        shape, rest = step[: len(step) - few], step[len(step) - few :]
        change = self.columns @ rest
        for each in self.d_shape:
            change = change + each.forward(shape)
        return change / self._sigmas()

    def backward(self, weights: Tensor) -> Tensor:
        """The transposed product (n,) with weights (M,)."""
        weights = weights / self._sigmas()
        shape = [sum(each.backward(weights) for each in self.d_shape)] if self.d_shape else []
        return torch.cat([*shape, weights @ self.columns])  # type: ignore[list-item]

    def _sigmas(self) -> Tensor:
        return torch.as_tensor(self.sigma).to(self.residual).expand(len(self.residual))
