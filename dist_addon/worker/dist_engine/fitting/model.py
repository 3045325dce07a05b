"""What a solver knows of the cost about a state: its rows, linear in the step, and how each of them counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..observations.rows import Rows
from ..shapes.shape import OwnTerm


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
        self._held = unit.new_zeros(len(unit), len(unit))
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
            cost, trust = rows.robust(residual)
            weighted = jacobian * trust[:, None]
            total = total + rows.share * cost
            gradient = gradient + rows.share * (weighted.T @ residual)
            curvature = curvature + rows.share * (weighted.T @ jacobian)
        return Quadratic(float(total), gradient, curvature)

    def length(self, step: Tensor) -> float:
        """How far a step (n,) goes, in the unknowns' units."""
        return float((step / self._unit).norm())
