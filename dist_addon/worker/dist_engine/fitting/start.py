"""Where a fit starts: the thing's place, from its bounds or from the masks, and training codes that explain them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..cameras import Similarity
from ..decoder import Field
from ..prior import Prior
from ..protocol import Placement, Request, RequestError
from .observations import Observations, Sample
from .problem import FARTHEST, Problem, State
from .warm import Warm

# So many training codes are asked at samples of few rays, and the best of them traced along more.
CANDIDATES, FEW_RAYS, SAMPLES = 500, 50, 12
BETTER, MORE_RAYS = 50, 300
# Most steps of such a ray: those that graze the surface would take as long as all others together.
STEPS = 12
# Turns about the world's up that are tried where nothing says where the front is, with so many times more candidates.
TURNS, MORE = 12, 3


def start_places(request: Request, prior: Prior, observations: Observations) -> list[Similarity]:
    """Where the request says; or its bounds, with the prior's unit sphere around the box; or else several turns.

    Without bounds the thing is taken to stand upright, where the masks' middles meet or among the points.

    Raises
    ------
    RequestError
        The views do not tell where the thing is.
    """
    bounds = request.bounds
    if request.placement is not None:
        places = [request.placement]
    elif bounds is not None:
        reach = float(np.linalg.norm(bounds.half_size))
        places = [Placement(reach / prior.radius, bounds.rotation, bounds.center)]
    else:
        points = observations.points.cpu().double().numpy()
        centre, reach = _among(points) if len(points) else _where_cones_meet(request)
        angles = 2 * np.pi * np.arange(TURNS) / TURNS
        turns = [np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]]) for a in angles]
        places = [Placement(reach / prior.radius, turn, centre) for turn in turns]
    return [Similarity.from_placement(place, prior.axes(), observations.masks.device) for place in places]


def _among(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle (3,) of points (P, 3), and how far they reach from it."""
    centre = (points.min(0) + points.max(0)) / 2
    reach = float(np.linalg.norm(points - centre, axis=1).max())
    if reach == 0:
        raise RequestError("The points are all at one place, so they do not tell how large the thing is: add bounds.")
    return centre, reach


def _where_cones_meet(request: Request) -> tuple[np.ndarray, float]:
    """The point (3,) nearest to the lines of sight through the masks' middles, and how far the masks reach from it."""
    chosen = [index for index, counts in enumerate(request.mask_counts) if counts]
    origins, directions, corners = [], [], []
    for index in chosen:
        view = request.views[index]
        rotation, translation = view.world_to_camera[:, :3], view.world_to_camera[:, 3]
        y, x = np.nonzero(request.masks[index] >= 128)
        pixels = np.column_stack([x, y]) + 0.5
        middle = (pixels.min(0) + pixels.max(0)) / 2
        seen = np.linalg.solve(view.K, [*middle, 1.0])
        directions.append(rotation.T @ seen / np.linalg.norm(seen))
        origins.append(-rotation.T @ translation)
        corners.append(float(np.linalg.norm((pixels - middle) / np.diag(view.K)[:2], axis=1).max()))
    lines, starts = np.array(directions), np.array(origins)
    across = np.eye(3) - lines[:, :, None] * lines[:, None, :]
    normal = across.sum(0)
    parallel = np.linalg.eigvalsh(normal)[0] < 1e-3
    centre = np.zeros(3) if parallel else np.linalg.solve(normal, np.einsum("nij,nj->i", across, starts))
    views = [request.views[index].world_to_camera for index in chosen]
    depths = np.array([view[2, :3] @ centre + view[2, 3] for view in views])
    if parallel or (depths <= 0).any():
        raise RequestError(
            "The lines of sight through the masks do not meet before the cameras, so they do not tell where the thing "
            "is: add bounds, or check the cameras."
        )
    return centre, float((depths * corners).max())


def start_states(problem: Problem, observations: Observations, places: list[Similarity], count: int) -> list[State]:
    """The mean and those of the training codes that fit best as they are, the best first: `count` of them."""
    prior, more = problem.prior, 1 if len(places) == 1 else MORE
    stride = max(1, len(places) * len(prior.codes) // (more * CANDIDATES))
    codes: list[Tensor] = [prior.mean, *prior.codes[::stride]]
    few = observations.draw(FEW_RAYS, -1, start=True)
    pick = replace(observations.draw(MORE_RAYS, -1, start=True), warm=Warm(STEPS))
    states, errors = [], []
    for place in places:
        sample = observations.sample(few, observations.cameras, place)
        for code in codes:
            states.append(problem.start(code, place, observations.cameras))
            errors.append(_mismatch(prior.decoder.field(code, problem.counter), sample))
    states = _least(states, errors)[: more * BETTER]
    samples = [observations.sample(pick, state.cameras, state.place) for state in states]
    costs = [problem.evaluate(state, sample).cost for state, sample in zip(states, samples, strict=True)]
    return _least(states, costs)[:count]


def _least(states: list[State], costs: list[float]) -> list[State]:
    """The states, those of least cost first."""
    return [states[index] for index in sorted(range(len(states)), key=costs.__getitem__)]


def _mismatch(field: Field, sample: Sample) -> float:
    """Roughly how far a shape is from what a sample says, by f at points that are the same for all shapes.

    Of 500 codes, the six that fit best are mostly among the 30 with the least of it.
    """
    error = sample.points.at.new_zeros(())
    for kind in (sample.outlines, sample.passing):
        if kind is not None and len(kind.rays):
            rays = kind.rays
            length = (rays.far - rays.near).clamp(min=0)
            shares = (torch.arange(SAMPLES).to(length) + 0.5) / SAMPLES
            points = torch.stack([rays.at(rays.near + share * length) for share in shares])
            nearest = field(points.flatten(0, 1), "start").unflatten(0, points.shape[:2]).amin(0)
            wanted = (kind.outside_by * rays.pixel * (rays.near + length / 2) * rays.cosine).clamp(max=FARTHEST)
            error = error + torch.where(kind.inside, nearest, wanted - nearest).clamp(min=0).mean()
    sights = (kind for kind in (sample.depths, sample.sights, sample.matches) if kind is not None)
    seen = torch.cat([*(kind.rays.at(kind.distance) for kind in sights), sample.points.at])
    if len(seen):
        # Outside the unit sphere f means nothing.
        beyond = seen.norm(dim=1).clamp(min=1)
        error = error + (field(seen / beyond[:, None], "start") + beyond - 1).abs().mean()
    return float(error)
