"""The grids on which a surface is freed, coarse to fine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..protocol import Request
from ..shapes.free.distance import redistanced
from ..shapes.free.grid import REACH, Grid

# A grid is too coarse to start on where it loses more than this share of the surface by more than a cell.
LOST = 0.005
# The finest cell is at least so many pixels wide: the second, where there is but outlines, which say less.
FINEST, FINEST_OUTLINES = 1.5, 3.0


@dataclass(frozen=True)
class Level:
    """One grid of the way from coarse to fine.

    Attributes
    ----------
    cells : int
        Along the cube's side.
    steps : int
        Gauss-Newton steps.
    stiffness : float
    finer : int
        Pictures are compared where their pixels are about a cell wide; or so many times half of it.
    pixels : int or None
        The cells that counts for, where they are not the grid's own.
    reach, spacing : int, float
        Patches are swept so many steps to either side, each of so many pixels.
    stride, patch : int
        Of so many pixels, along both axes, one is matched, with the so many by so many about it.
    """

    cells: int
    steps: int
    stiffness: float
    finer: int = 0
    reach: int = 4
    spacing: float = 0.5
    stride: int = 4
    patch: int = 5
    pixels: int | None = None


BY_OUTLINES = (Level(32, 4, 0.003), Level(64, 3, 0.003), Level(128, 2, 0.003), Level(256, 2, 0.003))
BY_COLOURS = (
    Level(32, 4, 0.02, 0, 3, 0.7),
    Level(64, 4, 0.01, 0, 5, 0.7),
    Level(64, 4, 0.005, 1, 6, 0.7, stride=3),
    Level(128, 2, 0.003, 0, 4, 0.5, stride=3),
    Level(128, 3, 0.002, 1, 5, 0.6, stride=3, patch=7),
    Level(256, 4, 0.0015, 1, 5, 0.6, stride=3, patch=7),
)
FROM_A_SHAPE = (
    Level(64, 3, 0.005, 1, 5, 0.7, stride=3),
    Level(128, 3, 0.003, 0, 4, 0.5, stride=3),
    Level(128, 3, 0.002, 1, 5, 0.6, stride=3, patch=7),
    Level(256, 3, 0.0015, 1, 5, 0.6, stride=3, patch=7),
)


def plan(request: Request, from_a_shape: bool, footprint: float) -> list[Level]:
    """The grids of a fit: those that the mesh's resolution asks for and the pictures can fill.

    Parameters
    ----------
    request : Request
    from_a_shape : bool
        Whether there is a shape to free.
    footprint : float
        Width of the finest pixel at the object, in the object frame; 0 where there is no picture.
    """
    levels = FROM_A_SHAPE if from_a_shape else BY_OUTLINES if request.compared is None else BY_COLOURS
    finest = max(64, request.settings.mesh_resolution)
    least = footprint * (FINEST_OUTLINES if levels is BY_OUTLINES else FINEST)
    fit_for = [level for level in levels if level.cells <= finest and 2 * REACH / level.cells >= least]
    return fit_for or list(levels[:1])


def fine_enough(
    levels: list[Level],
    f: Callable[[Tensor], Tensor],
    whole: Callable[[Grid], Grid],
    device: torch.device,
) -> list[Level]:
    """The same on finer grids where coarse ones would lose thin parts, or narrow gaps, of where the fit starts."""
    finest = whole(redistanced(Grid.of(f, levels[-1].cells, device)))
    surface = finest.positions(finest.crossed()) + finest.width / 2
    # A little inside, where the finest grid has the thing for certain.
    surface = surface - 0.3 * finest.width * torch.nn.functional.normalize(finest.slope(surface), dim=1)
    for cells in sorted({level.cells for level in levels[:-1]}):
        coarse = whole(redistanced(Grid.of(f, cells, device)))
        if float((coarse(surface).abs() > coarse.width).float().mean()) < LOST:
            break
    else:
        cells = levels[-1].cells
    return no_coarser(levels, cells)


def no_coarser(levels: list[Level], cells: int) -> list[Level]:
    """The same on grids of at least so many cells, with half the steps where that makes one finer."""
    return [
        level if level.cells >= cells else replace(level, cells=cells, pixels=level.cells, steps=(level.steps + 1) // 2)
        for level in levels
    ]
