"""Every named strategy on shapes with exact distances, from nothing and with a memory of the last frame."""

import math

import pytest
import torch
from dist_engine.reference.strategies import STRATEGIES, trace_picture
from dist_engine.tracing.memory import Memory
from dist_engine.tracing.models import OLDEST
from dist_engine.tracing.raster import Raster, hit_normals

from blender_tests.support.closed_forms import (
    BallBeforeWall,
    Box,
    Bud,
    ClosedForm,
    PlateAndBall,
    Sphere,
    box_depth,
    camera,
    identity,
    sphere_depth,
)

FAST = [name for name in STRATEGIES if name != "naive"]


def picture(size: int = 64, turned: bool = False, turn: float = 0.0) -> Raster:
    place = identity().retract(torch.tensor([0.0, 0.3, 0.5, 0.2, 0.02, 0.05, -0.03])) if turned else identity()
    place = place.retract(torch.tensor([0.0, 0.0, turn, 0.0, turn / 4, 0.0, 0.0]))
    return Raster(camera(focal=60.0 * size / 64, size=size), 0, place, size, size)


@pytest.mark.parametrize("strategy", FAST)
def test_sphere(strategy: str) -> None:
    image = picture()
    sphere = Sphere(torch.tensor([0.6]))
    trace = trace_picture(sphere, image, strategy, threshold=5e-5)
    truth = sphere_depth(image.rays(), 0.6)
    assert (trace.hit != truth.isfinite()).sum() <= 4
    both = trace.hit & truth.isfinite()
    assert (trace.distance - truth)[both].abs().max() < 2e-3
    assert (trace.distance - truth)[both].abs().mean() < 5e-5
    found = hit_normals(sphere, image, trace)
    assert torch.allclose(found[both], (image.rays().at(truth) / 0.6)[both], atol=1e-2)
    assert found[~trace.hit].isnan().all()


@pytest.mark.parametrize("strategy", FAST)
def test_box(strategy: str) -> None:
    image, half = picture(turned=True), torch.tensor([0.5, 0.3, 0.4])
    trace = trace_picture(Box(half), image, strategy, threshold=5e-5, steps=100)
    truth = box_depth(image.rays(), half)
    assert (trace.hit != truth.isfinite()).sum() <= 20
    both = trace.hit & truth.isfinite()
    assert (trace.distance - truth)[both].abs().quantile(0.99) < 2e-3


def test_naive_sees_what_parallel_sees() -> None:
    image, sphere = picture(size=8), Sphere(torch.tensor([0.6]))
    one, all_together = (trace_picture(sphere, image, name, threshold=1e-4) for name in ("naive", "parallel"))
    assert torch.equal(one.hit, all_together.hit)
    assert torch.allclose(one.distance, all_together.distance, atol=1e-6)


def test_each_strategy_asks_less_than_the_one_before() -> None:
    image, counts = picture(size=256), {}
    for strategy in FAST:
        sphere = Sphere(torch.tensor([0.6]))
        trace = trace_picture(sphere, image, strategy, threshold=5e-5)
        counts[strategy] = sum(sphere.counter.values())
        if strategy != "grid":
            assert float(trace.queries.double().sum()) == pytest.approx(counts[strategy], rel=1e-3)
        else:
            assert float(trace.queries.sum()) == counts[strategy] - sphere.counter["grid"]
    assert counts["parallel"] > counts["dynamic"] > counts["aggressive"] > counts["coarse_to_fine"] > counts["grid"]


@pytest.mark.slow
@pytest.mark.parametrize("half_thickness", [0.02, 0.004, 0.002])
def test_a_thin_plate_is_not_jumped(half_thickness: float) -> None:
    image, shape = picture(size=96), PlateAndBall(torch.tensor([half_thickness]))
    truth = trace_picture(shape, image, "dynamic", threshold=1e-5, steps=200)
    trace = trace_picture(shape, image, "grid", threshold=5e-5)
    assert (trace.hit != truth.hit).sum() <= 4
    both = trace.hit & truth.hit
    assert both.sum() > 300
    assert ((trace.distance - truth.distance)[both].abs() > 1e-2).sum() <= 2


@pytest.mark.parametrize("strategy", FAST)
def test_missed_rays_tell_how_near_they_came(strategy: str) -> None:
    image = picture()
    trace = trace_picture(Sphere(torch.tensor([0.6])), image, strategy, threshold=5e-5)
    rays = image.rays()
    missed = ~trace.hit & (rays.near < rays.far)
    along = -(rays.origins * rays.directions).sum(1)
    nearest = rays.at(along).norm(dim=1) - 0.6
    close = missed & (nearest < 0.05)
    assert close.any()
    assert (trace.value.abs() - nearest)[close].abs().max() < 0.02


def test_a_smaller_threshold_never_dilates_the_silhouette() -> None:
    image = picture()
    large, small = (
        trace_picture(Sphere(torch.tensor([0.6])), image, "aggressive", threshold=eps).hit for eps in (1e-2, 1e-4)
    )
    assert (small & ~large).sum() == 0
    assert large.sum() > small.sum()


def test_the_threshold_is_each_pixels_own_by_default() -> None:
    image = picture()
    trace = trace_picture(Sphere(torch.tensor([0.6])), image, "dynamic")
    assert (trace.value.abs() <= image.rays().threshold())[trace.hit].all()


