"""The schedule of a fit: several starts on few rays, the best of them on more and more."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from ..cameras import Cameras, Similarity
from ..judging import disagreeing, view_iou
from ..prior import Prior
from ..protocol import Request, move_into_place
from . import adam, levenberg_marquardt
from .model import Quadratic
from .observations import Observations, Pick
from .problem import Noise, Problem, State, Unknowns
from .start import start_places, start_states

if TYPE_CHECKING:
    from ..run import Reporter

# Fewer rays leave a camera whose pose is not known where it is, and the shape makes up for it.
RAYS_A_CAMERA = 800
STARTS = 6
START_STEPS = 8
# A camera before a known shape is also tried turned by so much (radians) about the object: a fit finds back from less.
TURN, TURN_STEPS, TURN_RAYS = 0.25, 6, 400
# The best few of these starts, and of a shape's without masks, go on for so many steps before one is chosen.
FINALISTS, FINAL_STEPS = 4, 15
Stage = tuple[float, float, int | None]
# Share of the rays that each stage uses, and of the steps that it may take, and the level of the pictures' colours.
STAGES: tuple[Stage, ...] = ((0.25, 0.5, None), (1.0, 0.5, None))
COLOUR_STAGES: tuple[Stage, ...] = ((0.5, 0.3, 2), (0.5, 0.3, 1), (1.0, 0.4, 0))
# Where every view has a mask, colours come last: what they say of a shape that is still wrong misleads.
MASKED_COLOUR_STAGES: tuple[Stage, ...] = (*STAGES, (1.0, 0.2, 0))
# Where at least so many views have masks, those are left out whose overlap (IoU) is below the median by so much. So
# many rays of each tell, on a grid; a mask that fewer than so many of them meet is too small to be judged.
ENOUGH_VIEWS, FAR_WORSE, DOUBT_RAYS, FEWEST_INSIDE = 5, 0.2, 1000, 30
Look = Callable[[Tensor, Similarity], bool]
SOLVERS = {"lm": levenberg_marquardt.minimise, "adam": adam.minimise}


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes
    ----------
    code : (latent,) tensor
    place : Similarity
        Of the object.
    cameras : Cameras
    cost : float
    strangeness : float
        How far the code is from the mean of the training codes: 1 is as far as these are.
    variances : callable
        From points (N, 3) of the surface in the object frame to how sure their places are: the variance (N,) across the
        surface, in the object frame's units.
    """

    code: Tensor
    place: Similarity
    cameras: Cameras
    cost: float
    strangeness: float
    variances: Callable[[Tensor], Tensor]


