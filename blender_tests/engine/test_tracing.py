import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.rays import Rays
from dist_engine.tracing.march import march
from dist_engine.tracing.raster import Raster

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


def test_a_camera_within_the_unit_sphere_sees_nothing_behind_it() -> None:
    ahead = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    rays = Rays.through_unit_sphere(torch.tensor([[0.0, 0.0, 0.8]]).expand(3, 3), ahead, torch.ones(3), torch.ones(3))
    torch.testing.assert_close(rays.near, torch.zeros(3))
    torch.testing.assert_close(rays.far, torch.tensor([1.8, 0.2, 0.6]))
    trace = march(Sphere(torch.tensor([0.5])), rays, torch.full((3,), 1e-5), relaxation=1.0)
    assert trace.hit.tolist() == [True, False, False]
    assert float(trace.distance[0]) == pytest.approx(0.3, abs=1e-4)


def test_a_coarse_threshold_costs_no_accuracy_where_f_is_a_distance() -> None:
    """The last step goes on by f, which on a ray through the ball's middle is all that is left."""
    ahead = torch.tensor([[0.0, 0.0, 1.0]])
    rays = Rays.through_unit_sphere(torch.tensor([[0.0, 0.0, -1.5]]), ahead, torch.ones(1), torch.ones(1))
    # In steps of 0.1 from the unit sphere, the march comes to 0.035 before the surface.
    trace = march(Sphere(torch.tensor([0.465])), rays, torch.tensor([0.04]), relaxation=1.0, longest=0.1)
    assert trace.hit.all() and 0.01 < float(trace.value) < 0.04
    assert float(trace.distance) == pytest.approx(1.035, abs=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_a_coarse_ray_passes_the_middle_of_its_block(scale: int) -> None:
    image = Raster(camera(), 0, identity(), 64, 64)
    rows, columns = image.shape(scale)
    rays = image.rays(scale)
    middles = [[(column + 0.5) * scale, (row + 0.5) * scale] for row in range(rows) for column in range(columns)]
    # By the camera's focal length of 60 and its middle; z is 1 ahead.
    ways = torch.cat([(torch.tensor(middles) - 32) / 60, torch.ones(rows * columns, 1)], 1)
    torch.testing.assert_close(rays.directions / rays.directions[:, 2:], ways)
