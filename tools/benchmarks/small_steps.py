"""Small steps of the code and of the camera, as a fit makes them, the same for all that is measured on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from dist_engine.tracing.march import march
from dist_engine.tracing.raster import Raster
from torch import Tensor

from .cases import Case

# Median change of depth a step, in the unit sphere's units.
MOVE = 1e-3
# Radii of the ellipse that the code walks on, in units of the training codes' spread.
REACH = 0.5
# One ray for so many pixels along a side measures how far depth moves.
COARSE = 16
# What the object turns (radians) and goes (in its own units) in front of the camera a step.
TURN, GO = (4e-4, 1.5e-3, 2e-4), (2e-4, 1e-4, 3e-4)


def codes(case: Case, steps: int) -> Iterator[Tensor]:
    """The case's code after each of `steps` steps along an ellipse between random mixtures of the training codes.

    Each step is as long as the implicit derivative says that the median depth moves by `MOVE`.
    """
    decoder, known = case.prior.decoder, case.prior.codes
    mixture = torch.randn(2, len(known), generator=torch.Generator().manual_seed(0)) / len(known) ** 0.5
    along, across = REACH * mixture @ (known - known.mean(0))
    rays = case.picture.rays(COARSE)
    angle, code = torch.zeros(()), case.code
    for _ in range(steps):
        field = decoder.field(code)
        trace = march(field, rays, torch.full_like(rays.near, 1e-4), longest=0.1)
        seen = rays[trace.hit]
        at = field.jacobian(seen.at(trace.distance[trace.hit]), "small step")
        tangent = angle.cos() * along + angle.sin() * across
        speed = (at.d_code @ tangent / (at.d_point * seen.directions).sum(1)).abs().median()
        angle = angle + MOVE / speed
        code = case.code + angle.sin() * along + (1 - angle.cos()) * across
        yield code


def pictures(case: Case, steps: int) -> Iterator[Raster]:
    """The case's picture after each of `steps` small moves of the object in front of the camera."""
    move = torch.tensor([0.0, *TURN, *GO])
    picture = case.picture
    for _ in range(steps):
        picture = replace(picture, place=picture.place.retract(move))
        yield picture
