"""Points of a surface as a fit asks about them: f and its derivatives there, and to the object's place."""

from __future__ import annotations

import torch
from torch import Tensor

from ..decoder import Field, Jacobian
from ..tracing.march import Trace, march
from ..tracing.rays import Rays

# A unit of the place's and the cameras' unknowns: 5 % in size or focal length, 0.05 radians, 5 % of the radius.
UNIT = 0.05
# Most steps of a ray: one that grazes the surface takes many short ones, and with 50, many ended before they were
# nearest, which misled the solver.
STEPS = 100
# Samples behind a hit, and how far they reach, to find where a ray that should have missed is deepest inside.
DEEPEST_SAMPLES, DEEPEST_REACH = 8, 0.4


def turned(at: Jacobian, points: Tensor) -> Tensor:
    """Derivatives (M, 6) to the object's rotation and translation, in units of `UNIT`.

    Moving the object by (rotation, translation) moves a fixed point p of the world, as the object sees it, by (p x w,
    -t); by the logarithm of its scale, by -p.
    """
    return torch.cat([torch.linalg.cross(at.d_point, points), -at.d_point], 1) * UNIT


def traced(field: Field, rays: Rays, steps: int = STEPS) -> Trace:
    """What rays see, as a fit needs to know it: longer steps jump thin legs, a coarser threshold thins the shape."""
    return march(field, rays, 0.2 * rays.threshold(), steps=steps, relaxation=1.0)


def deepest(field: Field, rays: Rays, distance: Tensor, last: Tensor) -> Tensor:
    """Where (N,) rays that hit at `distance` (N,) are deepest inside, on a few samples from the hit to `last` (N,)."""
    if len(rays) == 0:
        return distance
    # Denser at first, for parts that are thin.
    ahead = DEEPEST_REACH * torch.linspace(0, 1, DEEPEST_SAMPLES, device=distance.device).square()
    samples = torch.minimum(distance[:, None] + ahead, last[:, None])
    points = rays.origins[:, None] + samples[..., None] * rays.directions[:, None]
    values = field(points.reshape(-1, 3), "inside").reshape(samples.shape)
    return samples.gather(1, values.argmin(1, keepdim=True))[:, 0]
