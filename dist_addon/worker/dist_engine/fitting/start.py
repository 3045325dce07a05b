"""Where a fit starts: the thing's place, from its bounds or from the masks, and shapes that explain them."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..cameras import Similarity
from ..observations.edges import distance_to_unknown
from ..protocol import Placement, Request, RequestError, covered, where_lines_meet
from ..shapes.free.kind import FreeKind
from ..shapes.shape import ShapeKind
from ..state import State
from .problem import Problem

# So many shapes are asked at samples of few rays, and the best of them traced along more.
CANDIDATES, FEW_RAYS = 500, 50
BETTER, MORE_RAYS = 50, 300
# Turns about the world's up that are tried where nothing says where the front is, with so many times more candidates.
TURNS, MORE = 12, 3


def start_places(request: Request, kind: ShapeKind | FreeKind, device: torch.device) -> list[Similarity]:
    """Where the request says; or its bounds, with the shapes' unit sphere around the box; or else several turns.

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
        places = [Placement(reach / kind.radius, bounds.rotation, bounds.center)]
    else:
        points = request.points
        centre, reach = _where_cones_meet(request) if points is None else _among(points)
        angles = 2 * np.pi * np.arange(TURNS) / TURNS
        turns = [np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]]) for a in angles]
        places = [Placement(reach / kind.radius, turn, centre) for turn in turns]
    return [Similarity.from_placement(place, kind.axes(), device) for place in places]


def _among(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle (3,) of points (P, 3), and how far they reach from it."""
    centre = (points.min(0) + points.max(0)) / 2
    reach = float(np.linalg.norm(points - centre, axis=1).max())
    if reach == 0:
        raise RequestError("The points are all at one place, so they do not tell how large the thing is: add bounds.")
    return centre, reach


def _where_cones_meet(request: Request) -> tuple[np.ndarray, float]:
    """The point (3,) nearest to the lines of sight through the masks' middles, and how far the masks reach from it."""
    tells = request.mask_tells
    shown = covered(request.masks) & tells
    # The middle of what is seen of a thing that goes on where nothing is known is not the thing's.
    whole = request.mask_counts & ~(shown & (distance_to_unknown(tells) <= 0.5).numpy()).any((1, 2))
    for chosen in (whole, request.mask_counts):
        poses, directions, corners = [], [], []
        for index in np.nonzero(chosen)[0]:
            view, (y, x) = request.views[index], np.nonzero(shown[index])
            pixels = np.column_stack([x, y]) + 0.5
            middle = (pixels.min(0) + pixels.max(0)) / 2
            poses.append(view.world_to_camera)
            directions.append(np.linalg.solve(view.K, [*middle, 1.0]))
            corners.append(float(np.linalg.norm((pixels - middle) / np.diag(view.K)[:2], axis=1).max()))
        if len(poses) > 1:
            centre, depths = where_lines_meet(poses, np.array(directions))
            if (depths > 0).all():
                return centre, float((depths * corners).max())
    raise RequestError(
        "The lines of sight through the masks do not meet before the cameras, so they do not tell where the thing "
        "is: add bounds, or check the cameras."
    )


def start_states(problem: Problem, kind: ShapeKind, places: list[Similarity], count: int) -> list[State]:
    """Those of a kind's candidates that fit best as they are, the best first: `count` of them."""
    observations, more = problem.observations, 1 if len(places) == 1 else MORE
    candidates = kind.candidates()
    stride = max(1, len(places) * (len(candidates) - 1) // (more * CANDIDATES))
    shapes = [candidates[0], *candidates[1::stride]]
    few = observations.draw(FEW_RAYS, -1, "rank")
    evaluate = problem.on(observations.draw(MORE_RAYS, -1, "rank"))
    states, errors = [], []
    for place in places:
        for shape in shapes:
            states.append(State.start(shape, place, observations.cameras))
            errors.append(observations.mismatch(few, shape.field(problem.counter), observations.cameras, place))
    states = _least(states, errors)[: more * BETTER]
    return _least(states, [evaluate(state).cost for state in states])[:count]


def _least(states: list[State], costs: list[float]) -> list[State]:
    """The states, those of least cost first."""
    return [states[index] for index in sorted(range(len(states)), key=costs.__getitem__)]
