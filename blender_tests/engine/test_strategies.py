"""Every named strategy on shapes with exact distances."""

import pytest
import torch
from dist_engine.tracing.lattice import Lattice
from dist_engine.tracing.picture import Picture
from dist_engine.tracing.strategies import STRATEGIES, normals, trace_picture

from blender_tests.engine.closed_forms import Box, PlateAndBall, Sphere
from blender_tests.engine.test_tracing import box_depth, camera, identity, sphere_depth

FAST = [name for name in STRATEGIES if name != "naive"]


def picture(size: int = 64, turned: bool = False) -> Picture:
    place = identity().moved(torch.tensor([0.0, 0.3, 0.5, 0.2, 0.02, 0.05, -0.03])) if turned else identity()
    return Picture(camera(focal=60.0 * size / 64, size=size), 0, place, size, size)


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
    found = normals(sphere, image, trace)
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


def test_a_second_view_shares_the_lattice() -> None:
    sphere = Sphere(torch.tensor([0.6]))
    lattice = Lattice(sphere)
    trace_picture(sphere, picture(), "grid", lattice=lattice)
    first = sphere.counter["grid"]
    trace_picture(sphere, picture(), "grid", lattice=lattice)
    assert sphere.counter["grid"] == first


def test_a_lattice_follows_the_code() -> None:
    sphere = Sphere(torch.tensor([0.6]))
    lattice, image = Lattice(sphere), picture()
    trace_picture(sphere, image, "grid", lattice=lattice)
    whole = sphere.counter["grid"]
    for step in range(1, 13):
        sphere = Sphere(torch.tensor([0.6 - 2e-3 * step]))
        lattice.update(sphere)
        trace = trace_picture(sphere, image, "grid", threshold=5e-5, lattice=lattice)
        assert sphere.counter["grid"] < whole / 2
    truth = sphere_depth(image.rays(), 0.576)
    assert (trace.hit != truth.isfinite()).sum() <= 4
    assert (trace.distance - truth)[trace.hit & truth.isfinite()].abs().max() < 2e-3


def test_unknown_strategies_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"“quick”.*dynamic"):
        trace_picture(Sphere(torch.tensor([0.6])), picture(size=8), "quick")