def fit(
    request: Request,
    prior: Prior,
    observations: Observations,
    counter: Counter[str],
    folder: Path,
    reporter: Reporter,
    look: Look = lambda *_: True,
) -> Fit:
    """Find the code and the place that explain the observations.

    Goes on from the checkpoint in `folder` where there is one, and writes it as it goes. `look` is called with the best
    code and place after each step; the fit ends there where it returns False.

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
    noise = Noise(settings.mask_noise, settings.depth_noise, settings.normal_noise, settings.picture_noise)
    problem = Problem(prior, unknowns, len(request.views), counter, noise)
    minimise = SOLVERS[settings.solver]
    rays = max(settings.rays, RAYS_A_CAMERA * len(request.views) * unknowns.cameras)
    stages = STAGES if observations.pictures is None else MASKED_COLOUR_STAGES
    stages = COLOUR_STAGES if observations.colours_lead else stages
    checkpoint = folder / "checkpoint.safetensors"
    stage, state = _resume(checkpoint, observations.masks.device) if checkpoint.exists() else (0, None)
    places = start_places(request, prior, observations) if state is None else [state.place]
    observations.look_at(places)
    if state is None:
        if request.code is None:
            state = _best_start(problem, observations, places, rays, reporter, look)
        else:
            code = torch.as_tensor(request.code, dtype=torch.float32, device=observations.masks.device)
            state = problem.start(code, places[0], observations.cameras)
            if unknowns.cameras and not unknowns.shape and not unknowns.place:
                state = _turn_cameras(problem, observations, state, reporter)

    cost, began, done = 0.0, time.monotonic(), 0
    plan = [(int(rays * share), max(1, round(settings.iterations * steps)), level) for share, steps, level in stages]
    total = sum(rays * steps for rays, steps, _ in plan)
    step_number = sum(steps for _, steps, _ in plan[:stage])
    for index, (rays, steps, level) in list(enumerate(plan))[stage:]:
        # A camera that is not known yet is no reason.
        if not unknowns.cameras:
            _leave_out_wrong(problem, observations, state)
        path = minimise(problem.moved, state, _on_rays(problem, observations, rays, level), steps)
        for taken, (state, cost) in enumerate(path):
            done += rays
            _save(checkpoint, index, state)
            now = time.monotonic()
            left = (now - began) * max(total - done, 0) / done
            reporter.progress("fit", step_number + taken, settings.iterations, cost, left)
            going = look(problem.code(state), state.place)
            # Neither a pause nor a look at the shape counts as pace.
            began += time.monotonic() - now
            if not going:
                break
        if not going:
            break
        step_number += steps
        total -= rays * (steps - taken)
    model = _on_rays(problem, observations, rays)(state)
    strangeness = float(state.whitened.square().mean().sqrt())
    variances = partial(problem.variances, state, model)
    return Fit(problem.code(state), state.place, state.cameras, cost, strangeness, variances)


def _best_start(
    problem: Problem, observations: Observations, places: list[Similarity], rays: int, reporter: Reporter, look: Look
) -> State:
    """A few steps from each of the likeliest starts; the best of where they end.

    Without masks, shapes that are far apart explain nearly as much: then the best few go on before one is chosen.
    """
    count = STARTS if len(places) == 1 else 2 * STARTS
    reporter.progress("start", 0, count, None, None)
    # Something to see while the training codes are tried: the usual one, since the mean itself may be in pieces.
    codes = problem.prior.codes
    look(codes[(codes - problem.prior.mean).square().sum(1).argmin()], places[0])
    states = start_states(problem, observations, places, count)
    level = -1 if observations.colours_lead else None
    evaluate = _on_pick(problem, observations, observations.draw(int(rays * STAGES[0][0]), level, start=True))
    rounds = [START_STEPS] if observations.masked.any() else [START_STEPS, FINAL_STEPS]
    total, done = len(states) + FINALISTS * (len(rounds) - 1), 0
    for steps in rounds:
        ends: list[tuple[State, float]] = []
        for start in states:
            end = (start, math.inf)
            for end in levenberg_marquardt.minimise(problem.moved, start, evaluate, steps):
                reporter.progress("start", done, total, end[1], None)
                best = min([*ends, end], key=_cost)[0]
                if not look(problem.code(best), best.place):
                    return best
            ends.append(end)
            done += 1
        states = [state for state, _ in sorted(ends, key=_cost)[:FINALISTS]]
    return states[0]


def _cost(end: tuple[State, float]) -> float:
    """What an end of a search costs; one that is no number, most."""
    return math.inf if math.isnan(end[1]) else end[1]


def _leave_out_wrong(problem: Problem, observations: Observations, state: State) -> None:
    """Leave out views whose masks show something else: where they pull little, they still pull to a wrong side."""
    masked = int(observations.masked.sum())
    if masked < ENOUGH_VIEWS:
        return
    count = DOUBT_RAYS * masked
    grid = observations.lattice(count)
    inside = observations.view_of(grid[observations.masks.flatten()[grid]])
    judged = (torch.bincount(inside, minlength=len(observations.masked)) >= FEWEST_INSIDE).nonzero()[:, 0].tolist()
    if len(judged) < ENOUGH_VIEWS:
        return
    field = problem.prior.decoder.field(problem.code(state), problem.counter)
    overlaps = view_iou(field, observations, state, count).tolist()
    wrong = torch.zeros_like(observations.masked)
    wrong[disagreeing({view: overlaps[view] for view in judged}, FAR_WORSE)] = True
    observations.leave_out(wrong)


def _turn_cameras(problem: Problem, observations: Observations, state: State, reporter: Reporter) -> State:
    """Start each camera, on its own, from where a few steps lead best: as it is given, or turned about the object."""
    count = len(state.cameras.K)
    turns = TURN * torch.cat([torch.zeros(1, 3), torch.eye(3), -torch.eye(3)])
    turns = torch.cat([turns, TURN * 3**-0.5 * (torch.cartesian_prod(*[torch.arange(2)] * 3) * 2.0 - 1)])
    for view in range(count):
        reporter.progress("start", view, count, None, None)
        pick = observations.draw(count * TURN_RAYS).of_view(view, observations)
        evaluate = _on_pick(problem, observations, pick)
        ends: list[tuple[State, float]] = []
        for turn in turns.to(state.strayed):
            steps = state.strayed.new_zeros(count, 6)
            steps[view, :3] = turn
            cameras = state.cameras.as_if_moved(state.place, steps, steps.new_zeros(()))
            start = replace(state, cameras=cameras)
            *_, end = levenberg_marquardt.minimise(problem.moved, start, evaluate, TURN_STEPS)
            ends.append(end)
        finals: list[tuple[State, float]] = []
        for start, _ in sorted(ends, key=lambda end: end[1])[:FINALISTS]:
            *_, end = levenberg_marquardt.minimise(problem.moved, start, evaluate, FINAL_STEPS)
            finals.append(end)
        state = min(finals, key=lambda end: end[1])[0]
    return replace(state, strayed=torch.zeros_like(state.strayed))


def _on_rays(
    problem: Problem, observations: Observations, count: int, level: int | None = 0
) -> Callable[[State], Quadratic]:
    """The cost over one random set of rays, and colours at a level, if any, as a function of the state."""
    return _on_pick(problem, observations, observations.draw(count, level))


def _on_pick(problem: Problem, observations: Observations, pick: Pick) -> Callable[[State], Quadratic]:
    """The cost over some of the observations, as a function of the state."""

    def evaluate(state: State) -> Quadratic:
        return problem.evaluate(state, observations.sample(pick, state.cameras, state.place))

    return evaluate


def _save(path: Path, stage: int, state: State) -> None:
    place = state.place
    tensors = {
        "stage": torch.tensor(stage),
        "whitened": state.whitened,
        "scale": place.scale,
        "rotation": place.rotation,
        "translation": place.translation,
        "strayed": state.strayed,
    } | {f"cameras.{name}": value for name, value in vars(state.cameras).items()}
    beside = path.with_name(path.name + ".part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, beside)
    move_into_place(beside, path)


def _resume(path: Path, device: torch.device) -> tuple[int, State | None]:
    """The stage and the state to go on from; the first stage and no state where the file is damaged."""
    try:
        # Read rather than mapped: on Windows, nobody could replace a file that is.
        tensors = {name: tensor.to(device) for name, tensor in load(path.read_bytes()).items()}
    except (SafetensorError, OSError):
        return 0, None
    place = Similarity(tensors["scale"], tensors["rotation"], tensors["translation"])
    cameras = Cameras(*(tensors[f"cameras.{name}"] for name in ("K", "rotation", "translation")))
    return int(tensors["stage"]), State(tensors["whitened"], place, cameras, tensors["strayed"])
