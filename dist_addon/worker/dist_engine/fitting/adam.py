"""Adam, as the paper descends: hundreds of steps, each of them simple."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from .model import Quadratic

Iterate = TypeVar("Iterate")

# Of a step of each unknown, in its unit; it falls to a hundredth along a cosine.
RATE = 0.1
MOMENTS = (0.9, 0.999)


def minimise(
    retract: Callable[[Iterate, Tensor], Iterate], state: Iterate, evaluate: Callable[[Iterate], Quadratic], steps: int
) -> Iterator[tuple[Iterate, float]]:
    """Yield the best state so far and its cost, first at the start and then after each step; takes all the steps.

    The parameters are those of `levenberg_marquardt.minimise`.
    """
    best, model = state, evaluate(state)
    cost = model.cost
    mean, square = torch.zeros_like(model.gradient), torch.zeros_like(model.gradient)
    yield best, cost
    for number in range(1, steps + 1):
        mean = MOMENTS[0] * mean + (1 - MOMENTS[0]) * model.gradient
        square = MOMENTS[1] * square + (1 - MOMENTS[1]) * model.gradient**2
        size = (square / (1 - MOMENTS[1] ** number)).sqrt() + 1e-12
        rate = RATE * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * number / steps)))
        state = retract(state, -rate * mean / (1 - MOMENTS[0] ** number) / size)
        model = evaluate(state)
        if model.cost < cost:
            best, cost = state, model.cost
        yield best, cost
