"""What tracing, rows, solvers, judging, meshing, previews, checkpoints and reports need of a shape, whatever it is.

A shape is a signed distance function with unknowns: a prior's code, say. All else asks for f by its `Field`, takes f's
derivative to the unknowns as a linear map, and hands a step back to the shape. Nothing asks which kind it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


class Derivative(Protocol):
    """The derivative of f at N points to a shape's n unknowns: a linear map, whose matrix may never be formed."""

    def forward(self, step: Tensor) -> Tensor:
        """How f changes (N,) with a step (n,)."""

    def backward(self, weights: Tensor) -> Tensor:
        """The transposed map: from weights (N,) of the points to the unknowns (n,)."""

    def matrix(self) -> Tensor:
        """The map as a matrix (N, n): only where the unknowns are few."""

    def squared(self, weights: Tensor) -> Tensor:
        """The diagonal (n,) of the transposed map after weights (N,) after the map."""

    def scaled(self, factors: Tensor) -> Derivative:
        """The same, each point's multiplied by a factor (N,)."""

    def __getitem__(self, index: Tensor) -> Derivative:
        """Those of some points (M,), which may come more than once."""


@dataclass(frozen=True)
class Linear:
    """f at N points to first order: value (N,), d_point (N, 3), and its derivative to the shape's unknowns."""

    value: Tensor
    d_point: Tensor
    d_shape: Derivative

    def __getitem__(self, index: Tensor) -> Linear:
        return Linear(self.value[index], self.d_point[index], self.d_shape[index])


class Field(Protocol):
    """f in the object frame, as tracing and meshing need it, with every query counted under its purpose.

    f is continuous, has the right sign everywhere, and is no larger than the distance, as far as its kind can.
    """

    counter: Counter[str]

    @property
    def device(self) -> torch.device:
        """Where points are to be, and answers are."""

    @property
    def dtype(self) -> torch.dtype:
        """Of points and answers."""

    def __call__(self, points: Tensor, purpose: str) -> Tensor:
        """Values (N,) at points (N, 3)."""

    def slope(self, points: Tensor, purpose: str) -> tuple[Tensor, Tensor]:
        """Values (N,) and derivatives (N, 3) to the points."""


class ShapeField(Field, Protocol):
    """A shape's f, as fits need it."""

    def linearise(self, points: Tensor, purpose: str) -> Linear:
        """F to first order at points (N, 3), with the derivative to the shape's unknowns."""


@runtime_checkable
class OnCells(Protocol):
    """A `Field` that is linear between the nodes of a grid: its mesh is best made from that."""

    def surface_cells(self, corners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values (N,) and positions (N, 3) of nodes; which (C, 8) are at `corners` (8, 3) of the surface's cells."""


class OwnTerm(Protocol):
    """What holds a shape without any observation: a convex cost, quadratic in the step."""

    def after(self, step: Tensor) -> tuple[float, Tensor]:
        """The cost after a step (n,), and its gradient (n,) there."""

    def product(self, vector: Tensor) -> Tensor:
        """Its curvature times a vector (n,)."""

    def diagonal(self) -> Tensor:
        """Its curvature's own (n,)."""

    def matrix(self) -> Tensor:
        """Its curvature (n, n): only where the unknowns are few."""


class Shape(Protocol):
    """A shape that a fit may change. It is never changed in place."""

    @property
    def size(self) -> int:
        """How many unknowns it has; they are scaled so that a linear model holds for a step of length one or so."""

    def field(self, counter: Counter[str]) -> ShapeField:
        """Its f; queries go to the counter."""

    def retract(self, step: Tensor) -> Shape:
        """The shape after a step (n,)."""

    def own_term(self) -> OwnTerm:
        """What holds it."""

    def tensors(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps of it; `ShapeKind.restore` takes it."""

    def describe(self) -> dict[str, Any]:
        """What a report tells of it, as JSON has it; `protocol.Result` says which entries others look at."""


class ShapeKind(Protocol):
    """What all the shapes that a request could end in have in common, and where a search for one begins."""

    @property
    def radius(self) -> float:
        """How far shapes reach from the object frame's origin."""

    @property
    def start(self) -> Shape | None:
        """The shape that a fit starts from; None where it is sought among the candidates."""

    @property
    def usual(self) -> Shape:
        """A shape to look at while nothing is known yet."""

    def axes(self) -> np.ndarray:
        """Columns (3, 3): a thing's right, back and up in the object frame."""

    def candidates(self) -> Sequence[Shape]:
        """Shapes to try where a start is sought; the first is tried in any case, others may be thinned out."""

    def restore(self, tensors: Mapping[str, Tensor]) -> Shape:
        """The shape of which these are the `Shape.tensors`; KeyError or RuntimeError where they are another kind's."""


@dataclass(frozen=True)
class Dense:
    """A `Derivative` as its matrix, for shapes of few unknowns."""

    values: Tensor

    def forward(self, step: Tensor) -> Tensor:
        """As `Derivative.forward`."""
        return self.values @ step

    def backward(self, weights: Tensor) -> Tensor:
        """As `Derivative.backward`."""
        return weights @ self.values

    def matrix(self) -> Tensor:
        """As `Derivative.matrix`."""
        return self.values

    def squared(self, weights: Tensor) -> Tensor:
        """As `Derivative.squared`."""
        return weights @ self.values.square()

    def scaled(self, factors: Tensor) -> Dense:
        """As `Derivative.scaled`."""
        return Dense(factors[:, None] * self.values)

    def __getitem__(self, index: Tensor) -> Dense:
        return Dense(self.values[index])


@dataclass(frozen=True)
class Springs:
    """An `OwnTerm` that holds each unknown on its own: half its `weight` times its squared `value`, both (n,)."""

    weight: Tensor
    value: Tensor

    def after(self, step: Tensor) -> tuple[float, Tensor]:
        """As `OwnTerm.after`."""
        value = self.value + step
        return float(0.5 * (self.weight * value.square()).sum()), self.weight * value

    def product(self, vector: Tensor) -> Tensor:
        """As `OwnTerm.product`."""
        return self.weight * vector

    def diagonal(self) -> Tensor:
        """As `OwnTerm.diagonal`."""
        return self.weight

    def matrix(self) -> Tensor:
        """As `OwnTerm.matrix`."""
        return torch.diag(self.weight)
