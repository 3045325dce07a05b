"""Shapes and cameras that are found again, from each kind of observation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity, skew
from dist_engine.decoder import DecoderField
from dist_engine.fitting import levenberg_marquardt
from dist_engine.fitting.fit import Fit, fit
from dist_engine.fitting.problem import Problem
from dist_engine.fitting.start import TURNS, start_places, start_states
from dist_engine.observations import Observations
from dist_engine.observations.agreement import disagreeing
from dist_engine.observations.outlines import Outlines
from dist_engine.observations.points import SurfacePoints
from dist_engine.prior import Prior
from dist_engine.protocol import Request, RequestError, View
from dist_engine.shapes.latent import LatentKind
from dist_engine.state import Unknowns
from dist_engine.tracing.march import march

from blender_tests.support.views import PRIOR, SIZE, Quiet, orbit, request, silhouettes, visible_points


@pytest.mark.slow
def test_normals_of_one_view_tell_more_than_its_mask() -> None:
    prior, views = Prior.load(PRIOR.with_name("car.safetensors")), orbit(1)
    code, others = prior.codes[20], torch.arange(len(prior.codes)) != 20
    prior = replace(prior, codes=prior.codes[others])
    normals = seen_normals(prior.decoder.field(code), views)
    masks = np.isfinite(normals[..., 0]).astype(np.uint8) * 255
    job = request(masks, views)
    job = replace(job, bounds=replace(job.bounds, center=np.zeros(3), half_size=np.full(3, prior.radius / 3**0.5)))
    kind = LatentKind(prior)
    jobs = [job, replace(job, normals=normals)]
    problems = [Problem(observed(told), Unknowns(place=False), Counter()) for told in jobs]
    start = start_states(problems[0], kind, start_places(job, kind, torch.device("cpu")), 1)[0]
    errors = []
    for told, problem in zip(jobs, problems, strict=True):
        problem.observations = observed(told)
        evaluate = problem.on_rays(400)
        *_, (state, _) = levenberg_marquardt.minimise(problem.retract, start, evaluate, 15)
        errors.append(error_of(prior, state.shape.code, code))
    assert errors[1] < 0.8 * errors[0]


def observed(job: Request) -> Observations:
    """What a request says, on the CPU."""
    return Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))


def kind_of(prior: Prior, job: Request) -> LatentKind:
    """The shapes of a prior, from the request's code on."""
    return LatentKind(prior, given=None if job.code is None else prior.as_code(job.code))


