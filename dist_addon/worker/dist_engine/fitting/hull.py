"""The visual hull: what all masks leave of space, and which of their pixels the others contradict."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from ..cameras import Cameras, Similarity
from ..observations.outlines import Outlines
from ..shapes.free.grid import REACH
from ..shapes.free.pieces import crumbs

# Distances in pictures are cut off here (pixels): what is not known, or beside the picture, is so deep inside.
DEEPEST = 50.0
# The hull ends a little beyond the unit sphere.
ROOM = 1.02
# Colours are told apart in so many shades a channel, over so many pixels about each, where the logarithm of how much
# more often they are in the mask than beside it is above this.
SHADES, ABOUT, LIKE = 8, 4, 1.0
# A piece of the hull stays where it explains more than so many squares, two cells wide, of some mask.
NEEDED = 3
# Masks are compared on a cube of so many cells.
CELLS = 64
# A pixel that its mask alone cuts off is doubtful where, so many pixels from the outline, it cuts so deep into what all
# others leave (in the object's radius), with all near it that cuts by a part of that. Fewer views leave more to cut: of
# four things, twelve right masks cut .075.
CUTS, CUTS_BY_VIEWS, CUTS_BEYOND, CUTS_AT_ALL = 0.04, 0.5, 4.0, 0.02
# One that it alone shows is doubtful so far from the outline (pixels), and from what any but one of the others leaves.
SHOWS_BEYOND, SHOWS = 3.0, 0.03
# So many views with masks can tell that one of them is wrong.
ENOUGH, ROUNDS = 5, 3


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
        # From the object frame to each view's pixels, times their depth.
        self.turn = place.scale * (cameras.K @ cameras.rotation @ place.rotation).transpose(1, 2)
        there = cameras.rotation @ place.translation + cameras.translation
        self.shift = (cameras.K @ there[..., None])[..., 0]
        self.focal: list[float] = (cameras.K[:, 0, 0] * place.scale).tolist()

    def of_view(self, view: int, points: Tensor) -> Tensor:
        """How far (N,) points (N, 3) are from the cone of a view's mask; less than -1 where it does not tell."""
        found, pixels, depth = self._project(view, points)
        height, width = self.signed.shape[1:]
        x = (pixels[:, 0] - 0.5).clamp(0, width - 1.001)
        y = (pixels[:, 1] - 0.5).clamp(0, height - 1.001)
        column, row = x.long(), y.long()
        x, y = x - column, y - row
        own = self.signed[view].flatten()
        first = row * width + column
        last = first + width
        distance = torch.lerp(torch.lerp(own[first], own[first + 1], x), torch.lerp(own[last], own[last + 1], x), y)
        distance = torch.where(found, distance, -2 * DEEPEST)
        return distance * depth / self.focal[view]

    def look(self, view: int, points: Tensor) -> tuple[Tensor, Tensor]:
        """Whether (N,) a view's picture shows points (N, 3), and at which pixels (N, 2)."""
        return self._project(view, points)[:2]

    def footprint(self, view: int, points: Tensor) -> Tensor:
        """How wide (N,) a view's pixels are at points (N, 3), in the object frame."""
        return self._project(view, points)[2] / self.focal[view]

    def _project(self, view: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        there = points @ self.turn[view] + self.shift[view]
        depth = there[:, 2].clamp(min=1e-6)
        pixels = there[:, :2] / depth[:, None]
        height, width = self.signed.shape[1:]
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        return inside & (there[:, 2] > 0), pixels, depth

    def needs(self, largest: Tensor, piece: Tensor) -> bool:
        """Whether some mask shows a piece (M, 3) where it does not show the largest one (N, 3): nodes of a cube.

        What no picture but those of the rest shows, beyond the edges of the others, is no part of the thing.
        """
        for view in self.views:
            foot = float(self.footprint(view, largest[:1])[0])
            size = 2 * max(1.0, 2 * REACH / CELLS / foot)
            bins = []
            for points in (largest, piece):
                shown, pixels = self.look(view, points)
                inside = self.of_view(view, points) < 0
                bins.append((pixels[shown & inside] / size).long())
            covered = set(map(tuple, bins[0].tolist()))
            if len(set(map(tuple, bins[1].tolist())) - covered) > NEEDED:
                return True
        return False

    def __call__(self, points: Tensor) -> Tensor:
        """Values (N,) at points (N, 3) of the object frame."""
        found: Tensor = points.norm(dim=1) - ROOM
        for view in self.views:
            found = torch.maximum(found, self.of_view(view, points))
        return found


def cube(device: torch.device, cells: int = CELLS) -> Tensor:
    """The nodes (N, 3) of a cube about the unit sphere."""
    axis = torch.linspace(-REACH, REACH, cells + 1, device=device)
    return torch.cartesian_prod(axis, axis, axis)


def doubtful_pixels(outlines: Outlines, cameras: Cameras, place: Similarity, pictures: Tensor | None = None) -> Tensor:
    """Pixels (V, H, W) bool of which one mask says what the others, together, contradict.

    A mask of more than the thing shows what no other leaves room for. One that lacks a part cuts deep into what the
    others leave; so does a right one, where it alone looks into a hollow: but then its picture shows what is behind.
    Without `pictures` (V, H, W, 3), from 0 to 1, such cuts are believed.
    """
    doubtful = torch.zeros_like(outlines.masks)
    if int(outlines.masked.sum()) < ENOUGH:
        return doubtful
    points = cube(outlines.masks.device)
    points = points[points.norm(dim=1) < 1]
    # What is wrong hides what else is: masks are compared again without it.
    for _ in range(ROUNDS):
        found = _contradicted(Hull(outlines, cameras, place, doubtful), outlines, points, pictures)
        if not bool((found & ~doubtful).any()):
            break
        doubtful |= found
    return doubtful


def _contradicted(hull: Hull, outlines: Outlines, points: Tensor, pictures: Tensor | None) -> Tensor:
    doubtful = torch.zeros_like(outlines.masks)
    each = torch.stack([hull.of_view(view, points) for view in hull.views])
    largest, which = each.topk(3, dim=0)
    height, width = outlines.masks.shape[1:]
    for number, view in enumerate(hull.views):
        shown, pixels = hull.look(view, points)
        foot = float(hull.footprint(view, points[:1] * 0)[0])
        size = max(1, round(1.5 * 2 * REACH / CELLS / foot))
        rows, columns = -(-height // size), -(-width // size)
        bins = (pixels[shown] / size).long()
        # The least along each bin's rays of what all others leave, and of what they leave but for one of them.
        least = []
        for rank in (0, 1):
            own = (which[: rank + 1] == number).any(0)
            others = torch.where(own, largest[rank + 1], largest[rank])[shown]
            found = points.new_full((rows * columns,), 1.0)
            found.scatter_reduce_(0, bins[:, 1] * columns + bins[:, 0], others, "amin")
            least.append(_enlarged(found.reshape(1, 1, rows, columns), size, height, width))
        signed = outlines.signed[view]
        shows = (signed < -SHOWS_BEYOND) & (least[1] > SHOWS)
        cuts = torch.zeros_like(shows)
        if pictures is not None:
            deepest = max(CUTS, CUTS_BY_VIEWS / len(hull.views))
            seeds = (signed > CUTS_BEYOND) & (least[0] < -deepest)
            near = max_pool2d(seeds[None].float(), 4 * size + 1, 1, 2 * size)[0] > 0
            cuts = near & (signed > 0) & (least[0] < -CUTS_AT_ALL)
            alone = (signed < -SHOWS_BEYOND) & (least[0] > SHOWS)
            if bool((cuts | alone).any()):
                like = _like_the_thing(pictures[view], signed, cuts | alone)
                cuts &= like > LIKE
                shows |= alone & (like < -LIKE)
        # Up to the outline of what is wrong.
        beside = max_pool2d(shows[None].float(), 2 * size + 1, 1, size)[0] > 0
        doubtful[view] = cuts | (beside & (signed < 0) & (least[1] > 0))
    return doubtful


def _like_the_thing(picture: Tensor, signed: Tensor, asked: Tensor) -> Tensor:
    """How much more often (H, W) a picture's (H, W, 3) colours are in its mask than beside it, as a logarithm.

    The mean about each pixel, of what is asked (H, W) bool, which teaches nothing itself.
    """
    bins = (picture * (SHADES - 1e-3)).long()
    bins = (bins[..., 0] * SHADES + bins[..., 1]) * SHADES + bins[..., 2]
    ratio = torch.zeros_like(picture[..., 0])
    for part, sign in (((signed < 0) & ~asked, 1.0), ((signed > 0) & ~asked, -1.0)):
        counts = torch.bincount(bins[part], minlength=SHADES**3).float()
        # Shades that were hardly seen say little.
        shares = (counts + 1) / (counts.sum() + SHADES**3)
        ratio += sign * shares.log()[bins]
    total = avg_pool2d((ratio * asked)[None, None], 2 * ABOUT + 1, 1, ABOUT)[0, 0]
    share = avg_pool2d(asked[None, None].float(), 2 * ABOUT + 1, 1, ABOUT)[0, 0]
    return total / share.clamp(min=1e-6)


def _enlarged(bins: Tensor, size: int, height: int, width: int) -> Tensor:
    return interpolate(bins, scale_factor=size, mode="nearest")[0, 0, :height, :width]


def around(hull: Hull, cells: int = CELLS) -> tuple[Tensor, Tensor] | None:
    """Middle (3,) and radius () of a sphere about the hull, in the object frame; None where nothing is left."""
    points = cube(hull.signed.device, cells)
    inside = (hull(points) < REACH / cells).reshape([cells + 1] * 3)
    inside &= ~crumbs(inside, lambda nodes: nodes * (2 * REACH / cells) - REACH, hull.needs, doubted=True)
    left = points[inside.flatten()]
    if not len(left):
        return None
    middle = (left.amin(0) + left.amax(0)) / 2
    return middle, (left - middle).norm(dim=1).amax() + 2 * REACH / cells
