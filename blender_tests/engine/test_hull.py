"""The visual hull of balls and boxes, and which pixels of their masks the others contradict."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras
from dist_engine.fitting.hull import DEEPEST, ROOM, Hull, around, cube, doubtful_pixels
from dist_engine.observations.outlines import Outlines
from dist_engine.shapes.free.grid import REACH
from torch import Tensor

from blender_tests.support.closed_forms import identity
from blender_tests.support.free_forms import CPU, anywhere, ball, ball_masks, box, box_masks
from blender_tests.support.free_forms import around as views_around

SIZE, FOCAL, AWAY, COUNT = 64, 80.0, 3.0, 8
VIEWS = views_around(COUNT, FOCAL, SIZE, AWAY)
CAMERAS = Cameras.from_views(VIEWS, CPU)
# Of a pixel, at the middle.
FOOT = AWAY / FOCAL
MIDDLE = (0.1, 0.05, -0.1)
HALF = (0.45, 0.3, 0.2)


def outlines_of(masks: np.ndarray, known: np.ndarray | None = None) -> Outlines:
    known = np.ones(masks.shape, bool) if known is None else known
    return Outlines(masks, known, 0.7, CPU, torch.Generator().manual_seed(0))


def hull_of(masks: np.ndarray, known: np.ndarray | None = None, doubtful: Tensor | None = None) -> Hull:
    return Hull(outlines_of(masks, known), CAMERAS, identity(), doubtful)


@pytest.fixture(scope="module")
def balls() -> np.ndarray:
    return ball_masks(VIEWS, SIZE, 0.5, MIDDLE)


@pytest.fixture(scope="module")
def boxes() -> np.ndarray:
    return box_masks(VIEWS, SIZE, HALF, MIDDLE)


def some_points(reach: float = 1.0) -> Tensor:
    return anywhere(20_000, reach).float()


def test_a_balls_hull_holds_the_ball_and_little_more(balls: np.ndarray) -> None:
    hull, points = hull_of(balls), some_points()
    truth = ball(0.5, *MIDDLE)(points)
    found = hull(points)
    # Masks tell the outline to a part of a pixel.
    assert (found[truth < -0.3 * FOOT] < 0).all()
    assert (found[truth > 0.12] > 0).all()
    # Outside it is no farther than the ball, but for that part.
    outside = (found > 0) & (points.norm(dim=1) < 1)
    assert (found - truth)[outside].max() < 0.5 * FOOT


def test_a_view_tells_how_far_its_cone_is(balls: np.ndarray) -> None:
    """The cone that touches a ball, in closed form."""
    hull, points = hull_of(balls), some_points(0.8)
    for view in (0, 5):
        eye = CAMERAS.rotation[view].T @ -CAMERAS.translation[view]
        axis = torch.tensor(MIDDLE) - eye
        half_angle = torch.asin(0.5 / axis.norm())
        away = points - eye
        angle = torch.acos((away @ axis) / away.norm(dim=1) / axis.norm()) - half_angle
        wanted = away.norm(dim=1) * torch.sin(angle)
        near = (wanted.abs() < 5 * FOOT) & hull.look(view, points)[0]
        found = hull.of_view(view, points)
        assert near.sum() > 500
        assert (found - wanted)[near].abs().max() < 0.5 * FOOT and (found - wanted)[near].mean().abs() < 0.1 * FOOT


def test_a_boxs_hull_keeps_its_edges(boxes: np.ndarray) -> None:
    hull, points = hull_of(boxes), some_points()
    truth = box(HALF, *MIDDLE)(points)
    assert (hull(points)[truth < -0.5 * FOOT] < 0).all()
    assert (hull(points)[truth > 0.3] > 0).all()


def test_what_is_not_known_carves_nothing(balls: np.ndarray) -> None:
    points = some_points()
    known = np.ones(balls.shape, bool)
    known[0] = False
    known[1, :, :32] = False
    masks = balls.copy()
    masks[~known] = 0
    with_it, without = hull_of(masks, known), hull_of(balls)
    truth = ball(0.5, *MIDDLE)(points)
    assert (with_it(points)[truth < -0.3 * FOOT] < 0).all()
    assert (without(points)[with_it(points) > 0.3 * FOOT] > 0).all()
    # Its view says nothing: the hull is as if there were none.
    assert 0 not in with_it.views
    inside, pixels = with_it.look(1, points)
    unknown = inside & (pixels[:, 0] < 31)
    assert unknown.any() and (with_it.of_view(1, points)[unknown] < -10 * FOOT).all()
    # What is doubtful is as if it were not known.
    doubtful = torch.as_tensor(~known)
    assert (hull_of(balls, None, doubtful)(points)[truth < -0.3 * FOOT] < 0).all()
    assert hull_of(balls, None, doubtful).of_view(1, points)[unknown].equal(with_it.of_view(1, points)[unknown])


def test_what_a_picture_does_not_show_is_not_carved() -> None:
    """A thing that is partly beyond the edge of a picture."""
    K = VIEWS[0].K.copy()
    K[0, 2] -= 28
    views = [type(VIEWS[0])(VIEWS[0].name, K, VIEWS[0].world_to_camera), *VIEWS[1:]]
    masks = ball_masks(views, SIZE, 0.5)
    hull = Hull(outlines_of(masks), Cameras.from_views(views, CPU), identity())
    assert masks[0, :, 0].max() == 255
    points = some_points()
    assert (hull(points)[ball(0.5)(points) < -0.3 * FOOT] < 0).all()
    beside = ~hull.look(0, points)[0]
    assert beside.any() and (hull.of_view(0, points)[beside] < -DEEPEST * FOOT).all()


def test_it_ends_at_the_unit_sphere() -> None:
    masks = np.full((COUNT, SIZE, SIZE), 255, np.uint8)
    points = some_points(REACH)
    away = points.norm(dim=1)
    assert ((hull_of(masks)(points) > 0) == (away > ROOM))[(away - ROOM).abs() > 1e-4].all()


def test_a_footprint_is_a_pixels_width(balls: np.ndarray) -> None:
    hull = hull_of(balls)
    eye = CAMERAS.rotation[3].T @ -CAMERAS.translation[3]
    ahead = CAMERAS.rotation[3][2]
    for depth in (2.0, 3.5):
        point = (eye + depth * ahead)[None]
        aside = point + depth / FOCAL * CAMERAS.rotation[3][0]
        torch.testing.assert_close(
            hull.look(3, aside)[1] - hull.look(3, point)[1], torch.tensor([[1.0, 0.0]]), atol=1e-3, rtol=0
        )
        assert float(hull.footprint(3, point)) == pytest.approx(depth / FOCAL, rel=1e-5)


def test_a_sphere_about_it_is_found(balls: np.ndarray) -> None:
    found = around(hull_of(balls))
    assert found is not None
    middle, radius = found
    torch.testing.assert_close(middle, torch.tensor(MIDDLE), atol=0.06, rtol=0)
    # It holds the ball, and not much more than the hull's corners.
    assert 0.5 + float((middle - torch.tensor(MIDDLE)).norm()) < radius < 0.75
    assert around(hull_of(np.zeros_like(balls))) is None


def test_a_piece_is_needed_where_only_it_explains_a_mask() -> None:
    two = np.maximum(ball_masks(VIEWS, SIZE, 0.3, (-0.45, 0.0, 0.0)), ball_masks(VIEWS, SIZE, 0.2, (0.5, 0.0, 0.0)))
    points = cube(CPU)
    one, other = (points[ball(r, x, 0.0, 0.0)(points) < 0] for r, x in ((0.3, -0.45), (0.2, 0.5)))
    assert hull_of(two).needs(one, other)
    # A piece behind it, or beside, that no mask shows elsewhere, is explained by the rest.
    within = points[ball(0.2, -0.45, 0.0, 0.0)(points) < 0]
    assert not hull_of(two).needs(one, within)


@pytest.mark.parametrize("shaded", [False, True])
@pytest.mark.parametrize("thing", ["ball", "box"])
def test_right_masks_are_not_doubted(thing: str, shaded: bool, request: pytest.FixtureRequest) -> None:
    masks = request.getfixturevalue("balls" if thing == "ball" else "boxes")
    found = doubtful_pixels(outlines_of(masks), CAMERAS, identity(), shades(masks) if shaded else None)
    assert not found.any()


def shades(masks: np.ndarray) -> Tensor:
    """Red things before a blue ground."""
    red, blue = torch.tensor([0.8, 0.2, 0.1]), torch.tensor([0.1, 0.2, 0.7])
    return torch.where(torch.as_tensor(masks >= 128)[..., None], red, blue)


def test_a_blob_that_one_mask_alone_shows_is_found(balls: np.ndarray) -> None:
    blobs = balls.copy()
    y, x = np.mgrid[:SIZE, :SIZE]
    blob = (np.hypot(x - 52, y - 12) < 7) & (balls[2] < 128)
    blobs[2][blob] = 255
    found = doubtful_pixels(outlines_of(blobs), CAMERAS, identity(), None).numpy()
    assert not np.delete(found, 2, 0).any()
    inner = np.hypot(x - 52, y - 12) < 5
    assert found[2][inner & blob].mean() > 0.9
    # The thing's own pixels stay.
    assert not found[2][balls[2] >= 128].any()


def test_what_one_mask_alone_lacks_is_found_by_its_colours(balls: np.ndarray) -> None:
    lacking, pictures = balls.copy(), shades(balls)
    y, x = np.mgrid[:SIZE, :SIZE]
    rows, columns = np.nonzero(balls[4] >= 128)
    hole = np.hypot(x - columns.mean(), y - rows.mean()) < 6
    lacking[4][hole] = 0
    found = doubtful_pixels(outlines_of(lacking), CAMERAS, identity(), pictures).numpy()
    assert found[4][np.hypot(x - columns.mean(), y - rows.mean()) < 4].all()
    assert not np.delete(found, 4, 0).any() and not found[4][~hole].any()
    # A hole through which the ground is seen is one.
    pictures[4][torch.as_tensor(hole)] = torch.tensor([0.1, 0.2, 0.7])
    assert not doubtful_pixels(outlines_of(lacking), CAMERAS, identity(), pictures).any()


def test_few_masks_cannot_tell_which_is_wrong(balls: np.ndarray) -> None:
    blobs, known = balls.copy(), np.ones(balls.shape, bool)
    blobs[2, 5:15, 45:55] = 255
    known[4:] = False
    assert not doubtful_pixels(outlines_of(blobs, known), CAMERAS, identity(), None).any()
