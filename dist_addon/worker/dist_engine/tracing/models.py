"""First-order models in the code: what is known of a quantity after the code has moved."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Of the models in use, at least one in so many is asked anew after each step of the code.
OLDEST = 12
# Models as old as this, in steps, are always asked anew.
KEPT = 24
# The rate of ageing that is assumed of a model at least, as a share of what is usual.
CALMEST = 0.25


class Models:
    """M quantities (f at a point, depth along a ray) for any code near those at which they were asked for.

    What a model is off by grows with the squared way of the code since then: by its `bend`, which new answers tell.

    Parameters
    ----------
    error : float
        What a model may be off by before it is asked for anew.

    Attributes
    ----------
    code : (latent,) tensor
        Now.
    turn : int
        How many different codes there were before it.
    asked : (M,) tensor
        Turn at which each quantity was last asked for; -1 if its model is of no use.
    constant, slope : (M,) and (M, latent) tensors
        The models: ``constant + slope @ code``.
    own : (M,) tensor
        Each one's bend; NaN while it has been asked for only once.
    bend : float
        What nine in ten of the latest answers stayed below.
    """

    def __init__(self, error: float) -> None:
        self.limit = error
        self.turn, self.bend = -1, 0.0
        self.code = torch.zeros(0)
        self.codes: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.asked)

    def follow(self, code: Tensor) -> bool:
        """Answer for this `code` (latent,) from now on; tells whether it is another one."""
        if self.turn < 0:
            self.asked = torch.zeros(0, dtype=torch.long, device=code.device)
            self.constant, self.own, self.slope = code.new_zeros(0), code.new_zeros(0), code.new_zeros(0, len(code))
        elif torch.equal(code, self.code):
            return False
        self.turn += 1
        self.bend /= 2
        self.code = self.codes[self.turn] = code
        self.codes.pop(self.turn - KEPT, None)
        return True

    def values(self, row: Tensor) -> Tensor:
        """The quantities (N,) of these rows."""
        return self.constant[row] + self.slope[row] @ self.code

    def errors(self, row: Tensor) -> Tensor:
        """What these values may be off by (N,)."""
        return self._bend(row) * self._way(row)

    def add(self, count: int) -> Tensor:
        """Rows (count,) for more quantities, to be learnt at once."""
        first = len(self)
        self.asked = torch.cat([self.asked, self.asked.new_full((count,), -1)])
        nothing = self.constant.new_full((count,), float("nan"))
        self.constant, self.own = torch.cat([self.constant, nothing]), torch.cat([self.own, nothing])
        self.slope = torch.cat([self.slope, self.slope.new_zeros(count, self.slope.shape[1])])
        return torch.arange(first, first + count, device=self.asked.device)

    def learn(self, row: Tensor, value: Tensor, d_code: Tensor) -> None:
        """Take the quantity's values (N,) and derivatives (N, latent) at the code for these rows."""
        bend = (value - self.values(row)).abs() / self._way(row).clamp(min=1e-12)
        old = self.asked[row] >= 0
        if old.any():
            self.bend = max(self.bend, float(bend[old].quantile(0.9)))
        self.own[row] = torch.where(old, bend, float("nan"))
        self.constant[row], self.slope[row], self.asked[row] = value - d_code @ self.code, d_code, self.turn

    def refresh(self, row: Tensor, ask: Callable[[Tensor], None]) -> None:
        """Have as many of these rows asked for as the code's last step needs: the oldest, then the most uncertain.

        Parameters
        ----------
        row : (N,) tensor
            Models in use that were not asked since the step.
        ask : callable
            Asks for some rows and has their models `learn`.
        """
        if len(row) == 0 or self.turn - 1 not in self.codes:
            return
        # Those of one age in an order that has nothing to do with where they are.
        scattered = (row * 40503) % 65537
        row = row[(self.asked[row] * 65537 + scattered).argsort()]
        oldest = math.ceil(len(row) / OLDEST)
        ask(row[:oldest])
        # The share of such steps after which a model that bends this much has to be asked, from those that can tell.
        step = (self.code - self.codes[self.turn - 1]).norm()
        share = (step * (self._bend(row) / self.limit).sqrt()).clamp(max=1)[self.own[row].isfinite()].mean()
        errors = self.errors(row[oldest:])
        more = max(math.ceil(float(share) * len(row)) - oldest, int((errors > 4 * self.limit).sum()), 0)
        ask(row[oldest:][errors.argsort(descending=True, stable=True)[:more]])

    def forget(self, row: Tensor) -> None:
        """What these rows' models say is of no use any more; they are to be learnt at once."""
        self.asked[row] = -1

    def keep(self, mask: Tensor) -> None:
        """Forget the rows that are not in `mask` (M,); the others close ranks."""
        for name in ("asked", "constant", "own", "slope"):
            setattr(self, name, getattr(self, name)[mask])

    def _bend(self, row: Tensor) -> Tensor:
        """How fast these rows' models age (N,): error by squared way of the code."""
        return torch.where(self.own[row].isfinite(), self.own[row], self.bend).clamp(min=CALMEST * self.bend)

    def _way(self, row: Tensor) -> Tensor:
        """Squared way (N,) of the code since these rows were asked for; infinite if that is long ago."""
        then = [self.codes.get(self.turn - age) for age in range(KEPT)]
        ways = [float("inf") if code is None else float((self.code - code).square().sum()) for code in then]
        age = (self.turn - self.asked[row]).clamp(max=KEPT)
        return torch.tensor([*ways, float("inf")], device=row.device)[age]
