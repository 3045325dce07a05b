"""Sphere tracing as DIST does it: all rays at once, finished rays dropped, steps longer than the distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..rays import Rays
from ..shapes.shape import Field


@dataclass(frozen=True)
class Trace:
    """What N rays saw.

    Attributes
    ----------
    hit : (N,) bool tensor
    distance : (N,) tensor
        Along the ray, to the surface where `hit`; elsewhere to the sample of smallest |f|.
    value : (N,) tensor
        The smallest |f| seen on the ray, with its sign.
    queries : (N,) tensor
        How often f was asked for the ray; a coarse ray's queries are shared by the pixels under it.
    """

    hit: Tensor
    distance: Tensor
    value: Tensor
    queries: Tensor


class Probe:
    """Asks for f along rays and notes how often for each.

    Parameters
    ----------
    field : Field
    rays : Rays
    """

    def __init__(self, field: Field, rays: Rays) -> None:
        self.field, self.rays = field, rays
        self.queries = torch.zeros_like(rays.near)

    def __call__(self, index: Tensor, distance: Tensor, purpose: str) -> Tensor:
        """Values of f (M,) on the rays `index` (M,) at `distance` (M,)."""
        self.queries[index] += 1
        points = self.rays.origins[index] + distance[:, None] * self.rays.directions[index]
        return self.field(points, purpose)


class March:
    """Rays on their way through the unit sphere.

    Parameters
    ----------
    field : Field
    rays : Rays
    threshold : (N,) tensor
        A ray has converged where |f| is below it.
    relaxation : float
        Factor on each step (the poster's alpha); a ray that overshoots comes back, since f is negative inside.
    longest : float
        Distances are clamped to it: f means less the farther from the surface it is asked.
    start : (N,) tensor, optional
        Where the rays stand; at the entry into the sphere if not given.
    watch : callable, optional
        Given each step's rays (M,), where they stood (M,) and f there (M,).
    """

    def __init__(
        self,
        field: Field,
        rays: Rays,
        threshold: Tensor,
        *,
        relaxation: float = 1.5,
        longest: float = 0.1,
        start: Tensor | None = None,
        watch: Callable[[Tensor, Tensor, Tensor], None] | None = None,
    ) -> None:
        self.probe, self.rays, self.threshold = Probe(field, rays), rays, threshold
        self.relaxation, self.longest, self.watch = relaxation, longest, watch
        self.from_entry = start is None
        self.distance = (rays.near if start is None else start).clone()
        middle = (rays.near + rays.far) / 2
        self.best = torch.where(rays.near < rays.far, self.distance, middle)
        self.value = torch.full_like(self.best, float("inf"))
        self.began_outside = torch.ones_like(rays.near, dtype=torch.bool)

    def advance(self, steps: int, *, drop: bool = True) -> None:
        """Go `steps` on; with `drop`, rays that have converged or left the sphere are asked no more."""
        rays, distance = self.rays, self.distance
        meets = rays.near < rays.far
        active = (meets & (distance < rays.far) if drop else meets).nonzero()[:, 0]
        for step in range(steps):
            if len(active) == 0:
                return
            f = self.probe(active, distance[active], "march")
            if self.watch:
                self.watch(active, distance[active], f)
            if step == 0 and self.from_entry:
                self.began_outside[active] = f > self.threshold[active]
            move = f.clamp(-self.longest, self.longest)
            closer = f.abs() < self.value[active].abs()
            better = active[closer]
            self.value[better] = f[closer]
            self.best[better] = distance[better] + torch.where(f.abs() < self.threshold[active], move, 0.0)[closer]
            distance[active] = torch.maximum(distance[active] + self.relaxation * move, rays.near[active])
            if drop:
                going = (f.abs() >= self.threshold[active]) & (distance[active] < rays.far[active])
                active = active[going]

    def trace(self) -> Trace:
        """What the rays have seen so far."""
        converged = (self.value.abs() <= self.threshold) & (self.distance < self.rays.far)
        return Trace(converged & self.began_outside, self.best, self.value, self.probe.queries)


@torch.no_grad()
def march(
    field: Field,
    rays: Rays,
    threshold: Tensor,
    *,
    steps: int = 50,
    relaxation: float = 1.5,
    longest: float = 0.5,
    watch: Callable[[Tensor, Tensor, Tensor], None] | None = None,
) -> Trace:
    """Trace any set of rays in one batch, dropping the finished ones; the parameters are those of `March`."""
    way = March(field, rays, threshold, relaxation=relaxation, longest=longest, watch=watch)
    way.advance(steps)
    return way.trace()
