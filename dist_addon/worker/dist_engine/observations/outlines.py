"""Outlines: what masks show of the thing, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from ..cameras import Cameras, Similarity
from ..protocol import Request, covered
from ..rays import Rays
from ..shapes.shape import Field
from ..tracing.march import march
from .agreement import disagreeing
from .edges import distance_to_unknown, signed_distance
from .observation import INDEPENDENT, Estimate, Goal, Observation, Pixels, block_means, some
from .rows import Rows
from .surface import deepest
from .warm import Warm

# Half of the rays go to the outline, where nearly all of a silhouette's information is.
SHARES = {"outline": 0.5, "inside": 0.25, "outside": 0.25}
OUTLINE_WIDTH = 0.012
# Pixels this near to a mask's edge are beside it: there the coverage tells where the edge is.
BESIDE = 1.0
# A ray outside the mask needs to be as far from the surface as the mask is, but no farther than this (in the object's
# radius). Before a known thing, only this share of it, since f is no exact distance and a camera must be content with
# the truth; and beside the mask neither nearer nor farther, which draws the outline to its edge from both sides. While
# the shape is sought, that would draw wrong parts to the edge.
FARTHEST, SLACK = 0.1, 0.4
# No pixel is narrower than it is at this depth (in the object's radius).
NEAREST = 0.05
# Samples of a ray by which shapes are compared roughly.
SAMPLES = 12
# Most steps of a ray while shapes are ranked: those that graze the surface would take as long as all others together.
RANK_STEPS = 12
# Rays by which the overlap of a view's outlines is judged.
JUDGED_RAYS = 60_000
# Where at least so many views have masks, those are left out whose overlap (IoU) is below the median by so much. So
# many rays of each tell, on a grid; a mask that fewer than so many of them meet is too small to be judged.
ENOUGH_VIEWS, FAR_WORSE, DOUBT_RAYS, FEWEST_INSIDE = 5, 0.2, 1000, 30


@dataclass(frozen=True)
class Silhouette:
    """N rays and whether they should meet the thing.

    Attributes
    ----------
    rays : Rays
    views : (N,) int tensor
        The camera of each.
    inside : (N,) bool tensor
        The mask shows the thing there.
    outside_by : (N,) tensor
        Distance in the picture to the mask's edge, in pixels; 0 where `inside`.
    weight : float
        How many independent observations each of them stands for.
    warm : Warm
        What was learnt when the same rays were traced before.
    """

    rays: Rays
    views: Tensor
    inside: Tensor
    outside_by: Tensor
    weight: float
    warm: Warm = field(default_factory=Warm)

    def rows(self, estimate: Estimate, noise: float) -> Rows:
        """Rows, with sides and views, for the rays on the wrong side of the outline; `noise` is in pixels.

        A ray inside the mask should meet the surface. A ray outside should pass it as far away as the mask is in the
        picture, also where it misses already: a residual that began at the hit would jump there, and its derivative
        would mislead.
        """
        rays, inside = self.rays, self.inside
        trace = self.warm.trace(estimate.field, rays, inside)
        nearest, value = trace.distance.clone(), trace.value.clone()
        extra = (trace.hit & ~inside).nonzero()[:, 0]
        nearest[extra] = deepest(estimate.field, rays[extra], nearest[extra], rays.far[extra])
        value[trace.hit] = 0.0
        # A camera may be within the unit sphere, or look away from it.
        pixel = rays.pixel * nearest.clamp(min=NEAREST) * rays.cosine
        known = estimate.unknowns.object_known
        beside = known & ~inside & (self.outside_by <= BESIDE)
        share = torch.where(beside, 1.0, SLACK) if known else 1.0
        wanted = (share * self.outside_by * pixel).clamp(max=FARTHEST)
        wrong = (beside | torch.where(inside, value > 0, value < wanted)).nonzero()[:, 0]
        side = torch.where(beside, 0.0, torch.where(inside, 1.0, -1.0))
        rows = estimate.rows_at(
            self.weight,
            rays[wrong],
            self.views[wrong],
            nearest[wrong],
            wanted[wrong],
            noise * pixel[wrong],
        )
        return replace(rows, side=side[wrong], views=self.views[wrong])

    def mismatch(self, field: Field) -> Tensor | float:
        """The mean of how far f's least sample along each ray is from what it should be."""
        if not len(self.rays):
            return 0.0
        rays = self.rays
        length = (rays.far - rays.near).clamp(min=0)
        shares = (torch.arange(SAMPLES).to(length) + 0.5) / SAMPLES
        points = torch.stack([rays.at(rays.near + share * length) for share in shares])
        nearest = field(points.flatten(0, 1), "start").reshape(points.shape[:2]).amin(0)
        wanted = (self.outside_by * rays.pixel * (rays.near + length / 2) * rays.cosine).clamp(max=FARTHEST)
        return torch.where(self.inside, nearest, wanted - nearest).clamp(min=0).mean()


