"""From traced samples to derivatives: one differentiable query a ray, whatever the number of steps.

The tracer runs without a graph. What the losses see is the first-order model of f at its samples, which is exact to
first order in the code and in the rays (and so in the object's place and the cameras): by the implicit function theorem
for the depth, by the envelope theorem for the smallest |f|. Memory does not grow with the number of steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .decoder import Field
from .tracing.rays import Rays

# Below this slope along the ray the surface is grazed and its depth has no useful derivative.
GRAZING = 0.05


def values_along(field: Field, rays: Rays, distance: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
    """Values of f at fixed distances along rays, with a graph to the rays and the code.

    Parameters
    ----------
    field : Field
        The shape at the current code.
    rays : Rays
        N rays, with a graph where their place is an unknown.
    distance : (N,) tensor
    code : (latent,) tensor
        The code `field` was made of, with its graph.

    Returns
    -------
    value : (N,) tensor
        Outside the unit sphere the distance to it stands in for f, so that rays which miss it still pull.
    slope : (N,) tensor
        Derivative of f along each ray, without a graph.
    """
    points = rays.at(distance)
    fixed = points.detach()
    at = field.jacobian(fixed, "gradient")
    moved = (at.d_point * (points - fixed)).sum(1) + at.d_code @ (code - code.detach())
    value = torch.where(rays.near < rays.far, at.value + moved, points.norm(dim=1) - 1)
    return value, (at.d_point * rays.directions.detach()).sum(1)


def implicit_depth(value: Tensor, slope: Tensor, distance: Tensor) -> Tensor:
    """Distance to the surface along each ray with its exact first derivative, ``dt = -df / (grad f . v)``.

    Also takes a Newton step onto the surface. Grazing and outgoing rays keep `distance`, without a graph.
    """
    facing = slope < -GRAZING
    safe = torch.where(facing, slope, -torch.ones_like(slope))
    return torch.where(facing, distance - value / safe, distance)
