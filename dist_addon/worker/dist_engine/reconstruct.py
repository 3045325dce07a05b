"""A reconstruction from request to result, stage by stage."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import igl
import numpy as np
import torch

from .colouring import vertex_colours
from .fitting.fit import Fit, fit
from .fitting.observations import Observations
from .judging import disagreeing, residuals, view_iou
from .meshing import Mesh, extract_mesh
from .preview import Preview
from .prior import Prior
from .protocol import PRIOR_FILE, Request, RequestError, Result, View
from .shrinking import shrunk

if TYPE_CHECKING:
    from .run import Reporter

# Vertices whose uncertainty is worked out; the others take it from the nearest.
JUDGED_VERTICES = 20_000


def reconstruct(folder: Path, reporter: Reporter) -> None:
    """Run the request in `folder` and write the result there.

    Raises
    ------
    RequestError, PriorError
        The request or its prior cannot be used.
    Cancelled
        The reporter was told to stop.
    """
    clock = Clock()
    whole = Request.load(folder)
    request, factor = shrunk(whole)
    settings = request.settings
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    prior = Prior.load(folder / PRIOR_FILE).to(device)
    latent = prior.decoder.architecture.latent
    if request.code is not None and len(request.code) != latent:
        raise RequestError(f"The code has {len(request.code)} numbers, but the prior “{prior.name}” takes {latent}.")
    generator = torch.Generator().manual_seed(settings.seed)
    observations = Observations(request, device, generator)
    counter: Counter[str] = Counter()
    clock.lap("load")

    preview = Preview(folder, prior, reporter)
    found = fit(request, prior, observations, counter, folder, reporter, preview.look)
    clock.lap("fit")

    reporter.progress("mesh", 0, 1, found.cost, None)
    field = prior.decoder.field(found.code, counter)
    mesh = extract_mesh(field, settings.mesh_resolution)
    clock.lap("mesh")

    reporter.progress("judge", 0, 1, found.cost, None)
    iou = view_iou(field, observations, found)
    misses = residuals(field, prior, mesh, observations, found, request)
    uncertainty = found.place.scale * spread_out(found.variances, mesh.vertices).sqrt()
    clock.lap("judge")

    found = replace(found, cameras=found.cameras.enlarged(factor))
    colours = None if whole.pictures is None else paint(mesh, found, whole, whole.pictures)
    clock.lap("colour")

    told = report(whole, found, iou, misses, counter, clock, device) | {"early": reporter.finishing}
    # The thing's own axes are the bounds' (right, back, up), whatever the prior's frame is.
    placed = mesh.placed(found.place, prior.axes())
    Result(**placed, uncertainty=uncertainty.cpu().numpy(), colours=colours, report=told).save(folder)
    preview.remove()


def paint(mesh: Mesh, found: Fit, request: Request, pictures: np.ndarray) -> np.ndarray:
    """The pictures' colours (N, 3) uint8 at a mesh's vertices."""
    place, masks = found.place, (request.masks >= 128) | ~request.mask_counts[:, None, None]
    normals = mesh.normals @ place.rotation.T
    return vertex_colours(place.to_world(mesh.vertices), normals, found.cameras, pictures, masks)[0]


def spread_out(of: Callable[[torch.Tensor], torch.Tensor], vertices: torch.Tensor) -> torch.Tensor:
    """What `of` says of some vertices (N, 3), at all of them: each takes it from the nearest."""
    some = vertices[:: len(vertices) // JUDGED_VERTICES + 1]
    each = np.arange(len(some), dtype=np.int64)[:, None]
    points, targets = (part.cpu().double().numpy() for part in (vertices, some))
    nearest = igl.point_mesh_squared_distance(points, targets, each)[1]
    return of(some)[torch.as_tensor(nearest, device=vertices.device)]


def report(
    request: Request,
    found: Fit,
    iou: torch.Tensor,
    misses: dict[str, dict[str, float]],
    counter: Counter[str],
    clock: Clock,
    device: torch.device,
) -> dict[str, object]:
    """The result's report, as `protocol.Result` describes it."""
    names = [view.name for view in request.views]
    counts = request.mask_counts.tolist()
    overlaps = {name: value for name, value, masked in zip(names, iou.tolist(), counts, strict=True) if masked}
    told: dict[str, object] = {
        "prior": request.prior,
        "scale": float(found.place.scale),
        "code": found.code.tolist(),
        "resolution": request.settings.mesh_resolution,
        "iou": overlaps,
        "disagree": disagreeing(overlaps),
        "residuals": misses,
        "strangeness": found.strangeness,
        "loss": found.cost,
        "queries": dict(counter),
        "seconds": clock.seconds,
        "device": str(device),
    }
    if request.settings.refine_cameras or request.settings.refine_focal_length:
        told["cameras"] = [
            refined.to_json()
            | moved(view, refined)
            | {"width": request.masks.shape[2], "height": request.masks.shape[1]}
            for view, refined in zip(request.views, found.cameras.to_views(names), strict=True)
        ]
    return told


def moved(before: View, after: View) -> dict[str, float]:
    """How far a camera was turned, in degrees, and moved, in world units."""
    (turn, shift), (turned, shifted) = ((v.world_to_camera[:, :3], v.world_to_camera[:, 3]) for v in (before, after))
    # The sine of half the angle: exact for small ones.
    half = float(np.linalg.norm(turned - turn)) / 8**0.5
    return {
        "turned": float(np.degrees(2 * np.arcsin(min(half, 1.0)))),
        "moved": float(np.linalg.norm(turned.T @ shifted - turn.T @ shift)),
    }


class Clock:
    """Seconds a stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap under `stage`."""
        now = time.monotonic()
        self.seconds[stage], self._last = now - self._last, now


def choose_device(name: str) -> torch.device:
    """The device to work on.

    Raises
    ------
    ValueError
        The one asked for is not there.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        # Apple's GPUs lack doubles and some operations; who wants to try chooses them.
        name = "cuda" if there["cuda"] else "cpu"
    if not there.get(name, False):
        raise ValueError(f"PyTorch finds no “{name}” device here: choose Automatic or CPU in the add-on's preferences.")
    return torch.device(name)
