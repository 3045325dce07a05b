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

# Pieces of less than this share of the largest one's volume are crumbs, and at most so many of them are looked at.
CRUMB, MOST = 0.01, 20
# Whether a piece is of the thing, given the largest one's nodes (N, 3) and its own (M, 3), in the object frame.
Needed = Callable[[Tensor, Tensor], bool]


def without_crumbs(grid: Grid, needed: Needed | None = None, *, doubted: bool = False) -> Grid:
    """The distance from a grid's zero, but for pieces of less than `CRUMB` of the largest one's volume.

    Those stay that are `needed`; where all is `doubted`, the larger ones, too, stay only then.
    """
    side = grid.side
    far = grid.far if grid.far.shape[0] >= side else enlarged(grid.far, side)
    per = far.shape[0] // side
    # Beyond blocks, a whole block has one sign.
    inside = enlarged(far[per // 2 :: per, per // 2 :: per, per // 2 :: per] <= 0, grid.cells)
    x, y, z = grid.nodes().T
    inside[x, y, z] = grid.values <= 0
    gone = crumbs(inside, lambda nodes: grid.positions(nodes), needed, doubted=doubted)
    if not bool(gone.any()):
        return grid
    values = torch.where(gone[x, y, z], grid.width, grid.values)
    far = torch.where(enlarged(gone[::BLOCK, ::BLOCK, ::BLOCK], far.shape[0]), far.abs(), far)
    return redistanced(replace(grid, values=values, far=far))


def crumbs(
    inside: Tensor, positions: Callable[[Tensor], Tensor], needed: Needed | None, *, doubted: bool = False
) -> Tensor:
    """Where a cube (N, N, N) bool, of nodes inside a thing, is in pieces that are dropped, as in `without_crumbs`.

    `positions` tells where nodes (N, 3) are in the object frame.
    """
    labels, count = ndimage.label(inside.cpu().numpy())
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    gone = sizes < CRUMB * sizes.max()
    gone[0] = False
    if needed is not None and count > 1:

        def of(label: int) -> Tensor:
            return positions(torch.as_tensor(np.argwhere(labels == label), device=inside.device))

        order = [int(label) for label in np.argsort(-sizes) if sizes[label]]
        small = [label for label in order[1:] if gone[label]][:MOST]
        large = [label for label in order[1:] if doubted and not gone[label]]
        asked, largest = small + large, of(order[0])
        for label in asked:
            gone[label] = not needed(largest, of(label))
    return torch.as_tensor(gone[labels], device=inside.device)
