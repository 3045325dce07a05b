"""Samples of a code's distance function on a sparse lattice: what can be known of it without asking the decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..rays import Rays

# Cells along the cube's side; the first two levels hold the whole unit sphere, the others what rays look at.
SIDES = (16, 32, 64, 128)
WHOLE = 2
# The last level refines only where interpolation is off by more than this (in f).
TOLERANCE = 2e-3
# The least error (of f) that is ever assumed of the interpolant.
FLOOR = 2e-4
# How far from 1 the slope of a decoder is where there is no ridge.
ROUGH = 0.15
# Beyond this share of its largest usual value a clamped decoder says no more than "far".
PLATEAU = 0.88

# Tells a value (N,) for nodes (N, 3), named by their place on the finest level.
Ask = Callable[[Tensor], Tensor]


@dataclass
class Level:
    """One lattice over the cube [-1, 1]^3.

    Attributes
    ----------
    values : (n + 1, n + 1, n + 1) tensor
        f where `known`, interpolated from the level above elsewhere.
    known : bool tensor of the same shape
        The nodes of this level that the decoder was asked for.
    off : tensor of the same shape
        At known nodes, how far off the interpolant of the level above was.
    errors : (n, n, n) tensor
        What to expect of the interpolant's error in each cell.
    open : (n, n, n) bool tensor
        Cells whose parents were refined.
    split : (n, n, n) bool tensor
        Cells that are refined on the next level.
    """

    values: Tensor
    known: Tensor
    off: Tensor
    errors: Tensor
    open: Tensor
    split: Tensor

    @property
    def side(self) -> int:
        """Cells along the cube's side."""
        return self.split.shape[0]

    def at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Interpolant g (N,) at points (N, 3) of the cube, and the error (N,) to expect of it: f lies in g ± error."""
        grid = points.flip(1)[None, None, None]
        values = F.grid_sample(
            self.values[None, None], grid, mode="bilinear", padding_mode="border", align_corners=True
        )[0, 0, 0, 0]
        return values, self.errors.flatten()[self.cells(points)]

    def cells(self, points: Tensor) -> Tensor:
        """Flat index (N,) of the cell that holds each point (N, 3)."""
        cell = ((points + 1) * (self.side / 2)).long().clamp_(0, self.side - 1)
        return (cell[:, 0] * self.side + cell[:, 1]) * self.side + cell[:, 2]


class Lattice:
    """Trilinear interpolant of f over the cube [-1, 1]^3, with an estimate of its error.

    The cube is refined where the surface can be: where f changes its sign, and where its corners leave room for a thin
    part between them; and, from 64 cells a side on, only where rays get to before they are surely inside.

    Parameters
    ----------
    ask : callable
        Tells f (N,) at nodes (N, 3) of the finest level.
    device : torch.device
    """

    def __init__(self, ask: Ask, device: torch.device) -> None:
        self.ask = ask
        self.levels = [_coarsest(ask, device)]
        for _ in SIDES[1:]:
            self.levels.append(_empty_below(self.levels[-1]))
        for index in range(WHOLE - 1):
            level = self.levels[index]
            self._split(index, _may_hold_surface(level))

    @property
    def finest(self) -> Level:
        """The level to read from: it holds all that is known."""
        return self.levels[-1]

    def refine_along(self, rays: Rays) -> None:
        """Refine what `rays` can see."""
        for index in range(WHOLE - 1, len(SIDES) - 1):
            level = self.levels[index]
            wanted = level.open & ~level.split & _may_hold_surface(level)
            if index == len(SIDES) - 2:
                wanted &= level.errors > TOLERANCE
            self._split(index, wanted & _visited(level, rays))

    def spread(self, told: Ask) -> Tensor:
        """What `told` says of each known node, interpolated at all nodes of the finest level."""
        image = torch.zeros_like(self.levels[0].values)
        for level in self.levels:
            if level.side > SIDES[0]:
                image = _doubled(image)
            image[level.known] = told(_nodes(level.known))
        return image

    def _split(self, index: int, cells: Tensor) -> None:
        """Ask for the nodes that refining `cells` of a level adds to the next, and interpolate the others anew."""
        level, below = self.levels[index], self.levels[index + 1]
        level.split |= cells
        between = _doubled(level.values)
        wanted = _corners(_double(cells)) & ~below.known
        wanted[::2, ::2, ::2] = False
        found = self.ask(_nodes(wanted))
        below.off[wanted] = (found - between[wanted]).abs()
        below.known |= wanted
        below.values = torch.where(below.known, below.values, between)
        below.values[wanted] = found
        below.open = _double(level.split)
        below.errors = _errors(level, below)


def _doubled(values: Tensor) -> Tensor:
    """Values at the nodes of a level, interpolated at the nodes of the next finer one."""
    size = [2 * values.shape[0] - 1] * 3
    return F.interpolate(values[None, None], size=size, mode="trilinear", align_corners=True)[0, 0]


def _errors(above: Level, level: Level) -> Tensor:
    """The error to expect in each cell of a level: from what refining its parent revealed, or from a ridge in it."""
    # Halving a cell halves the error at a crease, and quarters it where f is smooth.
    halved = F.max_pool3d(level.off[None], 3, 2)[0] / 2
    inherited = _double(torch.where(above.split, halved.clamp(min=FLOOR), above.errors))
    errors = inherited.flatten()
    # Between corners at a and b, f with slopes of -1 and 1 falls (width - |a - b|) / 2 below their mean.
    index, _, ridge, _ = _open_cells(level)
    errors[index] = errors[index].maximum((ridge - ROUGH).clamp(min=0) / level.side)
    return errors.reshape(inherited.shape)


def _nodes(mask: Tensor) -> Tensor:
    """The chosen nodes (N, 3) of a level, named by their place on the finest."""
    return mask.nonzero() * (SIDES[-1] // (mask.shape[0] - 1))


def _corners(cells: Tensor) -> Tensor:
    """The nodes (n + 1, n + 1, n + 1) at the corners of the chosen cells."""
    return F.max_pool3d(cells[None].float(), 2, 1, 1)[0] > 0


def _double(cells: Tensor) -> Tensor:
    """Hand each cell's content to its eight children."""
    return cells.repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)


