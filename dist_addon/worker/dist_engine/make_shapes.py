"""Meshes of given codes: those of a request, then, in a worker that stays, those that are ordered line by line."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
from torch import Tensor

from .cameras import Similarity
from .decoder import Decoder, DecoderField
from .meshing import extract_mesh
from .prior import Prior
from .protocol import (
    Placement,
    RequestError,
    Result,
    ShapeOrder,
    ShapeRequest,
    ShapesResult,
    Stage,
    shape_folder,
)
from .reporting import Reporter
from .shapes.latent import KIND
from .tasks import Clock, load_prior, prepare


class Overtaken(Exception):
    """A newer order has come: nobody waits for this one's mesh any more."""


class OrderedField(DecoderField):
    """A field that is given up as soon as a newer order has come."""

    def __init__(self, decoder: Decoder, code: Tensor, counter: Counter[str], reporter: Reporter) -> None:
        super().__init__(decoder, code, counter)
        self.reporter = reporter

    def __call__(self, points: Tensor, purpose: str) -> Tensor:
        """As `DecoderField`, or raise `Overtaken`."""
        if self.reporter.called:
            raise Overtaken
        return super().__call__(points, purpose)


def make_shapes(folder: Path, reporter: Reporter) -> None:
    """Run the request in `folder` and write the results there.

    Raises
    ------
    RequestError, PriorError
        The request, an order or the prior cannot be used.
    ValueError
        A code of the request has no surface.
    Cancelled
        The reporter was told to stop.
    """
    clock = Clock()
    request = ShapeRequest.load(folder)
    device = prepare(request.device, request.threads)
    prior = load_prior(folder, device)
    latent = prior.decoder.architecture.latent
    if request.codes.shape[1] != latent:
        raise RequestError(
            f"The codes have {request.codes.shape[1]} numbers, but the prior “{prior.name}” takes {latent}."
        )
    clock.lap("load")

    count = len(request.codes)
    began = time.monotonic()
    for serial, (code, placement) in enumerate(zip(request.codes, request.placements, strict=True)):
        left = (time.monotonic() - began) / serial * (count - serial) if serial else None
        reporter.progress(Stage.MESH, serial, count, None, left)
        field = prior.decoder.field(prior.as_code(code), Counter())
        save(make_shape(prior, field, placement, request.resolution, request.prior, code.tolist()), folder, serial)
    clock.lap("mesh")
    if count:
        report = {"prior": request.prior, "shapes": count, "seconds": clock.seconds, "device": str(device)}
        ShapesResult.save_report(folder, report)
    if request.stay:
        take_orders(folder, request, prior, reporter)


def take_orders(folder: Path, request: ShapeRequest, prior: Prior, reporter: Reporter) -> None:
    """Make what is ordered on standard input, always the newest, until none comes for a while."""
    reporter.event("status", message="Ready")
    while (line := reporter.take_order(request.stay)) is not None:
        order = ShapeOrder.from_line(line, prior.decoder.architecture.latent)
        field = OrderedField(prior.decoder, prior.as_code(order.code), Counter(), reporter)
        place = Placement(order.scale, np.eye(3), np.zeros(3))
        try:
            result = make_shape(prior, field, place, order.resolution, request.prior, order.code)
        except Overtaken:
            continue
        except ValueError as error:
            reporter.event("shape", serial=order.serial, problem=str(error))
            continue
        save(result, folder, order.serial)
        reporter.event("shape", serial=order.serial, problem="")


def make_shape(
    prior: Prior, field: DecoderField, place: Placement, resolution: int, reference: str, code: list[float]
) -> Result:
    """Make one mesh; ValueError where the code has no surface."""
    mesh = extract_mesh(field, resolution)
    report = {"shape": KIND, "prior": reference, "code": code, "scale": place.scale, "resolution": resolution}
    placed = mesh.placed(Similarity.from_placement(place, prior.axes(), field.device), prior.axes())
    return Result(**placed, report=report | {"queries": dict(field.counter)})


def save(result: Result, folder: Path, serial: int) -> None:
    """Write a shape where Blender's side looks for it."""
    target = shape_folder(folder, serial)
    target.mkdir(parents=True, exist_ok=True)
    result.save(target)
