"""Rows for colours compared from view to view, before surfaces that move and hide one another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..cameras import Cameras
from ..decoder import Field, Jacobian
from ..gradients import GRAZING
from ..tracing.march import march
from .colours import Colours, Pictures
from .surface import UNIT, traced, turned

if TYPE_CHECKING:
    from .problem import Problem, State

# A point is seen by another camera if the surface faces it (as a cosine), and nothing is before it by more than this
# (in the object's radius).
FACED, COVERED = 0.2, 0.03


def colour_rows(problem: Problem, field: Field, state: State, colours: Colours) -> tuple[Tensor, Tensor, Tensor]:
    """Rows with views for colours, three for each ray and partner: what a ray meets looks the same to who sees it, too.

    The point moves along its ray as the surface does (implicit function theorem): ``dt = -df / (grad f . v)``.
    What is missed or hidden has no rows: if it had some, of a cost of their own, steps that uncover more would be
    refused.
    """
    cameras, place, count = state.cameras, state.place, colours.partners.shape[1]
    trace = traced(field, colours.rays)
    hits = trace.hit.nonzero()[:, 0]
    rays = colours.rays[hits]
    at = field.jacobian(rays.at(trace.distance[hits]), "gradient")
    slope, length = (at.d_point * rays.directions).sum(1), at.d_point.norm(dim=1)
    # A trace ends a little before the surface: a last step, Newton's.
    points = rays.at(trace.distance[hits] - at.value / slope.clamp(max=-GRAZING))

    # Pairs of a hit and a partner that sees it.
    own = (slope < -GRAZING * length).nonzero()[:, 0].repeat_interleave(count)
    other = colours.partners[hits[own[::count]]].flatten()
    there = cameras.to_camera(other, place.to_world(points[own]))
    pixels, shown = _project(cameras, other, there, colours.pictures)
    back = cameras.rays(other, pixels, place)
    reach = torch.minimum(back.far, there.norm(dim=1) / place.scale - COVERED)
    hidden = march(field, replace(back, far=reach), back.threshold(), relaxation=1.0).hit
    seen = shown & ~hidden & (-(at.d_point[own] * back.directions).sum(1) > FACED * length[own])
    own, other, there, pixels = own[seen], other[seen], there[seen], pixels[seen]

    views, ahead = colours.views[hits[own]], rays.directions[own]
    value, change = colours.pictures.at(colours.level, other, pixels)
    K = cameras.K[other]
    # How colours change with the point: in the partner's axes, and in the object's.
    change = change @ ((K[:, :2] - pixels[:, :, None] * K[:, 2:]) / there[:, 2:, None])
    in_object = place.scale * change @ cameras.rotation[other] @ place.rotation
    along = (in_object @ ahead[:, :, None])[..., 0] / -slope[own, None]
    kept, points = Jacobian(at.value[own], at.d_point[own], at.d_code[own]), points[own]
    columns = along[:, :, None] * problem.columns(state, kept, points, views, points, points)[:, None]
    # And where cameras are unknown, the ray itself moves, and the partner sees the point elsewhere.
    if problem.unknowns.cameras:
        poses = columns[:, :, problem.parts["cameras"]].unflatten(2, (-1, 6))
        rows = torch.arange(len(own), device=own.device)
        for channel in range(3):
            moved = turned(replace(kept, d_point=in_object[:, channel]), points)
            poses[rows, channel, views] += moved
            poses[rows, channel, other] -= moved
    if problem.unknowns.focal:
        flat = points.new_tensor([1, 1, 0])
        aside = flat * cameras.to_camera(views, place.to_world(points))
        drawn = torch.einsum("nji,nj->ni", cameras.rotation[views], aside) @ place.rotation / place.scale
        slid = change @ (flat * there)[:, :, None] - in_object @ drawn[:, :, None]
        columns[:, :, problem.parts["focal"]] += slid * UNIT
    difference = (value - colours.seen[hits[own]]).flatten()
    noise = problem.noise.picture
    return difference / noise, columns.flatten(0, 1) / noise, views.repeat_interleave(3)


def _project(cameras: Cameras, views: Tensor, there: Tensor, pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Pixels (N, 2) of places (N, 3) in the cameras' axes, and whether (N,) the pictures show them."""
    depth = there[:, 2:].clamp(min=1e-6)
    pixels = (cameras.K[views] @ (there / depth)[:, :, None])[:, :2, 0]
    return pixels, (there[:, 2] > 1e-6) & pictures.inside(pixels)
