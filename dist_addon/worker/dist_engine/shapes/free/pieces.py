"""Pieces of a shape that are too small to be of the thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor

from .distance import enlarged, redistanced
from .grid import BLOCK, Grid

# Pieces of less than this share of the largest one's volume are dropped.
CRUMB = 0.01


def without_crumbs(grid: Grid, needed: Callable[[Tensor, Tensor], bool] | None = None) -> Grid:
    """The distance from a grid's zero, but for pieces of less than `CRUMB` of the largest one's volume.

    With `needed`, larger ones stay only where that says so, given the largest piece's nodes (N, 3) and theirs (M, 3),
    in the object frame.
    """
    side = grid.side
    far = grid.far if grid.far.shape[0] >= side else enlarged(grid.far, side)
    per = far.shape[0] // side
    # Beyond blocks, a whole block has one sign.
    inside = enlarged(far[per // 2 :: per, per // 2 :: per, per // 2 :: per] <= 0, grid.cells)
    x, y, z = grid.nodes().T
    inside[x, y, z] = grid.values <= 0
    gone = crumbs(inside, lambda nodes: grid.positions(nodes), needed)
    if not bool(gone.any()):
        return grid
    values = torch.where(gone[x, y, z], grid.width, grid.values)
    far = torch.where(enlarged(gone[::BLOCK, ::BLOCK, ::BLOCK], far.shape[0]), far.abs(), far)
    return redistanced(replace(grid, values=values, far=far))


def crumbs(
    inside: Tensor, positions: Callable[[Tensor], Tensor], needed: Callable[[Tensor, Tensor], bool] | None
) -> Tensor:
    """Where a cube (N, N, N) bool, of nodes inside a thing, is in pieces that are dropped, as in `without_crumbs`.

    `positions` tells where nodes (N, 3) are in the object frame.
    """
    labels, count = ndimage.label(inside.cpu().numpy())
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    small = sizes < CRUMB * sizes.max()
    small[0] = False
    if needed is not None and count > 1:

        def of(label: int) -> Tensor:
            return positions(torch.as_tensor(np.argwhere(labels == label), device=inside.device))

        largest = of(int(sizes.argmax()))
        for label in np.flatnonzero(~small & (sizes > 0) & (sizes < sizes.max())):
            small[label] = not needed(largest, of(int(label)))
    return torch.as_tensor(small[labels], device=inside.device)
