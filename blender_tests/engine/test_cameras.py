"""Cameras and the object's place, against projections that are written out number by number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity, skew
from dist_engine.protocol import View

RANDOM = np.random.default_rng(4)
FOCAL, MIDDLE = (300.0, 330.0), (155.0, 110.0)


def rotation(vector: np.ndarray) -> np.ndarray:
    """Rodrigues' formula."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


# About an object at (1, -2, 0.5), which is 1.5 long and turned; the cameras see it some units ahead.
SCALE, TURN, SHIFT = 1.5, rotation(np.array([0.8, -0.5, 1.1])), np.array([1.0, -2.0, 0.5])
POSES = [rotation(RANDOM.normal(size=3)) for _ in range(3)]
AHEAD = RANDOM.normal(size=(3, 3)) * 0.3 + [0, 0, 6]
VIEWS = [
    View(f"camera {index}", np.array([[FOCAL[0], 0, MIDDLE[0]], [0, FOCAL[1], MIDDLE[1]], [0, 0, 1]]), pose)
    for index, pose in enumerate(
        np.column_stack([turn, ahead - turn @ SHIFT]) for turn, ahead in zip(POSES, AHEAD, strict=True)
    )
]


def cameras() -> Cameras:
    made = Cameras.from_views(VIEWS, torch.device("cpu"))
    return Cameras(*(part.double() for part in (made.K, made.rotation, made.translation)))


def place() -> Similarity:
    return Similarity(torch.tensor(SCALE).double(), torch.as_tensor(TURN), torch.as_tensor(SHIFT))


def in_world(point: np.ndarray) -> np.ndarray:
    """Where a point of the object is."""
    return np.array([SHIFT[row] + SCALE * sum(TURN[row, k] * point[k] for k in range(3)) for row in range(3)])


def in_camera(view: int, world: np.ndarray) -> np.ndarray:
    """Where a camera has a point of the world: right, down and ahead."""
    pose = VIEWS[view].world_to_camera
    return np.array([sum(pose[row, k] * world[k] for k in range(3)) + pose[row, 3] for row in range(3)])


def pixel(there: np.ndarray) -> list[float]:
    """Where in its picture a camera sees what is there."""
    return [FOCAL[axis] * there[axis] / there[2] + MIDDLE[axis] for axis in range(2)]


POINTS = RANDOM.uniform(-0.5, 0.5, (12, 3))
SEEN_BY = RANDOM.integers(0, 3, 12)


def test_points_go_to_the_world_to_cameras_and_back() -> None:
    world = np.array([in_world(point) for point in POINTS])
    there = np.array([in_camera(view, point) for view, point in zip(SEEN_BY, world, strict=True)])
    np.testing.assert_allclose(place().to_world(torch.as_tensor(POINTS)), world, atol=1e-6)
    np.testing.assert_allclose(place().to_object(torch.as_tensor(world)), POINTS, atol=1e-6)
    found = cameras().to_camera(torch.as_tensor(SEEN_BY), torch.as_tensor(world))
    np.testing.assert_allclose(found, there, atol=1e-5)


def test_a_pixels_ray_passes_what_the_pixel_shows() -> None:
    there = np.array([in_camera(view, in_world(point)) for view, point in zip(SEEN_BY, POINTS, strict=True)])
    pixels = torch.as_tensor([pixel(at) for at in there])
    rays = cameras().rays(torch.as_tensor(SEEN_BY), pixels, place())
    np.testing.assert_allclose(rays.directions.norm(dim=1), 1, atol=1e-6)
    distance = np.linalg.norm(there, axis=1) / SCALE
    np.testing.assert_allclose(rays.at(torch.as_tensor(distance)), POINTS, atol=1e-5)
    # Depth along the camera's axis is distance along the ray times this.
    np.testing.assert_allclose(rays.cosine, there[:, 2] / np.linalg.norm(there, axis=1), atol=1e-6)
    np.testing.assert_allclose(rays.pixel, 1 / FOCAL[0], rtol=1e-6)


def test_larger_pictures_show_the_same_at_larger_numbers() -> None:
    K = cameras().enlarged(4).K[1].numpy()
    for point in POINTS:
        there = in_camera(1, in_world(point))
        np.testing.assert_allclose((K @ there)[:2] / there[2], 4 * np.array(pixel(there)), rtol=1e-6)


def test_a_step_of_the_place_is_in_its_own_axes() -> None:
    growth, turn, shift = 0.1, np.array([0.2, -0.3, 0.1]), np.array([0.03, -0.05, 0.02])
    moved = place().retract(torch.as_tensor([growth, *turn, *shift]))
    for point in POINTS:
        # Turned and grown about its own middle, then shifted along its own axes, as long as they were before.
        wanted = in_world(shift + np.exp(growth) * (rotation(turn) @ point))
        np.testing.assert_allclose(moved.to_world(torch.as_tensor(point[None]))[0], wanted, atol=1e-6)


def test_a_camera_turns_about_the_object() -> None:
    turn, shift = np.array([0.2, -0.3, 0.1]), np.array([0.03, -0.05, 0.02])
    steps = torch.as_tensor([[0.0] * 6, [*turn, *shift], [0.0] * 6])
    after = cameras().turned_about(place(), steps, torch.tensor(0.1).double())
    for point in POINTS:
        wanted = in_camera(1, in_world(shift + rotation(turn) @ point))
        found = after.to_camera(torch.tensor([1]), torch.as_tensor(in_world(point)[None]))[0]
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(after.rotation[0], POSES[0], atol=1e-6)
    np.testing.assert_allclose(after.K[2].diagonal()[:2], np.exp(0.1) * np.array(FOCAL), rtol=1e-6)
    np.testing.assert_allclose(after.K[2][:2, 2], MIDDLE, rtol=1e-6)


def test_cameras_come_back_as_views() -> None:
    for view, again in zip(VIEWS, cameras().to_views(["a", "b", "c"]), strict=True):
        np.testing.assert_allclose(again.K, view.K, rtol=1e-6)
        np.testing.assert_allclose(again.world_to_camera, view.world_to_camera, atol=1e-6)


@pytest.mark.parametrize("vector", RANDOM.normal(size=(3, 3)))
def test_the_matrix_of_a_cross_product(vector: np.ndarray) -> None:
    other = RANDOM.normal(size=3)
    np.testing.assert_allclose(skew(torch.as_tensor(vector)) @ other, np.cross(vector, other), atol=1e-12)
