"""What a fit minimises: how far what the rays see is from what the pictures show, and what holds the unknowns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from ..observations import Drawn, Observations
from ..observations.observation import INDEPENDENT, Estimate, Goal
from ..observations.rows import Rows
from ..shapes.shape import OwnTerm, Springs
from ..state import State, Unknowns
from .model import Linearised, Quadratic

# How much cameras are held where they were: for each of their unknowns, as a shape's are. Without it, all of them could
# move together against the place.
CAMERA_WEIGHT = 1e-4
# How far a step may take a camera or the place, in their unit, where it may take the shape by one.
POSE_STEP = 4.0


class Problem:
    """The cost of a state: its rows', and its own.

    Parameters
    ----------
    observations : Observations
    unknowns : Unknowns
    counter : Counter
        Every query of a shape's f is added to it.
    """

    def __init__(self, observations: Observations, unknowns: Unknowns, counter: Counter[str]) -> None:
        self.observations, self.unknowns, self.counter = observations, unknowns, counter

    def estimate(self, state: State) -> Estimate:
        """A state as observations look at it."""
        return Estimate(state, state.shape.field(self.counter), self.unknowns)

    def retract(self, state: State, step: Tensor) -> State:
        """The state after a step (n,)."""
        return self.unknowns.retract(state, step)

    def rows(self, drawn: Drawn, state: State) -> list[Rows]:
        """The rows of what was drawn: with `own_terms` and `units`, all that a solver needs, dense or matrix-free."""
        return list(self.observations.rows(drawn, self.estimate(state)))

    def on(self, drawn: Drawn) -> Callable[[State], Linearised]:
        """The cost over what was drawn, and its model, as a function of the state."""

        def evaluate(state: State) -> Linearised:
            return Linearised(self.rows(drawn, state), self.own_terms(state), self.units(state))

        return evaluate

    def on_rays(self, count: int, level: int | None = 0, goal: Goal = "fit") -> Callable[[State], Linearised]:
        """The same over one random set of rays, and colours at a level of the pictures, if any."""
        return self.on(self.observations.draw(count, level, goal))

    def own_terms(self, state: State) -> list[tuple[slice, OwnTerm]]:
        """What holds the unknowns without any observation: the shape's own term, and cameras to where they were."""
        parts = self.unknowns.parts(state)
        weight = 0.0 if self.unknowns.object_known else CAMERA_WEIGHT
        held = {"cameras": state.pose_offset[:-1], "focal": state.pose_offset[-1:]}
        terms: list[tuple[slice, OwnTerm]] = [(parts["shape"], state.shape.own_term())] if self.unknowns.shape else []
        for name, offset in held.items():
            if parts[name].start < parts[name].stop:
                terms.append((parts[name], Springs(torch.full_like(offset, weight), offset)))
        return terms

    def units(self, state: State) -> Tensor:
        """Of each unknown (n,), how far a linear model can be believed."""
        unit = state.pose_offset.new_full((self.unknowns.count(state),), POSE_STEP)
        unit[self.unknowns.parts(state)["shape"]] = 1.0
        return unit

    def variances(self, state: State, model: Quadratic, points: Tensor) -> Tensor:
        """How sure the surface is at points (N, 3) of it: its variance across itself, in the object frame's units.

        The inverse of the Gauss-Newton matrix is the unknowns' covariance, as far as the residuals' deviations are what
        the observations' are. That of cameras counts in, where they are unknown.
        """
        # Only as many independent observations as there were weigh against the own terms, which are in the matrix, too.
        sharpness, axes = torch.linalg.eigh(INDEPENDENT * model.curvature)
        least = len(sharpness) * torch.finfo(sharpness.dtype).eps * sharpness.abs().max()
        own = self.unknowns.parts(state)["place"].stop
        # The root of the covariance: a variance made of squares cannot be rounded to less than nothing.
        root = axes[:own] * torch.where(sharpness > least, sharpness, float("inf")).rsqrt()
        at = state.shape.field(self.counter).linearise(points, "uncertainty")
        shape = [at.d_shape.matrix()] if self.unknowns.shape else []
        columns = torch.cat([*shape, self.unknowns.columns(state, at, points)], 1)[:, :own]
        # f changes by so much where the surface moves by one.
        steep = at.d_point.square().sum(1)
        found = (columns @ root).square().sum(1) / steep.clamp(min=0.01)
        # In the corner of a thin part it can be flat, which says nothing of the surface: as unsure as anywhere.
        return torch.where(steep > 0, found, found.amax())
