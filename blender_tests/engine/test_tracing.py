import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.tracing.march import march
from dist_engine.tracing.rays import Rays

from blender_tests.support.closed_forms import Box, Sphere, box_depth, camera, identity, sphere_depth


def all_rays(cameras: Cameras, place: Similarity, size: int = 64) -> Rays:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    return cameras.rays(torch.zeros(len(pixels), dtype=torch.long), pixels, place)


@pytest.mark.parametrize("relaxation", [1.0, 1.5])
def test_sphere_depth_and_silhouette_match_the_formula(relaxation: float) -> None:
    rays = all_rays(camera(), identity())
    trace = march(Sphere(torch.tensor([0.6])), rays, torch.full((len(rays),), 1e-5), relaxation=relaxation)
    truth = sphere_depth(rays, 0.6)
    assert (trace.hit == truth.isfinite()).all()
    assert (trace.distance - truth)[trace.hit].abs().max() < 1e-3
    assert trace.hit.sum() > 300


# A step of 1.5 times the distance may jump a corner that the ray barely cuts.
@pytest.mark.parametrize(("relaxation", "wrong"), [(1.0, 2), (1.5, 20)])
def test_box_depth_and_silhouette_match_the_formula(relaxation: float, wrong: int) -> None:
    half = torch.tensor([0.5, 0.3, 0.4])
    turned = identity().retract(torch.tensor([0.0, 0.3, 0.5, 0.2, 0.02, 0.05, -0.03]))
    rays = all_rays(camera(), turned)
    trace = march(Box(half), rays, torch.full((len(rays),), 1e-5), steps=200, relaxation=relaxation)
    truth = box_depth(rays, half)
    assert (trace.hit != truth.isfinite()).sum() <= wrong
    both = trace.hit & truth.isfinite()
    assert (trace.distance - truth)[both].abs().max() < 2e-3


def test_longer_steps_need_fewer_queries() -> None:
    rays = all_rays(camera(), identity())
    counts = []
    for relaxation in (1.0, 1.5):
        sphere = Sphere(torch.tensor([0.6]))
        march(sphere, rays, torch.full((len(rays),), 1e-4), relaxation=relaxation)
        counts.append(sphere.counter["march"])
    assert counts[1] < 0.8 * counts[0]


def test_missed_rays_report_their_smallest_distance() -> None:
    rays = all_rays(camera(), identity())
    sphere = Sphere(torch.tensor([0.6]))
    trace = march(sphere, rays, torch.full((len(rays),), 1e-5), relaxation=1.0)
    missed = ~trace.hit & (rays.near < rays.far)
    along = -(rays.origins * rays.directions).sum(1)
    truth = rays.at(along).norm(dim=1) - 0.6
    assert (trace.value - truth)[missed].abs().max() < 0.02


def test_threshold_is_the_posters_example() -> None:
    # f = 60 mm, S = 32 mm, R = 512, d_min = 10 cm, on the axis.
    one = torch.ones(1)
    rays = Rays(torch.zeros(1, 3), torch.tensor([[0, 0, 1.0]]), 0.1 * one, one, one, one * 32 / (60 * 512))
    assert rays.threshold().item() == pytest.approx(5e-5, rel=0.05)
