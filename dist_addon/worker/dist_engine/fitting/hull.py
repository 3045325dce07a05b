"""The visual hull: what all masks leave of space, and which of their pixels the others contradict."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from ..cameras import Cameras, Similarity
from ..observations.outlines import Outlines
from ..shapes.free.grid import REACH

# Distances in pictures are cut off here (pixels): what is not known, or beside the picture, is so deep inside.
DEEPEST = 50.0
# The hull ends a little beyond the unit sphere.
ROOM = 1.02
# Masks are compared on a cube of so many cells.
CELLS = 64
# A pixel that its mask alone cuts off is doubtful where it cuts so deep into what all others leave (in the object's
# radius), with all around it that cuts by a part of that; one that it alone shows, by so many pixels.
CUTS, CUTS_AT_ALL, SHOWS = 0.12, 0.04, 4.0
# So many views with masks can tell that one of them is wrong.
ENOUGH = 5


class Hull:
    """Roughly the distance from the visual hull, in the object frame: no larger outside, and the distance inside.

    Parameters
    ----------
    outlines : Outlines
    cameras : Cameras
    place : Similarity
    doubtful : (V, H, W) bool tensor, optional
        Pixels that are taken as not known.
    """

    def __init__(self, outlines: Outlines, cameras: Cameras, place: Similarity, doubtful: Tensor | None = None) -> None:
        signed = outlines.signed.clone()
        signed[signed.isnan() | ~outlines.known] = -DEEPEST
        if doubtful is not None:
            signed[doubtful] = -DEEPEST
        self.signed = signed.clamp(-DEEPEST, DEEPEST)
        self.views = outlines.masked.nonzero()[:, 0].tolist()
        self.cameras, self.place = cameras, place

    def of_view(self, view: int, points: Tensor) -> Tensor:
        """How far (N,) points (N, 3) are from the cone of a view's mask; less than -1 where it does not tell."""
        found, pixels = self.look(view, points)
        height, width = self.signed.shape[1:]
        x = (pixels[:, 0] - 0.5).clamp(0, width - 1.001)
        y = (pixels[:, 1] - 0.5).clamp(0, height - 1.001)
        column, row = x.long(), y.long()
        x, y = x - column, y - row
        own = self.signed[view].flatten()
        first = row * width + column
        last = first + width
        distance = torch.lerp(torch.lerp(own[first], own[first + 1], x), torch.lerp(own[last], own[last + 1], x), y)
        return torch.where(found, distance, -2 * DEEPEST) * self.footprint(view, points)

    def look(self, view: int, points: Tensor) -> tuple[Tensor, Tensor]:
        """Whether (N,) a view's picture shows points (N, 3), and at which pixels (N, 2)."""
        views = torch.full((len(points),), view, device=points.device)
        there = self.cameras.to_camera(views, self.place.to_world(points))
        pixels = self.cameras.project(views, there)
        height, width = self.signed.shape[1:]
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        return inside & (there[:, 2] > 0), pixels

    def footprint(self, view: int, points: Tensor) -> Tensor:
        """How wide (N,) a view's pixels are at points (N, 3), in the object frame."""
        world = self.place.to_world(points)
        depth = world @ self.cameras.rotation[view][2] + self.cameras.translation[view][2]
        return depth.clamp(min=1e-6) / self.cameras.K[view, 0, 0] / self.place.scale

    def __call__(self, points: Tensor) -> Tensor:
        """Values (N,) at points (N, 3) of the object frame."""
        found = points.norm(dim=1) - ROOM
        for view in self.views:
            found = torch.maximum(found, self.of_view(view, points))
        return found


def cube(device: torch.device, cells: int = CELLS) -> Tensor:
    """The nodes (N, 3) of a cube about the unit sphere."""
    axis = torch.linspace(-REACH, REACH, cells + 1, device=device)
    return torch.cartesian_prod(axis, axis, axis)


def doubtful_pixels(outlines: Outlines, cameras: Cameras, place: Similarity) -> Tensor:
    """Pixels (V, H, W) bool of which one mask says what the others, together, contradict.

    A mask that lacks a part cuts a tunnel through the thing, where a right one shaves off what is left beside it; a
    mask of more than the thing shows what no other leaves room for.
    """
    doubtful = torch.zeros_like(outlines.masks)
    hull = Hull(outlines, cameras, place)
    if len(hull.views) < ENOUGH:
        return doubtful
    points = cube(outlines.masks.device)
    points = points[points.norm(dim=1) < 1]
    each = torch.stack([hull.of_view(view, points) for view in hull.views])
    (first, second), (which, _) = each.topk(2, dim=0)
    height, width = outlines.masks.shape[1:]
    for number, view in enumerate(hull.views):
        others = torch.where(which == number, second, first)
        shown, pixels = hull.look(view, points)
        foot = float(hull.footprint(view, points[:1] * 0)[0])
        bin_size = max(1, round(1.5 * 2 * REACH / CELLS / foot))
        rows, columns = -(-height // bin_size), -(-width // bin_size)
        place_of = (pixels[shown] / bin_size).long()
        least = points.new_full((rows * columns,), 1.0).scatter_reduce_(
            0, place_of[:, 1] * columns + place_of[:, 0], others[shown], "amin"
        )
        least = least.reshape(1, 1, rows, columns)
        # What is cut off, about where it is cut deep; and what is shown where there is no room.
        seeds = (least < -CUTS).float()
        near = max_pool2d(seeds, 5, 1, 2) > 0
        cuts = _enlarged(near & (least < -CUTS_AT_ALL), bin_size, height, width)
        shows = _enlarged(-max_pool2d(-least, 3, 1, 1) > SHOWS * foot, bin_size, height, width)
        signed = outlines.signed[view]
        tunnel = cuts & (signed > 0)
        # Only what begins deep: a rim of the outline is the thing's own.
        doubtful[view] = tunnel | (shows & (signed < 0))
    return doubtful


def _enlarged(bins: Tensor, size: int, height: int, width: int) -> Tensor:
    return interpolate(bins.float(), scale_factor=size, mode="nearest")[0, 0, :height, :width] > 0


def around(hull: Hull, cells: int = CELLS) -> tuple[Tensor, Tensor] | None:
    """Middle (3,) and radius () of a sphere about the hull, in the object frame; None where nothing is left."""
    points = cube(hull.signed.device, cells)
    left = points[hull(points) < REACH / cells]
    if not len(left):
        return None
    middle = (left.amin(0) + left.amax(0)) / 2
    return middle, (left - middle).norm(dim=1).amax() + 2 * REACH / cells
