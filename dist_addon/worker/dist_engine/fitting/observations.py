"""What is known of the thing, as the fit uses it: which rays to ask, and what each should see."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, normalize, pad

from ..cameras import Cameras, Similarity
from ..protocol import Request, RequestError
from ..tracing.rays import Rays
from .colours import LEVELS, Colours, Pictures, neighbours, pool
from .stereo import Matches, match
from .warm import Warm

# Half of the rays go to the outline, where nearly all of a silhouette's information is.
SHARES = {"outline": 0.5, "inside": 0.25, "outside": 0.25}
OUTLINE_WIDTH = 0.012


# Neighbouring pixels err together: however many of a kind are observed, they tell no more than so many would that err
# on their own.
INDEPENDENT = 3000
# Pixels that stereo is tried for.
MATCHES = 4000
# Pixels this near to a mask's edge are beside it: there the coverage tells where the edge is.
BESIDE = 1.0


@dataclass(frozen=True)
class Outlines:
    """N rays and what the masks say of them.

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


@dataclass(frozen=True)
class Sights:
    """N rays that meet the surface at a known distance, and nothing before.

    Attributes
    ----------
    rays : Rays
    views : (N,) int tensor
        The camera of each.
    distance : (N,) tensor
        In the object frame's units.
    weight : float
        As `Outlines` have it.
    """

    rays: Rays
    views: Tensor
    distance: Tensor
    weight: float


@dataclass(frozen=True)
class Normals:
    """N rays that meet the surface where its normal is known.

    Attributes
    ----------
    rays : Rays
    views : (N,) int tensor
        The camera of each.
    axes : (N, 3, 3) tensor
        Rows in the object frame: two directions along the surface, at right angles, and its normal.
    weight : float
        As `Outlines` have it.
    """

    rays: Rays
    views: Tensor
    axes: Tensor
    weight: float


@dataclass(frozen=True)
class Points:
    """Points (N, 3) of the surface, in the object frame, and the weight of each."""

    at: Tensor
    weight: float


@dataclass(frozen=True)
class Sample:
    """What a fit compares at a time.

    Attributes
    ----------
    outlines : Outlines
    depths : Sights
        Pixels whose depth is known: they are points of the surface and sights at once.
    normals : Normals
        Pixels whose normal is known.
    points : Points
    sights : Sights
        Of such points, from the cameras that see them.
    colours : Colours or None
    matches : Sights
        What stereo says of the same rays, roughly; none at the pictures' finest level.
    passing : Outlines
        What stereo says of the outlines of views without masks.
    """

    outlines: Outlines
    depths: Sights
    normals: Normals
    points: Points
    sights: Sights
    colours: Colours | None = None
    matches: Sights | None = None
    passing: Outlines | None = None


@dataclass(frozen=True)
class Pick:
    """What a sample takes: flat indices of pixels with a mask, with a depth, and with a normal, and of points.

    And of matches, at a level of the pictures: 0 is the finest. `sights` is whether who sees the points counts, too;
    `warm` is what tracing the masks' rays leaves to the next time.
    """

    mask: Tensor
    depth: Tensor
    normal: Tensor
    points: Tensor
    matches: Tensor
    level: int
    sights: bool = True
    warm: Warm = field(default_factory=Warm)

    def of_view(self, view: int, observations: Observations) -> Pick:
        """What one view alone sees of it."""
        kinds = (self.mask, self.depth, self.normal)
        mask, depth, normal = (pixels[observations.view_of(pixels) == view] for pixels in kinds)
        points, matches = self.points[observations.seen[self.points, view]], self.matches
        if observations.matches is not None:
            matches = matches[observations.matches.views[matches] == view]
        return Pick(mask, depth, normal, points, matches, self.level, self.sights)


