"""Rough depths from pictures alone: where along its ray a pixel looks the same from the neighbouring views."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..protocol import Bounds
from ..rays import Rays
from .pictures import PicturePyramid

# Distances that are tried within the unit sphere, and behind it as far as infinity.
WITHIN, BEHIND = 64, 24
# A patch of so many pixels along its side (odd) is compared, of this level of the pictures.
PATCH, LEVEL = 3, 1
# Of the neighbours, so many of the best count: the others may not see the point.
BEST = 2
# How different (of one) the colours of a match may be, and what share of the best match elsewhere.
ALIKE, CLEARLY = 0.5, 0.65
# The bounds are taken to be rough by this share; and what is this near to their foot, of their half height, may be
# what the thing stands on.
ROUGH, FOOT = 0.05, 0.08
# Pixels at a time.
PIECE = 256


@dataclass(frozen=True)
class Matches:
    """N pixels of which it is clear whether they show the thing.

    Attributes
    ----------
    views : (N,) int tensor
    pixels : (N, 2) tensor
    within : (N,) bool tensor
        The pixel shows something within the bounds; the others show something behind.
    distance : (N,) tensor
        Along the ray to what it shows, in world units.
    partners : (N, BEST) int tensor
        Views that show the same.
    """

    views: Tensor
    pixels: Tensor
    within: Tensor
    distance: Tensor
    partners: Tensor

    def __getitem__(self, index: Tensor) -> Matches:
        return Matches(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def match(
    pictures: PicturePyramid,
    cameras: Cameras,
    place: Similarity,
    bounds: Bounds | None,
    views: Tensor,
    pixels: Tensor,
    near: Tensor,
) -> Matches:
    """Match pixels (N, 2) of the views (N,) with their neighbours (N, K); without bounds, the unit sphere counts."""
    if len(views) > PIECE:
        pieces = [slice(start, start + PIECE) for start in range(0, len(views), PIECE)]
        parts = [match(pictures, cameras, place, bounds, views[piece], pixels[piece], near[piece]) for piece in pieces]
        return Matches(*(torch.cat([getattr(part, name) for part in parts]) for name in Matches.__dataclass_fields__))
    side = (torch.arange(PATCH, device=pixels.device) - PATCH // 2) * (pictures.stride * 2.0**LEVEL)
    # (N, patch, 2): rays of the whole patch, and of its middle.
    patch = pixels[:, None] + torch.cartesian_prod(side, side)
    rays = cameras.rays(views.repeat_interleave(PATCH**2), patch.flatten(0, 1), place)
    middle = rays[slice(PATCH**2 // 2, None, PATCH**2)]
    distance = _distances(middle)
    # The patch is parallel to the picture: all of it at one depth.
    along = ((distance * middle.cosine[:, None])[:, None] / rays.cosine.reshape(len(views), -1, 1)).flatten(0, 1)
    points = place.to_world((rays.origins[:, None] + along[..., None] * rays.directions[:, None]).flatten(0, 1))
    points = points.reshape(len(rays), -1, 3)
    seen, _ = pictures.at(LEVEL, views.repeat_interleave(PATCH**2), patch.flatten(0, 1))
    off = torch.stack([_unlike(pictures, cameras, other, points, seen) for other in near.T], 2)
    best, which = off.sort(2)
    unlike = best[:, :, :BEST].mean(2)

    inner, outer = _zones(middle, distance, points[PATCH**2 // 2 :: PATCH**2], bounds)
    within, at = torch.where(inner, unlike, float("inf")).min(1)
    behind, beyond = torch.where(outer, unlike, float("inf")).min(1)
    rest = torch.where(inner | outer, float("inf"), unlike).amin(1)
    shows = (within < ALIKE) & (within < CLEARLY * torch.minimum(behind, rest))
    passes = (behind < ALIKE) & (behind < CLEARLY * torch.minimum(within, rest))
    chosen = torch.where(shows, at, beyond)[:, None]
    partners = near.gather(1, which.gather(1, chosen[:, :, None].expand(-1, -1, BEST))[:, 0])
    found = Matches(views, pixels, shows, distance.gather(1, chosen)[:, 0] * place.scale, partners)
    return found[shows | passes]


def _distances(rays: Rays) -> Tensor:
    """Distances (N, D) to try: through the unit sphere, then in steps that look equal to neighbours, to very far."""
    share = torch.linspace(0, 1, WITHIN, device=rays.near.device)
    through = rays.near[:, None] + (rays.far - rays.near)[:, None] * share
    return torch.cat([through, rays.far[:, None] / torch.linspace(1, 1e-3, BEHIND + 1)[1:].to(share)], 1)


def _unlike(pictures: PicturePyramid, cameras: Cameras, views: Tensor, points: Tensor, seen: Tensor) -> Tensor:
    """How different (N, D) points (N patch, D, 3) of the world look to views (N,) from what was seen (N patch, 3)."""
    count, steps = len(views), points.shape[1]
    who = views.repeat_interleave(PATCH**2 * steps)
    there = cameras.to_camera(who, points.flatten(0, 1))
    pixels = cameras.project(who, there)
    value, _ = pictures.at(LEVEL, who, pixels)
    off = (value.reshape(len(points), steps, 3) - seen[:, None]).abs().mean(2)
    shown = (pictures.inside(pixels) & (there[:, 2] > 1e-6)).reshape(count, -1, steps).all(1)
    return torch.where(shown, off.reshape(count, -1, steps).mean(1), float("inf"))


def _zones(rays: Rays, distance: Tensor, points: Tensor, bounds: Bounds | None) -> tuple[Tensor, Tensor]:
    """Which points (N, D, 3) of the world at distances (N, D) are the thing's if they are seen, and which behind it."""
    if bounds is None:
        inner = (distance >= rays.near[:, None]) & (distance <= rays.far[:, None])
        return inner, distance > rays.far[:, None]
    turn, centre, size = (torch.as_tensor(v).to(points) for v in (bounds.rotation, bounds.center, bounds.half_size))
    own = (points - centre) @ turn / size
    box = (own.abs() <= 1 + ROUGH).all(2)
    later = box.flip(1).cumsum(1).flip(1) == 0
    return box & (own[:, :, 2] >= FOOT - 1), later & ~box
