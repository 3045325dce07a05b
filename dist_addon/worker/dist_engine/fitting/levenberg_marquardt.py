"""Levenberg-Marquardt within a trust region: tens of steps where gradient descent takes hundreds.

Each step minimises the model of the cost, damped so that it stays where the model can be believed; the region grows and
shrinks as the model keeps its word (Moré, "The Levenberg-Marquardt algorithm", 1978).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from .model import Quadratic

Iterate = TypeVar("Iterate")

# How far a step may go at first, and ever; a fit ends where less than the last is left.
FIRST_REACH, LARGEST_REACH, LEAST_REACH = 0.5, 1.5, 1e-3
# The region shrinks where less than the first share of the predicted gain was had, and grows beyond the second.
KEPT = 0.25, 0.6
# A step that gains less than this share of the cost is the last.
LEAST_GAIN = 3e-4
# A step that gains nothing is tried so often, each time half as far or less.
TRIES = 3
# Of the largest curvature, and where there is none; and how much of its damping a step leaves to the next.
LEAST_DAMPING, NO_DAMPING, LEFT = 3e-5, 1e-12, 0.25
# Quadratics that a step minimises one after another, each about where the last has led.
QUADRATICS = 6


def minimise(
    retract: Callable[[Iterate, Tensor], Iterate], state: Iterate, evaluate: Callable[[Iterate], Quadratic], steps: int
) -> Iterator[tuple[Iterate, float]]:
    """Yield the best state and its cost, first at the start and then after each step; ends where nothing improves.

    Parameters
    ----------
    retract : callable
        The state after a step (n,).
    state : Iterate
        The start, of any kind.
    evaluate : callable
        The cost and its model at a state; the same rays at each call.
    steps : int
        Most steps.
    """
    model = evaluate(state)
    yield state, model.cost
    reach, damping = FIRST_REACH, 0.0
    for _ in range(steps):
        for _ in range(TRIES):
            step, damping, promised = _best_step(model, reach, LEFT * damping)
            # Written so that a cost that is no number ends the search, too.
            if not promised > 0:
                return
            candidate = retract(state, step)
            there = evaluate(candidate)
            gain = model.cost - there.cost
            if not gain >= KEPT[0] * promised:
                reach = 0.5 * model.length(step)
            elif gain > KEPT[1] * promised:
                reach = min(2 * reach, LARGEST_REACH)
            if gain > 0 or reach < LEAST_REACH:
                break
        small = reach < LEAST_REACH
        if gain > 0:
            small = gain < LEAST_GAIN * model.cost
            state, model = candidate, there
        yield state, model.cost
        if small:
            return


def _best_step(model: Quadratic, reach: float, damping: float) -> tuple[Tensor, float, float]:
    """The step (n,) within reach that the model likes best, how much it had to be damped, and the gain it promises."""
    here, step = model, torch.zeros_like(model.gradient)
    identity = torch.diag(torch.ones_like(step))
    damping = max(damping, LEAST_DAMPING * float(model.curvature.diagonal().max()), NO_DAMPING)
    for _ in range(QUADRATICS):
        while True:
            slope = here.gradient + damping * step
            way = -torch.linalg.solve(here.curvature + damping * identity, slope)
            if not model.length(step + way) > reach:
                break
            damping *= 2
        before = here.cost + 0.5 * damping * float(step @ step)
        for share in (1.0, 0.5, 0.25, 0.125):
            ahead = step + share * way
            there = model.after(ahead)
            gain = before - there.cost - 0.5 * damping * float(ahead @ ahead)
            if gain > 0:
                break
        else:
            break
        here, step = there, ahead
        if gain < 1e-3 * before:
            break
    return step, damping, model.cost - here.cost
