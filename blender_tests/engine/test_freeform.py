"""Gauss-Newton for a free shape against dense algebra, and what it does to balls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from dist_engine.fitting import freeform
from dist_engine.fitting.freeform import gauss_newton, spread
from dist_engine.observations.rows import Rows
from dist_engine.shapes.free.grid import REACH
from dist_engine.shapes.free.shape import FreeShape
from torch import Tensor

from blender_tests.support.free_forms import anywhere, ball, grid_of

CELLS = 32
H = 2 * REACH / CELLS


def directions(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return found / found.norm(dim=1, keepdim=True)


def rows_at(shape: FreeShape, points: Tensor, sigma: float = 0.1 * H, **more: object) -> Rows:
    """The surface is to pass points (N, 3)."""
    at = shape.field(Counter()).linearise(points, "test")
    none = torch.zeros(len(points), 0, dtype=torch.float64)
    chosen = {"bound": 100.0, "weight": torch.full((len(points),), 1e-3, dtype=torch.float64)} | more
    return Rows(1.0, at.value, none, (at.d_shape,), torch.full_like(at.value, sigma), **chosen)  # type: ignore[arg-type]


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solves to the end, once."""
    monkeypatch.setattr(freeform, "STEPS", (200,))
    monkeypatch.setattr(freeform, "SAMPLE_STEPS", 200)
    monkeypatch.setattr(freeform, "TOLERANCE", 1e-12)


def tiny() -> FreeShape:
    return FreeShape(grid_of(ball(0.12, 0.01, 0.02, 0.0), CELLS), stiffness=0.01)


def dense(shape: FreeShape, rows: Rows, trust: Tensor) -> Tensor:
    """The model's curvature (n, n)."""
    jacobian = rows.jacobian()
    return shape.own_term().matrix() + jacobian.T @ (trust[:, None] * jacobian)


@pytest.mark.usefixtures("exact")
def test_a_step_is_what_dense_algebra_says() -> None:
    shape = tiny()
    rows = rows_at(shape, 0.15 * directions(60))
    trust = rows.weight
    assert trust is not None
    none = torch.zeros(shape.size, dtype=torch.float64)
    own, slope = shape.own_term().after(none)
    slope = slope + rows.jacobian().T @ (trust * rows.in_sigmas())
    step = torch.linalg.lstsq(dense(shape, rows, trust), -slope[:, None], driver="gelsd").solution[:, 0]
    after, cost = gauss_newton(shape, [rows])
    assert cost == pytest.approx(own + 0.5 * float((trust * rows.in_sigmas() ** 2).sum()))
    wanted = shape.retract(step)
    points = 0.15 * directions(500)
    torch.testing.assert_close(after.grid(points), wanted.grid(points), atol=0.01 * H, rtol=0)
    # And it was one: the surface has moved.
    assert (after.grid(points) - shape.grid(points)).abs().min() > 0.2 * H


def test_a_ball_grows_to_where_points_are() -> None:
    shape, points = FreeShape(grid_of(ball(0.4), CELLS), stiffness=0.001), 0.5 * directions(1500)
    costs = []
    for _ in range(4):
        shape, cost = gauss_newton(shape, [rows_at(shape, points)])
        costs.append(cost)
    assert costs[-1] < 0.02 * costs[0]
    seen = 0.5 * directions(4000)
    assert shape.grid(seen).abs().mean() < 0.05 * H and shape.grid(seen).abs().max() < 0.3 * H
    # As a whole: there is nothing else.
    elsewhere = anywhere(5000)
    wanted = ball(0.5)(elsewhere)
    assert ((shape.grid(elsewhere) > 0) == (wanted > 0))[wanted.abs() > 0.5 * H].all()


@pytest.mark.parametrize(("side", "moves"), [(1.0, False), (-1.0, True)])
def test_rows_of_one_side_pull_to_that_side_only(side: float, moves: bool) -> None:
    """f at the points is negative: they are inside."""
    shape, points = FreeShape(grid_of(ball(0.5), CELLS), stiffness=0.001), (0.5 - 0.7 * H) * directions(1500)
    sides = torch.full((1500,), side, dtype=torch.float64)
    left, cost = gauss_newton(shape, [rows_at(shape, points, side=sides)])
    # Where none pulls, it keeps still but for its bending.
    still, at_rest = gauss_newton(shape, [])
    moved = (left.grid(points) - still.grid(points)).mean() / H
    assert moved == pytest.approx(0.7, abs=0.12) if moves else moved.abs() < 0.02
    assert cost > at_rest + 1 if moves else cost == pytest.approx(at_rest)


