"""A row: a residual, and how it changes, to first order, with all that a fit may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..shapes.shape import Derivative

# Added to each view's cost a ray, whose root counts: below it, views count alike.
ALIKE = 0.01


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
        The residuals' standard deviation.
    weight : (M,) tensor or None
        How much each counts in `share`, where they differ.
    side : (M,) tensor or None
        1 and -1 where only positive and negative residuals count; None or 0 where both do.
    views : (M,) int tensor or None
        Where a view may be wrong as a whole, the view of each,
    rays : (V,) int tensor or None
        and how many were asked in each, those without a residual, too.
    bound : float
        From so many deviations on, a residual counts linearly (Huber).
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
    bound: float = 1.0

    def in_sigmas(self) -> Tensor:
        """The residuals (M,) in their standard deviations."""
        return self.residual / self.sigma

    def jacobian(self) -> Tensor:
        """Derivatives (M, n) of the residuals in their deviations: only where the unknowns are few."""
        shape = [sum(each.matrix() for each in self.d_shape)] if self.d_shape else []
        return torch.cat([*shape, self.columns], 1) / self._sigmas()[:, None]  # type: ignore[list-item]

    def robust(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """What residuals (M,), in their deviations, cost in all, and the weight (M,) that each has in the gradient.

        The gradient is that of ``share * cost``: ``share * sum weight * residual * d residual``; a residual on the side
        that does not count is to be zero.
        """
        # Huber: a weight that falls with the residual makes it count linearly beyond the bound.
        size, bound = residual.abs(), self.bound
        costs = torch.where(size < bound, 0.5 * size**2, bound * (size - 0.5 * bound))
        trust = bound / size.clamp(min=bound)
        if self.weight is not None:
            costs, trust = self.weight * costs, self.weight * trust
        cost = costs.sum()
        if self.views is not None and self.rays is not None:
            cost, agreement = over_views(costs, self.views, self.rays)
            trust = trust * agreement
        if self.side is not None:
            trust = torch.where(residual == 0, 0.0, trust)
        return cost, trust

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

    def diagonal(self, weights: Tensor) -> Tensor:
        """The diagonal (n,) of the transposed product after weights (M,) after the product, but for what is shared."""
        weights = weights / self._sigmas().square()
        shape = [sum(each.squared(weights) for each in self.d_shape)] if self.d_shape else []
        return torch.cat([*shape, weights @ self.columns.square()])  # type: ignore[list-item]

    def _sigmas(self) -> Tensor:
        return torch.as_tensor(self.sigma).to(self.residual).expand(len(self.residual))


def over_views(costs: Tensor, views: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """A cost that a few views cannot carry off, and its derivative (M,) to the costs (M,) of rays of `views` (M,).

    Each view's mean over its rays (`counts` (V,) of them) counts with its root, as in a median rather than a mean: a
    mask of something else pulls little once the others agree. Where all means are the same, it is the costs' sum.
    """
    means = costs.new_zeros(len(counts)).index_add(0, views, costs) / counts.clamp(min=1)
    roots = (means + ALIKE).sqrt()
    middle = (counts * roots).sum() / counts.sum()
    return counts.sum() * (middle**2 - ALIKE), (middle / roots)[views]
