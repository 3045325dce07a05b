"""Shapes of no class: what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .grid import Grid
from .shape import FreeShape


@dataclass(frozen=True)
class FreeKind:
    """The shapes of no class. A fit starts from the visual hull, or what there is, and not from one of them."""

    radius: float = 1.0

    def axes(self) -> np.ndarray:
        """As `ShapeKind.axes`: a thing of no class has the axes of its bounds, or of the world."""
        return np.eye(3)

    def restore(self, tensors: Mapping[str, Tensor]) -> FreeShape:
        """As `ShapeKind.restore`."""
        blocks = tensors["blocks"].long().reshape(-1, 3)
        grid = Grid(int(tensors["cells"]), blocks, tensors["values"], tensors["far"])
        return FreeShape(grid)
