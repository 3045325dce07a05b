"""How exact the gradients are, against central differences in double precision, and what memory they take.

For some pixels of one picture, a random loss over the depth, the normals and the silhouette's smallest f is derived by
the code, the camera's pose (6 numbers), the focal length and the object's Sim(3) (7 numbers): with the tracer's
implicit gradient, with the paper's, and by moving each unknown a little and solving every ray again.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from dist_engine.cameras import Cameras, Similarity
from dist_engine.decoder import Decoder, DecoderField
from dist_engine.observations.surface import GRAZING, STENCIL
from dist_engine.rays import Rays
from dist_engine.reference.gradients import METHODS, normals, smallest_value, surface_distance
from dist_engine.reference.strategies import trace_picture
from dist_engine.tracing.march import Trace, march
from dist_engine.tracing.raster import Raster
from torch import Tensor

from .cases import Case, add_arguments, load_case

COLUMNS = ("method", "of", "wrt", "cosine", "length_ratio", "queries", "peak_mb")
QUANTITIES = ("depth", "normal", "silhouette")
# A step of the central differences: larger ones pass from one linear piece of the decoder to the next, smaller ones
# drown in rounding.
STEP = 1e-7
MEMORY_STEPS = (25, 200)
SCAN_SAMPLES = 1000
# Rays on which f comes this near to its minimum in another place too are left out.
APART = 1e-3

Unknowns = dict[str, Tensor]


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    add_arguments(parser)
    parser.add_argument("--rays", type=int, default=150, metavar="N", help="pixels in the losses; 0: memory only")
    parser.add_argument("--no-memory", action="store_true", help="leave out what a backward pass takes at --size")
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    case = load_case(options)
    rows: list[dict[str, Any]] = []
    print(case.title)
    if options.rays:
        experiment = Experiment.of(case, options.rays)
        print(f"{len(experiment.seen)} pixels that see the surface, {len(experiment.missed)} that pass it")
    print("  ".join(f"{column:>14}" for column in COLUMNS), flush=True)
    for of in QUANTITIES if options.rays else ():
        truth = experiment.differences(of)
        for method in METHODS:
            found, queries = experiment.derive(of, method)
            for wrt, true in truth.items():
                rows.append({"method": method, "of": of, "wrt": wrt} | compare(found[wrt], true))
                rows[-1] |= {"queries": queries, "peak_mb": None}
                show(rows[-1])
    if not options.no_memory:
        for steps in MEMORY_STEPS:
            trace = trace_picture(case.field(), case.picture, "aggressive", threshold=5e-5, steps=steps)
            for method in METHODS:
                # A process of its own, in which nothing has taken memory before.
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    queries, peak = pool.submit(backward_alone, options, vars(trace), method).result()
                rows.append({"method": method, "of": "all", "wrt": f"all, {steps} steps"})
                rows[-1] |= {"cosine": None, "length_ratio": None, "queries": queries, "peak_mb": peak}
                show(rows[-1])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def show(row: dict[str, Any]) -> None:
    """Print one row of the table."""
    text = {
        key: f"{value:.5f}" if isinstance(value, float) else f"{value:,}"
        for key, value in row.items()
        if value is not None and not isinstance(value, str)
    }
    print("  ".join(f"{text.get(column, row[column] or '-'):>14}" for column in COLUMNS), flush=True)


def compare(found: Tensor, true: Tensor) -> dict[str, float]:
    """Direction and length of a gradient beside the true one."""
    return {
        "cosine": float(F.cosine_similarity(found, true, dim=0)),
        "length_ratio": float(found.norm() / true.norm().clamp(min=1e-30)),
    }


def backward_alone(options: argparse.Namespace, trace: dict[str, Tensor], method: str) -> tuple[int, float]:
    """Queries, and peak memory (MB) above what was there before, of one backward pass over a whole picture."""
    case, found = load_case(options), Trace(**trace)
    field = case.field()
    unknowns = {name: value.requires_grad_() for name, value in start(case.code).items()}
    before = reset_peak()
    rays, place = rays_of(case.picture, unknowns)
    hit = found.hit.nonzero()[:, 0]
    missed = (~found.hit & found.value.isfinite()).nonzero()[:, 0]
    seen, passed = rays[hit], rays[missed]
    distance = surface_distance(field, unknowns["code"], seen, found.distance[hit], method)
    facing = normals(field, unknowns["code"], seen.at(distance))
    nearest = smallest_value(field, unknowns["code"], passed, found.distance[missed], found.value[missed], method)
    (place.scale * distance * seen.cosine).sum().add(facing.sum()).add(nearest.sum()).backward()
    return sum(field.counter.values()), memory("VmHWM") - before


def reset_peak() -> float:
    """Forget the most memory that this process has had; return what it has now (MB)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        raise SystemExit(f"Memory is only measured on Linux: choose --no-memory ({error}).") from error
    return memory("VmRSS")


