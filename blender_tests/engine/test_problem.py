"""What a fit minimises: its rows and their Jacobian, against finite differences and closed forms."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity, skew
from dist_engine.decoder import Architecture, Decoder
from dist_engine.fitting import levenberg_marquardt
from dist_engine.fitting.fit import _on_rays
from dist_engine.fitting.model import Quadratic
from dist_engine.fitting.observations import (
    INDEPENDENT,
    Normals,
    Observations,
    Outlines,
    Points,
    Sample,
    Sights,
    _with_tangents,
)
from dist_engine.fitting.problem import EXACT, Problem, State, Unknowns
from dist_engine.prior import Prior
from dist_engine.tracing.march import march
from dist_engine.tracing.rays import Rays

from blender_tests.support.closed_forms import Box
from blender_tests.support.views import PRIOR, SIZE, orbit, request, visible_points

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


def one_camera() -> Cameras:
    """A camera at the origin."""
    return Cameras(torch.eye(3)[None], torch.eye(3)[None], torch.zeros(1, 3))


def some_depths(state: State, count: int) -> tuple[Sights, torch.Tensor, torch.Tensor]:
    """Rays near the pictures' middles with depths about the object's; the pixels, and the depths."""
    generator = torch.Generator().manual_seed(2)
    views = torch.randint(VIEWS, (count,), generator=generator)
    pixels = 32 + 6 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    depth = 6 + 0.8 * torch.randn(count, generator=generator, dtype=torch.float64)
    return sights_at(state, views, pixels, depth), pixels, depth


def sights_at(state: State, views: torch.Tensor, pixels: torch.Tensor, depth: torch.Tensor) -> Sights:
    """Depths along the cameras' axes, seen at pixels."""
    rays = state.cameras.rays(views, pixels, state.place)
    return Sights(rays, views, depth / rays.cosine / state.place.scale, 1.0)


def some_normals(state: State, seen: Sights, normals: torch.Tensor) -> Normals:
    """Normals (N, 3), each in its camera's frame, where others see something."""
    axes = _with_tangents(normals) @ state.cameras.rotation[seen.views] @ state.place.rotation
    # So small a pixel that the trace ends on the surface.
    return Normals(replace(seen.rays, pixel=torch.full_like(seen.rays.pixel, 1e-9)), seen.views, axes, 1.0)