def seen_normals(field: DecoderField, views: list[View]) -> np.ndarray:
    """What a view sees of the decoder's own gradient, in the camera's frame: (1, SIZE, SIZE, 3)."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    cameras = Cameras.from_views(views, torch.device("cpu"))
    rays = cameras.rays(torch.zeros(len(pixels), dtype=torch.long), pixels, place)
    trace = march(field, rays, torch.full_like(rays.near, 1e-4), relaxation=1.0)
    slopes = field.jacobian(rays.at(trace.distance), "truth").d_point @ cameras.rotation[0].T
    normals = torch.where(trace.hit[:, None], slopes / slopes.norm(dim=1, keepdim=True), float("nan"))
    return normals.reshape(1, SIZE, SIZE, 3).numpy()


def error_of(prior: Prior, found: torch.Tensor, true: torch.Tensor) -> float:
    """Mean difference of f of two codes about the surface of the true one."""
    field = prior.decoder.field(true)
    probe = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    probe = probe[field(probe, "truth").abs() < 0.05]
    return float((prior.decoder.field(found)(probe, "truth") - field(probe, "truth")).abs().mean())


def test_normals_that_cannot_be_are_refused() -> None:
    views = orbit(2)
    job = request(np.full((2, SIZE, SIZE), 255, np.uint8), views)
    normals = np.full((2, SIZE, SIZE, 3), np.nan, np.float32)
    normals[:, 20:30, 20:30] = [0, 0, -1]
    replace(job, normals=normals).check()
    with pytest.raises(RequestError, match="expected the masks'"):
        replace(job, normals=normals[:, 1:]).check()
    with pytest.raises(RequestError, match=r"camera 1.*not of length 1"):
        replace(job, normals=normals * [[[[1]]], [[[0.5]]]]).check()
    with pytest.raises(RequestError, match=r"camera 1.*away from the camera"):
        replace(job, normals=normals * [[[[1]]], [[[-1]]]]).check()
    with pytest.raises(RequestError, match=r"camera 0.*no mask, no depth"):
        replace(job, normals=normals, masked=np.zeros(2, bool)).check()
    with pytest.raises(RequestError, match="normal_noise"):
        replace(job, settings=replace(job.settings, normal_noise=0.0)).check()


def test_a_request_that_refines_nothing_is_refused() -> None:
    job = request(np.full((2, SIZE, SIZE), 255, np.uint8), orbit(2))
    with pytest.raises(RequestError, match="Nothing is to be refined"):
        replace(job, settings=replace(job.settings, refine_shape=False, refine_placement=False)).check()


@pytest.mark.slow
def test_cameras_that_are_a_little_off_are_found_again(tmp_path: Path) -> None:
    views = orbit(8)
    prior = Prior.load(PRIOR)
    masks = silhouettes(prior.codes[20], views, Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3)))
    random = np.random.default_rng(0)
    wrong = [nudged(view, random) for view in views]
    job = request(masks, wrong, iterations=30, refine_cameras=True)
    observations = observed(job)
    found = fit(job, kind_of(prior, job), observations, Counter(), tmp_path, Quiet())
    before, after = (
        np.median([error(*pair) for pair in zip(views, some, strict=True)]) for some in (wrong, refined(found, views))
    )
    assert before > 3 and after < before / 2
    again = found.cameras.to_views([view.name for view in views])
    assert all(np.allclose(v.K, w.K) for v, w in zip(again, views, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["points alone", "seen points", "depths", "points and masks"])
def test_a_shape_is_found_from(kind: str, tmp_path: Path) -> None:
    prior = Prior.load(PRIOR)
    identity = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    views = orbit(4)
    cameras = Cameras.from_views(views, torch.device("cpu"))
    field = prior.decoder.field(prior.codes[5])
    points, seen, depths = visible_points(field, cameras, 60)
    masks = silhouettes(prior.codes[5], views, identity)
    job = request(masks, views, refine_placement=False)
    job = replace(job, bounds=replace(job.bounds, center=np.zeros(3), half_size=np.full(3, prior.radius / 3**0.5)))
    if kind == "points alone":
        job = replace(job, views=[], masks=np.zeros((0, 1, 1), np.uint8), points=points)
    elif kind == "seen points":
        job = replace(job, masked=np.zeros(4, bool), points=points, visibility=seen)
    elif kind == "depths":
        job = replace(job, masked=np.zeros(4, bool), depths=depths)
    else:
        job = replace(job, points=points)
    job.save(tmp_path)
    job = Request.load(tmp_path)
    observations = observed(job)
    found = fit(job, kind_of(prior, job), observations, Counter(), tmp_path, Quiet())
    before = error_of(prior, prior.mean, prior.codes[5])
    assert error_of(prior, found.shape.code, prior.codes[5]) < 0.25 * before


@pytest.mark.slow
@pytest.mark.parametrize("masked", [True, False])
def test_beside_masks_who_sees_points_counts_once_there_is_a_start(
    masked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prior = Prior.load(PRIOR)
    identity = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    views = orbit(4)
    field = prior.decoder.field(prior.codes[5])
    points, seen, _ = visible_points(field, Cameras.from_views(views, torch.device("cpu")), 30)
    job = request(silhouettes(prior.codes[5], views, identity), views)
    job = replace(job, masked=np.full(4, masked), points=points, visibility=seen)
    job = replace(job, settings=replace(job.settings, iterations=2, rays=400))
    rows, counted = SurfacePoints.rows, list[bool]()

    def spied(self: SurfacePoints, drawn: Any, estimate: Any) -> Any:
        rays, _ = self.visible_rays(drawn, estimate.state.cameras, estimate.state.place)
        assert len(rays.views) in (0, len(drawn.points)) and len(drawn.points)
        counted.append(len(rays.views) > 0)
        return rows(self, drawn, estimate)

    monkeypatch.setattr(SurfacePoints, "rows", spied)
    monkeypatch.setattr("dist_engine.fitting.start.CANDIDATES", 10)
    monkeypatch.setattr("dist_engine.fitting.fit.STARTS", 2)
    observations = observed(job)
    fit(job, kind_of(prior, job), observations, Counter(), tmp_path, Quiet())
    # First not at all, and then always.
    assert counted == sorted(counted) and counted[-1] and counted[0] != masked


@pytest.mark.slow
def test_one_wrong_mask_does_not_carry_the_shape_off(tmp_path: Path) -> None:
    prior, views = Prior.load(PRIOR), orbit(8)
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    masks = silhouettes(prior.codes[5], views, place)
    true, masks[3] = masks.copy(), silhouettes(prior.codes[60], views[3:4], place)[0]
    job = request(masks, views, refine_placement=False, iterations=40)
    job = replace(
        job,
        bounds=replace(job.bounds, center=np.zeros(3), half_size=np.full(3, prior.radius / 3**0.5)),
        code=prior.mean.double().numpy(),
    )
    observations = observed(job)
    found = fit(job, kind_of(prior, job), observations, Counter(), tmp_path, Quiet())
    iou = overlaps(observations, found)
    assert disagreeing({str(view): value for view, value in enumerate(iou.tolist())}) == ["3"]
    assert iou[3] < 0.5 and iou[torch.arange(8) != 3].min() > 0.8
    # Nothing was drawn from it in the end, and it cost little more than its absence does.
    assert 3 not in drawn_views(observations)
    job = replace(job, masks=true)
    best = fit(job, kind_of(prior, job), observed(job), Counter(), tmp_path, Quiet())
    error, least = (error_of(prior, fitted.shape.code, prior.codes[5]) for fitted in (found, best))
    assert error < 1.5 * least and error < 0.35 * error_of(prior, prior.mean, prior.codes[5])


def test_views_that_are_left_out_may_come_back() -> None:
    job = request(np.full((3, SIZE, SIZE), 255, np.uint8), orbit(3))
    job.masks[:, :9] = 0
    observations = observed(job)

    outlines = observations.outlines
    assert outlines is not None
    assert drawn_views(observations) == [0, 1, 2]
    outlines.leave_out(torch.tensor([False, True, False]))
    assert drawn_views(observations) == [0, 2]
    outlines.leave_out(torch.tensor([True, False, False]))
    assert drawn_views(observations) == [1, 2]


def drawn_views(observations: Observations) -> list[int]:
    """The views of whose masks something is drawn."""
    outlines = observations.outlines
    assert isinstance(outlines, Outlines)
    return outlines.pixels.view_of(outlines.draw(1000).pixels).unique().tolist()


def overlaps(observations: Observations, found: Fit) -> torch.Tensor:
    """How well each view's outline fits."""
    assert observations.outlines is not None
    return observations.outlines.overlaps(found.shape.field(Counter()), found.cameras, found.place)


