"""Shapes with exact distances that stand in for a decoder's field: the code is what the shape is made of.

And a camera before them, with the formulas for what it sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.decoder import Jacobian
from dist_engine.protocol import View
from dist_engine.rays import Rays
from dist_engine.shapes.shape import Dense, Linear, Springs
from torch import Tensor


class ClosedForm:
    """The interface of `dist_engine.decoder.Field`, and of a shape's field, over `distance(points, code)`."""

    def __init__(self, code: Tensor, counter: Counter[str] | None = None) -> None:
        self.code = code.detach()
        self.counter: Counter[str] = Counter() if counter is None else counter

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        raise NotImplementedError

    def __call__(self, points: Tensor, purpose: str) -> Tensor:
        self.counter[purpose] += len(points)
        return self.distance(points, self.code)

    @property
    def device(self) -> torch.device:
        return self.code.device

    @property
    def dtype(self) -> torch.dtype:
        return self.code.dtype

    def slope(self, points: Tensor, purpose: str) -> tuple[Tensor, Tensor]:
        at = self.jacobian(points, purpose)
        return at.value, at.d_point

    def linearise(self, points: Tensor, purpose: str) -> Linear:
        at = self.jacobian(points, purpose)
        return Linear(at.value, at.d_point, Dense(0.1 * at.d_code))

    def jacobian(self, points: Tensor, purpose: str, with_code: bool = True) -> Jacobian:
        self.counter[purpose] += len(points)
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            codes = self.code.expand(len(points), -1).detach().requires_grad_()
            value = self.distance(points, codes)
            d_point, d_code = torch.autograd.grad(value.sum(), (points, codes))
        return Jacobian(value.detach(), d_point, d_code if with_code else d_code[:, :0])


@dataclass(frozen=True)
class ClosedShape:
    """A closed form as a shape whose unknowns are its code; it is held a little to what it was at first."""

    form: type[ClosedForm]
    code: Tensor
    first: Tensor

    @staticmethod
    def of(form: type[ClosedForm], code: Tensor) -> ClosedShape:
        return ClosedShape(form, code, code)

    @property
    def size(self) -> int:
        return len(self.code)

    def field(self, counter: Counter[str]) -> ClosedForm:
        return self.form(self.code, counter)

    def retract(self, step: Tensor) -> ClosedShape:
        return ClosedShape(self.form, self.code + 0.1 * step, self.first)

    def own_term(self) -> Springs:
        return Springs(torch.full_like(self.code, 1e-4), (self.code - self.first) / 0.1)

    def tensors(self) -> dict[str, Tensor]:
        return {"code": self.code}

    def describe(self) -> dict[str, Any]:
        return {"shape": "closed form"}


@dataclass(frozen=True)
class ClosedKind:
    """The shapes of a closed form, from one code on."""

    form: type[ClosedForm]
    code: Tensor
    radius: float = 0.9

    @property
    def start(self) -> ClosedShape:
        return ClosedShape.of(self.form, self.code)

    @property
    def usual(self) -> ClosedShape:
        return self.start

    def axes(self) -> np.ndarray:
        return np.eye(3)

    def candidates(self) -> list[ClosedShape]:
        return [self.start]

    def restore(self, tensors: Mapping[str, Tensor]) -> ClosedShape:
        return ClosedShape(self.form, tensors["code"], self.code)


class Sphere(ClosedForm):
    """A ball round the origin; the code (1,) is its radius."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        return points.norm(dim=-1) - code[..., 0]


class Box(ClosedForm):
    """A box round the origin; the code (3,) holds its half sizes."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        outside = points.abs() - code
        return outside.clamp(min=0).norm(dim=-1) + outside.max(-1).values.clamp(max=0)


class PlateAndBall(ClosedForm):
    """A thin square plate at z = -0.63 before a ball of radius 0.3; the code (1,) is half the plate's thickness."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        half = torch.stack([torch.full_like(code[..., 0], 0.25)] * 2 + [code[..., 0]], -1)
        outside = (points - points.new_tensor([0.02, -0.05, -0.63])).abs() - half
        plate = outside.clamp(min=0).norm(dim=-1) + outside.max(-1).values.clamp(max=0)
        return torch.minimum(plate, points.norm(dim=-1) - 0.3)


class BallBeforeWall(ClosedForm):
    """A ball of radius 0.2 at (code, 0, -0.4) before a wall 0.1 thick; the code (1,) is where it is."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        away = points - torch.stack(
            [code[..., 0], torch.zeros_like(code[..., 0]), torch.full_like(code[..., 0], -0.4)], -1
        )
        outside = (points - points.new_tensor([0.0, 0.0, 0.3])).abs() - points.new_tensor([0.6, 0.4, 0.05])
        wall = outside.clamp(min=0).norm(dim=-1) + outside.max(-1).values.clamp(max=0)
        return torch.minimum(away.norm(dim=-1) - 0.2, wall)


class Bud(ClosedForm):
    """A ball of radius 0.3, and beside it one of radius ``code``: below zero, the code says nothing of it."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        bud = (points - points.new_tensor([0.55, 0.0, 0.0])).norm(dim=-1) + 0.02 - 1.2 * code[..., 0].clamp(min=0)
        return torch.minimum(points.norm(dim=-1) - 0.3, bud)


def camera(distance: float = 3.0, focal: float = 60.0, size: int = 64) -> Cameras:
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    extrinsics = np.hstack([np.eye(3), [[0.0], [0.0], [distance]]])
    return Cameras.from_views([View("c", K, extrinsics)], torch.device("cpu"))


def identity() -> Similarity:
    return Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))


def sphere_depth(rays: Rays, radius: float) -> torch.Tensor:
    """Distance to the sphere round the origin by the quadratic formula; NaN where it is missed."""
    along = (rays.origins * rays.directions).sum(1)
    return -along - (along**2 - rays.origins.square().sum(1) + radius**2).sqrt()


def box_depth(rays: Rays, half: torch.Tensor) -> torch.Tensor:
    """Distance to the box round the origin by slabs; NaN where it is missed."""
    one, two = (-half - rays.origins) / rays.directions, (half - rays.origins) / rays.directions
    entry, leave = torch.minimum(one, two).max(1).values, torch.maximum(one, two).min(1).values
    return torch.where(entry < leave, entry, float("nan"))