@pytest.mark.parametrize(
    "unknowns",
    [Unknowns(cameras=True, focal=True), Unknowns(place=False), Unknowns(shape=False, place=False, cameras=True)],
)
def test_the_jacobian_is_that_of_the_residuals(unknowns: Unknowns) -> None:
    problem = Problem(small_prior(), unknowns, VIEWS, Counter())
    state = some_state(problem)
    sights, pixels, depth = some_depths(state, 40)
    # Some of them outside the unit sphere.
    points = torch.randn(30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def residuals(state: State) -> tuple[torch.Tensor, torch.Tensor]:
        field = problem.prior.decoder.field(problem.code(state))
        moved = sights_at(state, sights.views, pixels, depth)
        blocks = [
            problem._depth(field, state, moved, moved.distance, problem.noise.depth),
            *problem._facing(field, state, moved, moved.distance),
            problem._points(field, state, state.place.to_object(points)),
        ]
        return torch.cat([block[0] for block in blocks]), torch.cat([block[1] for block in blocks])

    _, jacobian = residuals(state)
    count = max(part.stop for part in problem.parts.values())
    assert jacobian.shape == (150, count)
    steps = 1e-6 * torch.eye(count, dtype=torch.float64)
    differences = [
        (residuals(problem.moved(state, step))[0] - residuals(problem.moved(state, -step))[0]) / 2e-6 for step in steps
    ]
    # A ray that passes from one linear piece of the decoder to the next within a step is off by a little.
    assert (torch.stack(differences, 1) - jacobian).abs().median() < 1e-6
    assert torch.allclose(torch.stack(differences, 1), jacobian, atol=1e-3 * float(jacobian.abs().max()))


@pytest.mark.parametrize("unknowns", [Unknowns(cameras=True, focal=True), Unknowns(place=False)])
def test_the_jacobian_of_normals_is_that_of_what_a_new_trace_sees(unknowns: Unknowns) -> None:
    prior = Prior.load(PRIOR).to("cpu", torch.float64)
    problem = Problem(prior, unknowns, VIEWS, Counter())
    # A random network is no distance: rays do not end on its surface.
    state = some_state(Problem(small_prior(), unknowns, VIEWS, Counter()))
    state = replace(state, whitened=problem.whiten(prior.codes[5]))
    sights, pixels, depth = some_depths(state, 80)
    generator = torch.Generator().manual_seed(6)
    observed = torch.randn(80, 3, dtype=torch.float64, generator=generator)

    def residuals(state: State, some: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        field = problem.prior.decoder.field(problem.code(state))
        moved = sights_at(state, sights.views[some], pixels[some], depth[some])
        return problem._normals(field, state, some_normals(state, moved, observed[some]))

    rays = some_normals(state, sights, observed).rays
    hit = march(prior.decoder.field(problem.code(state)), rays, 0.1 * rays.threshold(), relaxation=1.0).hit
    hit = hit.nonzero()[:, 0]
    _, jacobian = residuals(state, hit)
    count = max(part.stop for part in problem.parts.values())
    assert len(hit) > 30 and jacobian.shape == (2 * len(hit), count)
    steps = 1e-5 * torch.randn(3, count, dtype=torch.float64, generator=generator)
    pairs = [[residuals(problem.moved(state, sign * step), hit)[0] for sign in (1, -1)] for step in steps]
    differences = torch.stack([(one - other) / 2 for one, other in pairs], 1)
    predicted = jacobian @ steps.T
    # Where a stencil's end passes from one linear piece of the decoder to the next, it is off by a little.
    off = (differences - predicted).norm(dim=1) / predicted.norm(dim=1)
    assert off.median() < 1e-5 and off.quantile(0.9) < 1e-3


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


def test_all_kinds_of_observations_count_together() -> None:
    problem = Problem(small_prior(), Unknowns(cameras=True, focal=True), VIEWS, Counter())
    state = some_state(problem)
    depths, *_ = some_depths(state, 40)
    none = torch.zeros(0, dtype=torch.long)
    slants = some_normals(state, depths, torch.randn(40, 3, dtype=torch.float64))
    all_there = Sample(
        outlines=Outlines(depths.rays, depths.views, torch.arange(40) % 2 == 0, torch.full((40,), 3.0), 75.0),
        depths=depths,
        normals=slants,
        points=Points(0.5 * torch.randn(30, 3, dtype=torch.float64), 1.0),
        sights=depths,
    )
    nothing = Sample(
        outlines=Outlines(depths.rays[none], none, none.bool(), none.double(), 1.0),
        depths=Sights(depths.rays[none], none, none.double(), 1.0),
        normals=Normals(depths.rays[none], none, slants.axes[none], 1.0),
        points=Points(torch.zeros(0, 3, dtype=torch.float64), 1.0),
        sights=Sights(depths.rays[none], none, none.double(), 1.0),
    )
    field = problem.prior.decoder.field(problem.code(state))
    apart = [replace(nothing, **{name: kind}) for name, kind in vars(all_there).items() if kind is not None]
    together = problem.evaluate(state, all_there)
    held = problem.evaluate(state, nothing)
    parts = [problem.evaluate(state, sample) for sample in apart]
    assert all(list(problem.rows(field, state, sample)) for sample in apart)
    assert sum(part.cost - held.cost for part in parts) == pytest.approx(together.cost - held.cost)
    total = sum(part.gradient - held.gradient for part in parts) + held.gradient
    assert torch.allclose(total, together.gradient)


def test_what_is_seen_of_points_does_not_move_with_the_cameras() -> None:
    problem = Problem(small_prior(), Unknowns(cameras=True, focal=True), VIEWS, Counter())
    state = some_state(problem)
    generator = torch.Generator().manual_seed(7)
    views = torch.randint(VIEWS, (40,), generator=generator)
    places = state.place.to_world(0.5 * torch.randn(40, 3, dtype=torch.float64, generator=generator))

    def about(state: State) -> list[tuple[torch.Tensor, torch.Tensor]]:
        there = state.cameras.to_camera(views, places)
        pixels = (state.cameras.K[views] @ (there / there[:, 2:])[..., None])[:, :2, 0]
        seen = sights_at(state, views, pixels, there[:, 2])
        none = torch.zeros(0, dtype=torch.long)
        sample = Sample(
            outlines=Outlines(seen.rays[none], none, none.bool(), none.double(), 1.0),
            depths=Sights(seen.rays[none], none, none.double(), 1.0),
            normals=Normals(seen.rays[none], none, torch.zeros(0, 3, 3, dtype=torch.float64), 1.0),
            points=Points(torch.zeros(0, 3, dtype=torch.float64), 1.0),
            sights=seen,
        )
        field = problem.prior.decoder.field(problem.code(state))
        # The last two: a little before and behind. Those before them may differ in number.
        return [(rows.residual, rows.jacobian) for rows in problem.rows(field, state, sample)][-2:]

    count = max(part.stop for part in problem.parts.values())
    steps = 1e-6 * torch.eye(count, dtype=torch.float64)
    for row, (_, jacobian) in enumerate(about(state)):
        pairs = [[about(problem.moved(state, sign * step))[row][0] for sign in (1, -1)] for step in steps]
        differences = torch.stack([(one - other) / 2e-6 for one, other in pairs], 1)
        # How a ray turns as its camera moves, about a point that stays, is left out.
        assert (differences - jacobian).abs().max() < 0.02 * jacobian.abs().max()


@pytest.mark.parametrize("ahead", [0.5, -3.0])
def test_a_camera_within_the_object_or_turned_away_costs_and_pulls(ahead: float) -> None:
    prior = Prior.load(PRIOR)
    problem = Problem(prior, Unknowns(), 1, Counter())
    cameras = replace(one_camera(), translation=torch.tensor([[0.3, 0.2, ahead]]))
    job = request(np.full((1, SIZE, SIZE), 255, np.uint8), orbit(1))
    observations = Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    cameras = replace(cameras, K=torch.tensor([[[SIZE, 0, SIZE / 2], [0, SIZE, SIZE / 2], [0, 0, 1]]]).float())
    state = problem.start(prior.mean, place, cameras)
    evaluate = _on_rays(problem, observations, 400)

    def moved_cost(state: State) -> Quadratic:
        return evaluate(replace(state, cameras=cameras))

    model = moved_cost(state)
    assert np.isfinite(model.cost) and model.cost > 1 and model.gradient.isfinite().all() and model.gradient.any()
    *_, (_, cost) = levenberg_marquardt.minimise(problem.moved, state, moved_cost, 3)
    assert cost < model.cost


def test_nothing_may_be_before_a_point_that_is_seen() -> None:
    prior = Prior.load(PRIOR)
    problem = Problem(prior, Unknowns(), 4, Counter())
    identity = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    cameras = Cameras.from_views(orbit(4), torch.device("cpu"))
    state = problem.start(prior.codes[5], identity, cameras)
    field = prior.decoder.field(problem.code(state))
    points, seen, _ = visible_points(field, cameras, 60)
    views = torch.as_tensor(seen).int().argmax(1)
    there = cameras.to_camera(views, torch.as_tensor(points, dtype=torch.float32))
    rays = cameras.rays(views, (there @ cameras.K[0].T)[:, :2] / there[:, 2:], identity)
    # What lies on the surface is seen; what lies far behind it is not, and the way there leads through the inside.
    seen_there, behind = (Sights(rays, views, there.norm(dim=1) + far, 1.0) for far in (0.0, 0.5))
    met, stopped = problem._meet(field, seen_there, 2 * EXACT)
    assert 0 < (met - seen_there.distance).abs().median() < 5e-3 and stopped.isnan().float().mean() > 0.95
    met, stopped = problem._meet(field, seen_there, EXACT)
    assert torch.equal(met, seen_there.distance) and stopped.isnan().float().mean() > 0.95
    met, stopped = problem._meet(field, behind, problem.noise.depth)
    rows, jacobian, _ = problem._clear(field, state, behind, stopped)
    # All but a ray that grazes an edge.
    assert len(rows) == len(points) and (rows < 0).float().mean() > 0.95
    assert jacobian.shape == (len(points), len(prior.mean) + 7)


def test_noise_about_a_thin_part_does_not_thicken_it() -> None:
    prior = Prior("thing", Decoder(Architecture(3, (8,), (0,), (0,))), torch.randn(20, 3))
    problem = Problem(prior, Unknowns(place=False), 1, Counter())
    plate = Box(torch.tensor([0.5, 0.5, 0.01]))
    origins = torch.cat([0.8 * torch.rand(4000, 2) - 0.4, torch.full((4000, 1), -0.9)], 1)
    ahead = torch.tensor([0.0, 0.0, 1.0]).expand(4000, 3)
    rays = Rays.through_unit_sphere(origins, ahead, torch.ones(4000), torch.full((4000,), 1e-3))
    noise = 0.04
    seen = Sights(rays, torch.zeros(4000, dtype=torch.long), 0.89 + noise * torch.randn(4000), 1.0)
    state = problem.start(plate.code, Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3)), one_camera())
    met, stopped = problem._meet(plate, seen, noise)
    pulls = [problem._depth(plate, state, seen, there, noise)[0].clamp(-1, 1) for there in (met, seen.distance)]
    # As far as 4000 of them tell. f at the noisy points themselves would pull outwards.
    assert pulls[0].mean().abs() < 0.05 and pulls[1].mean() > 0.4
    assert stopped.isfinite().float().mean() < 0.01