def queries(field: ClosedForm) -> int:
    return sum(field.counter.values())


@pytest.mark.slow
def test_a_camera_that_moves_reuses_the_lattice() -> None:
    sphere, memory = Sphere(torch.tensor([0.6])), Memory()
    trace_picture(sphere, picture(), memory=memory)
    whole = sphere.counter["grid"]
    for step in range(1, 6):
        moved = picture(turn=0.02 * step)
        trace = trace_picture(sphere, moved, threshold=5e-5, memory=memory)
        truth = sphere_depth(moved.rays(), 0.6)
        assert (trace.hit != truth.isfinite()).sum() <= 4
        assert (trace.distance - truth)[trace.hit & truth.isfinite()].abs().max() < 2e-3
    assert sphere.counter["grid"] < 1.1 * whole


@pytest.mark.slow
def test_the_same_frame_again_costs_hardly_anything() -> None:
    sphere, memory = Sphere(torch.tensor([0.6])), Memory()
    for _ in range(2):
        trace_picture(sphere, picture(), memory=memory)
    before = queries(sphere)
    trace_picture(sphere, picture(), memory=memory)
    assert queries(sphere) < 1.03 * before


@pytest.mark.slow
def test_many_steps_of_the_code_do_not_drift() -> None:
    image, memory, asked = picture(turned=True), Memory(), []
    for step in range(16):
        half = torch.tensor([0.5 - 4e-3 * step, 0.3 + 2e-3 * step, 0.4 + 8e-3 * math.sin(step / 3)])
        box = Box(half)
        trace = trace_picture(box, image, threshold=5e-5, memory=memory)
        asked.append(queries(box))
        truth = box_depth(image.rays(), half)
        assert (trace.hit != truth.isfinite()).sum() <= 40
        off = (trace.distance - truth)[trace.hit & truth.isfinite()].abs()
        assert off.mean() < 5e-5
        assert off.quantile(0.99) < 5e-4
        assert (off > 1e-2).sum() == 0
    # Each step moves the surface by about four thousandths, and a box is small: a fit asks for less.
    assert max(asked[2:]) < 0.65 * asked[0]


@pytest.mark.slow
def test_a_ball_that_moves_across_is_followed() -> None:
    """Its depth bends with the code, and what it hides and bares changes with each step."""
    image, memory = picture(), Memory()
    for step in range(9):
        shape = BallBeforeWall(torch.tensor([-0.15 + 0.03 * step]))
        trace = trace_picture(shape, image, threshold=5e-5, memory=memory)
    truth = trace_picture(shape, image, "dynamic", threshold=1e-5, steps=200)
    assert (trace.hit != truth.hit).sum() <= 10
    assert ((trace.distance - truth.distance)[trace.hit & truth.hit].abs() > 1e-2).sum() <= 2


@pytest.mark.slow
def test_a_thin_plate_that_grows_from_nothing_is_found_at_once() -> None:
    image, memory = picture(size=96), Memory()
    for half_thickness in (-0.004, -0.002, 0.002, 0.004):
        shape = PlateAndBall(torch.tensor([half_thickness]))
        trace = trace_picture(shape, image, threshold=5e-5, memory=memory)
    truth = trace_picture(shape, image, "dynamic", threshold=1e-5, steps=200)
    assert (trace.hit != truth.hit).sum() <= 4
    assert ((trace.distance - truth.distance)[trace.hit & truth.hit].abs() > 1e-2).sum() <= 2


@pytest.mark.slow
def test_what_no_derivative_foretold_is_found_within_a_bounded_number_of_steps() -> None:
    image, memory = picture(), Memory()
    for code in (-0.02, -0.01, *torch.linspace(0.15, 0.15 + 1e-4 * OLDEST, OLDEST + 1).tolist()):
        trace = trace_picture(Bud(torch.tensor([code])), image, threshold=5e-5, memory=memory)
    truth = trace_picture(Bud(torch.tensor([code])), image, "dynamic", threshold=1e-5, steps=200)
    without = trace_picture(Bud(torch.tensor([-0.01])), image, "dynamic", threshold=1e-5, steps=200)
    assert (truth.hit & ~without.hit).sum() > 25
    assert (trace.hit != truth.hit).sum() <= 4
    assert ((trace.distance - truth.distance)[trace.hit & truth.hit].abs() > 1e-2).sum() == 0


@pytest.mark.slow
def test_another_shape_altogether_is_traced_anew() -> None:
    image, memory = picture(turned=True), Memory()
    for half in ([0.5, 0.3, 0.4], [0.5, 0.301, 0.4], [0.2, 0.5, 0.1]):
        trace = trace_picture(Box(torch.tensor(half)), image, threshold=5e-5, memory=memory)
    fresh = trace_picture(Box(torch.tensor(half)), image, threshold=5e-5)
    assert (trace.hit != fresh.hit).sum() <= 2
    assert (trace.distance - fresh.distance)[trace.hit & fresh.hit].abs().max() < 1e-3


def test_unknown_strategies_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"“quick”.*dynamic"):
        trace_picture(Sphere(torch.tensor([0.6])), picture(size=8), "quick")
