"""What a fit minimises: how far what the rays see is from what the pictures show, and its exact Jacobian.

Each sample's derivative to the code costs no more than a gradient (`Field.jacobian`), so the Gauss-Newton matrix comes
at the price of a gradient.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from ..cameras import Similarity
from ..decoder import Field
from ..gradients import at_fixed
from ..prior import Prior
from ..tracing.march import march
from ..tracing.rays import Rays
from .observations import Sample

# A unit of the place's unknowns: 5 % in size, 0.05 radians, 5 % of the object's radius.
PLACE_UNIT = 0.05
# Residuals are in units of this many pixels (or, for depth, this share of the object's radius), and count linearly from
# there on.
NOISE_PIXELS = 0.7
NOISE_DEPTH = 0.01
# A ray farther outside the mask than this (in the object's radius) only needs to be this far from the surface.
FARTHEST = 0.1
# How much the spread of the training codes holds the code: this many rays that are one unit wrong, for each ray.
PRIOR_WEIGHT = 0.005
# Samples behind a hit, and how far they reach, to find where a ray that should have missed is deepest inside.
DEEPEST_SAMPLES, DEEPEST_REACH = 8, 0.4


@dataclass(frozen=True)
class State:
    """A code in units of the training codes' spread (latent,), and the object's place."""

    whitened: Tensor
    place: Similarity


@dataclass(frozen=True)
class Quadratic:
    """The cost at a state, and its Gauss-Newton model: gradient (n,) and curvature (n, n)."""

    cost: float
    gradient: Tensor
    curvature: Tensor


class Problem:
    """The cost of a state over one set of rays."""

    def __init__(self, prior: Prior, refine_placement: bool, counter: Counter[str]) -> None:
        self.prior = prior
        self.spread = torch.linalg.inv(prior.precision_root())
        self.refine_placement = refine_placement
        self.counter = counter

    def code(self, state: State) -> Tensor:
        """The code (latent,) of a state."""
        return self.prior.mean + self.spread @ state.whitened

    def whiten(self, code: Tensor) -> Tensor:
        """A code (latent,) in units of the training codes' spread."""
        return torch.linalg.solve(self.spread, code - self.prior.mean)

    def moved(self, state: State, step: Tensor) -> State:
        """The state after a step (n,)."""
        latent = len(state.whitened)
        if not self.refine_placement:
            return State(state.whitened + step, state.place)
        return State(state.whitened + step[:latent], state.place.moved(PLACE_UNIT * step[latent:]))

    def evaluate(self, state: State, sample: Sample) -> Quadratic:
        """Trace the sample's rays (made with the state's own place) and build the model."""
        field = self.prior.decoder.field(self.code(state), self.counter)
        blocks = [self._silhouette(field, sample)]
        if sample.depth.isfinite().any():
            blocks.append(self._depth(field, sample, state.place))
        residual, jacobian = (torch.cat(column) for column in zip(*blocks, strict=True))

        count, latent = len(sample.rays), len(state.whitened)
        # Huber: a weight that falls with the residual makes it count linearly beyond 1.
        size = residual.abs()
        weighted = jacobian / size.clamp(min=1)[:, None]
        cost = torch.where(size < 1, 0.5 * size**2, size - 0.5).sum() / count
        gradient = weighted.T @ residual / count
        curvature = weighted.T @ jacobian / count
        hold = PRIOR_WEIGHT / latent
        cost += 0.5 * hold * state.whitened.square().sum()
        gradient[:latent] += hold * state.whitened
        curvature.diagonal()[:latent] += hold
        return Quadratic(float(cost), gradient, curvature)

    def _silhouette(self, field: Field, sample: Sample) -> tuple[Tensor, Tensor]:
        """Rows for the rays on the wrong side of the outline (METHOD: differentiable silhouette).

        A ray inside the mask should meet the surface. A ray outside should pass it as far away as the mask is in the
        picture, also where it misses already: a residual that began at the hit would jump there, and its derivative
        would mislead.
        """
        rays = sample.rays
        # Longer steps jump thin legs, and a coarser threshold makes the mesh that much too thin.
        trace = march(field, rays, 0.2 * rays.threshold(), relaxation=1.0)
        nearest, value = trace.distance.clone(), trace.value.clone()
        extra = (trace.hit & ~sample.inside).nonzero()[:, 0]
        nearest[extra] = deepest(field, rays[extra], nearest[extra])
        value[trace.hit] = 0.0
        pixel = rays.pixel * nearest * rays.cosine
        wanted = torch.where(sample.inside, 0.0, ((sample.outside_by - 0.5) * pixel).clamp(max=FARTHEST))
        wrong = torch.where(sample.inside, value > 0, value < wanted).nonzero()[:, 0]
        return self._rows(field, rays[wrong], nearest[wrong], wanted[wrong], NOISE_PIXELS * pixel[wrong])

    def _depth(self, field: Field, sample: Sample, place: Similarity) -> tuple[Tensor, Tensor]:
        """Rows for observed depths: f is zero at an observed point."""
        known = sample.depth.isfinite().nonzero()[:, 0]
        observed = sample.depth[known] / place.scale
        zero = torch.zeros_like(observed)
        return self._rows(field, sample.rays[known], observed, zero, zero + NOISE_DEPTH)

    def _rows(self, field: Field, rays: Rays, distance: Tensor, wanted: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Residuals ``(f - wanted) / noise`` at points of rays, and their Jacobian."""
        points, at = rays.at(distance), at_fixed(field, rays, distance)
        columns = [at.d_code @ self.spread]
        if self.refine_placement:
            # Moving the object by (log-scale, rotation, translation) moves a fixed point of the world, as the object
            # sees it, by (-p, p x w, -t).
            columns += [
                -(at.d_point * points).sum(1, keepdim=True) * PLACE_UNIT,
                torch.linalg.cross(at.d_point, points) * PLACE_UNIT,
                -at.d_point * PLACE_UNIT,
            ]
        return (at.value - wanted) / noise, torch.cat(columns, 1) / noise[:, None]


def deepest(field: Field, rays: Rays, distance: Tensor) -> Tensor:
    """Where (N,) rays that hit at `distance` (N,) are deepest inside, on a few samples behind the hit."""
    if len(rays) == 0:
        return distance
    ahead = torch.linspace(0, DEEPEST_REACH, DEEPEST_SAMPLES, device=distance.device)
    samples = distance[:, None] + ahead
    points = rays.origins[:, None] + samples[..., None] * rays.directions[:, None]
    values = field(points.reshape(-1, 3), "inside").reshape(samples.shape)
    return samples.gather(1, values.argmin(1, keepdim=True))[:, 0]