def test_the_uncertainty_is_that_of_shapes_as_likely_as_the_fitted_one() -> None:
    problem = Problem(small_prior(), Unknowns(), VIEWS, Counter())
    state = some_state(problem)
    generator = torch.Generator().manual_seed(0)
    points = 0.3 * torch.randn(20, 3, dtype=torch.float64, generator=generator)
    slant = torch.randn(LATENT + 7, LATENT + 7, dtype=torch.float64, generator=generator)
    # So sure that f is linear in the unknowns.
    model = Quadratic(0.0, slant[0], 1e4 * (slant @ slant.T + torch.eye(LATENT + 7)))
    found = problem.variances(state, model, points)

    covariance = np.linalg.inv(INDEPENDENT * model.curvature.numpy())
    steps = np.random.default_rng(0).multivariate_normal(np.zeros(LATENT + 7), covariance, 4000)
    world = state.place.to_world(points)
    values = []
    for step in torch.as_tensor(steps):
        there = problem.moved(state, step)
        values.append(problem.prior.decoder.field(problem.code(there))(there.place.to_object(world), "truth"))
    field = problem.prior.decoder.field(problem.code(state))
    spread = torch.stack(values).var(0) / field.jacobian(points, "truth").d_point.square().sum(1).clamp(min=0.01)
    assert torch.allclose(found, spread, rtol=0.15)
