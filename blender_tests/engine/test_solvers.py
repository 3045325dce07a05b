"""The solvers, and their model of the cost: against finite differences, and the least cost on a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
from dist_engine.fitting import adam, levenberg_marquardt
from dist_engine.fitting.model import Linearised, Quadratic
from dist_engine.observations.rows import Rows, over_views
from dist_engine.shapes.shape import Springs

VIEWS = 3


def some_rows(unknowns: int, seed: int = 0) -> list[Rows]:
    """Rows of all kinds: both sides count, or one; with views, and without."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for share, count, with_views in ((0.5, 30, True), (1.0, 20, False), (2.0, 10, False)):
        draws = torch.randn(count, unknowns + 2, dtype=torch.float64, generator=generator)
        side = None if count == 10 else draws[:, -2].sign()
        views = torch.arange(count) % VIEWS if with_views else None
        rays = torch.tensor([20, 15, 12]) if with_views else None
        rows.append(Rows(share, 3 * draws[:, -1], draws[:, :unknowns], side=side, views=views, rays=rays))
    return rows


def linearised(unknowns: int, seed: int = 0) -> Linearised:
    """A model of such rows, that is held a little."""
    return after(torch.zeros(unknowns, dtype=torch.float64), seed)


def after(step: torch.Tensor, seed: int) -> Linearised:
    """The model of the same rows about where a step leads."""
    rows = [replace(row, residual=row.residual + row.forward(step)) for row in some_rows(len(step), seed)]
    held = Springs(torch.full_like(step, 0.1), 0.3 + step)
    return Linearised(rows, [(slice(None), held)], torch.ones_like(step))


def test_the_model_has_the_gradient_of_its_cost() -> None:
    model = linearised(4)
    step = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    there, nudges = model.after(step), 1e-6 * torch.eye(4, dtype=torch.float64)
    differences = [(model.after(step + nudge).cost - model.after(step - nudge).cost) / 2e-6 for nudge in nudges]
    assert torch.allclose(torch.tensor(differences, dtype=torch.float64), there.gradient, rtol=1e-6, atol=1e-6)
    now = model.after(torch.zeros_like(step))
    assert now.cost == model.cost and torch.equal(now.gradient, model.gradient)


def test_a_residual_on_the_side_that_does_not_count_costs_nothing() -> None:
    residual, slope = torch.tensor([2.0, -2.0, 2.0, -2.0]), torch.ones(4, 1)
    rows = Rows(1.0, residual, slope, side=torch.tensor([1.0, 1.0, -1.0, 0.0]))
    model = Linearised([rows], [], torch.ones(1))
    # Huber's 2 - 1/2, of the first and the last.
    assert model.cost == pytest.approx(3.0) and float(model.gradient) == pytest.approx(0.0)
    # The second counts once it is positive.
    assert model.after(torch.tensor([3.0])).cost == pytest.approx(4.5 + 0.5 + 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_a_step_finds_the_least_cost_of_its_model(seed: int) -> None:
    model = linearised(2, seed)
    line = torch.linspace(-4, 4, 33, dtype=torch.float64)
    least = min(model.after(step).cost for step in torch.cartesian_prod(line, line))

    *_, (_, cost) = levenberg_marquardt.minimise(
        torch.add, torch.zeros(2, dtype=torch.float64), partial(after, seed=seed), 20
    )
    assert cost < least + 1e-3 * model.cost


def test_a_step_stays_within_reach() -> None:
    model = linearised(4)
    for reach in (0.01, 0.1, 1.0):
        step, damping, promised = levenberg_marquardt._best_step(model, reach, 0.0)
        assert 0.3 * reach < model.length(step) <= reach and damping > 0
        assert promised == pytest.approx(model.cost - model.after(step).cost) and promised > 0


@pytest.mark.parametrize("solver", [levenberg_marquardt.minimise, adam.minimise])
def test_both_solvers_descend_a_valley(solver: Callable[..., Iterator[tuple[torch.Tensor, float]]]) -> None:
    scale = torch.tensor([1.0, 30.0])
    goal = torch.tensor([0.7, -0.2])

    def evaluate(x: torch.Tensor) -> Quadratic:
        residual = scale * (x - goal)
        return Quadratic(float(0.5 * residual.square().sum()), scale * residual, torch.diag(scale**2))

    path = list(solver(torch.add, torch.zeros(2), evaluate, 200))
    costs = [cost for _, cost in path]
    assert costs == sorted(costs, reverse=True)
    assert torch.allclose(path[-1][0], goal, atol=0.01)


def test_views_that_are_wrong_alike_count_as_their_sum() -> None:
    costs, views = torch.full((12,), 0.3, dtype=torch.float64), torch.arange(12) % 3
    total, trust = over_views(costs, views, torch.full((3,), 7))
    assert float(total) == pytest.approx(12 * 0.3) and torch.allclose(trust, torch.ones(12).double())


def test_a_wrong_view_pulls_little_once_the_others_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    views = torch.arange(80) % 8
    costs = torch.rand(80, dtype=torch.float64, generator=generator) * torch.where(views == 3, 20.0, 0.1)
    counts = torch.full((8,), 12)
    costs.requires_grad_()
    total, trust = over_views(costs, views, counts)
    total.backward()
    assert torch.allclose(costs.grad, trust.detach())
    assert trust[3] < 0.15 * trust[0] and float(total.detach()) < 0.3 * float(costs.detach().sum())


@pytest.mark.parametrize("broken", ["at the start", "where a step leads"])
def test_a_cost_that_is_no_number_ends_the_search(broken: str) -> None:
    calls = []

    def evaluate(state: torch.Tensor) -> Quadratic:
        calls.append(state)
        cost = float("nan") if broken == "at the start" or len(calls) > 1 else float(state @ state)
        return Quadratic(cost, 2 * state * (cost / cost), 2 * torch.eye(2) * (cost / cost))

    path = list(levenberg_marquardt.minimise(torch.add, torch.tensor([3.0, 4.0]), evaluate, 50))
    assert torch.equal(path[-1][0], torch.tensor([3.0, 4.0])) and len(calls) < 60


def test_unknowns_that_nothing_depends_on_stay() -> None:
    flat = Quadratic(1.0, torch.zeros(2), torch.zeros(2, 2))
    *_, (state, cost) = levenberg_marquardt.minimise(torch.add, torch.ones(2), lambda _: flat, 5)
    assert torch.equal(state, torch.ones(2)) and cost == 1.0
