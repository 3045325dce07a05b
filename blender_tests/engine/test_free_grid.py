"""The grid of a free shape against closed forms: values, slopes, blocks, the bound beyond them, the surface's cells."""

from __future__ import annotations

import pytest
import torch
from dist_engine.shapes.free.grid import AXES, BLOCK, CORNERS, NEAR, REACH, Grid
from dist_engine.tracing.whole import STEP

from blender_tests.support.free_forms import CPU, Distance, anywhere, ball, box, either, grid_of

CELLS = 32
H = 2 * REACH / CELLS
THINGS = {
    "ball": ball(0.55, 0.1, -0.05, 0.07),
    "box": box((0.5, 0.3, 0.2), 0.1, -0.05, 0.07),
    "two": either(ball(0.3, 0.5, 0.0, 0.0), ball(0.2, -0.4, -0.1, 0.0)),
}


def slanted(points: torch.Tensor) -> torch.Tensor:
    """The distance from a plane."""
    return points.double() @ torch.tensor([2 / 7, -3 / 7, 6 / 7], dtype=torch.float64) - 0.1


def test_a_plane_is_exact() -> None:
    grid = Grid.of(slanted, CELLS, CPU)
    points = anywhere(4000)
    near = points[(slanted(points).abs() < 3 * H) & (points.abs() < 0.9).all(1)]
    assert len(near) > 200
    torch.testing.assert_close(grid(near), slanted(near), atol=1e-6, rtol=0)
    normal = torch.tensor([2 / 7, -3 / 7, 6 / 7], dtype=torch.float64).expand(len(near), 3)
    torch.testing.assert_close(grid.slope(near), normal, atol=1e-6, rtol=0)


def test_a_ball_is_as_exact_as_interpolation_is() -> None:
    grid = Grid.of(THINGS["ball"], CELLS, CPU)
    points = anywhere(20_000)
    points = points[THINGS["ball"](points).abs() < 3 * H]
    away = points - torch.tensor([0.1, -0.05, 0.07])
    wanted, least = THINGS["ball"](points), away.norm(dim=1).min()
    # Its second derivatives add up to 2 / r, and a chord of two cells is off by an eighth of that times h^2.
    error = grid(points) - wanted
    assert error.abs().max() < H**2 / (4 * (least - 2 * H)) and error.min() > -1e-6
    turned = torch.linalg.cross(grid.slope(points), away / away.norm(dim=1, keepdim=True))
    assert turned.norm(dim=1).max() < 0.01


def test_shares_of_nodes_add_up_to_the_value() -> None:
    grid = Grid.of(THINGS["ball"], CELLS, CPU)
    points = anywhere(4000)
    points = points[THINGS["ball"](points).abs() < 3 * H]
    index, share = grid.weights(points)
    assert (index >= 0).all()
    torch.testing.assert_close((grid.values[index] * share).sum(1), grid(points))
    # They are those of the cell's corners, and their middle is the point.
    nodes = grid.positions(grid.nodes()[index])
    torch.testing.assert_close((nodes * share[..., None]).sum(1), points)
    assert (nodes - points[:, None]).abs().max() <= H * (1 + 1e-9)


def test_nodes_are_known_by_their_places() -> None:
    grid = Grid.of(THINGS["two"], CELLS, CPU)
    nodes = grid.nodes()
    assert (grid.index(nodes) == torch.arange(len(nodes))).all()
    known = {tuple(node): number for number, node in enumerate(nodes.tolist())}
    for step, found in zip(AXES, grid.neighbours.T, strict=True):
        wanted = [known.get(tuple(node), -1) for node in (nodes + step).tolist()]
        assert found.tolist() == wanted
    beyond = torch.tensor([[-1, 5, 5], [CELLS, 5, 5]])
    assert grid.index(beyond).tolist() == [-1, -1]


@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
def test_blocks_cover_the_band(thing: Distance) -> None:
    for grid in (Grid.of(thing, CELLS, CPU), grid_of(thing, CELLS)):
        every = torch.cartesian_prod(*[torch.arange(CELLS)] * 3)
        # Distances on a grid are a little longer than true ones.
        near = thing(every * H - REACH).abs() < (NEAR - 0.6) * H
        assert near.any() and (grid.index(every[near]) >= 0).all()
        # And no more than a few blocks' width about it.
        middles = (grid.blocks + 0.5) * BLOCK * H - REACH
        assert thing(middles).abs().max() < (NEAR + 3**0.5 * BLOCK) * H


@pytest.mark.parametrize("cells", [32, 64])
@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
def test_f_has_the_right_sign_and_is_no_larger_than_the_distance(thing: Distance, cells: int) -> None:
    points = anywhere(20_000)
    wanted, h = thing(points), 2 * REACH / cells
    # What is traced goes nine tenths of f.
    for grid, share in ((Grid.of(thing, cells, CPU), 1.0), (grid_of(thing, cells), STEP)):
        found, beyond = grid(points), grid.cell(points)[0] < 0
        assert ((found > 0) == (wanted > 0))[wanted.abs() > 0.5 * h].all()
        assert (share * found.abs() <= wanted.abs())[beyond].all()
        # Far away it is of use, too.
        assert (found.abs() > 0.3 * wanted.abs())[wanted > 0.4].all()


def test_beyond_its_blocks_a_node_is_what_points_there_are() -> None:
    grid = grid_of(THINGS["ball"], 64)
    every = torch.cartesian_prod(*[torch.arange(64)] * 3)
    lone = every[grid.index(every) < 0]
    within = grid.positions(lone) + 1e-6
    outside = grid.cell(within)[0] < 0
    assert outside.any()
    torch.testing.assert_close(grid.beyond(lone[outside]), grid(within[outside]))


@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
def test_the_surface_passes_cells_whose_corners_differ(thing: Distance) -> None:
    grid = Grid.of(thing, CELLS, CPU)
    every = torch.cartesian_prod(*[torch.arange(CELLS)] * 3)
    inside = thing(((every[:, None] + CORNERS) * H - REACH).reshape(-1, 3)).reshape(-1, 8) <= 0
    wanted = every[inside.any(1) & ~inside.all(1)]
    assert sorted(grid.crossed().tolist()) == sorted(wanted.tolist())


def test_a_finer_grid_of_a_grid_is_the_same_surface() -> None:
    coarse = grid_of(THINGS["ball"], CELLS)
    fine = Grid.of(lambda asked: coarse(asked.double()), 2 * CELLS, CPU)
    points = anywhere(20_000)
    near = points[THINGS["ball"](points).abs() < H]
    torch.testing.assert_close(fine(near), coarse(near), atol=0.02 * H, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thing_may_reach_to_the_cubes_sides(axis: int) -> None:
    centre = [0.0, 0.0, 0.0]
    centre[axis] = 0.7
    thing = ball(0.3, *centre)
    grid = grid_of(thing, CELLS)
    points = anywhere(20_000)
    wanted = thing(points)
    assert ((grid(points) > 0) == (wanted > 0))[wanted.abs() > 0.5 * H].all()
    middles = grid.positions(grid.crossed()) + H / 2
    assert thing(middles).abs().max() < 3**0.5 / 2 * H
