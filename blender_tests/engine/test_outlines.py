"""Outlines of shapes that are fitted to masks lie where the masks' do, and say nothing of what masks do not know."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.fitting.fit import Fit, fit
from dist_engine.observations import Observations
from dist_engine.observations.outlines import Outlines
from dist_engine.prior import Prior
from dist_engine.protocol import Placement, Request, View
from dist_engine.rays import Rays
from dist_engine.shapes.latent import LatentKind
from dist_engine.shapes.shape import Field, ShapeKind
from dist_engine.tracing.whole import pass_through
from torch import Tensor

from blender_tests.support.closed_forms import BallBeforeWall, ClosedKind, Sphere, box_depth
from blender_tests.support.views import PRIOR, SIZE, Quiet, orbit, request

CPU = torch.device("cpu")
RADIUS = 0.5
# Of the object, where the outline of a ball at the middle of an `orbit` is.
PIXEL = 3 / 55
AS_IT_IS = Placement(1.0, np.eye(3), np.zeros(3))


def before(views: list[View]) -> tuple[Cameras, Similarity]:
    """Cameras, and where the object is."""
    return Cameras.from_views(views, CPU), Similarity.from_placement(AS_IT_IS, np.eye(3), CPU)


def outlines_of(job: Request) -> Outlines:
    """Those of a request."""
    found = Observations(job, CPU, torch.Generator().manual_seed(0)).outlines
    assert found is not None
    return found


def sub_pixel_rays(views: list[View], finer: int) -> list[Rays]:
    """Rays through each view's pixels, `finer` along a side of each."""
    side = SIZE * finer
    y, x = torch.meshgrid(*[(torch.arange(side) + 0.5) / finer] * 2, indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1)
    cameras, place = before(views)
    return [cameras.rays(torch.full((len(pixels),), view), pixels, place) for view in range(len(views))]


def coverage(inside: list[Tensor], finer: int) -> np.ndarray:
    """Masks (V, SIZE, SIZE) by which of such rays meet the thing."""
    shares = [hit.reshape(SIZE, finer, SIZE, finer).float().mean((1, 3)) for hit in inside]
    return np.rint(255 * torch.stack(shares).numpy()).astype(np.uint8)


def seen(field: Field, views: list[View], finer: int) -> np.ndarray:
    """Masks of a shape."""
    rays = sub_pixel_rays(views, finer)
    return coverage([pass_through(field, some, 0.01, margin=0.0).least < 0 for some in rays], finer)


def ball(views: list[View], finer: int = 4) -> np.ndarray:
    """Masks of the ball: its rays are less than RADIUS from the origin."""
    rays = sub_pixel_rays(views, finer)
    return coverage([torch.linalg.cross(some.origins, some.directions).norm(dim=1) < RADIUS for some in rays], finer)


def fitted(job: Request, kind: ShapeKind, folder: Path) -> tuple[Fit, Observations]:
    """What a fit finds."""
    observations = Observations(job, CPU, torch.Generator().manual_seed(0))
    return fit(job, kind, observations, Counter(), folder, Quiet()), observations


def ball_fitted(
    first: float, masks: np.ndarray, views: list[View], folder: Path, known: np.ndarray | None = None
) -> float:
    """How far the outline of a ball of a radius to begin with ends up outside the true one, in pixels."""
    job = request(masks, views, refine_placement=False, iterations=20, threads=1)
    job = replace(job, placement=AS_IT_IS, mask_known=known)
    found, _ = fitted(job, ClosedKind(Sphere, torch.tensor([first])), folder)
    return (float(found.shape.field(Counter()).code) - RADIUS) / PIXEL


