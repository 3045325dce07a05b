"""Colours from view to view: residuals against finite differences, and a ball that is found from its pictures alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity, skew
from dist_engine.fitting.fit import fit
from dist_engine.meshing import Mesh
from dist_engine.observations import Observations
from dist_engine.observations.colours import SharedColours
from dist_engine.observations.observation import Estimate
from dist_engine.observations.pictures import PicturePyramid, neighbours
from dist_engine.observations.rows import Rows
from dist_engine.observations.stereo import match
from dist_engine.protocol import Bounds, Placement, Request, RequestError, Settings, View
from dist_engine.state import State, Unknowns
from torch import Tensor

from blender_tests.support.closed_forms import ClosedForm, ClosedKind, ClosedShape
from blender_tests.support.views import Quiet, orbit

SIZE = 64
RADIUS, CENTRE = 0.55, np.array([0.1, -0.05, 0.05])
AS_IT_IS = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
AROUND = Bounds(np.zeros(3), np.eye(3), np.full(3, 0.75))


class Ball(ClosedForm):
    """A ball; the code (4,) is its centre and its radius."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        return (points - code[..., :3]).norm(dim=-1) - code[..., 3]


class TwoBalls(ClosedForm):
    """A ball of radius 0.3 round the origin, and one of radius 0.25 beside it; the code (1,) makes both larger."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        other = (points - points.new_tensor([0.0, -0.65, 0.0])).norm(dim=-1) - 0.25
        return torch.minimum(points.norm(dim=-1) - 0.3, other) - code[..., 0]


START = torch.tensor([0.0, 0.0, 0.0, 0.45])


def painted(points: np.ndarray) -> np.ndarray:
    """Smooth colours (..., 3), 0 to 1, of places (..., 3)."""
    waves = np.array([[9.0, 4, -3], [-5, 8, 6], [4, -6, 10]]), np.array([[-11.0, 7, 5], [6, 3, 12], [9, 10, -4]])
    one, two = (np.sin(points @ wave.T + np.arange(3)) for wave in waves)
    return 0.5 + 0.2 * one + 0.2 * two


def shots(size: int = SIZE, count: int = 12) -> list[View]:
    scale = np.diag([size / 48, size / 48, 1])
    return [replace(view, K=scale @ view.K) for view in orbit(count)]


def look(view: View, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """A camera's place (3,), and its rays (size, size, 3) of unit length."""
    y, x = np.mgrid[:size, :size] + 0.5
    rays = np.stack([x, y, np.ones_like(x)], 2) @ np.linalg.inv(view.K).T @ view.world_to_camera[:, :3]
    origin = -view.world_to_camera[:, :3].T @ view.world_to_camera[:, 3]
    return origin, rays / np.linalg.norm(rays, axis=2, keepdims=True)


def meet(origin: np.ndarray, rays: np.ndarray, radius: float, side: int = -1) -> np.ndarray:
    """Distance along unit rays to a sphere round 0: to its front (-1) or its back (1); NaN beside it."""
    along = -(rays @ origin)
    gap = along**2 - origin @ origin + radius**2
    return np.where(gap > 0, along + side * np.sqrt(np.maximum(gap, 0)), np.nan)


def pictures_of_ball(views: list[View], exposures: np.ndarray) -> np.ndarray:
    """A painted ball within a painted sphere of radius 8, (V, SIZE, SIZE, 3) uint8; exposures (V, 2): gain, offset."""
    frames = []
    for view, (gain, offset) in zip(views, exposures, strict=True):
        origin, rays = look(view)
        near, far = meet(origin - CENTRE, rays, RADIUS), meet(origin, rays, 8.0, 1)
        points = origin + np.where(np.isnan(near), far, near)[..., None] * rays
        colours = np.where(np.isnan(near)[..., None], painted(0.5 * points + 5), painted(points))
        frames.append(np.clip(gain * colours + offset, 0, 1) * 255 + 0.5)
    return np.stack(frames).astype(np.uint8)


def request(views: list[View], pictures: np.ndarray, **given: Any) -> Request:
    """A request without masks."""
    settings = Settings(iterations=12, rays=600, device="cpu", refine_placement=False, compare_colours=True)
    masks = np.zeros(pictures.shape[:3], np.uint8)
    nothing = np.zeros(len(views), bool)
    fields = {"masks": masks, "masked": nothing, "bounds": AROUND, "placement": Placement(1, np.eye(3), np.zeros(3))}
    return Request(views=views, settings=settings, pictures=pictures, **(fields | given))


