"""Which pieces of a shape are no part of the thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dist_engine.shapes.free.grid import REACH, Grid
from dist_engine.shapes.free.pieces import CRUMB, crumbs, without_crumbs
from torch import Tensor

from blender_tests.support.free_forms import Distance, anywhere, ball, box, either, grid_of

CELLS = 64
H = 2 * REACH / CELLS
LARGE = ball(0.5, -0.3, 0.0, 0.0)
# A thousandth of its volume, and a twentieth.
CRUMBLE, PIECE = ball(0.06, 0.3, 0.2, 0.6), ball(0.184, 0.6, 0.0, 0.0)


def same(grid: Grid, distance: Distance) -> bool:
    """Whether what a grid has inside is what is inside in closed form, but for half a cell."""
    points = anywhere(40_000)
    wanted = distance(points)
    return bool(((grid(points) > 0) == (wanted > 0))[wanted.abs() > 0.5 * H].all())


def test_a_small_piece_far_away_goes_and_a_large_one_stays() -> None:
    grid = grid_of(either(LARGE, CRUMBLE, PIECE), CELLS)
    assert same(grid, either(LARGE, CRUMBLE, PIECE))
    left = without_crumbs(grid)
    assert same(left, either(LARGE, PIECE))
    # It is a distance again, also where the piece was.
    points = anywhere(40_000)
    near = CRUMBLE(points) < 0.1
    assert (left(points[near]) > 3 * H).all()


def test_what_has_no_crumbs_stays_as_it_is() -> None:
    grid = grid_of(either(LARGE, PIECE), CELLS)
    assert without_crumbs(grid) is grid


def test_what_is_thin_but_hangs_together_stays() -> None:
    stick = box((0.4, 0.02, 0.02), 0.5, 0.003, 0.002)
    grid = grid_of(either(LARGE, stick), CELLS)
    assert same(without_crumbs(grid), either(LARGE, stick))


@pytest.mark.parametrize("doubted", [True, False])
@pytest.mark.parametrize("needed", [True, False])
def test_a_piece_stays_where_it_is_needed(needed: bool, doubted: bool) -> None:
    asked: list[tuple[Tensor, Tensor]] = []

    def needs(largest: Tensor, piece: Tensor) -> bool:
        asked.append((largest, piece))
        return needed

    left = without_crumbs(grid_of(either(LARGE, CRUMBLE, PIECE), CELLS), needs, doubted=doubted)
    # A larger piece is asked about where it is doubted only.
    stays = [LARGE, *[CRUMBLE] * needed, *[PIECE] * (needed or not doubted)]
    assert same(left, either(*stays))
    # In the object frame.
    for (largest, piece), of in zip(asked, [CRUMBLE, *[PIECE] * doubted], strict=True):
        assert (of(piece) < 0.5 * H).all() and (LARGE(largest) < 0.5 * H).all()
        assert len(largest) * H**3 == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.03)


def test_the_share_decides() -> None:
    """Of cubes of voxels, one 20 and one 4 or 5 along its side: 8000 and 64 or 125 of them."""
    for side, goes in ((4, True), (5, False)):
        inside = torch.zeros(40, 40, 40, dtype=torch.bool)
        inside[2:22, 2:22, 2:22] = True
        inside[30 : 30 + side, 30 : 30 + side, 30 : 30 + side] = True
        gone = crumbs(inside, lambda nodes: nodes, None)
        assert (side**3 < CRUMB * 20**3) == goes
        assert int(gone.sum()) == (side**3 if goes else 0)
        assert not gone[:25].any()
