"""The schedule of a fit: several starts on few rays, the best of them on more and more."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..observations import Observations
from ..observations.observation import Goal
from ..protocol import Request, Stage, written_beside
from ..reporting import Reporter
from ..shapes.shape import Shape, ShapeKind
from ..state import State, Unknowns
from . import adam, levenberg_marquardt
from .problem import Problem
from .start import start_places, start_states

# Fewer rays leave a camera whose pose is not known where it is, and the shape makes up for it.
RAYS_A_CAMERA = 800
# So many starts go so many steps, each on this share of the rays.
STARTS = 6
START_STEPS, START_SHARE = 8, 0.25
# A camera before a known shape is also tried turned by so much (radians) about the object: a fit finds back from less.
TURN, TURN_STEPS, TURN_RAYS = 0.25, 6, 400
# The best few of these starts, and of a shape's without masks, go on for so many steps before one is chosen.
FINALISTS, FINAL_STEPS = 4, 15
# Given the best shape and place after each step: whether to go on.
Watch = Callable[[Shape, Similarity], bool]
SOLVERS = {"lm": levenberg_marquardt.minimise, "adam": adam.minimise}


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes
    ----------
    state : State
        The shape, its place and the cameras.
    unknowns : Unknowns
        Which of it was fitted.
    cost : float
    variances : callable
        From points (N, 3) of the surface in the object frame to how sure their places are: the variance (N,) across the
        surface, in the object frame's units.
    """

    state: State
    unknowns: Unknowns
    cost: float
    variances: Callable[[Tensor], Tensor]

    @property
    def shape(self) -> Shape:
        """The state's."""
        return self.state.shape

    @property
    def place(self) -> Similarity:
        """The state's."""
        return self.state.place

    @property
    def cameras(self) -> Cameras:
        """The state's."""
        return self.state.cameras


def fit(
    request: Request,
    kind: ShapeKind,
    observations: Observations,
    counter: Counter[str],
    folder: Path,
    reporter: Reporter,
    watch: Watch = lambda *_: True,
) -> Fit:
    """Find the shape and the place that explain the observations.

    Goes on from the checkpoint in `folder` where there is one, and writes it as it goes. `watch` is called with the
    best shape and place after each step; the fit ends there where it returns False.

    Raises
    ------
    RequestError
        The views do not tell where the thing is, and nothing else does.
    """
    settings = request.settings
    unknowns = Unknowns(
        shape=settings.refine_shape,
        place=settings.refine_placement,
        cameras=settings.refine_cameras,
        focal=settings.refine_focal_length,
    )
    problem = Problem(observations, unknowns, counter)
    minimise = SOLVERS[settings.solver]
    rays = max(settings.rays, RAYS_A_CAMERA * len(request.views) * unknowns.cameras)
    checkpoint = folder / "checkpoint.safetensors"
    stages = observations.stages
    stage, state = 0, None
    if checkpoint.exists():
        stage, state = _resume(checkpoint, kind, observations.cameras, len(stages))
    places = start_places(request, kind, observations.device) if state is None else [state.place]
    observations.prepare(places)
    if state is None:
        if kind.start is None:
            state = _best_start(problem, kind, places, rays, reporter, watch)
        else:
            state = State.start(kind.start, places[0], observations.cameras)
            if unknowns.cameras and unknowns.object_known:
                state = _turn_cameras(problem, state, reporter)

    cost, began, done = 0.0, time.monotonic(), 0
    plan = [(int(rays * share), max(1, round(settings.iterations * steps)), level) for share, steps, level in stages]
    total = sum(rays * steps for rays, steps, _ in plan)
    step_number = sum(steps for _, steps, _ in plan[:stage])
    for index, (rays, steps, level) in list(enumerate(plan))[stage:]:
        observations.review(problem.estimate(state))
        goal: Goal = "finish" if stages[index][0] == 1 else "fit"
        path = minimise(problem.retract, state, problem.on_rays(rays, level, goal), steps)
        for taken, (state, cost) in enumerate(path):
            done += rays
            _save(checkpoint, index, state)
            now = time.monotonic()
            left = (now - began) * max(total - done, 0) / done
            reporter.progress(Stage.FIT, step_number + taken, settings.iterations, cost, left)
            going = watch(state.shape, state.place)
            # Neither a pause nor a look at the shape counts as pace.
            began += time.monotonic() - now
            if not going:
                break
        if not going:
            break
        step_number += steps
        total -= rays * (steps - taken)
    else:
        # What follows may be interrupted, too, and need not do this again.
        _save(checkpoint, len(stages), state)
    model = problem.on_rays(rays, goal="finish")(state)
    return Fit(state, unknowns, cost, partial(problem.variances, state, model))


