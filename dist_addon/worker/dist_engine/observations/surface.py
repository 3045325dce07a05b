"""Where rays meet a surface, and f and its derivatives there: the tracer and the gradients that fits use.

Rays are marched without a graph. What is compared then gets the derivative of f at its own sample, held fixed on the
ray: exact to first order, by the implicit function theorem for a depth and the envelope theorem for the smallest f.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..rays import Rays
from ..shapes.shape import Field, Linear, ShapeField
from ..tracing.march import Trace, march

# Most steps of a ray: one that grazes the surface takes many short ones, and with 50, many ended before they were
# nearest, which misled the solver.
STEPS = 100
# Samples behind a hit, and how far they reach, to find where a ray that should have missed is deepest inside.
DEEPEST_SAMPLES, DEEPEST_REACH = 8, 0.4
# Below this slope along the ray the surface is grazed and its depth has no useful derivative.
GRAZING = 0.05
# No pixel is narrower than it is at this depth (in the object's radius).
NEAREST = 0.05
# Half the stencil of normals that are only looked at, as in the paper.
STENCIL = 0.005


def pixel_width(rays: Rays, distance: Tensor) -> Tensor:
    """The width (N,) of a pixel at distances (N,) along rays: a camera may be within the unit sphere, or look away."""
    return rays.pixel * distance.clamp(min=NEAREST) * rays.cosine


def traced(field: Field, rays: Rays, steps: int = STEPS) -> Trace:
    """What rays see, as a fit needs to know it: longer steps jump thin legs, a coarser threshold thins the shape."""
    return march(field, rays, 0.2 * rays.threshold(), steps=steps, relaxation=1.0)


def deepest(
    field: Field, rays: Rays, distance: Tensor, last: Tensor, enough: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Where (N,) rays that hit at `distance` are deepest inside, on a few samples from there to `last` (N,), and f.

    A ray is followed no farther than to where f is below `enough` (N,).
    """
    place, value = distance.clone(), torch.full_like(distance, float("inf"))
    left = torch.arange(len(rays), device=distance.device)
    # Denser at first, for parts that are thin.
    for ahead in DEEPEST_REACH * torch.linspace(0, 1, DEEPEST_SAMPLES).square():
        there = torch.minimum(distance[left] + ahead, last[left])
        f = field(rays[left].at(there), "inside")
        deeper = f < value[left]
        place[left[deeper]], value[left[deeper]] = there[deeper], f[deeper]
        if enough is not None:
            left = left[f >= enough[left]]
    return place, value


def at_points(field: ShapeField, points: Tensor) -> Linear:
    """F at points (M, 3) to first order; outside the unit sphere, its value on it and the way to it."""
    length = points.norm(dim=1, keepdim=True)
    outward = points / length.clamp(min=1)
    inner = field.linearise(outward, "gradient")
    along = (inner.d_point * outward).sum(1, keepdim=True)
    sphere = (inner.d_point - along * outward) / length + outward
    return Linear(
        inner.value + (length - 1).clamp(min=0)[:, 0], torch.where(length > 1, sphere, inner.d_point), inner.d_shape
    )


def at_fixed(field: ShapeField, rays: Rays, distance: Tensor) -> Linear:
    """F to first order at fixed distances (N,) along rays.

    Where a ray misses the unit sphere, the distance to it stands in for f, so that it still pulls.
    """
    points = rays.at(distance)
    at = at_points(field, points)
    met = rays.near < rays.far
    outside = points.norm(dim=1, keepdim=True)
    return Linear(
        torch.where(met, at.value, outside[:, 0] - 1),
        torch.where(met[:, None], at.d_point, points / outside),
        at.d_shape.scaled(met.to(points)),
    )


def normals(field: Field, points: Tensor) -> Tensor:
    """Unit normals (N, 3) by central differences of f over `STENCIL`: a ReLU network's own are constant in pieces."""
    steps = STENCIL * torch.eye(3, device=points.device, dtype=points.dtype)
    ahead, back = (field((points[:, None] + sign * steps).reshape(-1, 3), "normal") for sign in (1, -1))
    return normalize((ahead - back).reshape(-1, 3), dim=1)
