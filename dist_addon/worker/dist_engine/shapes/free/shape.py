"""A distance field on a grid as a shape: its unknowns are the values beside the surface."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ..shape import Linear
from .bending import Band, Bending
from .distance import redistanced
from .grid import REACH, Grid

# What reports call this kind of shape.
KIND = "free"
# No value changes by more cells than this in a step: beyond, its linear model means nothing.
LARGEST_STEP = 1.5
# What is kept of a form that nothing is observed of: priors add ledges of their own.
FORM = 0.75


@dataclass(frozen=True)
class FreeDerivative:
    """The derivative at N points to the band's values: shares (N, 8) of `index` (N, 8), `size` for what is known."""

    index: Tensor
    share: Tensor
    size: int

    def forward(self, step: Tensor) -> Tensor:
        """As `Derivative.forward`."""
        return (torch.cat([step, step.new_zeros(1)])[self.index] * self.share).sum(1)

    def backward(self, weights: Tensor) -> Tensor:
        """As `Derivative.backward`."""
        return self._spread(weights[:, None] * self.share)

    def squared(self, weights: Tensor) -> Tensor:
        """The diagonal (n,) of the transposed map after weights (N,) after the map."""
        return self._spread(weights[:, None] * self.share.square())

    def matrix(self) -> Tensor:
        """As `Derivative.matrix`."""
        found = self.share.new_zeros(len(self.index), self.size + 1)
        return found.scatter_add_(1, self.index, self.share)[:, :-1]

    def scaled(self, factors: Tensor) -> FreeDerivative:
        """As `Derivative.scaled`."""
        return replace(self, share=factors[:, None] * self.share)

    def __getitem__(self, index: Tensor) -> FreeDerivative:
        return replace(self, index=self.index[index], share=self.share[index])

    def within(self) -> Tensor:
        """Whether (N,) all that the values depend on is unknown."""
        return (self.index < self.size).all(1)

    def _spread(self, shares: Tensor) -> Tensor:
        found = shares.new_zeros(self.size + 1)
        return found.index_add_(0, self.index.flatten(), shares.flatten())[:-1]


@dataclass(frozen=True)
class FreeShape:
    """A distance field.

    Attributes
    ----------
    grid : Grid
        A distance, as `redistanced` makes it.
    stiffness : float
        How much it resists bending.
    tie : float
        How much it is held to `tied`.
    tied : Grid or None
    seen : (S, S, S) tensor or None
        How much of the surface is observed, in cells of the cube, from 0 to 1: there, it loses the form of `tied`.
    origin : dict
        What the shape was freed from tells of itself, for the report.
    """

    grid: Grid
    stiffness: float = 0.0
    tie: float = 0.0
    tied: Grid | None = None
    seen: Tensor | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def band(self) -> Band:
        """The nodes that are unknown."""
        return Band.about(self.grid)

    @property
    def size(self) -> int:
        """As `Shape.size`."""
        return len(self.band)

    def field(self, counter: Counter[str]) -> FreeField:
        """As `Shape.field`."""
        return FreeField(self, counter)

    def retract(self, step: Tensor) -> FreeShape:
        """As `Shape.retract`: the values, clamped to `LARGEST_STEP` cells, and then the distance from their zero."""
        most = LARGEST_STEP * self.grid.width
        values = self.grid.values.index_add(0, self.band.ids, step.clamp(-most, most))
        return replace(self, grid=redistanced(replace(self.grid, values=values)))

    def own_term(self) -> Bending:
        """As `Shape.own_term`."""
        if self.tied is None:
            return Bending(self.band, self.stiffness)
        nodes = self.band.positions
        kept = torch.full_like(nodes[:, 0], FORM)
        if self.seen is not None:
            # The cube's axes are x, y, z; grid_sample's last is x.
            cube = self.seen.permute(2, 1, 0)[None, None]
            seen = grid_sample(cube, (nodes / REACH)[None, None, None], align_corners=False).flatten()
            kept = FORM * (1 - seen)
        return Bending(self.band, self.stiffness, self.tie, self.tied(nodes), kept)

    def tensors(self) -> dict[str, Tensor]:
        """As `Shape.tensors`."""
        grid = self.grid
        return {"cells": torch.tensor(grid.cells), "blocks": grid.blocks, "values": grid.values, "far": grid.far}

    def describe(self) -> dict[str, Any]:
        """As `Shape.describe`."""
        return self.origin | {"shape": KIND, "cells": self.grid.cells}


class FreeField:
    """A free shape's f. What it is asked is counted as look-ups: no decoder is queried."""

    def __init__(self, shape: FreeShape, counter: Counter[str]) -> None:
        self.shape, self.grid, self.counter = shape, shape.grid, counter

    @property
    def device(self) -> torch.device:
        """As `Field.device`."""
        return self.grid.values.device

    @property
    def dtype(self) -> torch.dtype:
        """As `Field.dtype`."""
        return self.grid.values.dtype

    def __call__(self, points: Tensor, purpose: str) -> Tensor:
        """As `Field.__call__`."""
        return self.grid(points)

    def slope(self, points: Tensor, purpose: str) -> tuple[Tensor, Tensor]:
        """As `Field.slope`."""
        return self.grid(points), self.grid.slope(points)

    def linearise(self, points: Tensor, purpose: str) -> Linear:
        """As `ShapeField.linearise`."""
        value, slope = self.slope(points, purpose)
        return Linear(value, slope, self.derivative(points))

    def derivative(self, points: Tensor) -> FreeDerivative:
        """The derivative at points (N, 3) to the unknowns."""
        return FreeDerivative(*self.shape.band.weights(points), self.shape.size)

    def surface_cells(self, corners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `OnCells.surface_cells`."""
        grid = self.grid
        nodes = grid.crossed()[:, None] + corners.to(grid.blocks)
        places, index = torch.unique(nodes.reshape(-1, 3), dim=0, return_inverse=True)
        points = grid.positions(places)
        return grid(points), points, index.reshape(-1, 8)
