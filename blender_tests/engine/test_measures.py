"""How good a reconstruction is, against closed forms."""

from __future__ import annotations

import igl
import numpy as np
import pytest
from dist_engine.reference.evaluation import REACH, compare, silhouette_iou

Mesh = tuple[np.ndarray, np.ndarray]
# Of a unit square: from its middle to a corner.
CORNER = 0.5**0.5


def sphere(radius: float) -> Mesh:
    vertices = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    vertices, faces = igl.upsample(vertices, np.array(faces), 6)
    return radius * vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces


def square(x: float = 0.0, z: float = 0.0, lean: float = 0.0, cuts: int = 0) -> Mesh:
    """The unit square that looks along +z, moved, and leant about its middle."""
    vertices = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    if cuts:
        vertices, faces = igl.upsample(vertices, faces, cuts)
    turn = np.array([[np.cos(lean), 0, np.sin(lean)], [0, 1, 0], [-np.sin(lean), 0, np.cos(lean)]])
    return vertices @ turn.T + [x, 0, z], faces


@pytest.mark.parametrize(("found", "true"), [(1.1, 1.0), (3.0, 2.0), (0.985, 1.0)])
def test_two_spheres(found: float, true: float) -> None:
    apart = (found - true) / true
    errors = compare(*sphere(found), *sphere(true))
    # A facet's middle lies a ten thousandth deeper than its corners.
    assert errors.chamfer_x1000 == pytest.approx(2000 * apart**2, rel=0.02)
    assert errors.f == (1 if abs(apart) < REACH else 0)
    assert errors.normal_error < 1


def test_any_frame_and_unit_tell_the_same() -> None:
    one, two = sphere(1.1), sphere(1.0)
    moved = [(5 * vertices + [3, -7, 100], faces) for vertices, faces in (one, two)]
    assert compare(*moved[0], *moved[1]).chamfer_x1000 == pytest.approx(compare(*one, *two).chamfer_x1000, rel=1e-6)


def test_two_samplings_of_one_surface_are_no_distance_apart() -> None:
    errors = compare(*square(cuts=3), *square())
    assert errors.chamfer_x1000 < 1e-20 and errors.f == 1 and errors.normal_error < 1e-3


def test_a_square_above_another() -> None:
    errors = compare(*square(z=0.1), *square())
    assert errors.chamfer_x1000 == pytest.approx(2000 * (0.1 / CORNER) ** 2)
    assert errors.f == 0 and errors.normal_error == pytest.approx(0, abs=1e-3)
    assert compare(*square(z=0.1), *square(), reach=0.15).f == 1


def test_a_square_beside_another() -> None:
    step = 0.3
    errors = compare(*square(x=step), *square())
    # What sticks out is as far off as it sticks out, evenly from 0 to the step.
    assert errors.chamfer_x1000 == pytest.approx(2000 * step**3 / 3 / CORNER**2, rel=0.02)
    assert errors.f == pytest.approx(1 - step + REACH * CORNER, abs=0.005)


def test_half_of_a_square() -> None:
    vertices, faces = square()
    errors = compare(vertices * [0.5, 1, 1] + [0.25, 0, 0], faces, vertices, faces)
    # All that was found is right, and half of what there is.
    recall = 0.5 + REACH * CORNER
    assert errors.f == pytest.approx(2 * recall / (1 + recall), abs=0.005)
    assert errors.chamfer_x1000 == pytest.approx(1000 * 0.5**3 / 3 / CORNER**2, rel=0.02)


@pytest.mark.parametrize("degrees", [0, 10, 35])
def test_a_square_that_leans(degrees: float) -> None:
    errors = compare(*square(lean=np.radians(degrees)), *square())
    assert errors.normal_error == pytest.approx(degrees, abs=1e-3)


def test_an_inside_out_square_looks_the_other_way() -> None:
    vertices, faces = square()
    assert compare(vertices, faces[:, ::-1], vertices, faces).normal_error == pytest.approx(180)


def test_nothing_found_is_all_missed() -> None:
    errors = compare(np.zeros((0, 3)), np.zeros((0, 3), int), *square())
    assert errors.chamfer_x1000 == np.inf and errors.f == 0 and np.isnan(errors.normal_error)


def test_outlines_overlap_where_they_are_known() -> None:
    one, two, known = np.zeros((3, 4, 4), bool)
    one[:, :2], two[:, 1:3], known[:, :2] = True, True, True
    assert silhouette_iou(one, two) == pytest.approx(1 / 3)
    assert silhouette_iou(one, two, known) == pytest.approx(1 / 2)
    assert silhouette_iou(~one & one, two & one & ~one) == 1
