"""What a fit minimises, against finite differences, and cameras that are found again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity, skew
from dist_engine.decoder import Architecture, Decoder
from dist_engine.fitting.fit import Fit, fit
from dist_engine.fitting.observations import Observations, Sample
from dist_engine.fitting.problem import Problem, State, Unknowns
from dist_engine.prior import Prior
from dist_engine.protocol import View

from blender_tests.engine.test_worker import PRIOR, orbit, request, silhouettes

VIEWS, LATENT = 3, 5


def small_prior() -> Prior:
    """A decoder of random weights in double precision."""
    generator = torch.Generator().manual_seed(0)
    decoder = Decoder(Architecture(LATENT, (24, 24, 24), (0, 1, 2), (0, 2), octaves=2))
    decoder.initialise(generator)
    prior = Prior("thing", decoder, torch.randn(20, LATENT, generator=generator))
    return prior.to("cpu", torch.float64)


def some_state(problem: Problem) -> State:
    """Cameras of several focal lengths round a turned, shifted and scaled object."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    K = torch.tensor([[60.0, 0, 31], [0, 64, 33], [0, 0, 1]], dtype=torch.float64).repeat(VIEWS, 1, 1)
    rotation = torch.linalg.matrix_exp(skew(draw(VIEWS, 3)))
    place = Similarity(
        torch.tensor(1.7, dtype=torch.float64), torch.linalg.matrix_exp(skew(draw(3))), torch.tensor([0.4, -2.0, 1.0])
    )
    place = Similarity(place.scale, place.rotation, place.translation.double())
    # Each sees the object about 6 units ahead.
    ahead = 0.3 * draw(VIEWS, 3) + torch.tensor([0.0, 0, 6], dtype=torch.float64)
    translation = ahead - rotation @ place.translation
    return problem.start(0.5 * draw(LATENT), place, Cameras(K, rotation, translation))


def depth_sample(state: State, count: int) -> tuple[Sample, torch.Tensor, torch.Tensor]:
    """Rays near the pictures' middles with depths about the object's; the pixels, and the depths."""
    generator = torch.Generator().manual_seed(2)
    views = torch.randint(VIEWS, (count,), generator=generator)
    pixels = 32 + 6 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    depth = 6 + 0.8 * torch.randn(count, generator=generator, dtype=torch.float64)
    rays = state.cameras.rays(views, pixels, state.place)
    return (
        Sample(rays, views, torch.ones(count, dtype=torch.bool), torch.zeros(count), depth / rays.cosine),
        pixels,
        depth,
    )


@pytest.mark.parametrize(
    "unknowns",
    [Unknowns(cameras=True, focal=True), Unknowns(place=False), Unknowns(shape=False, place=False, cameras=True)],
)
def test_the_jacobian_is_that_of_the_residuals(unknowns: Unknowns) -> None:
    problem = Problem(small_prior(), unknowns, VIEWS, Counter())
    state = some_state(problem)
    sample, pixels, depth = depth_sample(state, 40)

    def residuals(state: State) -> tuple[torch.Tensor, torch.Tensor]:
        rays = state.cameras.rays(sample.views, pixels, state.place)
        moved = Sample(rays, sample.views, sample.inside, sample.outside_by, depth / rays.cosine)
        return problem._depth(problem.prior.decoder.field(problem.code(state)), state, moved)

    _, jacobian = residuals(state)
    count = max(part.stop for part in problem.parts.values())
    assert jacobian.shape == (40, count)
    steps = 1e-6 * torch.eye(count, dtype=torch.float64)
    differences = [
        (residuals(problem.moved(state, step))[0] - residuals(problem.moved(state, -step))[0]) / 2e-6 for step in steps
    ]
    # A ray that passes from one linear piece of the decoder to the next within a step is off by a little.
    assert (torch.stack(differences, 1) - jacobian).abs().median() < 1e-6
    assert torch.allclose(torch.stack(differences, 1), jacobian, atol=1e-3 * float(jacobian.abs().max()))


def test_cameras_that_are_known_stay_as_they_are() -> None:
    problem = Problem(small_prior(), Unknowns(), VIEWS, Counter())
    state = some_state(problem)
    moved = problem.moved(state, torch.ones(LATENT + 7, dtype=torch.float64))
    assert moved.cameras is state.cameras and not moved.strayed.any()
    assert not torch.equal(moved.whitened, state.whitened) and moved.place.scale != state.place.scale


def test_a_camera_moves_as_if_the_object_had() -> None:
    problem = Problem(small_prior(), Unknowns(), VIEWS, Counter())
    state = some_state(problem)
    step = 0.1 * torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    cameras = state.cameras.as_if_moved(state.place, step.expand(VIEWS, 6), torch.tensor(0.0))
    there = state.place.moved(torch.cat([torch.zeros(1, dtype=torch.float64), step]))
    points = torch.rand(10, 3, dtype=torch.float64)
    for view in range(VIEWS):
        views = torch.full((10,), view)
        one = cameras.to_camera(views, state.place.to_world(points))
        two = state.cameras.to_camera(views, there.to_world(points))
        assert torch.allclose(one, two, atol=1e-12)
        assert torch.allclose(cameras.rotation[view] @ cameras.rotation[view].T, torch.eye(3, dtype=torch.float64))


def test_cameras_that_are_a_little_off_are_found_again(tmp_path: Path) -> None:
    views = orbit(8)
    prior = Prior.load(PRIOR)
    masks = silhouettes(prior.codes[5], views, Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3)))
    random = np.random.default_rng(0)
    wrong = [nudged(view, random) for view in views]
    job = request(masks, wrong, iterations=60, refine_cameras=True)
    observations = Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))
    found = fit(job, prior, observations, Counter(), tmp_path, Quiet())
    before, after = (
        np.median([error(*pair) for pair in zip(views, some, strict=True)]) for some in (wrong, refined(found, views))
    )
    assert before > 3 and after < before / 2
    again = found.cameras.to_views([view.name for view in views])
    assert all(np.allclose(v.K, w.K) for v, w in zip(again, views, strict=True))


class Quiet:
    """A reporter that nobody listens to."""

    stopping = False

    def progress(self, *_arguments: object) -> None:
        pass


def nudged(view: View, random: np.random.Generator) -> View:
    """A camera turned by 3 degrees about the origin and moved by 0.09, 3 % of its distance."""
    turn, shift = (v / np.linalg.norm(v) for v in random.normal(size=(2, 3)))
    rotation = view.world_to_camera[:, :3] @ torch.linalg.matrix_exp(skew(torch.tensor(np.radians(3) * turn))).numpy()
    return replace(view, world_to_camera=np.column_stack([rotation, view.world_to_camera[:, 3] + 0.09 * shift]))


def refined(found: Fit, views: list[View]) -> list[View]:
    """The cameras as they stand to the object, which itself may have moved."""
    place, cameras = found.place, found.cameras
    rotation = cameras.rotation @ place.rotation
    translation = (cameras.rotation @ place.translation + cameras.translation) / place.scale
    poses = torch.cat([rotation, translation[..., None]], 2).double().numpy()
    return [replace(view, world_to_camera=pose) for view, pose in zip(views, poses, strict=True)]


def error(true: View, found: View) -> float:
    """Degrees by which a camera is turned, and percent of the distance by which it is off, added."""
    turned = np.linalg.norm(true.world_to_camera[:, :3] - found.world_to_camera[:, :3]) / 8**0.5
    shifted = np.linalg.norm(true.world_to_camera[:, 3] - found.world_to_camera[:, 3]) / 3
    return float(np.degrees(2 * np.arcsin(turned)) + 100 * shifted)
