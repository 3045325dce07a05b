"""What holds a free shape where nothing is observed: it bends little, is a distance, and stays by what it came from.

In the band |phi| < `BAND` cells about the surface, with h the cell's width, half of

    h^3 / (2 BAND h) [ stiffness sum w_k w_n |Hess phi - s Hess phi_tie|^2 + sum w_k (n . grad phi - 1)^2
                       + tie sum (phi - phi_tie)^2 ]

so that each sum is an integral over the surface. Without a tie, only linear functions are free of bending. With one,
the surface keeps the form of what it is tied to as far as s is one, since nothing is observed there, and loses it where
s is zero. In the middle of a thin part or of a gap, phi has a kink: that of what it is tied to is kept in any case, in
its slope, too, and gaps that nothing is observed of are held to where they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .grid import AXES, Grid

# Half the width of the band of nodes that are unknown, in cells.
BAND = 3.0
# Bending counts most beside the surface: by exp(-(phi / 2 h)^2), and by no less than this.
LEAST_BENDING = 0.15
# Where the slope falls from a distance's, in the middle of a thin part, phi has a kink: no bend of the surface.
KINK, KINK_WIDTH, LEAST_KINK = 0.3, 0.6, 0.02
# From a slope of what it is tied to below this on, its form is more and more that of a kink.
STEEP = 0.9
# In a gap, the slope falls below the first, and at most below the second: there, the tie is so much stronger.
NARROW, LEAST_NARROW, GAP = 0.6, 0.3, 1000.0

PAIRS = ((0, 1), (0, 2), (1, 2))
UNIT = torch.eye(3, dtype=torch.long)
# Ahead and back along two axes at once.
DIAGONALS = torch.stack([sign * (UNIT[a] + UNIT[b]) for a, b in PAIRS for sign in (1, -1)])


@dataclass(frozen=True)
class Band:
    """The nodes of a grid that are unknown.

    Attributes
    ----------
    grid : Grid
    ids : (m,) int tensor
        Which of the grid's values they are.
    place : (len(grid.values) + 1,) int tensor
        Which of the band each of the grid's values is, m where it is none of them; the last for no node.
    """

    grid: Grid
    ids: Tensor
    place: Tensor

    @staticmethod
    def about(grid: Grid) -> Band:
        """The band of a grid's surface."""
        ids = (grid.values.abs() < BAND * grid.width).nonzero()[:, 0]
        place = ids.new_full((len(grid.values) + 1,), len(ids))
        place[ids] = torch.arange(len(ids), device=ids.device)
        return Band(grid, ids, place)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def positions(self) -> Tensor:
        """Where they are (m, 3) in the object frame."""
        return self.grid.positions(self.grid.nodes()[self.ids])

    def beside(self, steps: Tensor) -> Tensor:
        """Which of the band (m, K) is at steps (K, 3) from each; m for none."""
        return self.place[self.grid.shifted(steps)[self.ids]]

    def weights(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the band (N, 8) are about points (N, 3), m for none, and their shares (N, 8)."""
        index, share = self.grid.weights(points)
        return self.place[index], share


class Bending:
    """The cost of a step of the band's values; an `OwnTerm`.

    Parameters
    ----------
    band : Band
    stiffness : float
    tie : float
        How much the values are held to `tied`.
    tied : (m,) tensor or None
    kept : (m,) tensor or None
        How much of the form of `tied` is kept, from 0 to 1; all of it where not given.
    """

    def __init__(
        self, band: Band, stiffness: float, tie: float = 0.0, tied: Tensor | None = None, kept: Tensor | None = None
    ) -> None:
        grid, h = band.grid, band.grid.width
        self._now = grid.values[band.ids]
        self._size = len(band)
        around, corners = band.beside(AXES), band.beside(DIAGONALS)
        # Neighbours as (m,) each: a gather of contiguous indices is twice as fast.
        self._ahead, self._back = around[:, 0::2].T.contiguous(), around[:, 1::2].T.contiguous()
        self._far, self._near = corners[:, 0::2].T.contiguous(), corners[:, 1::2].T.contiguous()
        there, here = self._ahead < self._size, self._back < self._size
        spans = h * (there.to(self._now) + here.to(self._now)).clamp(min=1)
        gradient = self._changes(self._now) / spans
        slope = gradient.norm(dim=0)
        # Differences across the surface: coefficients of the nodes ahead, back, and, at the band's edge, the own.
        across = gradient / slope.clamp(min=1e-6) / spans
        self._plus, self._minus = across * there, -across * here
        self._own = (across * ~there - across * ~here).sum(0)

        volume = h * h / (2 * BAND)
        kink = ((slope - KINK) / KINK_WIDTH).clamp(LEAST_KINK, 1).square()
        near = torch.exp(-(self._now / (2 * h)).square()).clamp(min=LEAST_BENDING)
        bend = stiffness * volume * kink * near / h**4
        self._along = bend * (there & here)
        pairs = [there[a] & there[b] & (far < self._size) for (a, b), far in zip(PAIRS, self._far, strict=True)]
        self._mixed = 2 * bend * torch.stack(pairs)
        self._slope = volume * kink
        self._tie = torch.full_like(self._now, tie * volume)
        self._tied = self._now if tied is None else tied
        self._kept: tuple[Tensor, Tensor] | None = None
        self._wanted_slope = torch.ones_like(self._now)
        if tied is not None:
            second, mixed, across = self._differences(tied, self._pad(tied))
            # A kink is no form: without its own, a thin part would become thinner, and a gap narrower.
            steep = (self._changes(tied) / spans).norm(dim=0)
            kinked = ((1 - steep) / (1 - STEEP)).clamp(0, 1)
            self._wanted_slope = 1 - kinked * (1 - across)
            if kept is not None:
                # Nothing tells how wide a gap is that is not seen, and closed, it does not open again.
                gap = kept * ((NARROW - steep) / (NARROW - LEAST_NARROW)).clamp(0, 1) * (tied > 0)
                self._tie = self._tie * (1 + GAP * gap)
                kept = kept + (1 - kept) * kinked
                second, mixed = kept * second, kept * mixed
            self._kept = second, mixed

    def _changes(self, values: Tensor) -> Tensor:
        """What values (m,) change by from the node back to the one ahead, (3, m), or from or to the node itself."""
        padded, none = self._pad(values), self._size
        ahead = torch.where(self._ahead < none, padded[self._ahead], values)
        return ahead - torch.where(self._back < none, padded[self._back], values)

    def _pad(self, values: Tensor) -> Tensor:
        return torch.cat([values, values.new_zeros(*values.shape[:-1], 1)], -1)

    def after(self, step: Tensor) -> tuple[float, Tensor]:
        """As `OwnTerm.after`."""
        values = self._now + step
        padded = self._pad(values)
        second, mixed, slope = self._differences(values, padded)
        if self._kept is not None:
            second, mixed = second - self._kept[0], mixed - self._kept[1]
        cost = (self._along * second.square()).sum() + (self._mixed * mixed.square()).sum()
        slope, left = slope - self._wanted_slope, values - self._tied
        cost = cost + (self._slope * slope.square()).sum() + (self._tie * left.square()).sum()
        gradient = self._back_again(self._along * second, self._mixed * mixed, self._slope * slope)
        return float(0.5 * cost), gradient + self._tie * left

    def product(self, vector: Tensor) -> Tensor:
        """As `OwnTerm.product`."""
        second, mixed, slope = self._differences(vector, self._pad(vector))
        return self._back_again(self._along * second, self._mixed * mixed, self._slope * slope) + self._tie * vector

    def matrix(self) -> Tensor:
        """As `OwnTerm.matrix`."""
        return torch.stack([self.product(row) for row in torch.eye(self._size, device=self._now.device)], 1)

    def noise(self, generator: torch.Generator) -> Tensor:
        """A sample (m,) of the gradient where each difference has noise of the deviation that its weight stands for."""

        def drawn(weight: Tensor) -> Tensor:
            return weight.sqrt() * torch.randn(weight.shape, generator=generator).to(weight)

        found = self._back_again(drawn(self._along), drawn(self._mixed), drawn(self._slope))
        return found + drawn(self._tie)

    def diagonal(self) -> Tensor:
        """The curvature's own (m,)."""
        along, mixed = self._pad(self._along), self._pad(self._mixed)
        found: Tensor = 4 * self._along.sum(0) + self._mixed.sum(0) + self._slope * self._own.square() + self._tie
        plus, minus = self._pad(self._slope * self._plus.square()), self._pad(self._slope * self._minus.square())
        for axis in range(3):
            ahead, back = self._ahead[axis], self._back[axis]
            found = found + along[axis][ahead] + along[axis][back] + plus[axis][back] + minus[axis][ahead]
        for pair, (a, b) in enumerate(PAIRS):
            weight = mixed[pair]
            found = found + weight[self._back[a]] + weight[self._back[b]] + weight[self._near[pair]]
        return found

    def _differences(self, values: Tensor, padded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Second differences (3, m) along the axes and (3, m) mixed, in values, and slopes (m,) across the surface."""
        ahead, back = padded[self._ahead], padded[self._back]
        second = ahead + back - 2 * values
        mixed = torch.stack([values - ahead[a] - ahead[b] for a, b in PAIRS]) + padded[self._far]
        slope = (self._plus * ahead + self._minus * back).sum(0) + self._own * values
        return second, mixed, slope

    def _back_again(self, second: Tensor, mixed: Tensor, slope: Tensor) -> Tensor:
        """The transposed map (m,): each node gathers from the differences that it is in."""
        # What node i gives to its neighbour ahead is what i gets from the one back.
        ahead, back = self._pad(second + self._plus * slope), self._pad(second + self._minus * slope)
        corner = self._pad(mixed)
        found: Tensor = mixed.sum(0) - 2 * second.sum(0) + self._own * slope
        for axis in range(3):
            found = found + ahead[axis][self._back[axis]] + back[axis][self._ahead[axis]]
        for pair, (a, b) in enumerate(PAIRS):
            found = found - corner[pair][self._back[a]] - corner[pair][self._back[b]] + corner[pair][self._near[pair]]
        return found