@pytest.mark.slow
def test_without_bounds_the_masks_tell_where_the_thing_is(tmp_path: Path) -> None:
    prior = Prior.load(PRIOR)
    views = orbit(6)
    turn = torch.linalg.matrix_exp(skew(torch.tensor([0.0, 0.0, 2.0])))
    place = Similarity(torch.tensor(0.9), turn, torch.tensor([0.2, -0.1, 0.1]))
    masks = silhouettes(prior.codes[5], views, place)
    job = replace(request(masks, views, iterations=20), bounds=None)
    job.save(tmp_path)
    job = Request.load(tmp_path)
    observations = observed(job)
    places = start_places(job, kind_of(prior, job), torch.device("cpu"))
    centres, scales = [there.translation for there in places], [float(there.scale) for there in places]
    assert len(centres) == TURNS and all(torch.dist(centre, place.translation) < 0.1 for centre in centres)
    assert all(abs(scale / 0.9 - 1) < 0.25 for scale in scales)
    found = fit(job, kind_of(prior, job), observations, Counter(), tmp_path, Quiet())
    iou = overlaps(observations, found)
    assert float(iou.mean()) > 0.85
    with pytest.raises(RequestError, match="One view alone"):
        replace(job, views=views[:1], masks=masks[:1]).check()
    same = replace(job, views=[views[0], views[0]], masks=masks[[0, 0]])
    with pytest.raises(RequestError, match="do not meet"):
        start_places(same, kind_of(prior, same), torch.device("cpu"))


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