class Observations:
    """All that a request says of the thing, on the worker's device."""

    def __init__(self, request: Request, device: torch.device, generator: torch.Generator) -> None:
        self.cameras = Cameras.from_views(request.views, device)
        self.masked = torch.as_tensor(request.mask_counts, device=device)
        masks = (request.masks >= 128) & request.mask_counts[:, None, None]
        self.masks = torch.as_tensor(masks, device=device)
        outside_by = torch.zeros(masks.shape)
        outside_by[request.mask_counts] = distance_to_masks(masks[request.mask_counts])
        self.outside_by = outside_by.to(device)
        depths = np.full_like(masks, np.nan, np.float32) if request.depths is None else request.depths
        self.depths = torch.as_tensor(depths, dtype=torch.float32, device=device)
        self.with_depth = self.depths.flatten().isfinite().nonzero()[:, 0]
        normals = np.empty((0, 3)) if request.normals is None else request.normals.reshape(-1, 3)
        self.normals = torch.as_tensor(normals, dtype=torch.float32, device=device)
        self.with_normal = self.normals.isfinite().all(1).nonzero()[:, 0]
        points = np.empty((0, 3)) if request.points is None else request.points
        self.points = torch.as_tensor(points, dtype=torch.float32, device=device)
        sights = np.zeros((len(points), len(masks)), bool) if request.sights is None else request.sights
        self.seen = torch.as_tensor(sights, device=device)
        self.pictures = None if request.compared is None else Pictures(request.compared, device)
        self.matches: Matches | None = None
        self.bounds = request.bounds
        self.generator = generator
        self._all_pools = self.pools = self._pools()

    @property
    def colours_lead(self) -> bool:
        """Whether there are views that only their colours tell of."""
        return self.pictures is not None and not bool(self.masked.all())

    def look_at(self, places: list[Similarity]) -> None:
        """Match pixels of the pictures, if there are some, that may show a thing at one of the places.

        Raises
        ------
        RequestError
            There are no two cameras whose colours could be compared, or none sees where the thing is to be.
        """
        if self.pictures is not None:
            near = neighbours(self.cameras, places[0].translation)
            views, pixels = pool(self.pictures, self.cameras, places, self.masks, self.masked)
            some = self._few((near[views, 0] >= 0).nonzero()[:, 0], MATCHES)
            if not len(some):
                raise RequestError(
                    "No picture shows the place where the thing is to be, so there are no colours to compare: move the "
                    "bounds to where the cameras look."
                )
            views, pixels = views[some], pixels[some]
            self.matches = match(self.pictures, self.cameras, places[0], self.bounds, views, pixels, near[views])

    def _pools(self) -> dict[str, Tensor]:
        """Flat pixel indices by kind, over all views with a mask."""
        if not self.masked.any():
            return {}
        masks = self.masks[:, None].float()
        radius = max(1, round(OUTLINE_WIDTH * max(self.masks.shape[1:])))
        grown, shrunk = _grown(masks, radius)[:, 0] > 0, -_grown(-masks, radius)[:, 0] > 0
        outside = ~grown & self.masked[:, None, None]
        kinds = {"outline": grown & ~shrunk, "inside": shrunk, "outside": outside}
        return {name: kind.flatten().nonzero()[:, 0] for name, kind in kinds.items()}

    def draw(self, count: int, level: int | None = 0, start: bool = False) -> Pick:
        """About `count` pixels with masks, spread over the kinds by `SHARES`, and half as many of each other kind.

        Colours are compared at a `level` of the pictures: 0 is the finest, -1 the coarsest; None leaves them out. While
        a `start` is sought with masks, of any view, it does not count who sees points: of a wrong shape, that misleads.
        """
        picks = [self._some(pool, int(SHARES[name] * count)) for name, pool in self.pools.items() if len(pool)]
        points = torch.arange(len(self.points), device=self.points.device)
        matched = 0 if self.matches is None or level is None else len(self.matches.views)
        matches = torch.arange(matched, device=points.device)
        return Pick(
            torch.cat(picks) if picks else points[:0],
            self._few(self.with_depth, count // 2),
            self._few(self.with_normal, count // 2),
            self._few(points, count // 2),
            self._few(matches, count // 2),
            (level or 0) % LEVELS,
            not (start and self.pools),
        )

    def leave_out(self, views: Tensor) -> None:
        """From now on, draw nothing from these views' masks (V,) bool."""
        self.pools = {name: pool[~views[self.view_of(pool)]] for name, pool in self._all_pools.items()}

    def _some(self, pool: Tensor, count: int) -> Tensor:
        return pool[torch.randint(len(pool), (count,), generator=self.generator).to(pool.device)]

    def _few(self, pool: Tensor, count: int) -> Tensor:
        return pool if len(pool) <= count else self._some(pool, count)

    def lattice(self, count: int) -> Tensor:
        """At most about `count` pixels on a regular grid over all views with a mask."""
        _, height, width = self.masks.shape
        views = self.masked.nonzero()[:, 0]
        stride = max(1, int((len(views) * height * width / count) ** 0.5))
        grid = torch.arange(height * width, device=views.device).reshape(height, width)
        grid = grid[stride // 2 :: stride, stride // 2 :: stride]
        return (views[:, None] * (height * width) + grid.flatten()).flatten()

    def view_of(self, pixels: Tensor) -> Tensor:
        """The view (N,) of each flat pixel index."""
        return pixels // (self.masks.shape[1] * self.masks.shape[2])

    def sample(self, pick: Pick, cameras: Cameras, place: Similarity) -> Sample:
        """What the pictures and points say, for an object at `place` before `cameras`."""
        points = place.to_object(self.points[pick.points])
        weight = _weight(len(self.points), len(points))
        return Sample(
            self.outlines(pick.mask, cameras, place, pick.warm),
            self._depths(pick.depth, cameras, place),
            self._normals(pick.normal, cameras, place),
            Points(points, weight),
            self._sights(pick.points if pick.sights else pick.points[:0], cameras, place, weight),
            *self._colours(pick, cameras, place),
        )

    def outlines(self, pixels: Tensor, cameras: Cameras, place: Similarity, warm: Warm | None = None) -> Outlines:
        """What the masks say at pixels (N,), and what was learnt when these were traced before."""
        rays, views = self._rays(pixels, cameras, place)
        inside, outside_by = self.masks.flatten()[pixels], self.outside_by.flatten()[pixels]
        return Outlines(rays, views, inside, outside_by, INDEPENDENT / max(len(pixels), 1), warm or Warm())

    def _depths(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> Sights:
        rays, views = self._rays(pixels, cameras, place)
        # The pictures hold depth along the camera's axis; rays measure along themselves.
        distance = self.depths.flatten()[pixels] / rays.cosine / place.scale
        return Sights(rays, views, distance, _weight(len(self.with_depth), len(pixels)))

    def _normals(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> Normals:
        rays, views = self._rays(pixels, cameras, place)
        axes = _with_tangents(self.normals[pixels]) @ cameras.rotation[views] @ place.rotation
        return Normals(rays, views, axes, _weight(len(self.with_normal), len(pixels)))

    def _sights(self, points: Tensor, cameras: Cameras, place: Similarity, weight: float) -> Sights:
        which, views = self.seen[points].nonzero().unbind(1)
        there = cameras.to_camera(views, self.points[points][which])
        pixels = (cameras.K[views] @ (there / there[:, 2:])[..., None])[:, :2, 0]
        return Sights(cameras.rays(views, pixels, place), views, there.norm(dim=1) / place.scale, weight)

    def _colours(
        self, pick: Pick, cameras: Cameras, place: Similarity
    ) -> tuple[Colours | None, Sights | None, Outlines | None]:
        if self.pictures is None or self.matches is None:
            return None, None, None
        found = self.matches[pick.matches]
        thing, bare = found[found.within], found[~self.masked[found.views]]
        rays = cameras.rays(thing.views, thing.pixels, place)
        seen, _ = self.pictures.at(pick.level, thing.views, thing.pixels)
        weight = _weight(len(self.matches.views), len(found.views))
        colours = Colours(rays, thing.views, seen, thing.partners, self.pictures, pick.level, weight)
        rough = slice(None) if pick.level else slice(0)
        sights = Sights(rays[rough], thing.views[rough], thing.distance[rough] / place.scale, weight)
        outside_by = (~bare.within).float()
        there = cameras.rays(bare.views, bare.pixels, place)
        return colours, sights, Outlines(there, bare.views, bare.within, outside_by, weight)

    def _rays(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> tuple[Rays, Tensor]:
        """Rays through the centres of pixels with these flat indices, and their views."""
        width = self.masks.shape[2]
        inside_view = pixels % max(self.masks.shape[1] * width, 1)
        centres = torch.stack([inside_view % width, inside_view // width], 1) + 0.5
        views = self.view_of(pixels)
        return cameras.rays(views, centres, place), views


def _weight(there: int, taken: int) -> float:
    """What each of the observations that were taken stands for, of those that are there."""
    return min(there, INDEPENDENT) / max(taken, 1)


def _with_tangents(normals: Tensor) -> Tensor:
    """Two directions along each surface, and its unit normal (N, 3, 3), in the frame of normals (N, 3)."""
    normals = normalize(normals, dim=1)
    # The axis that the normal is farthest from.
    other = torch.eye(3).to(normals)[normals.abs().argmin(1)]
    tangents = normalize(torch.linalg.cross(normals, other), dim=1)
    return torch.stack([tangents, torch.linalg.cross(normals, tangents), normals], 1)


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
