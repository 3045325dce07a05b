"""What a solver knows of the cost about a state: its rows, linear in the step, and how each of them counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Added to each view's cost a ray, whose root counts: below it, views count alike.
ALIKE = 0.01


@dataclass(frozen=True)
class Quadratic:
    """A cost, its gradient (n,) and its Gauss-Newton curvature (n, n)."""

    cost: float
    gradient: Tensor
    curvature: Tensor

    def after(self, step: Tensor) -> Quadratic:
        """What the model says of the state after a step (n,)."""
        gain = step @ self.gradient + 0.5 * step @ self.curvature @ step
        return Quadratic(self.cost + float(gain), self.gradient + self.curvature @ step, self.curvature)

    def length(self, step: Tensor) -> float:
        """How far a step (n,) goes, where 1 is about as far as the model can be believed."""
        return float(step.norm())


@dataclass(frozen=True)
class Rows:
    """M residuals of one kind of observation.

    Attributes
    ----------
    share : float
        Of each residual in the cost.
    residual : (M,) tensor
        In standard deviations: linear from 1 on (Huber).
    jacobian : (M, n) tensor
    side : (M,) tensor or None
        1 and -1 where only positive and negative residuals count; None or 0 where both do.
    views : (M,) int tensor or None
        Where a view may be wrong as a whole, the view of each,
    rays : (V,) int tensor or None
        and how many were asked in each, those without a residual, too.
    """

    share: float
    residual: Tensor
    jacobian: Tensor
    side: Tensor | None = None
    views: Tensor | None = None
    rays: Tensor | None = None


class Linearised(Quadratic):
    """The cost of rows that are linear in the step: a convex model, but for what it does with views, as robust as it.

    A ray that should meet the surface is content with any that it meets. A quadratic does not know that, nor how
    residuals count when they get small; this does (Burke and Ferris, "A Gauss-Newton method for convex composite
    optimization", 1995). It costs linear algebra alone, since the rows are there.

    Parameters
    ----------
    rows : list of Rows
    held, value : (n,) tensors
        How much each unknown is held, and how far from where it is held to be it is.
    unit : (n,) tensor
        Of each unknown, in how far a step goes.
    """

    def __init__(self, rows: list[Rows], held: Tensor, value: Tensor, unit: Tensor) -> None:
        self._rows, self._held, self._value, self._unit = rows, held, value, unit
        now = self.after(torch.zeros_like(value))
        super().__init__(now.cost, now.gradient, now.curvature)

    def after(self, step: Tensor) -> Quadratic:
        """What the rows say of the state after a step (n,)."""
        value = self._value + step
        cost = 0.5 * (self._held * value.square()).sum()
        gradient, curvature = self._held * value, torch.diag(self._held)
        for rows in self._rows:
            residual = rows.residual + rows.jacobian @ step
            if rows.side is not None:
                residual = torch.where(rows.side * residual < 0, 0.0, residual)
            # Huber: a weight that falls with the residual makes it count linearly beyond 1.
            size = residual.abs()
            costs, trust = torch.where(size < 1, 0.5 * size**2, size - 0.5), 1 / size.clamp(min=1)
            total = costs.sum()
            if rows.views is not None and rows.rays is not None:
                total, agreement = over_views(costs, rows.views, rows.rays)
                trust = trust * agreement
            if rows.side is not None:
                trust = torch.where(residual == 0, 0.0, trust)
            weighted = rows.jacobian * trust[:, None]
            cost = cost + rows.share * total
            gradient = gradient + rows.share * (weighted.T @ residual)
            curvature = curvature + rows.share * (weighted.T @ rows.jacobian)
        return Quadratic(float(cost), gradient, curvature)

    def length(self, step: Tensor) -> float:
        """How far a step (n,) goes, in the unknowns' units."""
        return float((step / self._unit).norm())


def over_views(costs: Tensor, views: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """A cost that a few views cannot carry off, and its derivative (M,) to the costs (M,) of rays of `views` (M,).

    Each view's mean over its rays (`counts` (V,) of them) counts with its root, as in a median rather than a mean: a
    mask of something else pulls little once the others agree. Where all means are the same, it is the costs' sum.
    """
    means = costs.new_zeros(len(counts)).index_add(0, views, costs) / counts.clamp(min=1)
    roots = (means + ALIKE).sqrt()
    middle = (counts * roots).sum() / counts.sum()
    return counts.sum() * (middle**2 - ALIKE), (middle / roots)[views]
