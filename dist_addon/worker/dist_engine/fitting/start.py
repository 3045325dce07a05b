"""Where a fit starts: the thing's place from its bounds, and training codes that explain the masks."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cameras import Similarity
from ..prior import Prior
from ..protocol import Bounds
from .observations import Observations
from .problem import Problem, State

CANDIDATES = 120
RAYS = 300


def start_place(bounds: Bounds, prior: Prior, device: torch.device) -> Similarity:
    """Carry the prior's frame onto the bounds: its up and front to the box's, its unit sphere around the box."""
    reach = float((torch.as_tensor(bounds.half_size) ** 2).sum().sqrt())
    rotation = torch.as_tensor(bounds.rotation @ prior.axes().T)
    parts = (torch.as_tensor(reach / prior.radius), rotation, torch.as_tensor(bounds.center))
    return Similarity(*(part.to(device=device, dtype=torch.float32) for part in parts))


def start_states(problem: Problem, observations: Observations, place: Similarity, count: int) -> list[State]:
    """The mean and those of the training codes that fit best as they are, the best first: `count` of them."""
    prior = problem.prior
    stride = max(1, len(prior.codes) // CANDIDATES)
    codes: list[Tensor] = [prior.mean, *prior.codes[::stride]]
    states = [problem.start(code, place, observations.cameras) for code in codes]
    sample = observations.sample(observations.draw(RAYS), observations.cameras, place)
    costs = [problem.evaluate(state, sample).cost for state in states]
    return [states[index] for index in sorted(range(len(states)), key=costs.__getitem__)[:count]]
