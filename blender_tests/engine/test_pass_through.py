"""Whole rays against brute force: where f is least along them, and where they first meet the surface."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from dist_engine.rays import Rays
from dist_engine.shapes.free.grid import REACH
from dist_engine.shapes.free.shape import FreeShape
from dist_engine.tracing.whole import pass_through
from torch import Tensor

from blender_tests.support.free_forms import CPU, Distance, ball, box, either, grid_of

SHORTEST = 0.02
BALL, BOX = ball(0.4, 0.1, -0.05, 0.07), box((0.5, 0.3, 0.1), 0.05, 0.1, -0.2)
TWO = either(ball(0.2, -0.4, 0.1, 0.0), ball(0.25, 0.5, -0.1, 0.1))


class Exact:
    """A closed form as a field."""

    device, dtype = CPU, torch.float64

    def __init__(self, distance: Distance) -> None:
        self.distance, self.counter = distance, Counter()  # type: ignore[var-annotated]

    def __call__(self, points: Tensor, purpose: str) -> Tensor:
        self.counter[purpose] += len(points)
        return self.distance(points)

    def slope(self, points: Tensor, purpose: str) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def some_rays(count: int) -> Rays:
    """From 3 away, towards points of the unit ball; every tenth passes it."""
    generator = torch.Generator().manual_seed(1)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=1) * 3
    targets = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    targets = 0.9 * torch.nn.functional.normalize(targets, dim=1) * torch.rand(count, 1, generator=generator)
    targets[::10] = 4 * torch.nn.functional.normalize(torch.linalg.cross(origins[::10], targets[::10]), dim=1)
    one = torch.ones(count, dtype=torch.float64)
    return Rays.through_unit_sphere(origins, torch.nn.functional.normalize(targets - origins, dim=1), one, 0.01 * one)


def brute(distance: Distance, rays: Rays, samples: int = 2000) -> tuple[Tensor, Tensor, Tensor]:
    """The least f of many samples of each ray (N,), where it is, and the first that is inside; infinite for none."""
    share = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    at = rays.near[:, None] + (rays.far - rays.near)[:, None] * share
    f = distance((rays.origins[:, None] + at[..., None] * rays.directions[:, None]).reshape(-1, 3)).reshape(at.shape)
    least, index = f.min(1)
    inside = f <= 0
    first = torch.where(inside.any(1), at.gather(1, inside.int().argmax(1)[:, None])[:, 0], torch.inf)
    return least, at.gather(1, index[:, None])[:, 0], first


@pytest.mark.parametrize("distance", [BALL, BOX, TWO], ids=["ball", "box", "two"])
def test_rays_that_miss_know_where_they_pass_nearest(distance: Distance) -> None:
    rays = some_rays(600)
    passed = pass_through(Exact(distance), rays, SHORTEST)
    meets = rays.near < rays.far
    least, _, first = brute(distance, rays)
    assert passed.least[~meets].isinf().all() and passed.first[~meets].isinf().all()
    missed = meets & (least > 0.002)
    assert missed.sum() > 100 and passed.first[missed].isinf().all()
    # Steps are as long as f: near the surface it is exact.
    error, close = (passed.least - least)[missed], least[missed] < 2 * SHORTEST
    assert close.any() and error.min() > -1e-4
    assert error[close].max() < 0.001 and (error < 0.2 * least[missed]).all()
    # What is told is the sample's own.
    torch.testing.assert_close(distance(rays.at(passed.nearest))[meets], passed.least[meets])
    # What is so deep is longer than a step.
    hit = meets & (least < -0.55 * SHORTEST)
    error = (passed.first - first).abs()[hit]
    assert len(error) > 100 and error.max() < 0.5 * SHORTEST and error.median() < 0.001
    assert (passed.least[hit] < 0).all()


def test_a_ball_is_passed_where_it_is_nearest() -> None:
    rays = some_rays(600)
    passed = pass_through(Exact(BALL), rays, SHORTEST)
    centre = torch.tensor([0.1, -0.05, 0.07], dtype=torch.float64)
    along = ((centre - rays.origins) * rays.directions).sum(1)
    least = BALL(rays.at(along))
    beside = (rays.near < rays.far) & (least.abs() < 1.1 * SHORTEST)
    assert beside.sum() > 10
    assert (passed.nearest - along)[beside].abs().max() < 0.3 * SHORTEST
    assert (passed.least - least)[beside].abs().max() < 2e-4


def test_with_stop_they_end_at_the_surface() -> None:
    rays = some_rays(600)
    whole, field, stopped = pass_through(Exact(TWO), rays, SHORTEST), Exact(TWO), Exact(TWO)
    pass_through(field, rays, SHORTEST)
    ended = pass_through(stopped, rays, SHORTEST, stop=True)
    assert ended.first.equal(whole.first)
    assert stopped.counter["march"] < field.counter["march"]


def test_with_a_margin_they_need_not_be_deeper() -> None:
    rays, margin = some_rays(600), 0.1
    whole, field, ended_by = pass_through(Exact(BALL), rays, SHORTEST), Exact(BALL), Exact(BALL)
    pass_through(field, rays, SHORTEST)
    ended = pass_through(ended_by, rays, SHORTEST, margin=margin)
    deep = whole.least < -margin
    assert deep.any() and not deep.all()
    assert ended.least[~deep].equal(whole.least[~deep]) and (ended.least[deep] < -margin).all()
    assert ended.first.equal(whole.first)
    assert ended_by.counter["march"] < field.counter["march"]


@pytest.mark.parametrize("distance", [BALL, BOX, TWO], ids=["ball", "box", "two"])
def test_a_grids_rays_meet_what_they_should(distance: Distance) -> None:
    """Beyond its blocks, too, they take no step over the surface."""
    cells, rays = 64, some_rays(3000)
    width = 2 * REACH / cells
    field = FreeShape(grid_of(distance, cells)).field(Counter())
    passed = pass_through(field, rays, 0.5 * width)
    least, _, first = brute(distance, rays, 500)
    meets = rays.near < rays.far
    clear = meets & (least.abs() > 0.5 * width)
    assert (passed.first.isfinite() == (least < 0))[clear].all()
    front = meets & (least < -width)
    assert (passed.first - first)[front].abs().max() < 0.7 * width
    assert (passed.first - first)[front].abs().median() < 0.1 * width
    beside = meets & (least.abs() < 2 * width)
    assert (passed.least - least)[beside].abs().median() < 0.25 * width
