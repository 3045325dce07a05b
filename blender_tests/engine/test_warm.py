"""What steps of a fit leave to the next, against a trace that knows nothing."""

from __future__ import annotations

import torch
from dist_engine.observations.surface import traced
from dist_engine.observations.warm import Warm
from dist_engine.rays import Rays
from dist_engine.tracing.march import Trace, march
from torch import Tensor

from blender_tests.support.closed_forms import PlateAndBall, Sphere


def parallel_rays(count: int, shift: float = 0.0) -> Rays:
    """Rays along +z through a square, from before the unit sphere."""
    generator = torch.Generator().manual_seed(0)
    origins = torch.rand(count, 3, generator=generator) * 0.9 - 0.45 + shift
    origins[:, 2] = -2.0
    directions = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    return Rays.through_unit_sphere(origins, directions, torch.ones(count), torch.full((count,), 1e-3))


def test_steps_of_a_fit_see_what_a_new_trace_sees() -> None:
    warm, count = Warm(), 3000
    # The plate before the ball grows thicker, thinner, and leaves; then the thing moves before the rays.
    for step, (half, shift) in enumerate([(0.02, 0.0), (0.03, 0.0), (0.004, 0.0), (-0.1, 0.0), (0.01, 0.02)]):
        rays = parallel_rays(count, shift)
        truth = traced(PlateAndBall(torch.tensor([half])), rays)
        field = PlateAndBall(torch.tensor([half]))
        inside = torch.arange(count) % 3 > 0
        found = warm.trace(field, rays, inside, torch.zeros(count))
        # Where a ray is on its way for longer than a trace may take, it hits all the same.
        assert not (truth.hit & ~found.hit).any()
        assert (found.hit & ~truth.hit).float().mean() < 0.003, step
        assert torch.equal(found.hit[~inside], truth.hit[~inside])
        missed = ~found.hit
        torch.testing.assert_close(found.value[missed], truth.value[missed])
        torch.testing.assert_close(found.distance[missed], truth.distance[missed])
        known = found.hit & inside & (found.queries == 1)
        assert (field.distance(rays[known].at(found.distance[known]), field.code) < 0).all()
        # Where what hits is deepest is asked besides.
        assert field.counter["march"] <= found.queries.sum() <= sum(field.counter.values())


def test_what_has_hit_is_asked_once() -> None:
    warm, rays, inside = Warm(), parallel_rays(2000), torch.ones(2000, dtype=torch.bool)
    field = PlateAndBall(torch.tensor([0.02]))
    hit = warm.trace(field, rays, inside, torch.zeros(2000)).hit
    for _ in range(3):
        again = warm.trace(field, rays, inside, torch.zeros(2000))
        assert torch.equal(again.hit, hit)
    assert again.queries[hit].mean() < 1.2


def test_each_step_knows_a_deeper_point_of_what_is_still_hit() -> None:
    warm, rays, inside = Warm(), parallel_rays(500), torch.ones(500, dtype=torch.bool)
    deep = torch.ones(500)
    middle = rays.origins[:, :2].norm(dim=1) < 0.2
    for _ in range(5):
        warm.trace(Sphere(torch.tensor([0.6])), rays, inside, deep)
    # From 0.008 behind the hit on, twice as far with each step, or nearly: now the ball may shrink by a good deal.
    again = warm.trace(Sphere(torch.tensor([0.5])), rays, inside, deep)
    assert again.hit[middle].all() and (again.queries[middle] == 1).all()
    assert (rays[middle].at(again.distance[middle]).norm(dim=1) < 0.5).all()


def test_a_ray_is_deep_enough_or_known_where_it_is_deepest() -> None:
    """A ball, whose rays are deepest half way through it; before and after it shrinks."""
    warm, count = Warm(), 2000
    rays, inside, deep = parallel_rays(count), torch.arange(count) % 4 > 0, torch.full((count,), 8.0)
    for radius in (0.5, 0.47):
        found = warm.trace(Sphere(torch.tensor([radius])), rays, inside, deep)
        depth = radius - rays.origins[:, :2].norm(dim=1)
        wanted = deep * rays.pixel * (2.0 * rays.cosine)
        assert torch.equal(found.hit[depth.abs() > 0.001], (depth > 0)[depth.abs() > 0.001])
        enough = inside & (depth > 1.3 * wanted)
        assert (-found.value >= 0.8 * wanted)[enough].all()
        # The rest is asked at a few samples: a little beside where it is deepest.
        short = found.hit & inside & ~enough & (depth > 0)
        assert short.sum() > 20 and (found.value >= -depth - 1e-5)[short].all()
        assert (found.value + depth)[short].max() < 0.3 * wanted[0]
        torch.testing.assert_close(rays.at(found.distance)[short].norm(dim=1) - radius, found.value[short])


def test_a_ray_that_grazes_is_followed_to_where_it_is_nearest() -> None:
    """A thousand steps are the truth; rays along the ball take many short ones."""
    generator = torch.Generator().manual_seed(0)
    origins = torch.rand(2000, 3, generator=generator) * torch.tensor([0.0, 0.9, 0.2]) + torch.tensor([-2.0, -0.45, 0])
    directions = torch.tensor([1.0, 0.0, 0.0]).expand(2000, 3)
    rays = Rays.through_unit_sphere(origins, directions, torch.ones(2000), torch.full((2000,), 1e-3))
    field = PlateAndBall(torch.tensor([0.02]))
    truth = march(field, rays, 0.2 * rays.threshold(), steps=1000, relaxation=1.0)
    found, short = traced(field, rays), traced(field, rays, 50)

    def off(trace: Trace) -> Tensor:
        return (trace.hit != truth.hit) | ~truth.hit & ((trace.value - truth.value).abs() > 1e-3)

    assert off(short).float().mean() > 0.001
    assert off(found).float().mean() < 0.0005
