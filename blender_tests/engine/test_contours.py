"""Outlines of a free ball against those of a ball, in pixels, by its closed form."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras
from dist_engine.observations.contours import BAND, INSIDE, MARGIN, OUTSIDE, REST, SIGMA, contour_pixels, contour_rows
from dist_engine.observations.outlines import Outlines
from dist_engine.observations.rows import Rows
from dist_engine.shapes.free.grid import REACH
from dist_engine.shapes.free.shape import FreeShape
from torch import Tensor

from blender_tests.support.closed_forms import identity
from blender_tests.support.free_forms import CPU, around, ball, ball_masks, grid_of

SIZE, FOCAL, RADIUS, AWAY = 64, 80.0, 0.5, 3.0
VIEWS = around(2, FOCAL, SIZE, AWAY)
CAMERAS = Cameras.from_views(VIEWS, CPU)
# Of a pixel, where the ball's outline is.
FOOT = AWAY / FOCAL
CELLS = 64
H = 2 * REACH / CELLS


def outlines_of(radius: float, known: np.ndarray | None = None) -> Outlines:
    masks = ball_masks(VIEWS, SIZE, radius)
    known = np.ones(masks.shape, bool) if known is None else known
    return Outlines(masks, known, 0.7, CPU, torch.Generator().manual_seed(0))


def every(outlines: Outlines) -> tuple[Tensor, Tensor]:
    return contour_pixels(outlines, torch.zeros_like(outlines.masks), torch.Generator().manual_seed(0))


def shape_of(radius: float) -> FreeShape:
    return FreeShape(grid_of(lambda points: ball(radius)(points).float(), CELLS))


def rows_of(radius: float, outlines: Outlines, pixels: Tensor | None = None) -> tuple[Rows, Tensor]:
    chosen, counts = every(outlines)
    if pixels is not None:
        chosen, counts = pixels, torch.ones(len(pixels))
    field = shape_of(radius).field(Counter())
    return contour_rows(outlines, chosen, counts, field, CAMERAS, identity(), SIGMA), chosen


def passes(outlines: Outlines, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """How far (N,) the pixels' rays pass from the middle, and how wide (N,) a pixel is there."""
    rays, _ = outlines.pixels.rays(pixels, CAMERAS, identity())
    along = -(rays.origins * rays.directions).sum(1)
    return rays.at(along).norm(dim=1), along * rays.cosine / FOCAL


def test_pixels_beside_the_outline_all_count_and_of_the_others_some_for_all() -> None:
    outlines = outlines_of(RADIUS)
    pixels, counts = every(outlines)
    signed = outlines.signed.flatten()
    beside = signed.abs() < BAND
    taken = torch.zeros_like(beside)
    taken[pixels] = True
    assert taken[beside].all() and (counts[beside[pixels]] == 1).all()
    others = int((~beside).sum())
    assert int((taken & ~beside).sum()) == pytest.approx(REST * others, rel=0.3)
    assert float(counts.sum()) == pytest.approx(len(signed), rel=0.3)


