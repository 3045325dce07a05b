"""What a fit minimises: how far what the rays see is from what the pictures show, and its exact Jacobian.

Each sample's derivative to the code costs no more than a gradient (`Field.jacobian`), so the Gauss-Newton matrix comes
at the price of a gradient.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..decoder import Field, Jacobian
from ..gradients import GRAZING, at_fixed, at_points
from ..prior import Prior
from ..protocol import Settings
from ..tracing.rays import Rays
from .model import Linearised, Quadratic, Rows
from .observations import BESIDE, INDEPENDENT, Normals, Outlines, Sample, Sights
from .photometric import colour_rows
from .surface import UNIT, deepest, traced, turned

# What is before a surface that was seen counts as being before it only if it is so many deviations nearer.
SIGHT_MARGIN = 3.0
# Depths of up to this deviation (in the object's radius) thicken nothing. f at the points that were seen is smoother
# then than where rays meet the surface, and aeroplanes' wings are found more surely.
EXACT = 0.01
# The surface faces who sees it: so far before and behind a point that was seen, f is this share of that away from zero,
# give or take the second, as the cosine of the angle between ray and normal has it.
BESIDE_SIGHT, FACING = 0.01, (0.7, 0.3)
# A ray outside the mask needs to be as far from the surface as the mask is, but no farther than this (in the object's
# radius). Before a known thing, only this share of it, since f is no exact distance and a camera must be content with
# the truth; and beside the mask neither nearer nor farther, which draws the outline to its edge from both sides. While
# the shape is sought, that would draw wrong parts to the edge.
FARTHEST, SLACK = 0.1, 0.4
# No pixel is narrower than it is at this depth (in the object's radius).
NEAREST = 0.05
# How much the spread of the training codes holds the code: as so many rays that are one unit wrong, of each ray.
PRIOR_WEIGHT = 0.005
# How much cameras are held where they were: as the code is, for each of their unknowns. Without it, all of them could
# move together against the place.
CAMERA_WEIGHT = 1e-4
# How far a step may take a camera or the place, in `UNIT`, where it may take the code by one.
POSE_STEP = 4.0
# Half the stencil of observed normals. With a fourth of it, sharp edges and the pieces in which a network is linear
# make so many local minima that fits may end worse than without the normals.
STENCIL = 0.02
# Standard deviation of the distances that stereo finds, as a share of the object's radius.
STEREO_NOISE = 0.04


@dataclass(frozen=True)
class Unknowns:
    """What a fit may change.

    Attributes
    ----------
    shape, place : bool
        The code, and the object's Sim(3).
    cameras, focal : bool
        Each camera's pose, and one factor for all focal lengths.
    """

    shape: bool = True
    place: bool = True
    cameras: bool = False
    focal: bool = False


@dataclass(frozen=True)
class Noise:
    """Standard deviations: residuals are in their units, and count linearly from there on.

    Attributes
    ----------
    mask : float
        Of masks' edges, in pixels.
    depth : float
        Of depths and points, as a share of the object's radius.
    normal : float
        Of normals, in degrees.
    picture : float
        Of colours from view to view, where 1 is the contrast within a few pixels.
    """

    mask: float = Settings.mask_noise
    depth: float = Settings.depth_noise
    normal: float = Settings.normal_noise
    picture: float = Settings.picture_noise


@dataclass(frozen=True)
class State:
    """Where a fit stands.

    Attributes
    ----------
    whitened : (latent,) tensor
        The code in units of the training codes' spread.
    place : Similarity
        Of the object.
    cameras : Cameras
    strayed : (6 V + 1,) tensor
        How far poses and focal length are from where they were given, in units of `UNIT`: the sum of all steps.
    """

    whitened: Tensor
    place: Similarity
    cameras: Cameras
    strayed: Tensor


class Problem:
    """The cost of a state over one set of rays."""

    def __init__(
        self, prior: Prior, unknowns: Unknowns, views: int, counter: Counter[str], noise: Noise | None = None
    ) -> None:
        self.prior = prior
        self.noise = noise or Noise()
        self.spread = torch.linalg.inv(prior.precision_root())
        self.unknowns = unknowns
        self.counter = counter
        # Before a known thing in a known place nothing can make up for a camera: it may come from far.
        self.known = not (unknowns.shape or unknowns.place)
        self.camera_weight = 0.0 if self.known else CAMERA_WEIGHT
        sizes = {
            "code": len(prior.mean) * unknowns.shape,
            "place": 7 * unknowns.place,
            "cameras": 6 * views * unknowns.cameras,
            "focal": int(unknowns.focal),
        }
        # The share of each in a step (n,).
        ends = list(accumulate(sizes.values()))
        self.parts = {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}

    def start(self, code: Tensor, place: Similarity, cameras: Cameras) -> State:
        """The state of a code (latent,) and a place, before the cameras as they are given."""
        return State(self.whiten(code), place, cameras, code.new_zeros(6 * len(cameras.K) + 1))

    def code(self, state: State) -> Tensor:
        """The code (latent,) of a state."""
        return self.prior.mean + self.spread @ state.whitened

    def whiten(self, code: Tensor) -> Tensor:
        """A code (latent,) in units of the training codes' spread."""
        return torch.linalg.solve(self.spread, code - self.prior.mean)

    def moved(self, state: State, step: Tensor) -> State:
        """The state after a step (n,)."""
        code, place, poses, focal = (step[part] for part in self.parts.values())
        whitened, there, cameras, strayed = state.whitened, state.place, state.cameras, state.strayed
        if self.unknowns.cameras or self.unknowns.focal:
            poses = poses if self.unknowns.cameras else strayed.new_zeros(len(strayed) - 1)
            focal = focal if self.unknowns.focal else strayed.new_zeros(1)
            strayed = strayed + torch.cat([poses, focal])
            cameras = cameras.as_if_moved(there, UNIT * poses.reshape(-1, 6), UNIT * focal[0])
        if self.unknowns.shape:
            whitened = whitened + code
        if self.unknowns.place:
            there = there.moved(UNIT * place)
        return State(whitened, there, cameras, strayed)

    def evaluate(self, state: State, sample: Sample) -> Linearised:
        """Trace the sample's rays (made with the state's own place and cameras) and build the model."""
        field = self.prior.decoder.field(self.code(state), self.counter)
        value = state.whitened.new_zeros(sum(part.stop - part.start for part in self.parts.values()))
        held, unit = torch.zeros_like(value), torch.full_like(value, POSE_STEP)
        unit[self.parts["code"]] = 1.0
        for part, weight, now in (
            ("code", PRIOR_WEIGHT / len(state.whitened), state.whitened),
            ("cameras", self.camera_weight, state.strayed[:-1]),
            ("focal", self.camera_weight, state.strayed[-1:]),
        ):
            where = self.parts[part]
            if where.start < where.stop:
                held[where], value[where] = weight, now
        return Linearised(list(self.rows(field, state, sample)), held, value, unit)

    def rows(self, field: Field, state: State, sample: Sample) -> Iterator[Rows]:
        """The rows of each kind of observation that there is."""

        def of_kind(weight: float, residual: Tensor, jacobian: Tensor, side: Tensor | None = None) -> Rows:
            return Rows(weight / INDEPENDENT, residual, jacobian, side)

        if len(sample.outlines.rays):
            *rows, views = self._silhouette(field, state, sample.outlines)
            outlines = of_kind(sample.outlines.weight, *rows)
            # An unknown camera must not be given up because it is still off.
            if not self.unknowns.cameras:
                outlines = replace(outlines, views=views, rays=torch.bincount(sample.outlines.views))
            yield outlines
        if len(sample.normals.rays):
            yield of_kind(sample.normals.weight, *self._normals(field, state, sample.normals))
        if len(sample.points.at):
            yield of_kind(sample.points.weight, *self._points(field, state, sample.points.at))
        for seen, of_points in ((sample.depths, False), (sample.sights, True)):
            if len(seen.rays):
                met, stopped = self._meet(field, seen, self.noise.depth)
                if of_points:
                    # They have rows of their own.
                    met = seen.distance
                else:
                    yield of_kind(seen.weight, *self._depth(field, state, seen, met, self.noise.depth))
                about = [self._clear(field, state, seen, stopped), *self._facing(field, state, seen, met)]
                for residual, jacobian, *side in about:
                    if of_points:
                        # Their rays follow the cameras: they stay where they are.
                        for part in ("cameras", "focal"):
                            jacobian[:, self.parts[part]] = 0.0
                    yield of_kind(seen.weight, residual, jacobian, *side)
        if sample.colours is not None and len(sample.colours.rays):
            channels = 3 * sample.colours.partners.shape[1]
            *rows, _ = colour_rows(self, field, state, sample.colours)
            yield of_kind(sample.colours.weight / channels, *rows)
        if sample.matches is not None and len(sample.matches.rays):
            met, _ = self._meet(field, sample.matches, STEREO_NOISE)
            yield of_kind(sample.matches.weight, *self._depth(field, state, sample.matches, met, STEREO_NOISE))
        if sample.passing is not None and len(sample.passing.rays):
            *rows, _ = self._silhouette(field, state, sample.passing)
            yield of_kind(sample.passing.weight, *rows)

    def variances(self, state: State, model: Quadratic, points: Tensor) -> Tensor:
        """How sure the surface is at points (N, 3) of it: its variance across itself, in the object frame's units.

        The inverse of the Gauss-Newton matrix is the unknowns' covariance, as far as the residuals' deviations are what
        the observations' are. That of cameras counts in, where they are unknown.
        """
        # Only as many independent observations as there were weigh against the prior, which is in the matrix, too.
        sharpness, axes = torch.linalg.eigh(INDEPENDENT * model.curvature)
        least = len(sharpness) * torch.finfo(sharpness.dtype).eps * sharpness.abs().max()
        # The root of the covariance: a variance made of squares cannot be rounded to less than nothing.
        root = axes[: self.parts["place"].stop] * torch.where(sharpness > least, sharpness, float("inf")).rsqrt()
        at = self.prior.decoder.field(self.code(state), self.counter).jacobian(points, "uncertainty")
        columns = torch.cat([points.new_zeros(len(points), 0), *self._object_columns(at, points, points)], 1)
        # f changes by so much where the surface moves by one.
        steep = at.d_point.square().sum(1)
        found = (columns @ root).square().sum(1) / steep.clamp(min=0.01)
        # In the corner of a thin part it can be flat, which says nothing of the surface: as unsure as anywhere.
        return torch.where(steep > 0, found, found.amax())

    def _silhouette(self, field: Field, state: State, outlines: Outlines) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows, their sides and views, for the rays on the wrong side of the outline.

        A ray inside the mask should meet the surface. A ray outside should pass it as far away as the mask is in the
        picture, also where it misses already: a residual that began at the hit would jump there, and its derivative
        would mislead.
        """
        rays = outlines.rays
        trace = outlines.warm.trace(field, rays, outlines.inside)
        nearest, value = trace.distance.clone(), trace.value.clone()
        extra = (trace.hit & ~outlines.inside).nonzero()[:, 0]
        nearest[extra] = deepest(field, rays[extra], nearest[extra], rays.far[extra])
        value[trace.hit] = 0.0
        # A camera may be within the unit sphere, or look away from it.
        pixel = rays.pixel * nearest.clamp(min=NEAREST) * rays.cosine
        beside = self.known & ~outlines.inside & (outlines.outside_by <= BESIDE)
        share = torch.where(beside, 1.0, SLACK) if self.known else 1.0
        wanted = (share * outlines.outside_by * pixel).clamp(max=FARTHEST)
        wrong = (beside | torch.where(outlines.inside, value > 0, value < wanted)).nonzero()[:, 0]
        noise = self.noise.mask * pixel[wrong]
        views = outlines.views[wrong]
        rows = self._rows(field, state, rays[wrong], views, nearest[wrong], wanted[wrong], noise)
        side = torch.where(beside, 0.0, torch.where(outlines.inside, 1.0, -1.0))
        return *rows, side[wrong], views

    def _meet(self, field: Field, seen: Sights, noise: float) -> tuple[Tensor, Tensor]:
        """Where (M,) rays meet the surface, if that is about where it was seen, else where it was seen.

        And how far (M,) they get where they are stopped before that, NaN elsewhere. What is seen exactly is taken at
        its word.
        """
        margin = SIGHT_MARGIN * noise
        behind = margin if noise > EXACT else -margin
        rays = replace(seen.rays, far=torch.minimum(seen.rays.far, seen.distance + behind))
        trace = traced(field, rays)
        early = trace.distance < seen.distance - margin
        met = torch.where(trace.hit & ~early, trace.distance, seen.distance)
        return met, torch.where(trace.hit & early, trace.distance, torch.nan)

    def _depth(self, field: Field, state: State, seen: Sights, met: Tensor, noise: float) -> tuple[Tensor, Tensor]:
        """Rows for observed depths: how far rays `met` (M,) the surface from where it was seen, across the surface.

        Where they do not meet it, f at the point that was seen. That alone would do, were there no noise: about a thin
        part, points that err to either side are outside, and would thicken it.
        """
        rays, zero = seen.rays, torch.zeros_like(met)
        steep = (at_fixed(field, rays, met).d_point * rays.directions).sum(1)
        return self._rows(field, state, rays, seen.views, met, -steep * (seen.distance - met), zero + noise)

    def _normals(self, field: Field, state: State, seen: Normals) -> tuple[Tensor, Tensor]:
        """Rows for observed normals: the traced surface's normal has no part along the observed surface.

        Two for each ray that hits. f's slopes are differences over a `STENCIL` along the observed axes: a ReLU
        network's own gradient is constant in pieces. The hit moves along its ray as f changes there.
        """
        trace = traced(field, seen.rays)
        hit = trace.hit.nonzero()[:, 0]
        rays, views, axes = seen.rays[hit], seen.views[hit], seen.axes[hit]
        points = rays.at(trace.distance[hit])
        at = at_points(field, points)
        slope = (at.d_point * rays.directions).sum(1, keepdim=True)
        slide = -torch.where(slope < -GRAZING, 1 / slope.clamp(max=-GRAZING), 0.0)
        slide = slide * self.columns(state, at, points, views, points, points)
        slopes, changes = torch.zeros_like(points), points.new_zeros(*points.shape, slide.shape[1])
        for axis in range(3):
            for step in (STENCIL, -STENCIL):
                end = points + step * axes[:, axis]
                there = at_points(field, end)
                along = (there.d_point * rays.directions).sum(1, keepdim=True)
                slopes[:, axis] += there.value / (2 * step)
                changes[:, axis] += (self.columns(state, there, end, views, points, points) + along * slide) / (
                    2 * step
                )
        length = slopes.norm(dim=1).clamp(min=1e-6)[:, None]
        normal = slopes / length
        turning = (changes - normal[..., None] * (normal[..., None] * changes).sum(1, keepdim=True)) / length[..., None]
        noise = math.radians(self.noise.normal)
        return normal[:, :2].flatten() / noise, turning[:, :2].flatten(0, 1) / noise

    def _points(self, field: Field, state: State, points: Tensor) -> tuple[Tensor, Tensor]:
        """Rows for points (M, 3) of the surface: f is zero there, whatever the cameras are."""
        at = at_points(field, points)
        columns = self._object_columns(at, points, points)
        absent = sum(part.stop - part.start for part in (self.parts["cameras"], self.parts["focal"]))
        columns.append(points.new_zeros(len(points), absent))
        return at.value / self.noise.depth, torch.cat(columns, 1) / self.noise.depth

    def _clear(self, field: Field, state: State, seen: Sights, stopped: Tensor) -> tuple[Tensor, ...]:
        """Rows with sides for rays `stopped` (M,) before they get to what was seen: f is not negative before that."""
        which = stopped.isfinite().nonzero()[:, 0]
        rays, reach = seen.rays[which], seen.distance[which] - SIGHT_MARGIN * self.noise.depth
        inside = deepest(field, rays, stopped[which], reach)
        zero = torch.zeros_like(inside)
        return *self._rows(field, state, rays, seen.views[which], inside, zero, zero + self.noise.depth), zero - 1

    def _facing(self, field: Field, state: State, seen: Sights, met: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Rows for points a little before and behind where rays `met` (M,) the surface: it faces who sees it."""
        noise = torch.full_like(met, math.hypot(self.noise.depth, BESIDE_SIGHT * FACING[1]))
        for step in (-BESIDE_SIGHT, BESIDE_SIGHT):
            wanted = torch.full_like(met, -step * FACING[0])
            yield self._rows(field, state, seen.rays, seen.views, met, wanted, noise, step)

    def _rows(
        self,
        field: Field,
        state: State,
        rays: Rays,
        views: Tensor,
        distance: Tensor,
        wanted: Tensor,
        noise: Tensor,
        deeper: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Residuals ``(f - wanted) / noise`` at points of rays, and their Jacobian.

        The points are at fixed depths, or where f does not change along the ray; and so much `deeper`, in the object
        frame's units, than that.
        """
        ahead = deeper / rays.cosine
        points, at = rays.at(distance + ahead), at_fixed(field, rays, distance + ahead)
        columns = self.columns(state, at, points, views, rays.at(distance), points)
        return (at.value - wanted) / noise, columns / noise[:, None]

    def columns(
        self, state: State, at: Jacobian, points: Tensor, views: Tensor, fixed: Tensor, through: Tensor
    ) -> Tensor:
        """Derivatives (M, n) of f at points (M, 3) before their cameras: to all that is unknown.

        They keep their offset, in the object's units, to points `fixed` (M, 3) in the world. A longer focal length
        moves them as it does the points `through` (M, 3), which the pixels' rays pass at fixed depths.
        """
        columns = self._object_columns(at, points, fixed)
        if self.unknowns.cameras:
            own = points.new_zeros(len(points), len(state.cameras.K), 6)
            own[torch.arange(len(points), device=points.device), views] = turned(at, points)
            columns.append(own.flatten(1))
        if self.unknowns.focal:
            # At a fixed depth, a longer focal length draws a pixel's point towards the camera's axis.
            place = state.place
            aside = state.cameras.to_camera(views, place.to_world(through)) * points.new_tensor([1, 1, 0])
            slope = torch.einsum("nij,nj->ni", state.cameras.rotation[views], at.d_point @ place.rotation.T)
            columns.append(-(slope * aside).sum(1, keepdim=True) * UNIT / place.scale)
        return torch.cat([points.new_zeros(len(points), 0), *columns], 1)

    def _object_columns(self, at: Jacobian, points: Tensor, fixed: Tensor) -> list[Tensor]:
        """Derivatives of f at points (M, 3) to the code and the place, where unknown.

        The points keep their offset, in the object's units, to points `fixed` (M, 3) in the world.
        """
        columns = []
        if self.unknowns.shape:
            columns.append(at.d_code @ self.spread)
        if self.unknowns.place:
            columns += [-(at.d_point * fixed).sum(1, keepdim=True) * UNIT, turned(at, points)]
        return columns
