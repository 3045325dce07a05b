"""Outlines: what masks show of the thing, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..protocol import Request, covered
from ..rays import Rays
from ..shapes.shape import Field
from ..tracing.whole import pass_through
from .agreement import disagreeing
from .edges import distance_to_unknown, signed_distance
from .observation import INDEPENDENT, Estimate, Goal, Observation, Pixels, block_means, blocks_all, some
from .rows import Rows
from .surface import pixel_width
from .warm import Warm

# Half of the rays go to the outline, where nearly all of a silhouette's information is.
SHARES = {"outline": 0.5, "inside": 0.25, "outside": 0.25}
OUTLINE_WIDTH = 0.012
# Pixels this near to a mask's edge are beside it: there the coverage tells where the edge is.
BESIDE = 1.0
# A ray outside the mask needs to be as far from the surface as the mask is, but no farther than this (in the object's
# radius); a ray inside as deep below it, but no deeper than so many pixels, since a thing may be thin: with none, any
# outline up to half a pixel inside the mask's would be free of cost. At a fit's end, a ray outside needs to be no
# farther than so many pixels, too: as what is too wide is seen by rays far around, and what is too narrow by few, a
# shape that cannot be right everywhere would be too thin. While the shape is sought, those far around tell the way.
FARTHEST, DEEPEST, CLOSE = 0.1, 0.5, 1.0
# Before a known thing, only this share of all that, since f is no exact distance and a camera must be content with the
# truth; and beside the mask neither nearer nor farther, which draws the outline to its edge from both sides. While the
# shape is sought, that would draw wrong parts to the edge.
SLACK = 0.4
# Samples of a ray by which shapes are compared roughly.
SAMPLES = 12
# Most steps of a ray while shapes are ranked: those that graze the surface would take as long as all others together.
RANK_STEPS = 12
# Rays by which the overlap of a view's outlines is judged, and their shortest steps along a surface.
JUDGED_RAYS, LEAST_STEP = 60_000, 0.002
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
    away : (N,) tensor
        Distance in the picture from the mask's outline, on either side, in pixels.
    weight : float
        How many independent observations each of them stands for.
    reach : float
        No ray outside needs to be farther from an unknown shape, in pixels.
    warm : Warm
        What was learnt when the same rays were traced before.
    """

    rays: Rays
    views: Tensor
    inside: Tensor
    away: Tensor
    weight: float
    reach: float = float("inf")
    warm: Warm = field(default_factory=Warm)

    def rows(self, estimate: Estimate, noise: float) -> Rows:
        """Rows, with sides and views, for the rays on the wrong side of the outline; `noise` is in pixels.

        A ray inside the mask should meet the surface. A ray outside should pass it as far away as the mask is in the
        picture, also where it misses already: a residual that began at the hit would jump there, and its derivative
        would mislead.
        """
        rays, inside = self.rays, self.inside
        known = estimate.unknowns.object_known
        share, reach = (SLACK, float("inf")) if known else (1.0, self.reach)
        deep = share * self.away.clamp(max=DEEPEST)
        trace = self.warm.trace(estimate.field, rays, inside, deep)
        nearest, pixel = trace.distance, pixel_width(rays, trace.distance)
        beside = known & ~inside & (self.away <= BESIDE)
        outside = torch.where(beside, self.away, share * self.away.clamp(max=reach)) * pixel
        wanted = torch.where(inside, -deep * pixel, outside.clamp(max=FARTHEST))
        wrong = (beside | torch.where(inside, trace.value > wanted, trace.value < wanted)).nonzero()[:, 0]
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
        wanted = (self.away * rays.pixel * (rays.near + length / 2) * rays.cosine).clamp(max=FARTHEST)
        return torch.where(self.inside, nearest, wanted - nearest).clamp(min=0).mean()


@dataclass(frozen=True)
class OutlineDraw:
    """Flat indices (N,) of pixels with a mask, what tracing their rays leaves to the next time, and their reach."""

    pixels: Tensor
    warm: Warm = field(default_factory=Warm)
    reach: float = float("inf")


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
        # So far, at least, whatever there is where nothing is known.
        self._away = self.signed.abs().minimum(self.clear)
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
            # A block's coverage is known where that of all its pixels is: half of it would be half a guess.
            "mask_known": None if known is None else blocks_all(known, factor),
        }

    def _pools(self) -> dict[str, Tensor]:
        """Flat pixel indices by where they are to the outline, over all views with a mask."""
        width = max(1, round(OUTLINE_WIDTH * max(self.masks.shape[1:])))
        kinds = {
            "outline": self.signed.abs() < width,
            "inside": self.signed <= -width,
            "outside": self.signed >= width,
        }
        return {name: kind.flatten().nonzero()[:, 0] for name, kind in kinds.items()}

    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> OutlineDraw:
        """About `count` pixels, spread by `SHARES`."""
        drawn = [
            some(pool, int(SHARES[name] * count), self._generator) for name, pool in self.pools.items() if len(pool)
        ]
        none = torch.zeros(0, dtype=torch.long, device=self.masks.device)
        warm, reach = Warm(RANK_STEPS) if goal == "rank" else Warm(), CLOSE if goal == "finish" else float("inf")
        return OutlineDraw(torch.cat([none, *drawn]), warm, reach)

    def of_view(self, drawn: OutlineDraw, view: int) -> OutlineDraw:
        """As `Observation.of_view`."""
        return OutlineDraw(drawn.pixels[self.pixels.view_of(drawn.pixels) == view])

    def rows(self, drawn: OutlineDraw, estimate: Estimate) -> Iterator[Rows]:
        """As `Observation.rows`."""
        seen = self.seen(drawn.pixels, estimate.state.cameras, estimate.state.place)
        seen = replace(seen, reach=drawn.reach, warm=drawn.warm)
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

    def seen(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> Silhouette:
        """What the masks say at pixels (N,)."""
        rays, views = self.pixels.rays(pixels, cameras, place)
        inside, away = self.masks.flatten()[pixels], self._away.flatten()[pixels]
        return Silhouette(rays, views, inside, away, INDEPENDENT / max(len(pixels), 1))

    def overlaps(self, field: Field, cameras: Cameras, place: Similarity, rays: int = JUDGED_RAYS) -> Tensor:
        """Intersection over union (V,) of each view's mask and what is seen, on a regular grid of known pixels.

        A ray meets the thing where f falls below zero, not where it comes near: that would be seen wider than it is.
        """
        seen = self.seen(self._lattice(rays), cameras, place)
        hit = pass_through(field, seen.rays, LEAST_STEP, margin=0.0).least < 0
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
        """At most about `count` pixels on a regular grid over all views with a mask, those that are known."""
        _, height, width = self.masks.shape
        views = self.masked.nonzero()[:, 0]
        stride = max(1, int((len(views) * height * width / count) ** 0.5))
        grid = torch.arange(height * width, device=views.device).reshape(height, width)
        grid = grid[stride // 2 :: stride, stride // 2 :: stride]
        pixels = (views[:, None] * (height * width) + grid.flatten()).flatten()
        return pixels[self.known.flatten()[pixels]]
