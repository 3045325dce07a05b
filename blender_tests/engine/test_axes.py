"""Priors whose frames are not the built-in ones': a thing's right, back and up stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dist_engine.cameras import Similarity
from dist_engine.decoder import Architecture, Decoder
from dist_engine.make_shapes import make_shape
from dist_engine.meshing import Mesh
from dist_engine.prior import Prior
from dist_engine.protocol import Placement
from torch import Tensor

from blender_tests.support.closed_forms import ClosedForm

# Up and front, and what is to the right of who looks at the front, written down by hand. The matrices of all but the
# first, which is the built-in priors', are other than their transposes.
FRAMES = [
    ("+z", "-y", "+x"),
    ("+y", "+z", "+x"),
    ("+x", "+z", "-y"),
    ("-y", "-x", "-z"),
]
UNITS = {f"{sign:+}"[0] + "xyz"[axis]: sign * np.eye(3)[axis] for sign in (1, -1) for axis in range(3)}
# How far a thing reaches to its right, back and up.
REACH = np.array([0.1, -0.2, 0.4])
TURN = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
PLACE = Placement(2.0, TURN * np.linalg.det(TURN), np.array([3.0, -1.0, 0.5]))


def prior_of(up: str, front: str) -> Prior:
    return Prior("thing", Decoder(Architecture(1, (4,))), torch.zeros(2, 1), up=up, front=front)


def reach_in(up: str, front: str, right: str) -> np.ndarray:
    """Where, in the object frame, the thing reaches to its right, back and up: rows."""
    return REACH[:, None] * np.stack([UNITS[right], -UNITS[front], UNITS[up]])


@pytest.mark.parametrize(("up", "front", "right"), FRAMES)
def test_a_placed_thing_points_where_the_placement_says(up: str, front: str, right: str) -> None:
    axes = prior_of(up, front).axes()
    place = Similarity.from_placement(PLACE, axes, torch.device("cpu"))
    points = reach_in(up, front, right)
    # `Placement`: its rotation's columns are the thing's right, back and up in the world.
    wanted = PLACE.translation + PLACE.scale * REACH[:, None] * PLACE.rotation.T
    np.testing.assert_allclose(place.to_world(torch.as_tensor(points, dtype=torch.float32)), wanted, atol=1e-6)
    np.testing.assert_allclose(place.to_object(torch.as_tensor(wanted, dtype=torch.float32)), points, atol=1e-6)


@pytest.mark.parametrize(("up", "front", "right"), FRAMES)
def test_a_meshs_own_axes_are_the_things(up: str, front: str, right: str) -> None:
    axes = prior_of(up, front).axes()
    place = Similarity.from_placement(PLACE, axes, torch.device("cpu"))
    points = torch.as_tensor(reach_in(up, front, right), dtype=torch.float32)
    faces = np.array([[0, 1, 2]], np.int32)
    placed = Mesh(points, faces, torch.nn.functional.normalize(points, dim=1)).placed(place, axes)
    np.testing.assert_allclose(placed["vertices"], np.diag(PLACE.scale * REACH), atol=1e-6)
    np.testing.assert_allclose(placed["vertex_normals"], np.diag(np.sign(REACH)), atol=1e-6)
    np.testing.assert_allclose(placed["rotation"], PLACE.rotation, atol=1e-6)
    np.testing.assert_allclose(placed["translation"], PLACE.translation, atol=1e-6)


class Ball(ClosedForm):
    """A ball of radius 0.3; the code (3,) is where its middle is."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        return (points - code).norm(dim=-1) - 0.3


@pytest.mark.parametrize(("up", "front", "right"), FRAMES)
def test_a_sampled_shapes_own_axes_are_the_things(up: str, front: str, right: str) -> None:
    field = Ball(torch.as_tensor(reach_in(up, front, right).sum(0), dtype=torch.float32))
    result = make_shape(prior_of(up, front), field, PLACE, 32, "thing", [0.0])
    away = result.vertices - PLACE.scale * REACH
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), PLACE.scale * 0.3, atol=1e-3)
    np.testing.assert_allclose(result.vertex_normals, away / (PLACE.scale * 0.3), atol=1e-3)
    np.testing.assert_allclose(result.rotation, PLACE.rotation, atol=1e-6)
    np.testing.assert_allclose(result.translation, PLACE.translation, atol=1e-6)