def hard(masks: np.ndarray) -> np.ndarray:
    """Black and white."""
    return np.where(masks > 127, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("first", [0.42, 0.58])
def test_a_ball_is_as_wide_as_its_masks(first: float, tmp_path: Path) -> None:
    """From either side, by coverage and by black and white: no band of outlines costs nothing."""
    views = orbit(4)
    masks = ball(views)
    for number, given in enumerate((masks, hard(masks))):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert abs(ball_fitted(first, given, views, folder)) < 0.1


@pytest.mark.parametrize("first", [0.42, 0.58])
def test_a_mask_that_the_pictures_edge_cuts_makes_nothing_smaller(first: float, tmp_path: Path) -> None:
    views = orbit(4)
    # The ball's middle is two pixels from the edge, and its outline 9 pixels from its middle.
    for view in views:
        view.K[0, 2] = SIZE - 2
    masks = ball(views)
    assert (masks[:, :, -1] == 255).any(1).all()
    assert abs(ball_fitted(first, masks, views, tmp_path)) < 0.1


@pytest.mark.parametrize("lie", [0, 255])
def test_what_a_mask_does_not_know_makes_no_difference(lie: int, tmp_path: Path) -> None:
    views = orbit(4)
    masks, known = ball(views), np.ones((4, SIZE, SIZE), bool)
    # A corner of the picture that holds a quarter of the ball; and there, the masks say what is not so.
    known[:, : SIZE // 2, : SIZE // 2] = False
    masks[~known] = lie
    assert abs(ball_fitted(0.45, masks, views, tmp_path, known)) < 0.1


def test_nothing_is_drawn_or_judged_where_a_mask_does_not_know() -> None:
    views = orbit(2)
    masks, known = ball(views), np.ones((2, SIZE, SIZE), bool)
    known[0, 10:30, 5:25], known[1, :, 24:] = False, False
    found = []
    for lie in (0, 255):
        masks[~known] = lie
        outlines = outlines_of(replace(request(masks, views), mask_known=known))
        for goal in ("rank", "start", "fit", "finish"):
            assert known.flatten()[outlines.draw(4000, goal=goal).pixels].all()
        found.append(outlines.overlaps(Sphere(torch.tensor([0.45])), *before(views)))
    assert torch.equal(*found)


def test_where_masks_are_shrunk_what_is_partly_known_is_unknown() -> None:
    masks = np.full((1, 6, 9), 255, np.uint8)
    known = np.ones((1, 6, 9), bool)
    known[0, 4, 3] = False
    small = Outlines.shrunk(replace(request(masks, orbit(1)), mask_known=known), 3)
    np.testing.assert_array_equal(small["mask_known"], [[[True, True, True], [True, False, True]]])
    assert Outlines.shrunk(request(masks, orbit(1)), 3)["mask_known"] is None


def test_a_silhouette_is_what_rays_meet_not_what_they_come_near() -> None:
    """Seen through the middles of pixels, a ball before a wall overlaps its masks to a pixel that cuts a corner."""
    views, shape = orbit(3), BallBeforeWall(torch.tensor([0.05]))
    ball_at, wall_at = torch.tensor([0.05, 0.0, -0.4]), torch.tensor([0.0, 0.0, 0.3])
    masks = []
    for rays in sub_pixel_rays(views, 1):
        meets_ball = torch.linalg.cross(rays.origins - ball_at, rays.directions).norm(dim=1) < 0.2
        before_wall = replace(rays, origins=rays.origins - wall_at)
        masks.append(meets_ball | box_depth(before_wall, torch.tensor([0.6, 0.4, 0.05])).isfinite())
    outlines = outlines_of(request(coverage(masks, 1), views))
    assert outlines.overlaps(shape, *before(views)).min() > 0.996


@pytest.mark.slow
def test_a_priors_shape_is_as_wide_as_its_masks(tmp_path: Path) -> None:
    """Of a shape that the prior knows, from its mean: (area seen - area of the masks) / length of the outlines."""
    prior, views = Prior.load(PRIOR), orbit(5)
    masks = seen(prior.decoder.field(prior.codes[5]), views, 3)
    job = request(masks, views, refine_placement=False, iterations=40, rays=2000)
    job = replace(job, placement=AS_IT_IS, code=prior.mean.double().numpy())
    found, _ = fitted(job, LatentKind(prior, given=prior.as_code(job.code)), tmp_path)
    area = seen(found.shape.field(Counter()), views, 3) / 255 - masks / 255
    # The slopes of coverage add up to the outline's length.
    steepness = np.hypot(*np.gradient(masks / 255.0, axis=(1, 2)))
    assert abs(area.sum() / steepness.sum()) < 0.1
