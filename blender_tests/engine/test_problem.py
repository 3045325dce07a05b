"""What a fit minimises: its rows and their Jacobian, against finite differences and closed forms."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity, skew
from dist_engine.decoder import Architecture, Decoder
from dist_engine.fitting import levenberg_marquardt
from dist_engine.fitting.model import Quadratic
from dist_engine.fitting.problem import Problem
from dist_engine.observations import Drawn, Observations
from dist_engine.observations.depths import EXACT, DepthMaps, SurfaceHits
from dist_engine.observations.normals import FacingRays, with_tangents
from dist_engine.observations.observation import INDEPENDENT, Estimate
from dist_engine.observations.points import PointDraw, SurfacePoints
from dist_engine.observations.rows import Rows
from dist_engine.prior import Prior
from dist_engine.rays import Rays
from dist_engine.shapes.latent import PRIOR_WEIGHT, LatentKind
from dist_engine.state import State, Unknowns
from dist_engine.tracing.march import march

from blender_tests.support.closed_forms import Box, ClosedShape
from blender_tests.support.views import PRIOR, SIZE, orbit, request, silhouettes, visible_points

VIEWS, LATENT = 3, 5
NOISE = 0.01
IDENTITY = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))


def small_prior() -> Prior:
    """A decoder of random weights in double precision."""
    generator = torch.Generator().manual_seed(0)
    decoder = Decoder(Architecture(LATENT, (24, 24, 24), (0, 1, 2), (0, 2), octaves=2))
    decoder.initialise(generator)
    prior = Prior("thing", decoder, torch.randn(20, LATENT, generator=generator))
    return prior.to("cpu", torch.float64)


def some_state(kind: LatentKind | None = None) -> State:
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
    kind = kind or LatentKind(small_prior())
    return State.start(kind.of(0.5 * draw(LATENT)), place, Cameras(K, rotation, translation))


def estimate(state: State, unknowns: Unknowns) -> Estimate:
    return Estimate(state, state.shape.field(Counter()), unknowns)


def problem_of(unknowns: Unknowns, state: State) -> Problem:
    """A problem of nothing that was observed."""
    nothing = Observations.__new__(Observations)
    nothing.kinds, nothing.cameras = [], state.cameras
    return Problem(nothing, unknowns, Counter())


def one_camera() -> Cameras:
    """A camera at the origin."""
    return Cameras(torch.eye(3)[None], torch.eye(3)[None], torch.zeros(1, 3))


def some_depths(state: State, count: int) -> tuple[SurfaceHits, torch.Tensor, torch.Tensor]:
    """Rays near the pictures' middles with depths about the object's; the pixels, and the depths."""
    generator = torch.Generator().manual_seed(2)
    views = torch.randint(VIEWS, (count,), generator=generator)
    pixels = 32 + 6 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    depth = 6 + 0.8 * torch.randn(count, generator=generator, dtype=torch.float64)
    return hits_at(state, views, pixels, depth), pixels, depth


def hits_at(state: State, views: torch.Tensor, pixels: torch.Tensor, depth: torch.Tensor) -> SurfaceHits:
    """DepthMaps along the cameras' axes, seen at pixels."""
    rays = state.cameras.rays(views, pixels, state.place)
    return SurfaceHits(rays, views, depth / rays.cosine / state.place.scale, 1.0)


def some_points(world: torch.Tensor, seen: torch.Tensor) -> SurfacePoints:
    """Points (P, 3) in double precision, and the views (P, V) that see them."""
    kind = SurfacePoints(world.numpy(), seen.numpy(), NOISE, False, torch.device("cpu"), torch.Generator())
    kind.world = world
    return kind


def some_normals(state: State, seen: SurfaceHits, normals: torch.Tensor) -> FacingRays:
    """NormalMaps (N, 3), each in its camera's frame, where others see something."""
    axes = with_tangents(normals) @ state.cameras.rotation[seen.views] @ state.place.rotation
    # So small a pixel that the trace ends on the surface.
    return FacingRays(replace(seen.rays, pixel=torch.full_like(seen.rays.pixel, 1e-9)), seen.views, axes, 1.0)