def test_what_is_not_known_or_doubtful_is_not_asked() -> None:
    known = np.ones((2, SIZE, SIZE), bool)
    known[0, :, :32] = False
    outlines = outlines_of(RADIUS, known)
    doubtful = torch.zeros_like(outlines.masks)
    doubtful[1, :, 40:] = True
    pixels, _ = contour_pixels(outlines, doubtful, torch.Generator().manual_seed(0))
    view, column = pixels // SIZE**2, pixels % SIZE
    assert (column[view == 0] >= 32).all() and (column[view == 1] < 40).all()
    assert set(view.tolist()) == {0, 1}
    # A view whose mask does not count says nothing.
    known[0] = False
    pixels, _ = every(outlines_of(RADIUS, known))
    assert (pixels // SIZE**2 == 1).all()


@pytest.mark.parametrize("off", [-2.0, -0.7, 0.7, 2.0])
def test_a_residual_is_the_distance_from_the_outline(off: float) -> None:
    """Of a ball that is so many pixels too large."""
    outlines, radius = outlines_of(RADIUS), RADIUS + off * FOOT
    every_pixel = torch.arange(2 * SIZE * SIZE)
    away, foot = passes(outlines, every_pixel)
    # A ray outside is to be as far from the surface as from the true one, up to so many pixels; so is one inside.
    outside, truly = away > RADIUS, (away - RADIUS) / foot
    wanted = torch.where(outside, truly.clamp(max=OUTSIDE), truly.clamp(min=-INSIDE))
    residual = (away - radius) / foot - wanted
    wrong = torch.where(outside, -residual, residual)
    # Of those near the surface, all have a row that are not right by far.
    asked = (truly.abs() > 0.3) & (truly.abs() < 3.4) & ((away - radius).abs() < 1.4 * H) & (wrong > 0.3 - MARGIN)
    pixels = every_pixel[asked]
    assert len(pixels) > 200
    rows, _ = rows_of(radius, outlines, pixels)
    assert rows.side is not None and isinstance(rows.sigma, Tensor)
    assert rows.side.equal(torch.where(outside[asked], -1.0, 1.0))
    # A deviation is so many pixels, and each row stands for its pixel's area.
    torch.testing.assert_close(rows.sigma, SIGMA * foot[asked], rtol=0.01, atol=0)
    torch.testing.assert_close(rows.weight, foot[asked] ** 2, rtol=0.02, atol=0)
    error = rows.residual / foot[asked] - residual[asked]
    # Masks tell the outline to a fraction of a pixel, and so does the grid its surface.
    assert error.abs().max() < 0.2 and error.mean().abs() < 0.03
    # Those that are right by far have none.
    right = every_pixel[(wrong < -0.3 - MARGIN) & (away < 0.9)]
    assert len(rows_of(radius, outlines, right)[0].residual) == 0


def test_a_ball_of_the_right_size_costs_next_to_nothing() -> None:
    outlines = outlines_of(RADIUS)

    def cost(radius: float) -> float:
        rows, _ = rows_of(radius, outlines)
        residual = rows.in_sigmas()
        return float(rows.robust(torch.where(rows.side * residual < 0, 0.0, residual))[0])

    at_truth = cost(RADIUS)
    smaller, larger = cost(RADIUS - 0.5 * FOOT), cost(RADIUS + 0.5 * FOOT)
    assert at_truth < 0.2 * min(smaller, larger)
    # It is where they cost least.
    assert cost(RADIUS - 0.15 * FOOT) > 1.5 * at_truth and cost(RADIUS + 0.15 * FOOT) > 1.5 * at_truth


def test_the_derivative_is_that_of_the_residual() -> None:
    """By finite differences: each value beside a ray's nearest sample moves the residual by its share."""
    outlines, radius = outlines_of(RADIUS), RADIUS + 0.7 * FOOT
    shape, every_pixel = shape_of(radius), torch.arange(2 * SIZE * SIZE)
    away, _ = passes(outlines, every_pixel)
    pixels = every_pixel[((away - radius).abs() < 1.2 * H) & ((away - RADIUS).abs() > 0.1 * FOOT)]
    x, y, z = shape.band.positions.T
    step = 0.02 * H * (torch.sin(6 * x - 4 * z) + torch.cos(5 * y))

    def rows(sign: float) -> Rows:
        moved = replace(shape.grid, values=shape.grid.values.index_add(0, shape.band.ids, sign * step))
        field = FreeShape(moved).field(Counter())
        return contour_rows(outlines, pixels, torch.ones(len(pixels)), field, CAMERAS, identity(), SIGMA)

    here, ahead, back = rows(0.0), rows(1.0), rows(-1.0)
    assert len(here.residual) == len(pixels) > 300
    found, wanted = here.forward(step), (ahead.in_sigmas() - back.in_sigmas()) / 2
    # Where along the ray f is least changes, too, which to first order changes nothing.
    assert (found - wanted).abs().max() < 0.3 * wanted.abs().max()
    assert (found - wanted).square().mean() < 0.01 * wanted.square().mean()
