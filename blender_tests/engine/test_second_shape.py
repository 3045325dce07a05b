"""A shape that is no latent code, a ball of one unknown radius, goes all the way: this file is all that it takes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dist_engine.protocol import Request, Result
from dist_engine.reconstruct import reconstruct_kind
from dist_engine.reporting import Reporter
from dist_engine.shapes.shape import Linear, Springs
from dist_engine.tasks import Clock
from safetensors.torch import load, save_file
from torch import Tensor

from blender_tests.support.views import SIZE, orbit, request

RADIUS = 0.45
CPU = torch.device("cpu")


@dataclass(frozen=True)
class SameEverywhere:
    """df/dr, -1 wherever it is asked: a derivative whose matrix cannot be had."""

    factors: Tensor

    def forward(self, step: Tensor) -> Tensor:
        return self.factors * step

    def backward(self, weights: Tensor) -> Tensor:
        return (self.factors * weights).sum()[None]

    def matrix(self) -> Tensor:
        return self.factors[:, None]

    def scaled(self, factors: Tensor) -> SameEverywhere:
        return SameEverywhere(factors * self.factors)

    def __getitem__(self, index: Tensor) -> SameEverywhere:
        return SameEverywhere(self.factors[index])


class BallField:
    """The exact distance to a ball."""

    device, dtype = CPU, torch.float32

    def __init__(self, radius: float, counter: Counter[str]) -> None:
        self.radius, self.counter = radius, counter

    def __call__(self, points: Tensor, purpose: str) -> Tensor:
        self.counter[purpose] += len(points)
        return points.norm(dim=1) - self.radius

    def slope(self, points: Tensor, purpose: str) -> tuple[Tensor, Tensor]:
        return self(points, purpose), torch.nn.functional.normalize(points, dim=1)

    def linearise(self, points: Tensor, purpose: str) -> Linear:
        return Linear(*self.slope(points, purpose), SameEverywhere(-torch.ones(len(points))))


@dataclass(frozen=True)
class Ball:
    """A ball round the origin."""

    radius: float
    size = 1

    def field(self, counter: Counter[str]) -> BallField:
        return BallField(self.radius, counter)

    def retract(self, step: Tensor) -> Ball:
        return Ball(self.radius + float(step))

    def own_term(self) -> Springs:
        return Springs(torch.full((1,), 1e-6), torch.tensor([self.radius - 0.5]))

    def tensors(self) -> dict[str, Tensor]:
        return {"radius": torch.tensor(self.radius)}

    def describe(self) -> dict[str, Any]:
        return {"shape": "ball", "radius": self.radius}


class Balls:
    """All balls."""

    radius, start, usual = 1.0, None, Ball(0.5)

    def axes(self) -> np.ndarray:
        return np.eye(3)

    def candidates(self) -> list[Ball]:
        return [Ball(0.7), Ball(0.2)]

    def restore(self, tensors: Mapping[str, Tensor]) -> Ball:
        return Ball(float(tensors["radius"]))


def job(depths: bool) -> Request:
    """What cameras see of a ball, in closed form."""
    views = orbit(4)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    masks, seen = [], []
    for view in views:
        rays = np.stack([x, y, np.ones_like(x)], 2) @ np.linalg.inv(view.K).T @ view.world_to_camera[:, :3]
        origin = -view.world_to_camera[:, :3].T @ view.world_to_camera[:, 3]
        # |origin + d ray| = radius, where d is the depth: a ray's own z is 1.
        a, b, c = (rays**2).sum(2), rays @ origin, origin @ origin - RADIUS**2
        gap = b**2 - a * c
        masks.append(np.where(gap > 0, 255, 0).astype(np.uint8))
        seen.append(np.where(gap > 0, (-b - np.sqrt(np.maximum(gap, 0))) / a, np.nan).astype(np.float32))
    made = request(np.stack(masks), views, refine_placement=False)
    around = replace(made.bounds, center=np.zeros(3), half_size=np.full(3, 3**-0.5))
    made = replace(made, bounds=around, prior="")
    return replace(made, depths=np.stack(seen)) if depths else made


@pytest.mark.parametrize("depths", [False, True])
def test_a_ball_goes_through_fit_mesh_judge_and_report(depths: bool, tmp_path: Path) -> None:
    reconstruct_kind(job(depths), Balls(), CPU, tmp_path, Reporter(io.StringIO()), Clock())
    result = Result.load(tmp_path)
    told = result.report
    # A pixel is 0.054 wide there, and masks alone tell the edge to a fraction of it.
    assert told["shape"] == "ball" and told["radius"] == pytest.approx(RADIUS, abs=0.004 if depths else 0.02)
    assert np.linalg.norm(result.vertices, axis=1) == pytest.approx(told["radius"], abs=2e-4)
    assert len(told["iou"]) == 4 and min(told["iou"].values()) > 0.85 and told["disagree"] == []
    assert told["residuals"].keys() == ({"depths"} if depths else set())
    assert result.uncertainty is not None and 0 < result.uncertainty.max() < 0.01
    assert told["queries"]["march"] > 0 and not {"prior", "code"} & told.keys()


def test_a_ball_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    told = io.StringIO()
    reconstruct_kind(job(False), Balls(), CPU, tmp_path, Reporter(told), Clock())
    first = Result.load(tmp_path).report["radius"]
    again = io.StringIO()
    reconstruct_kind(job(False), Balls(), CPU, tmp_path, Reporter(again), Clock())
    assert '"start"' in told.getvalue() and '"start"' not in again.getvalue()
    assert Result.load(tmp_path).report["radius"] == pytest.approx(first, abs=1e-3)


@pytest.mark.parametrize("damage", ["cut short", "of another shape", "of other cameras", "no number", "past the end"])
def test_a_checkpoint_that_is_another_fits_is_not_gone_on_from(damage: str, tmp_path: Path) -> None:
    reconstruct_kind(job(False), Balls(), CPU, tmp_path, Reporter(io.StringIO()), Clock())
    file = tmp_path / "checkpoint.safetensors"
    tensors = load(file.read_bytes())
    if damage == "of another shape":
        tensors["shape.whitened"] = tensors.pop("shape.radius")
    elif damage == "of other cameras":
        tensors["cameras.K"] = tensors["cameras.K"][:2].contiguous()
    elif damage == "no number":
        tensors["place.scale"] = torch.tensor(float("nan"))
    elif damage == "past the end":
        tensors["stage"] = torch.tensor(7)
    save_file(tensors, file)
    if damage == "cut short":
        file.write_bytes(file.read_bytes()[:-20])
    told = io.StringIO()
    reconstruct_kind(job(False), Balls(), CPU, tmp_path, Reporter(told), Clock())
    assert '"start"' in told.getvalue()
    assert Result.load(tmp_path).report["radius"] == pytest.approx(RADIUS, abs=0.02)