def test_a_step_that_breaks_a_row_is_weighed_again() -> None:
    """Rows that want it larger, and at the same place those of one side that do not let it."""
    shape = FreeShape(grid_of(ball(0.4), CELLS), stiffness=0.001)
    pull = rows_at(shape, (0.4 + H) * directions(1500), sigma=H)
    fence = rows_at(shape, (0.4 + 0.3 * H) * directions(1500), sigma=0.02 * H)
    # Outside: right as long as f is above zero.
    fence = replace(fence, side=torch.full((1500,), -1.0, dtype=torch.float64))
    assert (fence.residual > 0).all()
    free, _ = gauss_newton(shape, [pull])
    held, _ = gauss_newton(shape, [pull, fence])
    at = 0.4 * directions(1500)
    assert -free.grid(at).mean() > 0.6 * H
    assert -held.grid(at).mean() == pytest.approx(0.3 * H, abs=0.12 * H)


def test_far_points_count_less() -> None:
    """Where some say that it is here, and others that it is a cell farther out."""
    shape, here = FreeShape(grid_of(ball(0.5), CELLS), stiffness=0.001), 0.5 * directions(1500)
    moved = {}
    for bound in (100.0, 1.0):
        others = rows_at(shape, here, bound=bound)
        rows = [rows_at(shape, here), replace(others, residual=others.residual + H)]
        moved[bound] = -float(gauss_newton(shape, rows)[0].grid(here).mean()) / H
    # All alike, it is half way; with a bound of a deviation, a tenth of a cell, they pull by no more than by that.
    assert moved[100.0] == pytest.approx(0.5, abs=0.1)
    assert 0 < moved[1.0] < 0.2


@pytest.mark.usefixtures("exact")
def test_samples_spread_as_the_models_inverse() -> None:
    shape = tiny()
    shape = replace(shape, tie=300.0, tied=shape.grid)
    rows = rows_at(shape, 0.12 * directions(60) + torch.tensor([0.01, 0.02, 0.0]), sigma=20 * H, weight=None)
    trust = torch.ones(60, dtype=torch.float64)
    covariance = torch.linalg.inv(dense(shape, rows, trust))
    samples = torch.stack(spread(shape, [rows], 120, torch.Generator().manual_seed(0)))
    derivative = rows.d_shape[0].matrix()
    for ways in (derivative, torch.eye(shape.size, dtype=torch.float64)[::10]):
        wanted = (ways @ covariance * ways).sum(1)
        found = (samples @ ways.T).square().mean(0)
        # Of 120 samples, a variance is off by an eighth or so.
        assert (found / wanted).log().abs().max() < 0.6
        assert float((found / wanted).mean()) == pytest.approx(1, abs=0.1)


def test_samples_know_one_sided_rows_that_bind() -> None:
    """Rows that bind hold the surface as others do; those that are right by far do not."""
    shape = replace(tiny(), tie=1.0, tied=tiny().grid)
    middle = torch.tensor([0.01, 0.02, 0.0])
    generator = torch.Generator
    spreads = {}
    for name, radius in (("none", None), ("bind", 0.12), ("far", 0.12 + 2 * H)):
        rows = []
        if radius is not None:
            rows = [rows_at(shape, radius * directions(200) + middle, weight=None, bound=2.0)]
            rows = [replace(rows[0], side=torch.full((200,), -1.0, dtype=torch.float64))]
        samples = torch.stack(spread(shape, rows, 20, generator().manual_seed(0)))
        at = shape.field(Counter()).derivative(0.12 * directions(200) + middle).matrix()
        spreads[name] = float((samples @ at.T).square().mean().sqrt())
    assert spreads["bind"] < 0.5 * spreads["none"]
    assert spreads["far"] == pytest.approx(spreads["none"], rel=0.1)
