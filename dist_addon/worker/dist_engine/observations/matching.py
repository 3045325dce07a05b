"""Where a surface is by how alike its patches look to views: a sweep along each pixel's ray, about where it is.

The patch is a piece of that surface, carried along its normal; what is compared is its normalised cross-correlation in
two pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, normalize

from ..cameras import Cameras, Similarity
from ..rays import Rays

# Each picture is half as long as the one before.
LEVELS = 5
# A halved pixel is of the thing where more than this of it is.
COVERS = 0.4
# Other views that are compared: so many, of those between so many degrees away; the best few count.
PARTNERS, ANGLES, BEST = 4, (8.0, 75.0), 2
# A surface is seen where it faces the camera by more than this cosine.
OWN_FACING, FACING = 0.25, 0.2
# Correlations above the first tell, from the second on fully; and only as far as they are above the best elsewhere.
ALIKE, SURE, LEAD = 0.6, 0.95, 0.1
# What is alike only in being plain says nothing: the least root mean square of a patch, from 0 to 1.
CONTRAST = 0.01
# A patch bends with the surface where that leaves its plane by less than this share of the patch's half.
SAG = 0.5
# Matches of less confidence, and peaks that are flatter (in correlation a step, squared), are left out.
LEAST, SHARP = 0.05, 0.01
# Samples of a picture at a time: what fits into a processor's cache.
PIECE = 24_000


class PictureStack:
    """Pictures in which the thing is cut out, each level half as long as the one before.

    Parameters
    ----------
    pictures : (V, H, W, 3) uint8 array
    masks : (V, H, W) bool array
        Where they show the thing.
    device : torch.device

    Attributes
    ----------
    masks : (V, H, W) bool tensor
    levels : list of (V, h, w, 3) tensors
        From 0 to 1; 0 beside the thing.
    """

    def __init__(self, pictures: np.ndarray, masks: np.ndarray, device: torch.device) -> None:
        self.masks = torch.as_tensor(masks, device=device)
        shown = self.masks[:, None].float()
        colours = torch.as_tensor(pictures, device=device).permute(0, 3, 1, 2).float() / 255 * shown
        self.levels: list[Tensor] = []
        for _ in range(LEVELS):
            self.levels.append(colours.permute(0, 2, 3, 1).contiguous())
            if min(colours.shape[2:]) < 16:
                break
            # What is beside the thing must not bleed in.
            colours, shown = avg_pool2d(colours, 2), avg_pool2d(shown, 2)
            colours = torch.where(shown > 0.01, colours / shown.clamp(min=0.01), 0.0)
            shown = (shown > COVERS).float()
            colours = colours * shown
        self._fours: dict[int, Tensor] = {}

    def fours(self, level: int) -> Tensor:
        """The colours (V, h * w, 12) of each pixel, the next ones to the right and below, and the one across."""
        if level not in self._fours:
            picture = self.levels[level]
            right = torch.cat([picture[:, :, 1:], picture[:, :, -1:]], 2)
            below, across = (torch.cat([p[:, 1:], p[:, -1:]], 1) for p in (picture, right))
            self._fours[level] = torch.cat([picture, right, below, across], 3).flatten(1, 2).contiguous()
        return self._fours[level]

    def look(self, view: int, level: int, x: Tensor, y: Tensor) -> Tensor:
        """Colours (N, 3) of a view at positions (N,) in pixels of level 0, whose centres are at halves."""
        height, width = self.levels[level].shape[1:3]
        x = (x * 0.5**level - 0.5).clamp(0, width - 1.001)
        y = (y * 0.5**level - 0.5).clamp(0, height - 1.001)
        column, row = x.long(), y.long()
        x, y = (x - column)[:, None], (y - row)[:, None]
        # One gather of a pixel and its three neighbours costs a fourth of four.
        four = self.fours(level)[view].index_select(0, row * width + column)
        upper = torch.lerp(four[:, 0:3], four[:, 3:6], x)
        return torch.lerp(upper, torch.lerp(four[:, 6:9], four[:, 9:12], x), y)


@dataclass(frozen=True)
class SurfaceMatches:
    """M points at which a patch looks alike to several views.

    Attributes
    ----------
    points : (M, 3) tensor
        In the object frame.
    views : (M,) int tensor
        Whose pixels they were sought for.
    confidence : (M,) tensor
        From 0 to 1: the peak's height, and its lead over the next.
    footprint : (M,) tensor
        Width of a pixel of the level there, in the object frame.
    area : (M,) tensor
        Of the surface that each stands for, in squared units of the object frame.
    """

    points: Tensor
    views: Tensor
    confidence: Tensor
    footprint: Tensor
    area: Tensor


def partners(cameras: Cameras, place: Similarity) -> tuple[Tensor, Tensor]:
    """The views (V, PARTNERS) next to each view, and whether they are between `ANGLES` away."""
    positions = -torch.einsum("nji,nj->ni", cameras.rotation, cameras.translation)
    towards = normalize(place.to_object(positions), dim=1)
    angle = torch.rad2deg((towards @ towards.T).clamp(-1, 1).acos())
    angle = torch.where(angle < ANGLES[0], torch.inf, angle)
    order = angle.argsort(1)[:, :PARTNERS]
    return order, angle.gather(1, order) <= ANGLES[1]


def match_surface(
    stack: PictureStack,
    cameras: Cameras,
    place: Similarity,
    distances: Tensor,
    normals: Callable[[Tensor], Tensor],
    *,
    level: int,
    reach: int,
    spacing: float,
    stride: int,
    patch: int,
    width: float,
    offset: tuple[int, int] = (0, 0),
) -> SurfaceMatches | None:
    """Points near a surface at which its patches look most alike to the views.

    Parameters
    ----------
    stack : PictureStack
    cameras : Cameras
    place : Similarity
    distances : (V, H, W) tensor
        Along each pixel's ray to the surface, in the object frame; infinite where it misses.
    normals : callable
        From points (N, 3) of the surface to its unit normals (N, 3).
    level : int
        Of the pictures.
    reach, spacing : int, float
        Places are tried so many steps to either side of the surface, each of so many pixels of the level.
    stride : int
        One of so many pixels, along both axes, is matched.
    patch : int
        Pixels along a patch's side (odd), of the level.
    width : float
        How much nearer something must be to hide the surface, by half; in the object frame.
    offset : (int, int)
        Which of the `stride` pixels it is.

    Returns
    -------
    SurfaceMatches or None
        None where there is none.
    """
    views, height, wide = stack.masks.shape
    # Patches that reach beyond the thing are of no use: their middles are a little inside.
    inner = max_pool2d((~stack.masks)[:, None].float(), 3, 1, 1)[:, 0] == 0
    lattice = torch.zeros_like(inner)
    lattice[:, offset[1] :: stride, offset[0] :: stride] = True
    view, row, column = (inner & lattice & distances.isfinite()).nonzero().unbind(1)
    if not len(view):
        return None
    pixels = torch.stack([column, row], 1) + 0.5
    rays = cameras.rays(view, pixels, place)
    distance = distances[view, row, column]
    points = rays.at(distance)
    normal = normals(points)
    cosine = -(normal * rays.directions).sum(1)
    foot = distance * rays.cosine * rays.pixel * 2**level

    # The patch's own rays, and what the view itself sees along them.
    inner_steps = torch.arange(patch, device=view.device) - patch // 2
    around = torch.cartesian_prod(inner_steps, inner_steps) * 2**level
    count = len(around)
    seen = torch.zeros(len(view), count, 3, device=view.device)
    for own in range(views):
        index = (view == own).nonzero()[:, 0]
        there = (pixels[index, None] + around).reshape(-1, 2)
        seen[index] = stack.look(own, level, there[:, 0], there[:, 1]).reshape(-1, count, 3)
    seen = seen - seen.mean(1, keepdim=True)
    strength = seen.square().sum((1, 2)).sqrt()
    good = (cosine > OWN_FACING) & (strength > CONTRAST * (3 * count) ** 0.5)
    index = good.nonzero()[:, 0]
    if not len(index):
        return None
    view, pixels, distance, points = view[index], pixels[index], distance[index], points[index]
    normal, cosine, foot, rays = normal[index], cosine[index], foot[index], rays[index]
    seen = (seen[index] / strength[index, None, None]).contiguous()

    inverse = torch.linalg.inv(cameras.K)
    corners = torch.cat([(pixels[:, None] + around), torch.ones_like(pixels[:, None, :1]).expand(-1, count, -1)], 2)
    # From pixels to directions in the object frame, of any length.
    back = place.rotation.T @ cameras.rotation.transpose(1, 2) @ inverse
    ahead = torch.einsum("nij,npj->npi", back[view], corners)
    # At step s, the patch is the surface carried along its normal: where n . (x - p) = s foot n . v + its sag.
    along = (ahead * normal[:, None]).sum(2)
    along = torch.where(along.abs() < 0.05 * ahead.norm(dim=2), -0.05 * ahead.norm(dim=2), along)
    reached = ((points - rays.origins) * normal).sum(1)[:, None]
    # A plane lies inside of what is convex, by a fifth of a pixel and more. Across edges, the patch is one.
    x, y = (pixels[:, None] + around).floor().long().unbind(2)
    sag = distances[view[:, None], y.clamp(0, height - 1), x.clamp(0, wide - 1)] * along / ahead.norm(dim=2) - reached
    reached = reached + torch.where(sag.abs() < SAG * (patch // 2) * foot[:, None], sag, 0.0)
    per_step = (normal * rays.directions).sum(1) * foot
    steps = torch.arange(-reach, reach + 1, device=view.device) * spacing

    order, near = partners(cameras, place)
    centres = place.to_object(-torch.einsum("nji,nj->ni", cameras.rotation, cameras.translation))
    scores = torch.full((len(steps), len(view), PARTNERS), -1.0, device=view.device)
    least = 0.3 * CONTRAST * (3 * count) ** 0.5
    piece = max(64, PIECE // count)
    for slot in range(order.shape[1]):
        for other in range(views):
            chosen = (order[view, slot] == other) & near[view, slot]
            index = chosen.nonzero()[:, 0]
            if not len(index):
                continue
            index = index[
                _seen_by(
                    other,
                    points[index],
                    normal[index],
                    centres,
                    cameras,
                    place,
                    distances,
                    2 * width + foot[index] * reach * spacing * 0.7,
                )
            ]
            # Pixels of the other view of a point t along a ray: K R (o + t v), up to its depth.
            to_pixels = cameras.K[other] @ cameras.rotation[other] @ place.rotation * place.scale
            shift = cameras.K[other] @ (cameras.rotation[other] @ place.translation + cameras.translation[other])
            for part in torch.split(index, piece):
                direction = (ahead[part] / along[part, :, None]) @ to_pixels.T
                origin = (rays.origins[part] @ to_pixels.T + shift)[:, None]
                reference = seen[part]
                for number, step in enumerate(steps.tolist()):
                    there = torch.addcmul(origin, direction, (reached[part] + step * per_step[part, None])[..., None])
                    depth = 1 / there[..., 2].clamp(min=1e-4)
                    x, y = there[..., 0] * depth, there[..., 1] * depth
                    colours = stack.look(other, level, x.flatten(), y.flatten()).reshape(-1, count, 3)
                    mean = colours.mean(1, keepdim=True)
                    size = (colours.square().sum((1, 2)) - count * mean.square().sum((1, 2))).clamp(min=0).sqrt()
                    # The reference has no mean: the other's drops out.
                    alike = (colours * reference).sum((1, 2)) / size.clamp(min=1e-6)
                    scores[number, part, slot] = torch.where(size > least, alike, -1.0)
    return _peaks(scores, steps, spacing, view, rays, distance, foot, cosine, stride * 0.5**level)


def _seen_by(
    other: int,
    points: Tensor,
    normal: Tensor,
    centres: Tensor,
    cameras: Cameras,
    place: Similarity,
    distances: Tensor,
    margin: Tensor,
) -> Tensor:
    """Indices of the points (N, 3) that a view sees: they face it, are in its picture, and nothing is before them."""
    to_view = centres[other] - points
    away = to_view.norm(dim=1)
    views = torch.full((len(points),), other, device=points.device)
    there = cameras.to_camera(views, place.to_world(points))
    at = cameras.project(views, there).floor().long()
    height, width = distances.shape[1:]
    inside = (at[:, 0] >= 1) & (at[:, 1] >= 1) & (at[:, 0] < width - 1) & (at[:, 1] < height - 1) & (there[:, 2] > 0)
    found = distances[other, at[:, 1].clamp(0, height - 1), at[:, 0].clamp(0, width - 1)]
    seen: Tensor = inside & found.isfinite() & (away < found + margin) & ((to_view * normal).sum(1) > FACING * away)
    return seen.nonzero()[:, 0]


def _peaks(
    scores: Tensor,
    steps: Tensor,
    spacing: float,
    view: Tensor,
    rays: Rays,
    distance: Tensor,
    foot: Tensor,
    cosine: Tensor,
    stride: float,
) -> SurfaceMatches | None:
    first, second = scores.topk(BEST, dim=2).values.unbind(2)
    # Two views say more than one.
    score = torch.where(second > -0.99, (first + second) / 2, 0.9 * first - 0.1)
    top, at = score.max(0)
    count = len(steps)
    inner = at.clamp(1, count - 2)[None]
    before, here, after = (score.gather(0, inner + step)[0] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = torch.where(bend < -1e-4, (before - after) / (2 * bend), 0.0).clamp(-0.6, 0.6)
    elsewhere = (torch.arange(count, device=at.device)[:, None] - at).abs() > 2
    rival = torch.where(elsewhere, score, -1.0).amax(0)
    confidence = ((top - ALIKE) / (SURE - ALIKE)).clamp(0, 1) * ((top - rival) / LEAD).clamp(0, 1)
    kept = ((at > 0) & (at < count - 1) & (confidence > LEAST) & (-bend > SHARP)).nonzero()[:, 0]
    if not len(kept):
        return None
    moved = (steps[at[kept]] + shift[kept] * spacing) * foot[kept]
    points = rays[kept].at(distance[kept] + moved)
    area = (foot[kept] * stride).square() / cosine[kept].clamp(min=0.3)
    return SurfaceMatches(points, view[kept], confidence[kept], foot[kept], area)
