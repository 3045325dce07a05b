"""Surfaces found by how alike their patches look: textured balls, whose pictures are worked out ray by ray."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras
from dist_engine.observations.matching import (
    ANGLES,
    PARTNERS,
    PictureStack,
    SurfaceMatches,
    match_surface,
    partners,
)
from dist_engine.protocol import View
from torch.nn.functional import normalize

from blender_tests.support.closed_forms import identity, sphere_depth
from blender_tests.support.free_forms import CPU, sight

SIZE, FOCAL, AWAY, RADIUS = 96, 200.0, 3.0, 0.5
# Of a pixel, where the ball faces the camera.
FOOT = (AWAY - RADIUS) / FOCAL


def arc(degrees: list[float]) -> list[View]:
    """Cameras on an arc, looking at the origin."""
    K = np.array([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]])
    views = []
    for index, angle in enumerate(np.radians(degrees)):
        back = np.array([np.cos(angle), np.sin(angle), 0.0])
        right = np.array([-np.sin(angle), np.cos(angle), 0.0])
        rotation = np.stack([right, -np.cross(back, right), -back])
        views.append(View(f"camera {index}", K, np.column_stack([rotation, -rotation @ (AWAY * back)])))
    return views


VIEWS = arc([0, 20, 40, 60])
CAMERAS = Cameras.from_views(VIEWS, CPU)
WAVES = np.random.default_rng(0).normal(size=(3, 12, 3)) * 22
PHASES = np.random.default_rng(1).uniform(0, 2 * np.pi, (3, 12))


def texture(points: np.ndarray) -> np.ndarray:
    """Colours (..., 3) from 0 to 1: waves of about 15 pixels and less."""
    return 0.5 + 0.5 * np.tanh(
        0.4 * np.sin(points @ WAVES.transpose(0, 2, 1)[:, None] + PHASES[:, None, None]).sum(-1)
    ).transpose(1, 2, 0)


def pictures_of(textured: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (V, SIZE, SIZE, 3) uint8 of the ball, and its masks."""
    pictures, masks = [], []
    for view in VIEWS:
        origin, ways = sight(view, SIZE)
        along = -(ways @ origin)
        gap = RADIUS**2 - (origin @ origin - along**2)
        points = origin + (along - np.sqrt(np.maximum(gap, 0)))[..., None] * ways
        colours = texture(points) if textured else np.full(points.shape, 0.6)
        pictures.append(np.rint(255 * np.where(gap[..., None] > 0, colours, 0.3)).astype(np.uint8))
        masks.append(gap > 0)
    return np.stack(pictures), np.stack(masks)


