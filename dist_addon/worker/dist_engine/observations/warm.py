"""What one step of a fit leaves to the next: where rays were deep enough inside the thing."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rays import Rays
from ..shapes.shape import Field
from ..tracing.march import Trace
from .surface import STEPS, deepest, pixel_width, traced


class Warm:
    """A point deep inside the thing on each ray that should meet it: one query tells whether it still is.

    That holds whatever has changed since. A ray that comes from outside and is inside somewhere meets the surface, and
    where it does is of no interest to a mask.

    Parameters
    ----------
    steps : int
        Most steps of a ray.
    """

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps
        # In the object frame, which moves with the thing; and f there.
        self.points: Tensor | None = None
        self.values: Tensor | None = None

    @torch.no_grad()
    def trace(self, field: Field, rays: Rays, inside: Tensor, deep: Tensor) -> Trace:
        """Trace the same N rays as before, of which those `inside` (N,) a mask should meet the surface.

        These are to be `deep` (N,) pixels below it somewhere. What hits has the place and the value of the deepest
        sample that was asked for; one that is deep enough will do.
        """
        if self.points is None or self.values is None:
            self.points, self.values = torch.full_like(rays.origins, float("nan")), torch.zeros_like(rays.near)
        distance = ((self.points - rays.origins) * rays.directions).sum(1)
        asked = (inside & (distance > rays.near) & (distance < rays.far)).nonzero()[:, 0]
        f = field(rays[asked].at(distance[asked]), "inside")
        # The ball of radius |f| is inside as well: on towards the middle, but not through it.
        deeper = f < self.values[asked]
        self.values[asked] = f
        on = asked[deeper]
        self.points[on] = rays[on].at(distance[on] - f[deeper])

        hit, value = torch.zeros_like(inside), torch.zeros_like(distance)
        queries = torch.zeros_like(distance)
        queries[asked] = 1.0
        value[asked] = f
        hit[asked[f < -deep[asked] * pixel_width(rays[asked], distance[asked])]] = True
        rest = (~hit).nonzero()[:, 0]
        found = traced(field, rays[rest], self.steps)
        hit[rest], distance[rest], value[rest] = found.hit, found.distance, found.value
        queries[rest] += found.queries
        new = rest[found.hit]
        below = torch.where(inside[new], deep[new] * pixel_width(rays[new], distance[new]), float("inf"))
        distance[new], value[new] = deepest(field, rays[new], distance[new], rays.far[new], -below)
        new = new[inside[new]]
        self.points[new], self.values[new] = rays[new].at(distance[new]), 0.0
        return Trace(hit, distance, value, queries)
