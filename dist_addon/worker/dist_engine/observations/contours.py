"""Outlines for a shape that is free: every pixel beside a mask's edge, at the least f along its whole ray."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..shapes.free.shape import FreeField
from ..tracing.whole import pass_through
from .outlines import Outlines
from .rows import Rows
from .surface import pixel_width

# Pixels within so many of the outline, and this share of the others, each counting for all of them.
BAND, REST = 4.0, 0.03
# A coarse grid needs fewer of either: so many of each row of as many as a cell is wide.
PER_CELL = 3.0
# Outside, the surface is to be as far from the ray as the outline, up to so many pixels; inside, the ray is to be
# within it by as much, up to half a pixel: so the two meet at the outline.
OUTSIDE, INSIDE = 3.0, 0.5
# Rays that are right by less than this are asked, too, since a step may break them (pixels).
MARGIN = 3.0
# Standard deviation of an edge at best, and from how many pixels on it counts linearly.
SIGMA, HUBER = 0.35, 2.0
# f beyond this says nothing of where the surface is.
BEYOND = 8.0


def contour_pixels(
    outlines: Outlines, doubtful: Tensor, generator: torch.Generator, wide: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Flat indices (N,) of pixels, and what each counts (N,), where the grid's cells are so many pixels `wide`.

    None of those that are `doubtful` (V, H, W) bool.
    """
    signed = outlines.signed
    told = outlines.known & outlines.masked[:, None, None] & ~signed.isnan() & ~doubtful
    share = min(1.0, PER_CELL / wide) * torch.where(signed.abs() < BAND, 1.0, REST)
    chosen = torch.rand(signed.shape, generator=generator).to(signed.device) < share
    taken = (told & chosen).flatten().nonzero()[:, 0]
    return taken, 1 / share.flatten()[taken]


def contour_rows(
    outlines: Outlines,
    pixels: Tensor,
    counts: Tensor,
    field: FreeField,
    cameras: Cameras,
    place: Similarity,
    noise: float,
    huber: float = HUBER,
) -> Rows:
    """One-sided rows at pixels (N,), each standing for the area of one pixel on the object."""
    rays, _ = outlines.pixels.rays(pixels, cameras, place)
    signed = outlines.signed.flatten()[pixels]
    clear = outlines.clear.flatten()[pixels]
    h = field.grid.width
    passed = pass_through(field, rays, 0.5 * h, margin=4 * h)
    foot = pixel_width(rays, passed.nearest)
    outside = signed > 0
    reach = torch.minimum(signed.abs(), clear)
    wanted = foot * torch.where(outside, reach.clamp(max=OUTSIDE), -reach.clamp(max=INSIDE))
    wrong = torch.where(outside, wanted - passed.least, passed.least - wanted)
    points = rays.at(passed.nearest)
    kept = ((wrong > -MARGIN * foot) & (passed.least < BEYOND)).nonzero()[:, 0]
    derivative = field.derivative(points[kept])
    within = derivative.within()
    kept = kept[within]
    sigma = noise * foot[kept]
    return Rows(
        1.0,
        passed.least[kept] - wanted[kept],
        sigma.new_zeros(len(kept), 0),
        (derivative[within],),
        sigma,
        weight=counts[kept] * foot[kept].square(),
        side=torch.where(outside[kept], -1.0, 1.0),
        bound=huber / noise,
    )
