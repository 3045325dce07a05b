"""Samples of a code's distance function on a sparse lattice: what can be known of it without asking the decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder import Field

COARSEST, FINEST = 16, 128
# Cells along a side from which on only those are refined where interpolation is off by more than `TOLERANCE`.
SELECTIVE = 128
TOLERANCE = 2e-3
# The least error (of f) that is ever assumed of the interpolant.
FLOOR = 2e-4
# Beyond this share of its largest usual value a clamped decoder says no more than "far".
PLATEAU = 0.88


class Lattice:
    """Trilinear interpolant of f over the cube [-1, 1]^3, with a bound on its error.

    The cube is refined from 16 to 128 cells a side where the surface can be: where f changes its sign, and where its
    corners leave room for a thin part between them.

    Parameters
    ----------
    field : Field
        Asked for purpose `grid`.
    finest : int
        Cells a side at the finest level: 16 times a power of two.
    """

    def __init__(self, field: Field, finest: int = FINEST) -> None:
        self.side = finest
        values, errors, asked = _coarsest(field)
        side, refined = COARSEST, torch.ones_like(errors, dtype=torch.bool)
        self.known = [(side, asked)]
        while side < finest:
            chosen = refined & _may_hold_surface(values, 2 / side)
            if 2 * side >= SELECTIVE:
                chosen &= errors > TOLERANCE
            side *= 2
            values, errors, fresh = _refine(field, values, errors, chosen)
            self.known.append((side, fresh))
            refined = _double(chosen)
        self.values, self.errors = values, errors

    def at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Interpolant g (N,) at points (N, 3) of the cube, and the error (N,) to expect of it: f lies in g ± error."""
        grid = points.flip(1)[None, None, None]
        values = F.grid_sample(
            self.values[None, None], grid, mode="bilinear", padding_mode="border", align_corners=True
        )[0, 0, 0, 0]
        cell = ((points + 1) * (self.side / 2)).long().clamp_(0, self.side - 1)
        return values, self.errors.flatten()[(cell[:, 0] * self.side + cell[:, 1]) * self.side + cell[:, 2]]


def _nodes(mask: Tensor) -> Tensor:
    """Positions (N, 3) of the chosen nodes of a lattice over the cube."""
    return mask.nonzero().float() * (2 / (mask.shape[0] - 1)) - 1


def _coarsest(field: Field) -> tuple[Tensor, Tensor, Tensor]:
    axis = torch.linspace(-1, 1, COARSEST + 1, device=field.code.device, dtype=field.code.dtype)
    radius = torch.cartesian_prod(axis, axis, axis).norm(dim=1).reshape([COARSEST + 1] * 3)
    # Corners of the cells that reach into the unit sphere.
    asked = radius < 1 + 3**0.5 * 2 / COARSEST
    values = torch.ones_like(radius)
    values[asked] = field(_nodes(asked).to(axis), "grid")
    values[~asked] = values[asked].max()
    return values, values.new_zeros([COARSEST] * 3), asked


def _may_hold_surface(values: Tensor, size: float) -> Tensor:
    """Whether each cell (n, n, n) of width `size` may hold a part of the surface, from its corners' values."""
    n = values.shape[0] - 1
    steps = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    corners = torch.stack([values[i : i + n, j : j + n, k : k + n] for i, j, k in steps])
    signs = torch.tensor(steps, device=values.device, dtype=values.dtype) * 2 - 1
    mean = corners.mean(0)
    slope = torch.einsum("cd,cijk->dijk", signs, corners) / 4  # per cell width
    plane = mean + torch.einsum("cd,dijk->cijk", signs, slope) / 2
    bent = (corners - plane).abs().amax(0)
    crossed = (corners.amin(0) <= 0) & (corners.amax(0) >= 0)
    # Where f is a distance its gradient has length 1; what is missing tells of a ridge inside the cell.
    ridge = (1 - slope.norm(dim=0) / size).clamp(min=0)
    reach = size * (0.87 * ridge + 0.1) + bent
    known_far = PLATEAU * values.abs().flatten().quantile(0.9) if n <= 32 else reach.amax()
    return crossed | (corners.abs().amin(0) < reach.clamp(max=known_far))


def _double(cells: Tensor) -> Tensor:
    """Hand each cell's content to its eight children."""
    return cells.repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)


def _refine(field: Field, values: Tensor, errors: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ask for the new nodes of the chosen cells; all others are interpolated."""
    n = chosen.shape[0]
    fine = F.interpolate(values[None, None], size=[2 * n + 1] * 3, mode="trilinear", align_corners=True)[0, 0]
    cells = _double(chosen)[None].float()
    wanted = F.max_pool3d(cells, 2, 1, 1)[0] > 0
    wanted[::2, ::2, ::2] = False
    found = field(_nodes(wanted).to(values), "grid")
    off = torch.zeros_like(fine)
    off[wanted] = (found - fine[wanted]).abs()
    fine[wanted] = found
    # Halving a cell halves the error at a crease, and quarters it where f is smooth.
    halved = F.max_pool3d(off[None], 3, 2)[0] / 2
    errors = torch.where(chosen, halved.clamp(min=FLOOR), errors)
    return fine, _double(errors), wanted
