"""What a solver knows of the cost about a state: its rows, linear in the step, and how each of them counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..observations.rows import Rows
from ..shapes.shape import OwnTerm

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


class Linearised(Quadratic):
    """The cost of rows that are linear in the step: a convex model, but for what it does with views, as robust as it.

    A ray that should meet the surface is content with any that it meets. A quadratic does not know that, nor how
    residuals count when they get small; this does (Burke and Ferris, "A Gauss-Newton method for convex composite
    optimization", 1995). It costs linear algebra alone, since the rows are there. Matrices are formed: it is for shapes
    of few unknowns.

    Parameters
    ----------
    rows : list of Rows
    own : list of (slice, OwnTerm)
        What holds a part of the unknowns without any row.
    unit : (n,) tensor
        Of each unknown, in how far a step goes.
    """

    def __init__(self, rows: list[Rows], own: list[tuple[slice, OwnTerm]], unit: Tensor) -> None:
        self.rows = rows
        self._own, self._unit = own, unit
        self._linear = [(each, each.in_sigmas(), each.jacobian()) for each in rows]
        self._held = torch.zeros(len(unit), len(unit)).to(unit)
        for part, term in own:
            self._held[part, part] = term.matrix()
        now = self.after(torch.zeros_like(unit))
        super().__init__(now.cost, now.gradient, now.curvature)

    def after(self, step: Tensor) -> Quadratic:
        """What the rows say of the state after a step (n,)."""
        held, gradient, curvature = 0.0, torch.zeros_like(self._unit), self._held
        for part, term in self._own:
            own, gradient[part] = term.after(step[part])
            held += own
        total = gradient.new_tensor(held)
        for rows, start, jacobian in self._linear:
            residual = start + jacobian @ step
            if rows.side is not None:
                residual = torch.where(rows.side * residual < 0, 0.0, residual)
            # Huber: a weight that falls with the residual makes it count linearly beyond 1.
            size = residual.abs()
            costs, trust = torch.where(size < 1, 0.5 * size**2, size - 0.5), 1 / size.clamp(min=1)
            if rows.weight is not None:
                costs, trust = rows.weight * costs, rows.weight * trust
            cost = costs.sum()
            if rows.views is not None and rows.rays is not None:
                cost, agreement = over_views(costs, rows.views, rows.rays)
                trust = trust * agreement
            if rows.side is not None:
                trust = torch.where(residual == 0, 0.0, trust)
            weighted = jacobian * trust[:, None]
            total = total + rows.share * cost
            gradient = gradient + rows.share * (weighted.T @ residual)
            curvature = curvature + rows.share * (weighted.T @ jacobian)
        return Quadratic(float(total), gradient, curvature)

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