def matched(
    stack: PictureStack, radius: float, level: int = 0, others_nearer: float = 0.0, **chosen: int
) -> SurfaceMatches | None:
    """Matches about a ball that is thought to be so large."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    distances = []
    for view in range(len(VIEWS)):
        rays = CAMERAS.rays(torch.full((len(pixels),), view), pixels, identity())
        distances.append(sphere_depth(rays, radius).nan_to_num(torch.inf).reshape(SIZE, SIZE))
    settings = {"reach": 4, "stride": 3, "patch": 5} | chosen
    return match_surface(
        stack,
        CAMERAS,
        identity(),
        torch.stack(distances) - others_nearer,
        lambda points: normalize(points, dim=1),
        level=level,
        spacing=0.6,
        width=0.02,
        **settings,
    )


@pytest.fixture(scope="module")
def stack() -> PictureStack:
    return PictureStack(*pictures_of(), CPU)


@pytest.mark.parametrize("off", [-1.2, 0.0, 1.2])
def test_a_textured_ball_is_found_where_it_is(stack: PictureStack, off: float) -> None:
    """Of which the surface is thought to be off by so many pixels."""
    found = matched(stack, RADIUS + off * FOOT)
    assert found is not None and len(found.points) > 400
    error = (found.points.norm(dim=1) - RADIUS) / FOOT
    # To neither side: patches are bent as the ball is.
    assert error.abs().median() < 0.06 and float(error.median().abs()) < 0.05
    # Wrong ones are few, and the fit counts them less.
    assert (error.abs() < 0.4).float().mean() > 0.95
    sure = found.confidence > 0.8
    assert sure.float().mean() > 0.3 and (error.abs() < 0.4)[sure].float().mean() > 0.98
    assert (found.confidence > 0).all() and (found.confidence <= 1).all()


def test_coarser_pictures_find_what_is_farther_off(stack: PictureStack) -> None:
    far = 2.8 * FOOT
    coarse, fine = matched(stack, RADIUS + far, level=1), matched(stack, RADIUS + far, level=0)
    assert coarse is not None
    error = (coarse.points.norm(dim=1) - RADIUS) / FOOT
    assert error.abs().median() < 0.4
    # The fine ones sought up to 2.4 pixels away only.
    assert fine is None


def test_points_know_their_pixel_and_what_they_stand_for(stack: PictureStack) -> None:
    found = matched(stack, RADIUS, stride=4, offset=(1, 2))
    assert found is not None
    there = CAMERAS.to_camera(found.views, found.points)
    pixels = CAMERAS.project(found.views, there)
    # Along the ray of one of each four pixels, from the second column and the third row on.
    torch.testing.assert_close(pixels % 4, torch.tensor([1.5, 2.5]).expand_as(pixels), atol=2e-3, rtol=0)
    torch.testing.assert_close(found.footprint, there[:, 2] / FOCAL, atol=0, rtol=0.02)
    ways = normalize(
        found.points + (CAMERAS.rotation.transpose(1, 2) @ CAMERAS.translation[..., None])[found.views, :, 0], dim=1
    )
    cosine = -(ways * normalize(found.points, dim=1)).sum(1)
    torch.testing.assert_close(found.area, (4 * found.footprint) ** 2 / cosine.clamp(min=0.3), atol=0, rtol=0.15)
    coarse = matched(stack, RADIUS, level=1, stride=4)
    assert coarse is not None
    # Of a coarser level a pixel is wider; what a point stands for is not.
    assert float(coarse.footprint.median() / found.footprint.median()) == pytest.approx(2, abs=0.1)
    assert float(coarse.area.median() / found.area.median()) == pytest.approx(1, abs=0.2)


def test_where_all_is_alike_nothing_is_matched() -> None:
    found = matched(PictureStack(*pictures_of(textured=False), CPU), RADIUS)
    # But for a patch or two across the outline.
    assert found is None or len(found.points) < 10


def test_pictures_of_something_else_are_not_believed() -> None:
    pictures, masks = pictures_of()
    noise = np.random.default_rng(0).integers(0, 255, pictures.shape[1:], dtype=np.uint8)
    pictures[1] = noise
    found, usual = (
        matched(PictureStack(pictures, masks, CPU), RADIUS),
        matched(PictureStack(*pictures_of(), CPU), RADIUS),
    )
    assert found is not None and usual is not None
    assert (found.views == 1).sum() < 0.1 * (usual.views == 1).sum()
    error = (found.points.norm(dim=1) - RADIUS) / FOOT
    assert error.abs().median() < 0.2


def test_what_is_beside_the_thing_does_not_count(stack: PictureStack) -> None:
    pictures, masks = pictures_of()
    # Of another ground, nothing changes.
    pictures[~masks] = [255, 0, 99]
    other = PictureStack(pictures, masks, CPU)
    for own, same in zip(stack.levels, other.levels, strict=True):
        assert own.equal(same)
    # Nor does it bleed into coarser levels: where a part of a pixel is the thing's, its mean is that part's.
    plain = PictureStack(np.full_like(pictures, 200), masks, CPU)
    for level in plain.levels:
        shown = level[level[..., 0] > 0]
        torch.testing.assert_close(shown, torch.full_like(shown, 200 / 255))
    assert [level.shape[1] for level in stack.levels] == [96, 48, 24, 12][: len(stack.levels)]


@pytest.mark.parametrize("level", [0, 1])
def test_colours_are_where_pixels_are(level: int) -> None:
    y, x = np.mgrid[:32, :40]
    ramp = np.stack([4 * x, 6 * y, 0 * x + 9], 2).astype(np.uint8)[None].repeat(2, 0)
    ramp[1] = 200 - ramp[1]
    stack = PictureStack(ramp, np.ones((2, 32, 40), bool), CPU)
    generator = torch.Generator().manual_seed(0)
    place = torch.rand(50, 2, generator=generator) * torch.tensor([36.0, 28.0]) + 2
    wanted = torch.stack([4 * (place[:, 0] - 0.5), 6 * (place[:, 1] - 0.5), 0 * place[:, 0] + 9], 1) / 255
    torch.testing.assert_close(stack.look(0, level, *place.T), wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(stack.look(1, level, *place.T), 200 / 255 - wanted, atol=1e-5, rtol=0)


def test_views_are_compared_with_those_next_to_them() -> None:
    views = arc([0, 5, 20, 50, 90, 170])
    order, near = partners(Cameras.from_views(views, CPU), identity())
    assert order.shape == near.shape == (6, PARTNERS)
    assert ANGLES == (8.0, 75.0)
    told = [set(own[which].tolist()) for own, which in zip(order, near, strict=True)]
    # Not those that are nearly the same, nor those too far away.
    assert told == [{2, 3}, {2, 3}, {0, 1, 3, 4}, {0, 1, 2, 4}, {2, 3}, set()]
    assert order[2, 0] == 1 and order[0, 0] == 2


def test_what_another_view_does_not_see_is_not_compared_with_it(stack: PictureStack) -> None:
    """Where all depths say that something is nearer, the others do not see the surface."""
    assert matched(stack, RADIUS) is not None
    hidden = matched(stack, RADIUS, others_nearer=0.3)
    assert hidden is None or len(hidden.points) < 20