@dataclass(frozen=True)
class OutlineDraw:
    """Flat indices (N,) of pixels with a mask, and what tracing their rays leaves to the next time."""

    pixels: Tensor
    warm: Warm = field(default_factory=Warm)


class Outlines(Observation[OutlineDraw]):
    """The masks of the views that have one.

    Attributes
    ----------
    masks : (V, H, W) bool tensor
    masked : (V,) bool tensor
        The views whose mask counts.
    known : (V, H, W) bool tensor
        Where masks that count know what they show.
    signed : (V, H, W) tensor
        Distance of each pixel from the outline, as `signed_distance` has it: NaN where not `known`.
    clear : (V, H, W) tensor
        Distance of each pixel from the nearest that is not known, in pixels: no outline that is not in `signed` is
        nearer.
    noise : float
        Standard deviation of the masks' edges, in pixels.
    """

    name = "outlines"

    def __init__(
        self, coverage: np.ndarray, known: np.ndarray, noise: float, device: torch.device, generator: torch.Generator
    ) -> None:
        masks, masked = covered(coverage) & known, known.any((1, 2))
        self.masks, self.masked = torch.as_tensor(masks, device=device), torch.as_tensor(masked, device=device)
        self.known = torch.as_tensor(known, device=device)
        self.signed, self.clear = signed_distance(coverage, known).to(device), distance_to_unknown(known).to(device)
        self.noise, self._generator = noise, generator
        self.pixels = Pixels(*masks.shape[1:])
        outside_by = torch.zeros(masks.shape)
        outside_by[masked] = distance_to_masks(masks[masked])
        self._outside_by = outside_by.to(device)
        self._all_pools = self.pools = self._pools()

    @classmethod
    def of(cls, request: Request, device: torch.device, generator: torch.Generator) -> Outlines | None:
        """As `Observation.of`."""
        if not request.mask_counts.any():
            return None
        return cls(request.masks, request.mask_tells, request.settings.mask_noise, device, generator)

    @classmethod
    def shrunk(cls, request: Request, factor: int) -> Mapping[str, np.ndarray | None]:
        """As `Observation.shrunk`: means, whose middle is where the edge is."""
        known = request.mask_known
        return {
            "masks": block_means(request.masks, factor),
            "mask_known": None if known is None else block_means(known.astype(np.uint8) * 255, factor) == 255,
        }

    def _pools(self) -> dict[str, Tensor]:
        """Flat pixel indices by where they are to the outline, over all views with a mask."""
        masks = self.masks[:, None].float()
        radius = max(1, round(OUTLINE_WIDTH * max(self.masks.shape[1:])))
        grown, shrunk = _grown(masks, radius)[:, 0] > 0, -_grown(-masks, radius)[:, 0] > 0
        outside = ~grown & self.masked[:, None, None]
        kinds = {"outline": grown & ~shrunk, "inside": shrunk, "outside": outside}
        return {name: kind.flatten().nonzero()[:, 0] for name, kind in kinds.items()}

    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> OutlineDraw:
        """About `count` pixels, spread by `SHARES`."""
        drawn = [
            some(pool, int(SHARES[name] * count), self._generator) for name, pool in self.pools.items() if len(pool)
        ]
        none = torch.zeros(0, dtype=torch.long, device=self.masks.device)
        return OutlineDraw(torch.cat([none, *drawn]), Warm(RANK_STEPS) if goal == "rank" else Warm())

    def of_view(self, drawn: OutlineDraw, view: int) -> OutlineDraw:
        """As `Observation.of_view`."""
        return OutlineDraw(drawn.pixels[self.pixels.view_of(drawn.pixels) == view])

    def rows(self, drawn: OutlineDraw, estimate: Estimate) -> Iterator[Rows]:
        """As `Observation.rows`."""
        seen = self.seen(drawn.pixels, estimate.state.cameras, estimate.state.place, drawn.warm)
        if len(seen.rays):
            rows = seen.rows(estimate, self.noise)
            # An unknown camera must not be given up because it is still off.
            if estimate.unknowns.cameras:
                yield replace(rows, views=None)
            else:
                yield replace(rows, rays=torch.bincount(seen.views))

    def mismatch(self, drawn: OutlineDraw, field: Field, cameras: Cameras, place: Similarity) -> Tensor | float:
        """As `Observation.mismatch`."""
        return self.seen(drawn.pixels, cameras, place).mismatch(field)

    def seen(self, pixels: Tensor, cameras: Cameras, place: Similarity, warm: Warm | None = None) -> Silhouette:
        """What the masks say at pixels (N,), and what was learnt when these were traced before."""
        rays, views = self.pixels.rays(pixels, cameras, place)
        inside, outside_by = self.masks.flatten()[pixels], self._outside_by.flatten()[pixels]
        return Silhouette(rays, views, inside, outside_by, INDEPENDENT / max(len(pixels), 1), warm or Warm())

    def overlaps(self, field: Field, cameras: Cameras, place: Similarity, rays: int = JUDGED_RAYS) -> Tensor:
        """Intersection over union (V,) of each view's mask and the traced silhouette, on a regular grid of pixels."""
        seen = self.seen(self._lattice(rays), cameras, place)
        hit = march(field, seen.rays, seen.rays.threshold(), relaxation=1.0).hit
        zeros = torch.zeros(len(self.masks), device=hit.device)
        both = zeros.index_add(0, seen.views, (hit & seen.inside).float())
        either = zeros.index_add(0, seen.views, (hit | seen.inside).float())
        return both / either.clamp(min=1)

    def review(self, estimate: Estimate) -> None:
        """Leave out views whose masks show something else: where they pull little, they still pull to a wrong side."""
        # A camera that is not known yet is no reason.
        count = int(self.masked.sum())
        if estimate.unknowns.cameras or count < ENOUGH_VIEWS:
            return
        grid = self._lattice(DOUBT_RAYS * count)
        inside = self.pixels.view_of(grid[self.masks.flatten()[grid]])
        judged = (torch.bincount(inside, minlength=len(self.masked)) >= FEWEST_INSIDE).nonzero()[:, 0].tolist()
        if len(judged) < ENOUGH_VIEWS:
            return
        overlaps = self.overlaps(
            estimate.field, estimate.state.cameras, estimate.state.place, DOUBT_RAYS * count
        ).tolist()
        wrong = torch.zeros_like(self.masked)
        wrong[disagreeing({view: overlaps[view] for view in judged}, FAR_WORSE)] = True
        self.leave_out(wrong)

    def leave_out(self, views: Tensor) -> None:
        """From now on, draw nothing from these views' masks (V,) bool."""
        self.pools = {name: pool[~views[self.pixels.view_of(pool)]] for name, pool in self._all_pools.items()}

    def _lattice(self, count: int) -> Tensor:
        """At most about `count` pixels on a regular grid over all views with a mask."""
        _, height, width = self.masks.shape
        views = self.masked.nonzero()[:, 0]
        stride = max(1, int((len(views) * height * width / count) ** 0.5))
        grid = torch.arange(height * width, device=views.device).reshape(height, width)
        grid = grid[stride // 2 :: stride, stride // 2 :: stride]
        return (views[:, None] * (height * width) + grid.flatten()).flatten()


def distance_to_masks(masks: np.ndarray) -> Tensor:
    """Distance (V, H, W) of every pixel outside to the edge of its view's mask (V, H, W), bool, in pixels; 0 inside.

    The edge is half way to the nearest pixel inside, along its normal: a slanted edge is nearer than an upright one.
    """
    if not len(masks):
        return torch.zeros(masks.shape)
    return torch.stack([_distance_to_mask(mask) for mask in masks])


def _distance_to_mask(mask: np.ndarray) -> Tensor:
    length, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    length = torch.as_tensor(length, dtype=torch.float32)
    down, across = torch.as_tensor(nearest - np.indices(mask.shape), dtype=torch.float32)
    right, below = (slope[0] for slope in _slopes(torch.as_tensor(mask, dtype=torch.float32)[None]))
    steep = (right**2 + below**2).sqrt()
    along = (down * below + across * right).abs() / steep.clamp(min=1e-6)
    outside = torch.where((length < 1.5) & (steep > 0), along / 2, length - 0.5)
    return torch.where(torch.as_tensor(mask), 0.0, outside)


def _grown(pictures: Tensor, radius: int) -> Tensor:
    """The greatest values within squares about the pixels of pictures (V, 1, H, W)."""
    tall = max_pool2d(pictures, (2 * radius + 1, 1), 1, (radius, 0))
    return max_pool2d(tall, (1, 2 * radius + 1), 1, (0, radius))


def _slopes(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes along x and y of smoothed pictures (V, H, W): Sobel's."""
    ramp, hill = pictures.new_tensor([-1, 0, 1]), pictures.new_tensor([1, 2, 1])
    kernels = torch.stack([hill[:, None] * ramp, ramp[:, None] * hill])[:, None]
    across, down = conv2d(pad(pictures[:, None], (1, 1, 1, 1), mode="replicate"), kernels).unbind(1)
    return across, down