@pytest.mark.parametrize(
    "unknowns",
    [Unknowns(cameras=True, focal=True), Unknowns(place=False), Unknowns(shape=False, place=False, cameras=True)],
)
def test_the_jacobian_is_that_of_the_residuals(unknowns: Unknowns) -> None:
    state = some_state()
    hits, pixels, depth = some_depths(state, 40)
    # Some of them outside the unit sphere.
    points = torch.randn(30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    on_surface = some_points(points, torch.zeros(30, VIEWS, dtype=torch.bool))

    def rows(state: State) -> list[Rows]:
        at, moved = estimate(state, unknowns), hits_at(state, hits.views, pixels, depth)
        return [
            moved.depth_rows(at, moved.distance, NOISE),
            *moved.facing_rows(at, moved.distance, NOISE),
            *on_surface.rows(PointDraw(torch.arange(30)), at),
        ]

    def residuals(state: State) -> torch.Tensor:
        return torch.cat([block.in_sigmas() for block in rows(state)])

    jacobian = torch.cat([block.jacobian() for block in rows(state)])
    count = unknowns.count(state)
    assert jacobian.shape == (150, count)
    steps = 1e-6 * torch.eye(count, dtype=torch.float64)
    differences = [
        (residuals(unknowns.retract(state, step)) - residuals(unknowns.retract(state, -step))) / 2e-6 for step in steps
    ]
    # A ray that passes from one linear piece of the decoder to the next within a step is off by a little.
    assert (torch.stack(differences, 1) - jacobian).abs().median() < 1e-6
    assert torch.allclose(torch.stack(differences, 1), jacobian, atol=1e-3 * float(jacobian.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("unknowns", [Unknowns(cameras=True, focal=True), Unknowns(place=False)])
def test_the_jacobian_of_normals_is_that_of_what_a_new_trace_sees(unknowns: Unknowns) -> None:
    prior = Prior.load(PRIOR).to("cpu", torch.float64)
    # A random network is no distance: rays do not end on its surface.
    state = replace(some_state(), shape=LatentKind(prior).of(prior.codes[5]))
    hits, pixels, depth = some_depths(state, 80)
    generator = torch.Generator().manual_seed(6)
    observed = torch.randn(80, 3, dtype=torch.float64, generator=generator)

    def rows(state: State, some: torch.Tensor) -> Rows:
        moved = hits_at(state, hits.views[some], pixels[some], depth[some])
        return some_normals(state, moved, observed[some]).rows(estimate(state, unknowns), math.radians(10))

    rays = some_normals(state, hits, observed).rays
    hit = march(state.shape.field(Counter()), rays, 0.1 * rays.threshold(), relaxation=1.0).hit
    hit = hit.nonzero()[:, 0]
    jacobian = rows(state, hit).jacobian()
    count = unknowns.count(state)
    assert len(hit) > 30 and jacobian.shape == (2 * len(hit), count)
    steps = 1e-5 * torch.randn(3, count, dtype=torch.float64, generator=generator)
    pairs = [[rows(unknowns.retract(state, sign * step), hit).in_sigmas() for sign in (1, -1)] for step in steps]
    differences = torch.stack([(one - other) / 2 for one, other in pairs], 1)
    predicted = jacobian @ steps.T
    # Where a stencil's end passes from one linear piece of the decoder to the next, it is off by a little.
    off = (differences - predicted).norm(dim=1) / predicted.norm(dim=1)
    assert off.median() < 1e-5 and off.quantile(0.9) < 1e-3


@pytest.mark.parametrize("unknowns", [Unknowns(cameras=True, focal=True), Unknowns(shape=False, cameras=True)])
def test_products_with_the_jacobian_need_no_matrix(unknowns: Unknowns) -> None:
    prior = Prior.load(PRIOR).to("cpu", torch.float64)
    state = replace(some_state(), shape=LatentKind(prior).of(prior.codes[5]))
    hits, *_ = some_depths(state, 60)
    generator = torch.Generator().manual_seed(8)
    at = estimate(state, unknowns)
    observed = torch.randn(60, 3, dtype=torch.float64, generator=generator)
    for rows in (hits.depth_rows(at, hits.distance, NOISE), some_normals(state, hits, observed).rows(at, 0.2)):
        jacobian = rows.jacobian()
        step = torch.randn(unknowns.count(state), dtype=torch.float64, generator=generator)
        weights = torch.randn(len(rows.residual), dtype=torch.float64, generator=generator)
        assert len(weights) > 20
        assert torch.allclose(rows.forward(step), jacobian @ step)
        assert torch.allclose(rows.backward(weights), weights @ jacobian)


def test_cameras_that_are_known_stay_as_they_are() -> None:
    state = some_state()
    there = Unknowns().retract(state, torch.ones(LATENT + 7, dtype=torch.float64))
    assert there.cameras is state.cameras and not there.pose_offset.any()
    assert not torch.equal(there.shape.whitened, state.shape.whitened) and there.place.scale != state.place.scale


def test_a_camera_moves_as_if_the_object_had() -> None:
    state = some_state()
    step = 0.1 * torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    cameras = state.cameras.turned_about(state.place, step.expand(VIEWS, 6), torch.tensor(0.0))
    there = state.place.retract(torch.cat([torch.zeros(1, dtype=torch.float64), step]))
    points = torch.rand(10, 3, dtype=torch.float64)
    for view in range(VIEWS):
        views = torch.full((10,), view)
        one = cameras.to_camera(views, state.place.to_world(points))
        two = state.cameras.to_camera(views, there.to_world(points))
        assert torch.allclose(one, two, atol=1e-12)
        assert torch.allclose(cameras.rotation[view] @ cameras.rotation[view].T, torch.eye(3, dtype=torch.float64))


def test_all_kinds_of_observations_count_together() -> None:
    prior, views = Prior.load(PRIOR), orbit(4)
    field = prior.decoder.field(prior.codes[5])
    cameras = Cameras.from_views(views, torch.device("cpu"))
    points, seen, depths = visible_points(field, cameras, 60)
    normals = np.full((*depths.shape, 3), np.nan, np.float32)
    normals[np.isfinite(depths)] = [0, 0, -1]
    job = replace(request(silhouettes(prior.codes[5], views, IDENTITY), views), depths=depths, normals=normals)
    job = replace(job, points=points, visibility=seen)
    state = State.start(LatentKind(prior).of(prior.codes[9]), IDENTITY, cameras)
    observations = Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))
    assert [kind.name for kind in observations.kinds] == ["outlines", "depths", "normals", "points"]
    problem, drawn = Problem(observations, Unknowns(cameras=True, focal=True), Counter()), observations.draw(300)
    together, every = problem.on(drawn)(state), list(observations.kinds)
    parts = []
    for kind, own in zip(every, drawn.of_kinds, strict=True):
        observations.kinds = [kind]
        parts.append(problem.on(Drawn((own,)))(state))
        assert parts[-1].rows
    observations.kinds = []
    held = problem.on(Drawn(()))(state)
    assert sum(part.cost - held.cost for part in parts) == pytest.approx(together.cost - held.cost, rel=1e-4)
    total = sum(part.gradient - held.gradient for part in parts) + held.gradient
    assert torch.allclose(total, together.gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_is_seen_of_points_does_not_move_with_the_cameras() -> None:
    state, unknowns = some_state(), Unknowns(cameras=True, focal=True)
    generator = torch.Generator().manual_seed(7)
    views = torch.randint(VIEWS, (40,), generator=generator)
    world = state.place.to_world(0.5 * torch.randn(40, 3, dtype=torch.float64, generator=generator))
    kind = some_points(world, views[:, None] == torch.arange(VIEWS))

    def about(state: State) -> list[Rows]:
        # The last two: a little before and behind. Those before them may differ in number.
        return list(kind.rows(PointDraw(torch.arange(40)), estimate(state, unknowns)))[-2:]

    steps = 1e-6 * torch.eye(unknowns.count(state), dtype=torch.float64)
    for row, rows in enumerate(about(state)):
        jacobian = rows.jacobian()
        pairs = [[about(unknowns.retract(state, sign * step))[row].in_sigmas() for sign in (1, -1)] for step in steps]
        differences = torch.stack([(one - other) / 2e-6 for one, other in pairs], 1)
        # How a ray turns as its camera moves, about a point that stays, is left out.
        assert (differences - jacobian).abs().max() < 0.02 * jacobian.abs().max()


def test_a_point_counts_once_however_many_views_see_it() -> None:
    state = some_state()
    generator = torch.Generator().manual_seed(7)
    world = state.place.to_world(0.3 * torch.randn(6, 3, dtype=torch.float64, generator=generator))
    seen = torch.zeros(6, VIEWS, dtype=torch.bool)
    seen[0], seen[1, 0], seen[2, :2] = True, True, True
    rays, share = some_points(world, seen).visible_rays(PointDraw(torch.arange(6)), state.cameras, state.place)
    point = torch.cdist(state.place.to_world(rays.points()), world).argmin(1)
    counted = torch.zeros(6, dtype=torch.float64).index_add(0, point, share)
    assert len(point) == 6 and counted.tolist() == pytest.approx([1, 1, 1, 0, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [0.5, -3.0])
def test_a_camera_within_the_object_or_turned_away_costs_and_pulls(ahead: float) -> None:
    prior = Prior.load(PRIOR)
    cameras = replace(one_camera(), translation=torch.tensor([[0.3, 0.2, ahead]]))
    job = request(np.full((1, SIZE, SIZE), 255, np.uint8), orbit(1))
    observations = Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))
    problem = Problem(observations, Unknowns(), Counter())
    cameras = replace(cameras, K=torch.tensor([[[SIZE, 0, SIZE / 2], [0, SIZE, SIZE / 2], [0, 0, 1]]]).float())
    state = State.start(LatentKind(prior).of(prior.mean), IDENTITY, cameras)
    evaluate = problem.on_rays(400)

    model = evaluate(state)
    assert np.isfinite(model.cost) and model.cost > 1 and model.gradient.isfinite().all() and model.gradient.any()
    *_, (_, cost) = levenberg_marquardt.minimise(problem.retract, state, evaluate, 3)
    assert cost < model.cost


@pytest.mark.slow
def test_nothing_may_be_before_a_point_that_is_seen() -> None:
    prior = Prior.load(PRIOR)
    cameras = Cameras.from_views(orbit(4), torch.device("cpu"))
    state = State.start(LatentKind(prior).of(prior.codes[5]), IDENTITY, cameras)
    at = estimate(state, Unknowns())
    points, seen, _ = visible_points(at.field, cameras, 60)
    views = torch.as_tensor(seen).int().argmax(1)
    there = cameras.to_camera(views, torch.as_tensor(points, dtype=torch.float32))
    rays = cameras.rays(views, (there @ cameras.K[0].T)[:, :2] / there[:, 2:], IDENTITY)
    # What lies on the surface is seen; what lies far behind it is not, and the way there leads through the inside.
    seen_there, behind = (SurfaceHits(rays, views, there.norm(dim=1) + far, 1.0) for far in (0.0, 0.5))
    met, stopped = seen_there.meet(at, 2 * EXACT)
    assert 0 < (met - seen_there.distance).abs().median() < 5e-3 and stopped.isnan().float().mean() > 0.95
    met, stopped = seen_there.meet(at, EXACT)
    assert torch.equal(met, seen_there.distance) and stopped.isnan().float().mean() > 0.95
    met, stopped = behind.meet(at, NOISE)
    rows = behind.clear_rows(at, stopped, NOISE)
    # All but a ray that grazes an edge.
    assert len(rows.residual) == len(points) and (rows.residual < 0).float().mean() > 0.95
    assert rows.jacobian().shape == (len(points), len(prior.mean) + 7)


@pytest.mark.slow
def test_noise_about_a_thin_part_does_not_thicken_it() -> None:
    plate = Box(torch.tensor([0.5, 0.5, 0.01]))
    generator = torch.Generator().manual_seed(0)
    across = 0.8 * torch.rand(4000, 2, generator=generator) - 0.4
    origins = torch.cat([across, torch.full((4000, 1), -0.9)], 1)
    ahead = torch.tensor([0.0, 0.0, 1.0]).expand(4000, 3)
    rays = Rays.through_unit_sphere(origins, ahead, torch.ones(4000), torch.full((4000,), 1e-3))
    noise = 0.04
    distance = 0.89 + noise * torch.randn(4000, generator=generator)
    seen = SurfaceHits(rays, torch.zeros(4000, dtype=torch.long), distance, 1.0)
    state = State.start(ClosedShape.of(Box, plate.code), IDENTITY, one_camera())
    at = estimate(state, Unknowns(place=False))
    met, stopped = seen.meet(at, noise)
    pulls = [seen.depth_rows(at, there, noise).in_sigmas().clamp(-1, 1) for there in (met, seen.distance)]
    # As far as 4000 of them tell. f at the noisy points themselves would pull outwards.
    assert pulls[0].mean().abs() < 0.05 and pulls[1].mean() > 0.4
    assert stopped.isfinite().float().mean() < 0.01


def test_a_code_is_held_as_so_many_rays_that_are_one_unit_wrong() -> None:
    """The closed form: of each ray, PRIOR_WEIGHT halves of the mean squared whitened code."""
    state = some_state()
    whitened = state.shape.whitened
    model = problem_of(Unknowns(), state).on(Drawn(()))(state)
    assert PRIOR_WEIGHT == 0.005
    assert model.cost == pytest.approx(0.5 * 0.005 * float(whitened.square().mean()))
    assert torch.allclose(model.gradient[:LATENT], 0.005 * whitened / LATENT) and not model.gradient[LATENT:].any()


@pytest.mark.parametrize("there", [INDEPENDENT // 3, 4 * INDEPENDENT])
def test_of_many_that_err_together_no_more_count_than_err_on_their_own(there: int) -> None:
    state = some_state()
    generator = torch.Generator().manual_seed(5)
    depths = np.full((VIEWS, 64, 64), np.nan, np.float32)
    depths.ravel()[np.random.default_rng(0).choice(depths.size, there, replace=False)] = 6.0
    kind = DepthMaps(depths, NOISE, torch.device("cpu"), generator)
    drawn = kind.draw(600)
    rows = next(iter(kind.rows(drawn, estimate(state_of_floats(state), Unknowns()))))
    # A share is of a ray of INDEPENDENT.
    assert len(drawn) == 300 and rows.share * 300 * INDEPENDENT == pytest.approx(min(there, INDEPENDENT))


def state_of_floats(state: State) -> State:
    """The same cameras and place before a table, in single precision."""
    prior = Prior.load(PRIOR)
    cameras, place = (
        type(each)(*(part.float() for part in vars(each).values())) for each in (state.cameras, state.place)
    )
    return State.start(LatentKind(prior).of(prior.codes[5]), place, cameras)


@pytest.mark.slow
def test_the_uncertainty_is_that_of_shapes_as_likely_as_the_fitted_one() -> None:
    state, unknowns = some_state(), Unknowns()
    problem = problem_of(unknowns, state)
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
        there = unknowns.retract(state, step)
        values.append(there.shape.field(Counter())(there.place.to_object(world), "truth"))
    steep = state.shape.field(Counter()).slope(points, "truth")[1].square().sum(1)
    spread = torch.stack(values).var(0) / steep.clamp(min=0.01)
    assert torch.allclose(found, spread, rtol=0.15)