def _coarsest(ask: Ask, device: torch.device) -> Level:
    n = SIDES[0]
    axis = torch.linspace(-1, 1, n + 1, device=device)
    radius = torch.cartesian_prod(axis, axis, axis).norm(dim=1).reshape([n + 1] * 3)
    # Corners of the cells that reach into the unit sphere.
    known = radius < 1 + 3**0.5 * 2 / n
    values = torch.ones_like(radius)
    values[known] = ask(_nodes(known))
    values[~known] = values[known].max()
    cells = torch.zeros([n] * 3, dtype=torch.bool, device=device)
    return Level(values, known, torch.zeros_like(radius), values.new_zeros([n] * 3), ~cells, cells)


def _empty_below(level: Level) -> Level:
    """The next finer level, nothing asked yet."""
    values = _doubled(level.values)
    cells = torch.zeros([2 * level.side] * 3, dtype=torch.bool, device=values.device)
    known = torch.zeros_like(values, dtype=torch.bool)
    return Level(
        values, known, torch.zeros_like(values), torch.zeros_like(cells, dtype=values.dtype), cells, cells.clone()
    )


def _may_hold_surface(level: Level) -> Tensor:
    """Which open cells (n, n, n) may hold a part of the surface, from their corners' values."""
    index, corners, ridge, bent = _open_cells(level)
    reach = (0.87 * ridge + 0.1) * (2 / level.side) + bent
    if level.side <= 32:
        reach = reach.clamp(max=PLATEAU * level.values.abs().flatten().quantile(0.9))
    crossed = (corners.amin(0) <= 0) & (corners.amax(0) >= 0)
    chosen = torch.zeros_like(level.open)
    chosen.view(-1)[index] = crossed | (corners.abs().amin(0) < reach)
    return chosen


def _open_cells(level: Level) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each open cell: its flat index, its corners' values (8, M), what its slope lacks to 1, how bent f is in it.

    Where f is a distance its gradient has length 1; what is missing tells of a ridge inside the cell.
    """
    n = level.side
    cells = level.open.nonzero()
    steps = torch.cartesian_prod(*[torch.arange(2, device=cells.device)] * 3)
    place = ((cells[:, 0] * (n + 1) + cells[:, 1]) * (n + 1) + cells[:, 2])[None]
    corners = level.values.flatten()[place + ((steps[:, 0] * (n + 1) + steps[:, 1]) * (n + 1) + steps[:, 2])[:, None]]
    signs = (steps * 2 - 1).to(corners)
    slope = signs.T @ corners / 4  # per cell width
    ridge = (1 - slope.square().sum(0).sqrt() * (n / 2)).clamp(min=0)
    bent = (corners - corners.mean(0) - signs @ slope / 2).abs().amax(0)
    return (cells[:, 0] * n + cells[:, 1]) * n + cells[:, 2], corners, ridge, bent


def _visited(level: Level, rays: Rays) -> Tensor:
    """Cells (n, n, n) that the rays pass, near the surface, before they are surely inside."""
    seen = torch.zeros(level.side**3, dtype=torch.bool, device=rays.near.device)
    shortest = 0.4 * 2 / level.side
    active, t = rays, rays.near
    while len(t):
        points = active.at(t)
        seen[level.cells(points)] = True
        g, error = level.at(points)
        step = (0.9 * (g - error) - shortest).clamp(min=shortest)
        going = ((g > -error) & (t + step < active.far)).nonzero()[:, 0]
        active, t = active[going], (t + step)[going]
    return seen.reshape([level.side] * 3)
