"""What kinds of observation take from pictures, and where a fit starts, against what is worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.fitting.start import start_places
from dist_engine.observations.edges import distance_to_unknown, signed_distance
from dist_engine.observations.observation import Pixels
from dist_engine.observations.pictures import PicturePyramid, neighbours
from dist_engine.protocol import Bounds, View

from blender_tests.support.closed_forms import ClosedKind, Sphere
from blender_tests.support.views import SIZE, orbit, request

CPU = torch.device("cpu")
AS_IT_IS = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))


def test_a_pixels_ray_passes_its_centre() -> None:
    K = np.array([[20.0, 0, 4], [0, 25, 3], [0, 0, 1]])
    views = [View("left", K, np.eye(3, 4)), View("right", K, np.eye(3, 4))]
    height, width = 6, 8
    pixels = torch.arange(2 * height * width)
    rays, seen_by = Pixels(height, width).rays(pixels, Cameras.from_views(views, CPU), AS_IT_IS)
    ways = rays.directions / rays.directions[:, 2:]
    for index in range(len(pixels)):
        view, rest = divmod(index, height * width)
        row, column = divmod(rest, width)
        assert seen_by[index] == view
        wanted = torch.tensor([(column + 0.5 - 4) / 20, (row + 0.5 - 3) / 25, 1.0])
        torch.testing.assert_close(ways[index], wanted)


def ramp(degrees: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The distance from a slanted edge."""
    right, down = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return lambda x, y: (x - 40.3) * right + (y - 39.6) * down


def disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The distance from a circle."""
    return np.hypot(x - 40.2, y - 39.7) - 22.3


def coverage_of(away: Callable[[np.ndarray, np.ndarray], np.ndarray], side: int = 80, finer: int = 16) -> np.ndarray:
    """Coverage (side, side) by so many samples along each side of a pixel: with one, a mask of black and white."""
    middles = (np.arange(side * finer) + 0.5) / finer
    inside = away(*np.meshgrid(middles, middles)) < 0
    return np.rint(255 * inside.reshape(side, finer, side, finer).mean((1, 3))).astype(np.uint8)


@pytest.mark.parametrize("away", [disc, *map(ramp, (0, 5, 20, 30, 45, 77, 200))])
def test_distances_are_signed_and_true_to_a_fraction_of_a_pixel(
    away: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    y, x = np.mgrid[:80, :80] + 0.5
    wanted = away(x, y)
    # Edges that leave the picture end there.
    near = (np.abs(wanted) < 8) & (np.abs(x - 40) < 28) & (np.abs(y - 40) < 28)
    soft = signed_distance(coverage_of(away)[None])[0].numpy()
    assert np.abs(soft - wanted)[near].max() < 0.1
    # Whether the middle of a pixel is inside is all that black and white tell.
    hard = signed_distance(coverage_of(away, finer=1)[None])[0].numpy()
    assert np.abs(hard - wanted)[near].max() < 0.5
    assert ((hard < 0) == (wanted < 0)).all()


def test_black_and_white_are_off_to_neither_side() -> None:
    y, x = np.mgrid[:80, :80] + 0.5
    hard = signed_distance(coverage_of(disc, finer=1)[None])[0].numpy()
    near = np.abs(disc(x, y)) < 4
    assert abs((hard - disc(x, y))[near].mean()) < 0.05


def test_there_is_no_outline_beside_what_is_unknown() -> None:
    masks = np.zeros((3, 20, 30), np.uint8)
    masks[:, :, 12:] = 255
    known = np.ones(masks.shape, bool)
    # Of the second view, the column beside the edge is unknown; of the third, all is.
    known[1, :, 12], known[2] = False, False
    found = signed_distance(masks, known)
    across = torch.arange(30) + 0.5
    torch.testing.assert_close(found[0], (12 - across).expand(20, 30))
    torch.testing.assert_close(found[1, :, :12], torch.full((20, 12), float("inf")))
    torch.testing.assert_close(found[1, :, 13:], torch.full((20, 17), float("-inf")))
    assert found[1, :, 12].isnan().all() and found[2].isnan().all()
    clear = distance_to_unknown(known)
    # Beyond the picture, nothing is known.
    torch.testing.assert_close(clear[0, 10], torch.minimum(across, 30 - across).clamp(max=9.5))
    torch.testing.assert_close(clear[1, 10, 8:13], torch.tensor([3.5, 2.5, 1.5, 0.5, 0.0]))
    assert (clear[2] == 0).all()


def test_parts_as_thin_as_a_pixel_have_two_edges() -> None:
    """Also where they touch at corners only."""
    masks = np.zeros((1, 20, 20), np.uint8)
    masks[0, 10, 2:18] = 255
    found = signed_distance(masks)[0]
    torch.testing.assert_close(found[5:16, 10], (torch.arange(5, 16) - 10.0).abs() - 0.5)
    diagonal = 255 * np.eye(20, dtype=np.uint8)[None]
    found = signed_distance(diagonal)[0]
    for off in (0, 1, 2):
        torch.testing.assert_close(found.diagonal(off)[5:15], torch.full((10,), 2**-0.5 * (off - 0.5)))


@pytest.mark.parametrize(("longer", "level"), [(24, 0), (24, 1), (600, 0)])
def test_a_pictures_colours_are_where_its_pixels_are(longer: int, level: int) -> None:
    pictures = PicturePyramid(np.zeros((2, longer // 2, longer, 3), np.uint8), CPU)
    side = pictures.stride * 2**level
    _, _, height, width = pictures.levels[level].shape
    # At the middle of each pixel of the level, the numbers are this many of the picture's own pixels to the right and
    # down.
    right, down = (torch.arange(width) + 0.5) * side, (torch.arange(height) + 0.5) * side
    ramp = torch.stack([right.expand(height, width), down[:, None].expand(height, width), torch.zeros(height, width)])
    pictures.levels[level] = torch.stack([ramp, -ramp])
    generator = torch.Generator().manual_seed(0)
    last = torch.tensor([width, height]) - 1
    pixels = side * (0.5 + torch.rand(50, 2, generator=generator) * last)
    views = torch.arange(50) % 2
    value, slope = pictures.at(level, views, pixels)
    sign = 1.0 - 2 * views[:, None]
    torch.testing.assert_close(value[:, :2], sign * pixels, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(slope[:, :2], sign[:, None] * torch.eye(2).expand(50, 2, 2), atol=1e-3, rtol=1e-4)


def test_neighbours_are_those_that_look_from_nearby() -> None:
    views = orbit(16)
    order = np.random.default_rng(0).permutation(16)
    mixed = [views[index] for index in order]
    found = neighbours(Cameras.from_views(mixed, CPU), torch.zeros(3))
    backs = np.array([-view.world_to_camera[2, :3] for view in mixed])
    for view, others in enumerate(found.tolist()):
        angle = np.degrees(np.arccos(np.clip(backs @ backs[view], -1, 1)))
        near = [other for other in np.argsort(angle) if 2 <= angle[other] <= 45][:4]
        # Fewer than four are repeated.
        np.testing.assert_allclose(angle[others], np.resize(angle[near], 4), atol=0.1)


def test_a_thing_starts_as_large_as_its_bounds() -> None:
    """Its farthest point, at the shapes' radius, is as far from the middle as the box's corners are."""
    job = request(np.full((2, SIZE, SIZE), 255, np.uint8), orbit(2))
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    job = replace(job, bounds=Bounds(np.array([1.0, 2, 3]), turn, np.array([2.0, 3, 6])))
    kind = ClosedKind(Sphere, torch.tensor([0.5]), radius=0.8)
    (place,) = start_places(job, kind, CPU)
    assert float(place.scale) * 0.8 == pytest.approx(7)
    np.testing.assert_allclose(place.rotation, turn)
    np.testing.assert_allclose(place.translation, [1, 2, 3])
