"""Levenberg-Marquardt with Nielsen's damping (IMM-REP-1999-05): tens of steps where gradient descent takes hundreds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from .problem import Quadratic

State = TypeVar("State")

FIRST_DAMPING = 1e-2
# A step that gains less than this share of the cost is the last but one.
LEAST_GAIN = 3e-4
LARGEST_DAMPING = 1e4


def minimise(
    moved: Callable[[State, Tensor], State], state: State, evaluate: Callable[[State], Quadratic], steps: int
) -> Iterator[tuple[State, float]]:
    """Yield the best state and its cost, first at the start and then after each step; ends where nothing improves.

    Parameters
    ----------
    moved : callable
        The state after a step (n,).
    state : State
        The start, of any kind.
    evaluate : callable
        The cost and its model at a state; the same rays at each call.
    steps : int
        Most steps.
    """
    model = evaluate(state)
    yield state, model.cost
    damping = FIRST_DAMPING * float(model.curvature.diagonal().max())
    growth = 2.0
    identity = torch.eye(len(model.gradient)).to(model.gradient)
    for _ in range(steps):
        step = -torch.linalg.solve(model.curvature + damping * identity, model.gradient)
        predicted = -float(step @ model.gradient + 0.5 * step @ model.curvature @ step)
        candidate = moved(state, step)
        there = evaluate(candidate)
        gain = model.cost - there.cost
        if gain > 0:
            small = gain < LEAST_GAIN * model.cost
            state, model = candidate, there
            damping *= max(1 / 3, 1 - (2 * gain / max(predicted, 1e-12) - 1) ** 3)
            growth = 2.0
        else:
            small = damping > LARGEST_DAMPING
            damping *= growth
            growth *= 2
        yield state, model.cost
        if small:
            return
