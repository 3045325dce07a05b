"""A free shape as the fit has it: its derivative, its steps, its field before the tracer, and what is kept of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from dist_engine.meshing import extract_mesh
from dist_engine.shapes.free.grid import REACH
from dist_engine.shapes.free.kind import FreeKind
from dist_engine.shapes.free.shape import LARGEST_STEP, FreeDerivative, FreeShape
from dist_engine.shapes.shape import OnCells
from dist_engine.tracing.march import march
from torch import Tensor

from blender_tests.support.closed_forms import camera, identity, sphere_depth
from blender_tests.support.free_forms import anywhere, ball, grid_of

CELLS = 32
H = 2 * REACH / CELLS
BALL = ball(0.5, 0.05, 0.0, -0.03)


@pytest.fixture(scope="module")
def shape() -> FreeShape:
    return FreeShape(grid_of(BALL, CELLS), stiffness=0.01)


def near(shape: FreeShape, count: int = 20_000, cells: float = 2.0) -> Tensor:
    points = anywhere(count)
    return points[shape.grid(points).abs() < cells * shape.grid.width]


def noise(size: int, seed: int = 0) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def derivative_at(shape: FreeShape, points: Tensor) -> FreeDerivative:
    found = shape.field(Counter()).linearise(points, "test").d_shape
    assert isinstance(found, FreeDerivative)
    return found


def test_the_derivative_is_the_values_change(shape: FreeShape) -> None:
    points, step, h = near(shape), 1e-3 * noise(shape.size), 1e-3
    derivative = derivative_at(shape, points)
    ahead, back = (
        replace(shape.grid, values=shape.grid.values.index_add(0, shape.band.ids, sign * h * step))(points)
        for sign in (1, -1)
    )
    torch.testing.assert_close(derivative.forward(step), (ahead - back) / (2 * h), atol=1e-11, rtol=1e-8)


def test_forward_and_backward_are_adjoint_and_as_their_matrix(shape: FreeShape) -> None:
    points = near(shape, 2000, 4.0)
    step, weights = noise(shape.size), noise(len(points), 1)
    derivative = derivative_at(shape, points)
    # Points at the band's edge are there, too.
    within = derivative.within()
    assert within.any() and not within.all()
    forward, backward = derivative.forward(step), derivative.backward(weights)
    assert float(forward @ weights) == pytest.approx(float(step @ backward))
    matrix = derivative.matrix()
    assert matrix.shape == (len(points), shape.size)
    torch.testing.assert_close(matrix @ step, forward)
    torch.testing.assert_close(weights @ matrix, backward)
    torch.testing.assert_close(derivative.squared(weights), weights @ matrix.square())
    torch.testing.assert_close(derivative.scaled(weights).matrix(), weights[:, None] * matrix)
    some = torch.tensor([3, 0, 3])
    torch.testing.assert_close(derivative[some].matrix(), matrix[some])
    torch.testing.assert_close(matrix[within].sum(1), torch.ones(int(within.sum()), dtype=torch.float64))


def test_f_and_its_slope_to_first_order(shape: FreeShape) -> None:
    points = near(shape, 2000)
    field = shape.field(Counter())
    at = field.linearise(points, "test")
    value, slope = field.slope(points, "test")
    assert at.value.equal(value) and at.d_point.equal(slope) and field(points, "test").equal(value)
    away = points - torch.tensor([0.05, 0.0, -0.03])
    torch.testing.assert_close(slope, away / away.norm(dim=1, keepdim=True), atol=0.1, rtol=0)
    assert isinstance(field, OnCells)


def test_a_step_moves_the_surface_and_the_shape_before_stays(shape: FreeShape) -> None:
    before = shape.grid.values.clone()
    after = shape.retract(torch.full((shape.size,), -0.5 * H, dtype=torch.float64))
    assert shape.grid.values.equal(before) and after.stiffness == shape.stiffness
    points = near(after, cells=0.3)
    wanted = ball(0.5 + 0.5 * H, 0.05, 0.0, -0.03)(points)
    torch.testing.assert_close(after.grid(points), wanted, atol=0.15 * H, rtol=0)
    assert after.grid.slope(points).norm(dim=1).mean() == pytest.approx(1, abs=0.02)


def test_no_step_goes_farther_than_its_linear_model_holds(shape: FreeShape) -> None:
    far = shape.retract(torch.full((shape.size,), -100.0, dtype=torch.float64))
    most = shape.retract(torch.full((shape.size,), -LARGEST_STEP * H, dtype=torch.float64))
    assert far.grid.values.equal(most.grid.values)
    points = near(far, cells=0.2)
    # By a cell and a half.
    assert (BALL(points) - LARGEST_STEP * H).abs().max() < 0.5 * H


def test_a_step_that_leaves_nothing_is_told(shape: FreeShape) -> None:
    tiny = FreeShape(grid_of(ball(1.2 * H), CELLS))
    with pytest.raises(ValueError, match="no surface"):
        tiny.retract(torch.full((tiny.size,), 1.5 * H, dtype=torch.float64)).retract(
            torch.full((tiny.size,), 1.5 * H, dtype=torch.float64)
        )


def test_its_own_term_is_tied_to_what_it_is_tied_to(shape: FreeShape) -> None:
    none = torch.zeros(shape.size, dtype=torch.float64)
    loose, itself = (replace(shape, tie=tie, tied=shape.grid).own_term() for tie in (0.0, 30.0))
    assert itself.after(none)[0] == pytest.approx(loose.after(none)[0])
    assert itself.after(0.1 * H + none)[0] > loose.after(0.1 * H + none)[0] + 1e-4
    larger_grid = grid_of(ball(0.5 + H, 0.05, 0.0, -0.03), CELLS)
    larger = replace(shape, tie=30.0, tied=larger_grid).own_term()
    _, slope = larger.after(none)
    # Downhill, values fall: the surface grows.
    assert (slope - replace(shape, tied=larger_grid).own_term().after(none)[1]).median() > 0
    # What is seen loses the form of what it is tied to; what is not, keeps it: here at small x, which comes first.
    seen = torch.zeros(8, 8, 8, dtype=torch.float64)
    seen[4:] = 1
    bumpy = replace(larger_grid, values=3 * larger_grid.values + 0.2 * H * noise(len(larger_grid.values)))
    stiff = replace(shape, stiffness=1.0, tie=0.0, tied=bumpy)
    here, wholly = (replace(stiff, seen=part).own_term().after(none)[1] for part in (seen, 0 * seen))
    loosely = replace(shape, stiffness=1.0).own_term().after(none)[1]
    x = shape.band.positions[:, 0]
    assert here[x < -0.4].equal(wholly[x < -0.4]) and not here[x < -0.4].equal(loosely[x < -0.4])
    assert here[x > 0.4].equal(loosely[x > 0.4])
    # Without something to be tied to, it is tied to nothing.
    assert replace(shape, tie=30.0).own_term().after(0.1 + none)[0] == shape.own_term().after(0.1 + none)[0]


def test_what_is_kept_of_it_makes_it_again(shape: FreeShape) -> None:
    kept = {name: tensor.clone() for name, tensor in shape.tensors().items()}
    again = FreeKind().restore(kept)
    points = anywhere(2000)
    assert again.grid.cells == CELLS and again.size == shape.size
    assert again.grid(points).equal(shape.grid(points))
    assert shape.describe() == {"shape": "free", "cells": CELLS}
    freed = replace(shape, origin={"shape": "latent", "prior": "table"})
    assert freed.describe() == {"shape": "free", "prior": "table", "cells": CELLS}
    with pytest.raises(KeyError):
        FreeKind().restore({"whitened": torch.zeros(3)})


def test_it_is_traced_as_a_ball_is() -> None:
    """In single precision, as fits have it."""
    fine = FreeShape(grid_of(lambda points: ball(0.6)(points).float(), 64))
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    rays = camera().rays(torch.zeros(len(pixels), dtype=torch.long), pixels, identity())
    trace = march(fine.field(Counter()), rays, torch.full_like(rays.near, 1e-4), relaxation=1.0)
    wanted = sphere_depth(rays, 0.6)
    width = 2 * REACH / 64
    clear = (wanted.isfinite() & ~sphere_depth(rays, 0.6 - 0.05 * width).isnan()) | sphere_depth(
        rays, 0.6 + 0.05 * width
    ).isnan()
    assert (trace.hit == wanted.isfinite())[clear].all() and clear.float().mean() > 0.99
    front = ~sphere_depth(rays, 0.5).isnan()
    assert (trace.distance - wanted)[front].abs().max() < 0.03 * width


def test_its_mesh_is_the_balls() -> None:
    fine = FreeShape(grid_of(lambda points: ball(0.6)(points).float(), 64))
    mesh = extract_mesh(fine.field(Counter()), 64)
    away = mesh.vertices.norm(dim=1)
    assert (away - 0.6).abs().max() < 0.05 * 2 * REACH / 64
    # Closed, and of one piece: V - E + F = 2.
    edges = np.unique(np.sort(np.concatenate([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), 1), axis=0)
    assert len(mesh.vertices) - len(edges) + len(mesh.faces) == 2