@pytest.mark.parametrize(
    "unknowns", [Unknowns(), Unknowns(cameras=True, focal=True), Unknowns(shape=False, place=False, cameras=True)]
)
def test_the_jacobian_is_that_of_the_residuals(unknowns: Unknowns) -> None:
    views = shots()
    pictures = PicturePyramid(pictures_of_ball(views, np.tile([1.0, 0.0], (len(views), 1))), torch.device("cpu"))
    pictures.levels = [level.double() for level in pictures.levels]
    cameras = Cameras(*(part.double() for part in vars(Cameras.from_views(views, torch.device("cpu"))).values()))
    # Somewhat scaled, turned and shifted, and a ball that is a little off.
    turn = torch.linalg.matrix_exp(skew(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)))
    place = Similarity(torch.tensor(1.1, dtype=torch.float64), turn, torch.tensor([0.05, 0.02, -0.03]).double())
    ball = ClosedShape.of(Ball, torch.tensor([0.05, 0, 0, 0.45], dtype=torch.float64))
    start = State.start(ball, place, cameras)
    generator = torch.Generator().manual_seed(1)
    own = torch.randint(len(views), (60,), generator=generator)
    pixels = SIZE / 2 + 8 * torch.randn(60, 2, generator=generator, dtype=torch.float64)
    partners = torch.stack([(own + 1) % len(views), (own - 1) % len(views)], 1)
    seen = pictures.at(1, own, pixels)[0]

    def rows(step: Tensor) -> Rows:
        state = unknowns.retract(start, step)
        rays = state.cameras.rays(own, pixels, state.place)
        colours = SharedColours(rays, own, seen, partners, pictures, 1, 1.0)
        return colours.rows(Estimate(state, state.shape.field(Counter()), unknowns), 1.0)[0]

    count = unknowns.count(start)
    here = rows(torch.zeros(count, dtype=torch.float64))
    jacobian = here.jacobian()
    assert jacobian.shape == (len(here.residual), count) and len(here.residual) > 0.5 * 60 * 2 * 3
    # Along a few directions of all unknowns at once.
    ways = torch.randn(8, count, dtype=torch.float64, generator=generator)
    differences = [(rows(1e-6 * way).residual - rows(-1e-6 * way).residual) / 2e-6 for way in ways]
    assert torch.allclose(torch.stack([here.forward(way) for way in ways], 1), jacobian @ ways.T)
    jacobian = jacobian @ ways.T
    # A point that passes from one pixel to the next within a step, or all but grazes the ball, is off.
    off = (torch.stack(differences, 1) - jacobian).abs().amax(1)
    assert off.median() < 1e-3 * jacobian.abs().max()
    assert (off < 1e-2 * jacobian.abs().max()).float().mean() > 0.97


@pytest.mark.slow
def test_a_ball_is_found_from_pictures_alone_however_exposed(tmp_path: Path) -> None:
    views = shots(count=24)
    random = np.random.default_rng(0)
    # Nothing is burnt out: the paint is between 0.1 and 0.9.
    changes = np.column_stack([random.uniform(0.5, 1.0, len(views)), random.uniform(-0.04, 0.05, len(views))])
    kind = ClosedKind(Ball, START)
    job = request(views, pictures_of_ball(views, changes))
    job.save(tmp_path)
    job = Request.load(tmp_path)
    observations = Observations(job, torch.device("cpu"), torch.Generator().manual_seed(0))
    end = fit(job, kind, observations, Counter(), tmp_path, Quiet())
    found = end.shape.code.numpy()
    true = np.array([*CENTRE, RADIUS])
    # Half a pixel is 0.02 there.
    assert np.abs(START.numpy() - true).max() > 0.09
    assert np.abs(found - true).max() < 0.025

    # Each view tells that its colours fit, and that they did not at first.
    mesh = Mesh(torch.zeros(0, 3), np.zeros((0, 3), np.int32), torch.zeros(0, 3))
    after, before = (
        observations.residuals(Estimate(state, state.shape.field(Counter()), end.unknowns), mesh)["colours"]
        for state in (end.state, replace(end.state, shape=kind.start))
    )
    assert list(after) == [view.name for view in views]
    assert np.median(list(after.values())) < 0.6 * np.median(list(before.values()))


