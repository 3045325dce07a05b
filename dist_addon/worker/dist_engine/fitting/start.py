"""Where a fit starts: the thing's place from its bounds, and training codes that explain the masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..cameras import Similarity
from ..prior import Prior
from ..protocol import Placement, Request
from .observations import Observations
from .problem import Problem, State

CANDIDATES = 120
RAYS = 300


def start_place(request: Request, prior: Prior, device: torch.device) -> Similarity:
    """Where the request says; or its bounds: their up and front, and the prior's unit sphere around the box."""
    bounds = request.bounds
    around = Placement(float(np.linalg.norm(bounds.half_size)) / prior.radius, bounds.rotation, bounds.center)
    return Similarity.from_placement(request.placement or around, prior.axes(), device)


def start_states(problem: Problem, observations: Observations, place: Similarity, count: int) -> list[State]:
    """The mean and those of the training codes that fit best as they are, the best first: `count` of them."""
    prior = problem.prior
    stride = max(1, len(prior.codes) // CANDIDATES)
    codes: list[Tensor] = [prior.mean, *prior.codes[::stride]]
    states = [problem.start(code, place, observations.cameras) for code in codes]
    sample = observations.sample(observations.draw(RAYS), observations.cameras, place)
    costs = [problem.evaluate(state, sample).cost for state in states]
    return [states[index] for index in sorted(range(len(states)), key=costs.__getitem__)[:count]]
