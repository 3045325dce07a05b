"""Pieces of a shape that are too small to be of the thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage  # type: ignore[import-untyped]

from .distance import enlarged, redistanced
from .grid import BLOCK, Grid

# Pieces of less than this share of the largest one's volume are dropped.
CRUMB = 0.01


def without_crumbs(grid: Grid) -> Grid:
    """The distance from a grid's zero, but for pieces of less than `CRUMB` of the largest one's volume."""
    side = grid.side
    far = grid.far if grid.far.shape[0] >= side else enlarged(grid.far, side)
    per = far.shape[0] // side
    # Beyond blocks, a whole block has one sign.
    inside = enlarged(far[per // 2 :: per, per // 2 :: per, per // 2 :: per] <= 0, grid.cells)
    x, y, z = grid.nodes().T
    inside[x, y, z] = grid.values <= 0
    labels, count = ndimage.label(inside.cpu().numpy())
    if count < 2:
        return grid
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    small = sizes < CRUMB * sizes.max()
    small[0] = False
    if not small.any():
        return grid
    gone = torch.as_tensor(small[labels], device=grid.values.device)
    values = torch.where(gone[x, y, z], grid.width, grid.values)
    far = torch.where(enlarged(gone[::BLOCK, ::BLOCK, ::BLOCK], far.shape[0]), far.abs(), far)
    return redistanced(replace(grid, values=values, far=far))