def _best_start(
    problem: Problem, kind: ShapeKind, places: list[Similarity], rays: int, reporter: Reporter, watch: Watch
) -> State:
    """A few steps from each of the likeliest starts; the best of where they end.

    Without masks, shapes that are far apart explain nearly as much: then the best few go on before one is chosen.
    """
    observations, count = problem.observations, STARTS if len(places) == 1 else 2 * STARTS
    reporter.progress(Stage.START, 0, count, None, None)
    # Something to see while the candidates are tried.
    watch(kind.usual, places[0])
    states = start_states(problem, kind, places, count)
    drawn = observations.draw(int(rays * START_SHARE), observations.start_level, "start")
    evaluate = problem.on(drawn)
    rounds = [START_STEPS, FINAL_STEPS] if observations.outlines is None else [START_STEPS]
    total, done = len(states) + FINALISTS * (len(rounds) - 1), 0
    for steps in rounds:
        ends: list[tuple[State, float]] = []
        for start in states:
            end = (start, math.inf)
            for end in levenberg_marquardt.minimise(problem.retract, start, evaluate, steps):
                reporter.progress(Stage.START, done, total, end[1], None)
                best = min([*ends, end], key=_cost)[0]
                if not watch(best.shape, best.place):
                    return best
            ends.append(end)
            done += 1
        states = [state for state, _ in sorted(ends, key=_cost)[:FINALISTS]]
    return states[0]


def _cost(end: tuple[State, float]) -> float:
    """What an end of a search costs; one that is no number, most."""
    return math.inf if math.isnan(end[1]) else end[1]


def _turn_cameras(problem: Problem, state: State, reporter: Reporter) -> State:
    """Start each camera, on its own, from where a few steps lead best: as it is given, or turned about the object."""
    observations, count = problem.observations, len(state.cameras.K)
    turns = TURN * torch.cat([torch.zeros(1, 3), torch.eye(3), -torch.eye(3)])
    turns = torch.cat([turns, TURN * 3**-0.5 * (torch.cartesian_prod(*[torch.arange(2)] * 3) * 2.0 - 1)])
    for view in range(count):
        reporter.progress(Stage.START, view, count, None, None)
        evaluate = problem.on(observations.of_view(observations.draw(count * TURN_RAYS), view))
        ends: list[tuple[State, float]] = []
        for turn in turns.to(state.pose_offset):
            steps = state.pose_offset.new_zeros(count, 6)
            steps[view, :3] = turn
            cameras = state.cameras.turned_about(state.place, steps, steps.new_zeros(()))
            start = replace(state, cameras=cameras)
            *_, end = levenberg_marquardt.minimise(problem.retract, start, evaluate, TURN_STEPS)
            ends.append(end)
        finals: list[tuple[State, float]] = []
        for start, _ in sorted(ends, key=lambda end: end[1])[:FINALISTS]:
            *_, end = levenberg_marquardt.minimise(problem.retract, start, evaluate, FINAL_STEPS)
            finals.append(end)
        state = min(finals, key=lambda end: end[1])[0]
    return replace(state, pose_offset=torch.zeros_like(state.pose_offset))


def _save(path: Path, stage: int, state: State) -> None:
    tensors = {"stage": torch.tensor(stage), "pose_offset": state.pose_offset}
    tensors |= {f"shape.{name}": value for name, value in state.shape.tensors().items()}
    tensors |= {f"place.{name}": value for name, value in vars(state.place).items()}
    tensors |= {f"cameras.{name}": value for name, value in vars(state.cameras).items()}
    with written_beside(path) as part:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)


def _resume(path: Path, kind: ShapeKind, cameras: Cameras, stages: int) -> tuple[int, State | None]:
    """The stage and the state to go on from; the first and none where the file is damaged, or of another fit."""
    try:
        # Read rather than mapped: on Windows, nobody could replace a file that is.
        tensors = {name: tensor.to(cameras.K) for name, tensor in load(path.read_bytes()).items()}
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            return 0, None
        shape = {name.removeprefix("shape."): tensor for name, tensor in tensors.items() if name.startswith("shape.")}
        place = Similarity(
            tensors["place.scale"].reshape(()),
            tensors["place.rotation"].reshape(3, 3),
            tensors["place.translation"].reshape(3),
        )
        found = Cameras(**{name: tensors[f"cameras.{name}"].reshape(now.shape) for name, now in vars(cameras).items()})
        offset = tensors["pose_offset"].reshape(6 * len(cameras.K) + 1)
        stage = int(tensors["stage"])
        return (stage, State(kind.restore(shape), place, found, offset)) if 0 <= stage <= stages else (0, None)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError):
        return 0, None