def memory(kind: str) -> float:
    """Read the process' memory (MB): ``VmRSS``, what it has now, or ``VmHWM``, the most since `reset_peak`."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) * 1024 / 1e6


def start(code: Tensor) -> Unknowns:
    """All unknowns, none of them moved yet."""
    zeros = code.new_zeros(7)
    return {"code": code.clone(), "pose": zeros[None, :6].clone(), "focal length": zeros[0].clone(), "Sim(3)": zeros}


def rays_of(picture: Raster, unknowns: Unknowns) -> tuple[Rays, Similarity]:
    """A picture's rays, and the place of the object, where the unknowns put them."""
    cameras = picture.cameras.retract(unknowns["pose"], unknowns["focal length"])
    place = picture.place.retract(unknowns["Sim(3)"])
    return Raster(cameras, picture.view, place, picture.width, picture.height).rays(), place


@dataclass(frozen=True)
class Experiment:
    """Some pixels of a picture and the weights of their losses, in double precision.

    `seen` and `missed` are indices of pixels; `depth` holds the distance to the surface, or to where f is smallest, for
    all pixels; `slope` is df/dt at the surface.
    """

    decoder: Decoder
    picture: Raster
    unknowns: Unknowns
    seen: Tensor
    missed: Tensor
    distance: Tensor
    slope: Tensor
    weights: Tensor

    @staticmethod
    def of(case: Case, count: int) -> Experiment:
        """Choose pixels away from outlines and from grazing rays, and solve them."""
        decoder = Decoder(case.prior.decoder.architecture).double()
        decoder.load_state_dict(case.prior.decoder.state_dict())
        views, place = case.picture.cameras, case.picture.place
        cameras = Cameras(*(getattr(views, name).double() for name in Cameras.__dataclass_fields__))
        place = Similarity(*(getattr(place, name).double() for name in Similarity.__dataclass_fields__))
        picture = Raster(cameras, 0, place, case.picture.width, case.picture.height)
        unknowns = start(case.code.double())
        rays, field = rays_of(picture, unknowns)[0], decoder.field(case.code.double())
        trace = trace_picture(case.field(), case.picture, "dynamic")
        draw = torch.Generator().manual_seed(0)

        image = torch.where(trace.hit, trace.distance, 100.0).reshape(1, 1, *picture.shape())
        uneven = (F.max_pool2d(image, 3, 1, 1) + F.max_pool2d(-image, 3, 1, 1)).flatten()
        footprint = case.picture.rays().pixel * trace.distance
        calm = (trace.hit & (uneven < 10 * footprint)).nonzero()[:, 0]
        calm = calm[torch.randperm(len(calm), generator=draw)[: 2 * count]]
        at = field.jacobian(rays[calm].at(trace.distance[calm].double()), "truth", with_code=False)
        slope = (at.d_point * rays[calm].directions).sum(1)
        good = slope < -4 * GRAZING
        seen, slope = calm[good][:count], slope[good][:count]

        beside = (~trace.hit & (rays.near < rays.far) & (trace.value < 0.06)).nonzero()[:, 0]
        beside = beside[torch.randperm(len(beside), generator=draw)[:count]]
        lowest, inner = scan_minimum(field, rays[beside])
        missed = beside[inner][: count // 3]
        distance = trace.distance.double()
        distance[missed] = lowest[inner][: count // 3]
        distance[seen] = solve(field, rays[seen], distance[seen], slope)
        weights = torch.randn(3, len(distance), generator=draw).double()
        return Experiment(decoder, picture, unknowns, seen, missed, distance, slope, weights)

    def derive(self, of: str, method: str) -> tuple[Unknowns, int]:
        """Gradients of the loss by the tracer's own method, and the queries they took."""
        graph = {name: value.clone().requires_grad_() for name, value in self.unknowns.items()}
        field = self.decoder.field(self.unknowns["code"])
        rays, place = rays_of(self.picture, graph)
        chosen = self.missed if of == "silhouette" else self.seen
        rays = rays[chosen]
        code = graph["code"]
        if of == "silhouette":
            trace = march(field, rays.detach(), rays.threshold().detach(), relaxation=1.5, longest=0.1)
            field.counter.clear()
            loss = smallest_value(field, code, rays, trace.distance, trace.value, method) @ self.weights[0, chosen]
        else:
            distance = surface_distance(field, code, rays, self.distance[chosen], method)
            if of == "depth":
                loss = self._of_depth(place, rays, distance)
            else:
                loss = self._of_normal(place, normals(field, code, rays.at(distance)))
        found = torch.autograd.grad(loss, list(graph.values()), materialize_grads=True)
        # Where the paper's samples lie is known from the march that found the surface.
        queries = sum(field.counter.values()) - field.counter["march"]
        return {name: value.flatten() for name, value in zip(graph, found, strict=True)}, queries

    def differences(self, of: str) -> Unknowns:
        """Gradients of the loss by central differences."""
        found = {}
        for name, value in self.unknowns.items():
            found[name] = torch.zeros_like(value).flatten()
            for i in range(value.numel()):
                step = torch.zeros_like(value).flatten()
                step[i] = STEP
                step = step.reshape(value.shape)
                ends = [self._loss(of, self.unknowns | {name: value + sign * step}) for sign in (1, -1)]
                found[name][i] = (ends[0] - ends[1]) / (2 * STEP)
        return found

    def _loss(self, of: str, unknowns: Unknowns) -> Tensor:
        """The loss with every ray solved anew from the decoder's values alone."""
        field = self.decoder.field(unknowns["code"])
        rays, place = rays_of(self.picture, unknowns)
        if of == "silhouette":
            return golden(field, rays[self.missed], self.distance[self.missed])[1] @ self.weights[0, self.missed]
        rays = rays[self.seen]
        distance = solve(field, rays, self.distance[self.seen], self.slope)
        if of == "depth":
            return self._of_depth(place, rays, distance)
        points, steps = rays.at(distance), STENCIL * torch.eye(3).double()
        ahead, behind = (field((points[:, None] + s * steps).reshape(-1, 3), "truth").reshape(-1, 3) for s in (1, -1))
        return self._of_normal(place, F.normalize(ahead - behind, dim=1))

    def _of_depth(self, place: Similarity, rays: Rays, distance: Tensor) -> Tensor:
        return (place.scale * distance * rays.cosine) @ self.weights[0, self.seen]

    def _of_normal(self, place: Similarity, normal: Tensor) -> Tensor:
        return ((normal @ place.rotation.T) * self.weights[:, self.seen].T).sum()


def solve(field: DecoderField, rays: Rays, near: Tensor, slope: Tensor) -> Tensor:
    """Root (N,) of f along rays from close by: Newton with a fixed slope, then secants."""
    a, fa = near, field(rays.at(near), "truth")
    b = a - fa / slope
    for _ in range(4):
        fb = field(rays.at(b), "truth")
        step = torch.where((fb - fa).abs() > 1e-14, fb * (b - a) / (fb - fa), 0.0)
        a, fa, b = b, fb, b - step.clamp(-1e-3, 1e-3)
    return b


def scan_minimum(field: DecoderField, rays: Rays) -> tuple[Tensor, Tensor]:
    """Where (N,) f is smallest along each ray, by brute force, and whether that is one pass of its own.

    On the others the derivative jumps: f is smallest at the sphere's rim, or nearly as small at another place.
    """
    share = torch.linspace(0, 1, SCAN_SAMPLES).double()
    t = rays.near[:, None] + (rays.far - rays.near)[:, None] * share
    points = rays.origins[:, None] + t[..., None] * rays.directions[:, None]
    f = field(points.reshape(-1, 3), "truth").reshape(t.shape)
    place = f.argmin(1, keepdim=True)
    lowest, value = golden(field, rays, t.gather(1, place)[:, 0], 2 / SCAN_SAMPLES, 45)
    # Beyond the first fall of f to the right, and the last rise to the left, other valleys begin.
    index, change = torch.arange(SCAN_SAMPLES - 1), f.diff(dim=1)
    right = ((change < 0) & (index >= place)).int().cumsum(1) > 0
    left = ((change > 0) & (index < place)).int().flip(1).cumsum(1).flip(1) > 0
    others = torch.where(right, f[:, 1:], torch.where(left, f[:, :-1], float("inf"))).amin(1)
    inner = (place[:, 0] > 4) & (place[:, 0] < SCAN_SAMPLES - 5)
    return lowest, inner & (value > 2e-3) & (others > value + APART)


def golden(
    field: DecoderField, rays: Rays, middle: Tensor, reach: float = 2e-5, steps: int = 32
) -> tuple[Tensor, Tensor]:
    """Where (N,) f is smallest within `reach` of a distance, and its value there, by golden section."""
    ratio = (5**0.5 - 1) / 2
    low, high = middle - reach, middle + reach
    inner = [high - ratio * (high - low), low + ratio * (high - low)]
    values = [field(rays.at(t), "truth") for t in inner]
    for _ in range(steps):
        left = values[0] < values[1]
        low, high = torch.where(left, low, inner[0]), torch.where(left, inner[1], high)
        new = torch.where(left, high - ratio * (high - low), low + ratio * (high - low))
        f = field(rays.at(new), "truth")
        inner = [torch.where(left, new, inner[1]), torch.where(left, inner[0], new)]
        values = [torch.where(left, f, values[1]), torch.where(left, values[0], f)]
    better = values[0] < values[1]
    return torch.where(better, inner[0], inner[1]), torch.minimum(*values)
