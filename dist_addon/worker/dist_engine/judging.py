"""How well what was found explains each view, in the units of what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import igl
import numpy as np
import torch
from torch import Tensor

from .decoder import Field
from .fitting.observations import Normals, Observations
from .fitting.photometric import colour_rows
from .fitting.problem import Problem, Unknowns
from .fitting.surface import traced
from .gradients import normals
from .meshing import Mesh
from .prior import Prior
from .protocol import Request
from .tracing.march import march

if TYPE_CHECKING:
    from .fitting.fit import Fit
    from .fitting.problem import State

Name = TypeVar("Name")
# Rays, and observations of another kind, that are looked at.
JUDGED_RAYS, JUDGED = 60_000, 20_000
# A view disagrees with the others where its overlap is below the median by so much, and by so many usual deviations.
WORSE, DEVIATIONS = 0.1, 5.0


def view_iou(field: Field, observations: Observations, found: Fit | State, rays: int = JUDGED_RAYS) -> Tensor:
    """Intersection over union (V,) of each view's mask and the traced silhouette, on a regular grid of pixels."""
    if not observations.masked.any():
        return torch.zeros(len(observations.masks))
    outlines = observations.outlines(observations.lattice(rays), found.cameras, found.place)
    hit = march(field, outlines.rays, outlines.rays.threshold(), relaxation=1.0).hit
    zeros = torch.zeros(len(observations.masks), device=hit.device)
    both = zeros.index_add(0, outlines.views, (hit & outlines.inside).float())
    either = zeros.index_add(0, outlines.views, (hit | outlines.inside).float())
    return both / either.clamp(min=1)


def disagreeing(overlaps: Mapping[Name, float], worse: float = WORSE) -> list[Name]:
    """Views whose outline fits far worse than most others': their mask or their camera is likely wrong."""
    if not overlaps:
        return []
    values = np.array(list(overlaps.values()))
    middle = float(np.median(values))
    usual = 1.4826 * float(np.median(np.abs(values - middle)))
    return [name for name, value in overlaps.items() if middle - value > max(worse, DEVIATIONS * usual)]


def residuals(
    field: Field, prior: Prior, mesh: Mesh, observations: Observations, found: Fit, request: Request
) -> dict[str, dict[str, float]]:
    """Half of what a view shows of a kind is nearer to what was found than this: a number a view, by kind.

    Kinds that were not observed, and views without any of a kind, are left out.

    Returns
    -------
    dict
        ``depths`` and ``points``, of which those count that a view sees: Blender units from the mesh. ``normals``:
        degrees, where the ray meets the shape. ``colours``: from view to view, where 1 is the contrast within a few
        pixels. Points that no view sees are under "", which is no view's name.
    """
    names = [*(view.name for view in request.views), ""]
    told: dict[str, dict[str, float]] = {}

    def tell(kind: str, errors: Tensor, views: Tensor) -> None:
        medians = ((name, errors[views == view]) for view, name in enumerate(names))
        if some := {name: float(of_view.median()) for name, of_view in medians if len(of_view)}:
            told[kind] = some

    # Of other kinds than masks, half as many are drawn.
    pick = observations.draw(2 * JUDGED)
    sample = observations.sample(pick, found.cameras, found.place)
    depths, points = sample.depths, sample.points.at
    tell("depths", found.place.scale * _away(mesh, depths.rays.at(depths.distance)), depths.views)
    seen = observations.seen[pick.points]
    which, views = torch.column_stack([seen, ~seen.any(1)]).nonzero().unbind(1)
    tell("points", found.place.scale * _away(mesh, points)[which], views)
    if len(sample.normals.rays):
        tell("normals", *_turned(field, sample.normals))
    if sample.colours is not None:
        problem = Problem(prior, Unknowns(False, False), len(request.views), field.counter)
        state = problem.start(found.code, found.place, found.cameras)
        differences, _, views = colour_rows(problem, field, state, sample.colours)
        tell("colours", problem.noise.picture * differences.abs(), views)
    return told


def _turned(field: Field, seen: Normals) -> tuple[Tensor, Tensor]:
    """Degrees (M,) between the normals that were seen and the shape's, and the views (M,) of those rays that hit."""
    trace = traced(field, seen.rays)
    with torch.no_grad():
        there = normals(field, field.code, seen.rays.at(trace.distance)[trace.hit])
    cosine = (there * seen.axes[trace.hit, 2]).sum(1).clamp(-1, 1)
    return torch.rad2deg(torch.acos(cosine)), seen.views[trace.hit]


def _away(mesh: Mesh, points: Tensor) -> Tensor:
    """Distance (N,) of points (N, 3) from a mesh, in the object frame."""
    if not len(points):
        return points[:, 0]
    vertices, there = (part.cpu().double().numpy() for part in (mesh.vertices, points))
    squared = igl.point_mesh_squared_distance(there, vertices, mesh.faces.astype(np.int64))[0]
    return torch.as_tensor(squared, device=points.device).sqrt()
