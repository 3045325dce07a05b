"""Re-distancing against closed forms: |grad| becomes one, and the surface stays where it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from dist_engine.shapes.free.distance import NEARER, enlarged, redistanced
from dist_engine.shapes.free.grid import BLOCK, NEAR, REACH, Grid
from torch import Tensor

from blender_tests.support.free_forms import CPU, Distance, anywhere, ball, box, either, grid_of

CELLS = 64
H = 2 * REACH / CELLS
BALL = ball(0.55, 0.1, -0.05, 0.07)


def distorted(distance: Distance, factor: float | None) -> Grid:
    """A function with the zero of a distance, so many times as steep; by None, differently from place to place."""
    grid = Grid.of(distance, CELLS, CPU)
    nodes = grid.positions(grid.nodes())
    times = 1.8 + 1.2 * torch.sin(9 * nodes[:, 0]) if factor is None else factor
    return replace(grid, values=grid.values * times)


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0, None])
def test_a_ball_gets_its_distance_back(factor: float | None) -> None:
    grid = redistanced(distorted(BALL, factor))
    points = anywhere(20_000)
    wanted = BALL(points)
    near, beside = wanted.abs() < 3 * H, wanted.abs() < 0.3 * H
    error = (grid(points) - wanted) / H
    assert error[near].abs().max() < 0.2 and error[near].square().mean().sqrt() < 0.05
    # The surface stays, to neither side.
    assert error[beside].abs().max() < (0.11 if factor is None else 0.03) and error[beside].mean().abs() < 0.015
    slope = grid.slope(points[wanted.abs() < 2 * H]).norm(dim=1)
    assert slope.min() > 0.9 and slope.max() < 1.1 and slope.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("near", [NEAR, 9.0])
def test_farther_than_it_is_known_it_is_no_longer_than_that(near: float) -> None:
    grid = redistanced(Grid.of(BALL, CELLS, CPU), near)
    assert grid.values.abs().max() == pytest.approx((near + 1) * H)
    assert grid.far.abs().min() == pytest.approx((near - NEARER) * H)
    points = anywhere(20_000)
    wanted = BALL(points)
    known = wanted.abs() < (near - 2) * H
    assert (grid(points) - wanted)[known].abs().max() < 0.35 * H
    beyond = grid.cell(points)[0] < 0
    assert (0.9 * grid(points).abs() <= wanted.abs())[beyond].all()


def test_what_is_a_distance_stays_as_it_is() -> None:
    once = grid_of(box((0.5, 0.3, 0.2), 0.1, -0.05, 0.07), CELLS)
    often = once
    for _ in range(5):
        often = redistanced(often)
    points = anywhere(20_000)
    points = points[once(points).abs() < 3 * H]
    moved = (often(points) - once(points)).abs() / H
    # Beside a box's edges a little, and not further each time.
    assert moved.mean() < 0.005 and moved.max() < 0.25


@pytest.mark.parametrize("thickness", [0.3, 1.0, 2.5])
def test_a_thin_sheet_stays(thickness: float) -> None:
    """As thick as so many cells; its middle is on nodes."""
    sheet = box((0.5, 0.5, thickness * H / 2), 0.01, 0.02, 0.0)
    grid = grid_of(sheet, CELLS)
    for _ in range(3):
        grid = redistanced(grid)
    points = anywhere(20_000)
    points = points[(points[:, :2].abs() < 0.4).all(1) & (points[:, 2].abs() < 3 * H)]
    on_nodes = (points[:, 2].abs() / H - (points[:, 2].abs() / H).round()).abs() < 0.02
    wanted = sheet(points)
    # Between nodes, a trilinear function has no kink.
    assert (grid(points) - wanted)[on_nodes].abs().max() < 0.05 * H
    assert (grid(points) - wanted).abs().max() < 0.5 * H


def test_a_surface_that_was_moved_finds_its_blocks() -> None:
    """By a step of 1.5 cells, again and again: blocks come and go."""
    grid = grid_of(ball(0.3), CELLS)
    for _ in range(4):
        grid = redistanced(replace(grid, values=grid.values - 1.5 * H * (grid.values.abs() < 3 * H)))
    wanted = ball(0.3 + 6 * H)
    points = anywhere(20_000)
    # Distances that are a little too long, step by step, make it lag behind a little.
    apart = wanted(points).abs() > 2 * H
    assert ((grid(points) > 0) == (wanted(points) > 0))[apart].all()
    # No block is left behind.
    middles = (grid.blocks + 0.5) * BLOCK * H - REACH
    assert wanted(middles).abs().max() < (NEAR + 3**0.5 * BLOCK + 3) * H


def test_all_parts_of_a_surface_count() -> None:
    two = either(ball(0.3, 0.5, 0.0, 0.0), ball(0.25, -0.4, -0.1, 0.0))
    grid = grid_of(two, CELLS)
    points = anywhere(20_000)
    near = two(points).abs() < H
    assert (grid(points) - two(points))[near].abs().max() < 0.15 * H


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_has_no_surface_is_told(sign: float) -> None:
    def everywhere(points: Tensor) -> Tensor:
        return sign * points.double().norm(dim=1).clamp(min=0.9)

    with pytest.raises(ValueError, match="no surface"):
        grid_of(everywhere, 32)


def test_a_cube_is_enlarged_cell_by_cell() -> None:
    cube = torch.arange(8).reshape(2, 2, 2)
    found = enlarged(cube, 6)
    assert found.shape == (6, 6, 6)
    for place in ((0, 0, 0), (2, 3, 5), (5, 2, 3)):
        assert found[place] == cube[tuple(part // 3 for part in place)]
    assert enlarged(cube, 2).equal(cube) and enlarged(cube, 1).equal(cube)
