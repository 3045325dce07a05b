"""What holds a free shape, against a dense matrix, finite differences and what bending means."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from dist_engine.shapes.free.bending import BAND, Band, Bending
from dist_engine.shapes.free.grid import REACH, Grid
from torch import Tensor

from blender_tests.support.free_forms import CPU, anywhere, ball, grid_of

CELLS = 32
H = 2 * REACH / CELLS


@pytest.fixture(scope="module")
def band() -> Band:
    """About a ball of a few cells, not quite a distance, so that weights differ."""
    grid = grid_of(ball(0.1, 0.02, 0.01, -0.03), CELLS)
    nodes = grid.positions(grid.nodes())
    return Band.about(replace(grid, values=grid.values * (1 + 0.3 * torch.sin(20 * nodes[:, 0] + 5 * nodes[:, 1]))))


def vector(band: Band, seed: int) -> Tensor:
    return torch.randn(len(band), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plane(points: Tensor) -> Tensor:
    return points.double() @ torch.tensor([2 / 7, -3 / 7, 6 / 7], dtype=torch.float64) - 0.1


def test_the_band_is_what_is_near_and_knows_its_neighbours(band: Band) -> None:
    grid = band.grid
    assert (grid.values[band.ids].abs() < BAND * H).all()
    assert len(band) == int((grid.values.abs() < BAND * H).sum())
    assert (band.place[band.ids] == torch.arange(len(band))).all() and band.place[-1] == len(band)
    known = {tuple(node): number for number, node in enumerate(grid.nodes()[band.ids].tolist())}
    steps = torch.tensor([[1, 0, 0], [0, -1, 1]])
    for step, found in zip(steps, band.beside(steps).T, strict=True):
        there = (grid.nodes()[band.ids] + step).tolist()
        assert found.tolist() == [known.get(tuple(node), len(band)) for node in there]


@pytest.mark.parametrize("tie", [0.0, 30.0])
def test_its_curvature_is_symmetric_and_positive(band: Band, tie: float) -> None:
    own = Bending(band, 0.02, tie, None)
    one, other = vector(band, 0), vector(band, 1)
    assert float(own.product(one) @ other) == pytest.approx(float(one @ own.product(other)), rel=1e-9)
    matrix = own.matrix()
    torch.testing.assert_close(matrix @ one, own.product(one))
    torch.testing.assert_close(matrix, matrix.T, atol=1e-12, rtol=0)
    least = torch.linalg.eigvalsh(matrix)[0]
    assert least > -1e-10 * matrix.abs().max()
    # A tie holds all that nothing else holds.
    assert least == pytest.approx(tie * H**2 / (2 * BAND), rel=0.05, abs=1e-8)


@pytest.mark.parametrize("tie", [0.0, 30.0])
def test_its_diagonal_is_the_matrixs(band: Band, tie: float) -> None:
    own = Bending(band, 0.02, tie, None)
    torch.testing.assert_close(own.diagonal(), own.matrix().diagonal())


def test_the_gradient_is_that_of_the_cost(band: Band) -> None:
    own = Bending(band, 0.02, 30.0, 0.01 * vector(band, 2))
    step, way = 0.1 * H * vector(band, 0), vector(band, 1)
    cost, slope = own.after(step)
    ahead, back = (own.after(step + sign * 1e-4 * way)[0] for sign in (1, -1))
    # A quadratic: differences are exact.
    assert float(slope @ way) == pytest.approx((ahead - back) / 2e-4, rel=1e-6)
    assert float(way @ own.product(way)) == pytest.approx((ahead + back - 2 * cost) / 1e-8, rel=1e-4)


def test_a_plane_costs_nothing_and_a_bent_one_what_it_bends() -> None:
    grid = Grid.of(plane, CELLS, CPU)
    band = Band.about(grid)
    nodes = grid.positions(grid.nodes()[band.ids])
    normal = torch.tensor([2 / 7, -3 / 7, 6 / 7], dtype=torch.float64)
    along = torch.linalg.cross(normal, torch.tensor([1.0, 0, 0], dtype=torch.float64))
    # At the cube's sides, neighbours lack.
    within = (nodes.abs() < 0.7).all(1)
    for step in (0 * nodes[:, 0], 0.1 * nodes @ along):
        _, slope = Bending(band, 1.0).after(step)
        assert slope[within].abs().max() < 1e-7
    bent, slope = Bending(band, 1.0).after(0.1 * (nodes @ along) ** 2)
    assert slope[within].abs().max() > 1e-4 and bent > 0
    # Where it is a fifth too steep, half of that squared, over the surface: an integral across the whole band's width.
    steep, _ = Bending(band, 0.0).after(0.2 * grid.values[band.ids])
    assert steep == pytest.approx(0.5 * 0.2**2 * len(band) * H**2 / (2 * BAND), rel=0.01)


def test_a_ball_bends_by_its_curvature() -> None:
    """|Hess|^2 is 2 / r^2, at the surface and, weighted, beside it."""
    grid = Grid.of(ball(0.5), 64, CPU)
    band, h = Band.about(grid), 2 * REACH / 64
    nodes = grid.positions(grid.nodes()[band.ids])
    cost, _ = Bending(band, 1.0).after(torch.zeros(len(band), dtype=torch.float64))
    value = grid.values[band.ids]
    near = torch.exp(-((value / (2 * h)) ** 2)).clamp(min=0.15)
    wanted = 0.5 * h**3 / (2 * BAND * h) * (near * 2 / nodes.norm(dim=1) ** 2).sum()
    # Differences at the band's edge lack neighbours.
    assert cost == pytest.approx(float(wanted), rel=0.06)


def test_a_kink_in_a_thin_part_bends_little() -> None:
    """Where the slope changes its sign, a distance has a kink, which is no bend of the surface."""

    def bent(points: Tensor) -> Tensor:
        return points.double()[:, 2].abs() - 1.0 * H

    grid = Grid.of(bent, CELLS, CPU)
    band = Band.about(grid)
    cost, _ = Bending(band, 1.0).after(torch.zeros(len(band), dtype=torch.float64))
    middle = grid.nodes()[band.ids][:, 2] == CELLS // 2
    # In full, the middle's second difference, 2 / h, would cost this.
    full = 0.5 * H**2 / (2 * BAND) * float(middle.sum()) * 4 / H**2 * float(torch.exp(torch.tensor(-0.25)))
    assert 0 < cost < 0.1 * full


def test_a_tie_pulls_to_what_it_is_tied_to(band: Band) -> None:
    tied = band.grid.values[band.ids] + 0.3 * H
    loose, held = Bending(band, 0.02, 0.0, tied), Bending(band, 0.02, 30.0, tied)
    step = 0.3 * H * torch.ones(len(band), dtype=torch.float64)
    volume = H**2 / (2 * BAND)
    begun = held.after(0 * step)[0] - loose.after(0 * step)[0]
    assert begun == pytest.approx(0.5 * 30 * volume * (0.3 * H) ** 2 * len(band))
    there = held.after(step)[0] - loose.after(step)[0]
    assert there == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kept", [None, 1.0, 0.0])
def test_a_tie_keeps_the_form_where_nothing_is_seen(band: Band, kept: float | None) -> None:
    # Steeper than a distance: none of it is a kink.
    tied = 3 * band.grid.values[band.ids] + 0.2 * H * vector(band, 4)
    none, to_it = torch.zeros(len(band), dtype=torch.float64), tied - band.grid.values[band.ids]
    shares = None if kept is None else torch.full_like(none, kept)
    # What is not bending costs the same in both.
    formed, upright = Bending(band, 0.02, 0.0, tied, shares), Bending(band, 0.0)
    bent = formed.after(to_it)[0] - upright.after(to_it)[0]
    # Nothing bends towards what it is tied to; where that is seen, it bends as if it were not tied.
    wanted = Bending(band, 0.02).after(to_it)[0] - upright.after(to_it)[0] if kept == 0 else 0.0
    assert bent == pytest.approx(wanted, abs=1e-12)
    ahead, back = (formed.after(none + sign * 1e-4 * to_it)[0] for sign in (1, -1))
    assert float(formed.after(none)[1] @ to_it) == pytest.approx((ahead - back) / 2e-4, rel=1e-6)


def test_a_thin_part_that_is_seen_keeps_its_kink() -> None:
    # A board of two cells, whose middle lies between nodes.
    thin = Band.about(grid_of(lambda points: (points[:, 2] - 0.3 * H).abs() - H, CELLS))
    tied, seen = thin.grid.values[thin.ids], torch.zeros(len(thin), dtype=torch.float64)
    inner = (thin.positions[:, :2].abs() < 0.5).all(1)
    pulls = [own.after(seen)[1][inner].abs().max() for own in (Bending(thin, 1.0), Bending(thin, 1.0, 0.0, tied, seen))]
    assert float(pulls[1]) < 0.05 * float(pulls[0])


def test_a_gap_that_is_not_seen_is_held_to_where_it_was() -> None:
    # Of two cells, between two boards.
    gap = Band.about(grid_of(lambda points: H - (points[:, 2] - 0.3 * H).abs(), CELLS))
    tied, half = gap.grid.values[gap.ids], torch.full((len(gap),), 0.5, dtype=torch.float64)
    inner = gap.positions[:, :2].abs().amax(1) < 0.5
    # In its middle, unlike in the same board's.
    middle = inner & (tied > 0.6 * H)
    unseen, seen = (Bending(gap, 1.0, 30.0, tied, share).product(half)[middle] for share in (half, 0 * half))
    assert middle.any() and (unseen > 20 * seen).all()
    board = Band.about(grid_of(lambda points: (points[:, 2] - 0.3 * H).abs() - H, CELLS))
    same = [Bending(board, 1.0, 30.0, -tied, share).diagonal() for share in (half, 0 * half)]
    torch.testing.assert_close(*same)
    # Where it is what it is tied to, nothing pulls.
    still = Bending(gap, 1.0, 30.0, tied, 0 * half + 1).after(0 * half)
    assert still[0] < 1e-9 and still[1].abs().max() < 1e-6


def test_noise_has_the_curvature_as_its_covariance(band: Band) -> None:
    own = Bending(band, 0.02, 30.0)
    generator, way = torch.Generator().manual_seed(0), vector(band, 3)
    drawn = torch.stack([own.noise(generator) @ way for _ in range(800)])
    assert float(drawn.square().mean()) == pytest.approx(float(way @ own.product(way)), rel=0.15)
    assert float(drawn.mean().abs()) < 4 * float(drawn.std()) / 800**0.5


def test_points_of_the_band_are_shared_among_its_nodes(band: Band) -> None:
    points = anywhere(4000, 0.4)
    index, share = band.weights(points)
    inside = (index < len(band)).all(1)
    assert inside.any() and not inside.all()
    found = (band.grid.values[band.ids][index[inside]] * share[inside]).sum(1)
    torch.testing.assert_close(found, band.grid(points[inside]))
