"""Colours: what a ray meets looks the same to the other views that see it, before surfaces that move and hide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..meshing import Mesh
from ..protocol import Bounds, Request, RequestError, covered
from ..rays import Rays
from ..shapes.shape import Field
from ..state import UNIT, rigid_columns
from ..tracing.march import march
from .depths import SurfaceHits
from .observation import INDEPENDENT, Estimate, FitStage, Goal, Observation, at_most, block_means, weight_of
from .outlines import Silhouette
from .pictures import LEVELS, PicturePyramid, neighbours, pixels_on_object
from .rows import Rows
from .stereo import Matches, match
from .surface import GRAZING, traced

# Where some views have no mask, colours tell all along, from coarse to fine. Where every view has one, they come last:
# what they say of a shape that is still wrong misleads.
LEADING_STAGES: tuple[FitStage, ...] = ((0.5, 0.3, 2), (0.5, 0.3, 1), (1.0, 0.4, 0))
MASKED_STAGES: tuple[FitStage, ...] = ((0.25, 0.5, None), (1.0, 0.5, None), (1.0, 0.2, 0))
# Pixels that stereo is tried for.
MATCHES = 4000
# Standard deviation of the distances that stereo finds, as a share of the object's radius.
STEREO_NOISE = 0.04
# A point is seen by another camera if the surface faces it (as a cosine), and nothing is before it by more than this
# (in the object's radius).
FACED, COVERED = 0.2, 0.03


@dataclass(frozen=True)
class SharedColours:
    """N rays that meet the thing, and other views that see what they meet.

    Attributes
    ----------
    rays : Rays
    views : (N,) int tensor
        The camera of each.
    seen : (N, 3) tensor
        What it sees, as a level of `pictures` has it.
    partners : (N, P) int tensor
        The other views.
    pictures : PicturePyramid
    level : int
        Of the pictures; 0 is the finest.
    weight : float
        How many independent observations each ray, with all its partners, stands for.
    """

    rays: Rays
    views: Tensor
    seen: Tensor
    partners: Tensor
    pictures: PicturePyramid
    level: int
    weight: float

    def rows(self, estimate: Estimate, noise: float) -> tuple[Rows, Tensor]:
        """Rows, three for each ray and partner, and the view of each.

        The point moves along its ray as the surface does (implicit function theorem): ``dt = -df / (grad f . v)``.
        What is missed or hidden has no rows: if it had some, of a cost of their own, steps that uncover more would be
        refused.
        """
        state, unknowns = estimate.state, estimate.unknowns
        cameras, place, count = state.cameras, state.place, self.partners.shape[1]
        trace = traced(estimate.field, self.rays)
        hits = trace.hit.nonzero()[:, 0]
        rays = self.rays[hits]
        at = estimate.field.linearise(rays.at(trace.distance[hits]), "gradient")
        slope, length = (at.d_point * rays.directions).sum(1), at.d_point.norm(dim=1)
        # A trace ends a little before the surface: a last step, Newton's.
        points = rays.at(trace.distance[hits] - at.value / slope.clamp(max=-GRAZING))

        # Pairs of a hit and a partner that sees it.
        own = (slope < -GRAZING * length).nonzero()[:, 0].repeat_interleave(count)
        other = self.partners[hits[own[::count]]].flatten()
        there = cameras.to_camera(other, place.to_world(points[own]))
        pixels = cameras.project(other, there)
        shown = (there[:, 2] > 1e-6) & self.pictures.inside(pixels)
        back = cameras.rays(other, pixels, place)
        reach = torch.minimum(back.far, there.norm(dim=1) / place.scale - COVERED)
        hidden = march(estimate.field, replace(back, far=reach), back.threshold(), relaxation=1.0).hit
        seen = shown & ~hidden & (-(at.d_point[own] * back.directions).sum(1) > FACED * length[own])
        own, other, there, pixels = own[seen], other[seen], there[seen], pixels[seen]

        views, ahead = self.views[hits[own]], rays.directions[own]
        value, change = self.pictures.at(self.level, other, pixels)
        K = cameras.K[other]
        # How colours change with the point: in the partner's axes, and in the object's.
        change = change @ ((K[:, :2] - pixels[:, :, None] * K[:, 2:]) / there[:, 2:, None])
        in_object = place.scale * change @ cameras.rotation[other] @ place.rotation
        along = (in_object @ ahead[:, :, None])[..., 0] / -slope[own, None]
        kept, points = at[own], points[own]
        columns = along[:, :, None] * unknowns.columns(state, kept, points, views)[:, None]
        parts = unknowns.column_parts(state)
        # And where cameras are unknown, the ray itself moves, and the partner sees the point elsewhere.
        if unknowns.cameras:
            poses = columns[:, :, parts["cameras"]].view(len(own), 3, len(cameras.K), 6)
            rows = torch.arange(len(own), device=own.device)
            for channel in range(3):
                turned = rigid_columns(in_object[:, channel], points)
                poses[rows, channel, views] += turned
                poses[rows, channel, other] -= turned
        if unknowns.focal:
            flat = points.new_tensor([1, 1, 0])
            aside = flat * cameras.to_camera(views, place.to_world(points))
            drawn = torch.einsum("nji,nj->ni", cameras.rotation[views], aside) @ place.rotation / place.scale
            slid = change @ (flat * there)[:, :, None] - in_object @ drawn[:, :, None]
            columns[:, :, parts["focal"]] += slid * UNIT
        thrice = torch.arange(len(own), device=own.device).repeat_interleave(3)
        d_shape = [kept.d_shape[thrice].scaled(along.flatten())] if unknowns.shape else []
        difference = (value - self.seen[hits[own]]).flatten()
        share = self.weight / (3 * count) / INDEPENDENT
        return Rows(share, difference, columns.flatten(0, 1), d_shape, noise), views.repeat_interleave(3)


@dataclass(frozen=True)
class ColourDraw:
    """Indices (N,) of matches, and the level of the pictures at which they are compared: 0 is the finest."""

    matches: Tensor
    level: int


class Colours(Observation[ColourDraw]):
    """The pictures of all views, compared with one another; and what stereo, at first, makes of them."""

    name = "colours"

    def __init__(
        self,
        pictures: np.ndarray,
        masks: np.ndarray,
        masked: np.ndarray,
        bounds: Bounds | None,
        noise: float,
        mask_noise: float,
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        self.pictures = PicturePyramid(pictures, device)
        self._masks = torch.as_tensor(masks & masked[:, None, None], device=device)
        self._masked = torch.as_tensor(masked, device=device)
        self._bounds, self._generator = bounds, generator
        self.noise, self._mask_noise = noise, mask_noise
        self.leads = not bool(masked.all())
        self.stages = LEADING_STAGES if self.leads else MASKED_STAGES
        self.matches: Matches | None = None

    @classmethod
    def of(cls, request: Request, device: torch.device, generator: torch.Generator) -> Colours | None:
        """As `Observation.of`."""
        settings = request.settings
        # Where masks tell a code's fit enough, colours count when its surface is freed.
        cameras = settings.refine_cameras or settings.refine_focal_length
        if request.compared is None or (settings.freedom != "none" and request.mask_counts.all() and not cameras):
            return None
        return cls(
            request.compared,
            covered(request.masks) & request.mask_tells,
            request.mask_counts,
            request.bounds,
            settings.picture_noise,
            settings.mask_noise,
            device,
            generator,
        )

    @classmethod
    def shrunk(cls, request: Request, factor: int) -> Mapping[str, np.ndarray | None]:
        """As `Observation.shrunk`; pictures that are not compared are not looked at, so they are left out."""
        return {"pictures": None if request.compared is None else block_means(request.compared, factor)}

    def prepare(self, cameras: Cameras, places: Sequence[Similarity]) -> None:
        """Match pixels of the pictures that may show the thing at one of the places.

        Raises
        ------
        RequestError
            There are no two cameras whose colours could be compared, or none sees where the thing is to be.
        """
        near = neighbours(cameras, places[0].translation)
        views, pixels = pixels_on_object(self.pictures, cameras, places, self._masks, self._masked)
        chosen = at_most((near[views, 0] >= 0).nonzero()[:, 0], MATCHES, self._generator)
        if not len(chosen):
            raise RequestError(
                "No picture shows the place where the thing is to be, so there are no colours to compare: move the "
                "bounds to where the cameras look."
            )
        views, pixels = views[chosen], pixels[chosen]
        self.matches = match(self.pictures, cameras, places[0], self._bounds, views, pixels, near[views])

    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> ColourDraw:
        """Half as many matches as rays; none where `level` is None, the coarsest where it is -1."""
        found = 0 if self.matches is None or level is None else len(self.matches.views)
        every = torch.arange(found, device=self._masks.device)
        return ColourDraw(at_most(every, count // 2, self._generator), (level or 0) % LEVELS)

    def of_view(self, drawn: ColourDraw, view: int) -> ColourDraw:
        """As `Observation.of_view`."""
        if self.matches is None:
            return drawn
        return replace(drawn, matches=drawn.matches[self.matches.views[drawn.matches] == view])

    def rows(self, drawn: ColourDraw, estimate: Estimate) -> Iterator[Rows]:
        """Of colours; of distances by stereo, but at the finest level; and of the outlines that stereo shows."""
        if self.matches is None or not len(drawn.matches):
            return
        cameras, place = estimate.state.cameras, estimate.state.place
        shared = self.shared(drawn, cameras, place)
        if len(shared.rays):
            yield shared.rows(estimate, self.noise)[0]
        hits = self.stereo_hits(drawn, cameras, place)
        if len(hits.rays):
            met, _ = hits.meet(estimate, STEREO_NOISE)
            yield hits.depth_rows(estimate, met, STEREO_NOISE)
        passing = self.stereo_outlines(drawn, cameras, place)
        if len(passing.rays):
            yield replace(passing.rows(estimate, self._mask_noise), views=None)

    def shared(self, drawn: ColourDraw, cameras: Cameras, place: Similarity) -> SharedColours:
        """Rays to what matches show of the thing."""
        thing = self._within(drawn)
        rays = cameras.rays(thing.views, thing.pixels, place)
        seen, _ = self.pictures.at(drawn.level, thing.views, thing.pixels)
        return SharedColours(rays, thing.views, seen, thing.partners, self.pictures, drawn.level, self._weight(drawn))

    def stereo_hits(self, drawn: ColourDraw, cameras: Cameras, place: Similarity) -> SurfaceHits:
        """The same rays, and roughly how far they go; none at the pictures' finest level."""
        thing = self._within(drawn)
        thing = thing if drawn.level else thing[torch.zeros(0, dtype=torch.long, device=thing.views.device)]
        rays = cameras.rays(thing.views, thing.pixels, place)
        return SurfaceHits(rays, thing.views, thing.distance / place.scale, self._weight(drawn))

    def stereo_outlines(self, drawn: ColourDraw, cameras: Cameras, place: Similarity) -> Silhouette:
        """What stereo says of the outlines of views without masks."""
        found = self._drawn(drawn)
        bare = found[~self._masked[found.views]]
        rays = cameras.rays(bare.views, bare.pixels, place)
        return Silhouette(rays, bare.views, bare.within, (~bare.within).float(), self._weight(drawn))

    def mismatch(self, drawn: ColourDraw, field: Field, cameras: Cameras, place: Similarity) -> Tensor | float:
        """As `Observation.mismatch`."""
        return 0.0 if self.matches is None else self.stereo_outlines(drawn, cameras, place).mismatch(field)

    def surface(self, drawn: ColourDraw, cameras: Cameras, place: Similarity) -> Tensor:
        """As `Observation.surface`."""
        if self.matches is None:
            return super().surface(drawn, cameras, place)
        return self.stereo_hits(drawn, cameras, place).points()

    def residuals(self, estimate: Estimate, mesh: Mesh, count: int) -> tuple[Tensor, Tensor] | None:
        """From view to view, where 1 is the contrast within a few pixels."""
        if self.matches is None:
            return None
        shared = self.shared(self.draw(2 * count), estimate.state.cameras, estimate.state.place)
        rows, views = shared.rows(estimate, self.noise)
        return rows.residual.abs(), views

    def _drawn(self, drawn: ColourDraw) -> Matches:
        assert self.matches is not None
        return self.matches[drawn.matches]

    def _within(self, drawn: ColourDraw) -> Matches:
        found = self._drawn(drawn)
        return found[found.within]

    def _weight(self, drawn: ColourDraw) -> float:
        assert self.matches is not None
        return weight_of(len(self.matches.views), len(drawn.matches))