def test_stereo_tells_the_thing_from_what_is_behind() -> None:
    views = shots()
    pictures = PicturePyramid(pictures_of_ball(views, np.tile([1.0, 0.0], (len(views), 1))), torch.device("cpu"))
    cameras = Cameras.from_views(views, torch.device("cpu"))
    y, x = torch.meshgrid(torch.arange(4, SIZE, 6), torch.arange(4, SIZE, 6), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    own = torch.full((len(pixels),), 3)
    near = neighbours(cameras, torch.zeros(3))
    for bounds in (AROUND, None):
        found = match(pictures, cameras, AS_IT_IS, bounds, own, pixels, near[own])
        origin, rays = look(views[3])
        true = torch.as_tensor(meet(origin - CENTRE, rays, RADIUS))[tuple(found.pixels.long().T.flip(0))]
        assert 0.3 * len(pixels) < len(found.views) and 10 < found.within.sum() < len(found.views)
        assert (found.within == true.isfinite()).float().mean() > 0.95
        both = found.within & true.isfinite()
        assert (found.distance - true)[both].abs().median() < 0.03
    # Of what lies on the foot of the bounds nothing is said.
    low = Bounds(np.array([0, 0, CENTRE[2]]), np.eye(3), np.array([0.75, 0.75, RADIUS / 10]))
    assert not match(pictures, cameras, AS_IT_IS, low, own, pixels, near[own]).within.all()


def test_what_a_partner_does_not_see_is_not_compared() -> None:
    views = shots()
    pictures = PicturePyramid(pictures_of_ball(views, np.tile([1.0, 0.0], (len(views), 1))), torch.device("cpu"))
    cameras = Cameras.from_views(views, torch.device("cpu"))
    state = State.start(ClosedShape.of(TwoBalls, torch.zeros(1)), AS_IT_IS, cameras)
    estimate = Estimate(state, state.shape.field(Counter()), Unknowns())
    random = np.random.default_rng(0)
    own = torch.as_tensor(random.integers(len(views), size=400))
    pixels = torch.as_tensor(random.uniform(0.3 * SIZE, 0.7 * SIZE, (400, 2)), dtype=torch.float32)
    rays = cameras.rays(own, pixels, AS_IT_IS)
    # Colours so far apart tell the rays that were compared.
    mark = 100.0 * torch.arange(400)[:, None].expand(-1, 3)
    partners = ((own + 3) % len(views))[:, None]
    rows, _ = SharedColours(rays, own, mark, partners, pictures, 1, 1.0).rows(estimate, 1.0)
    compared = np.isin(np.arange(400), (rows.residual / -100).round().numpy())

    def first(origin: np.ndarray, ray: np.ndarray, more: float = 0.0) -> float:
        hits = [meet(origin - np.array(c), ray, r + more) for c, r in (((0, 0, 0), 0.3), ((0, -0.65, 0), 0.25))]
        return float(np.nanmin([*hits, np.inf]))

    origins = [look(view)[0] for view in views]
    hidden = visible = 0
    for index in range(400):
        ray = rays.directions[index].double().numpy()
        distance = first(origins[own[index]], ray)
        if not np.isfinite(distance):
            # A trace may stop at what it all but touches.
            assert not compared[index] or np.isfinite(first(origins[own[index]], ray, 0.01))
            continue
        point = origins[own[index]] + distance * ray
        way = point - origins[partners[index, 0]]
        gap = np.linalg.norm(way) - first(origins[partners[index, 0]], way / np.linalg.norm(way))
        if gap > 0.1:
            hidden += 1
            assert not compared[index]
        visible += compared[index]
    assert hidden > 20 and visible > 50


def test_requests_with_colours_are_checked() -> None:
    views = shots(count=4)
    pictures = np.zeros((4, SIZE, SIZE, 3), np.uint8)
    request(views, pictures).check()
    with pytest.raises(RequestError, match=r"pictures\.npy is uint8"):
        replace(request(views, pictures), pictures=pictures[:2]).check()
    with pytest.raises(RequestError, match="add another camera"):
        request(views[:1], pictures[:1]).check()
    with pytest.raises(RequestError, match="do not tell where the thing is: add bounds"):
        request(views, pictures, bounds=None, placement=None).check()
    with pytest.raises(RequestError, match="picture_noise is 0"):
        replace(request(views, pictures), settings=Settings(picture_noise=0.0)).check()
    with pytest.raises(RequestError, match="No two cameras look at the thing"):
        observations = Observations(request(views, pictures), torch.device("cpu"), torch.Generator())
        observations.prepare([AS_IT_IS])
