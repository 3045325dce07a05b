"""A picture of one of a prior's shapes: depth, normals and silhouette, from request to result."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .cameras import Cameras, Similarity
from .decoder import DecoderField
from .protocol import RenderRequest, RenderResult, Stage, View
from .reporting import Reporter
from .tasks import Clock, load_prior, prepare
from .tracing.guided import trace_guided
from .tracing.raster import Raster, hit_normals

# Largest |f| that counts as the surface. What the camera asks for (`Rays.threshold`) widens outlines by half a pixel;
# guided by the lattice, rays that go on until here ask hardly more often.
THRESHOLD = 2e-5
# Rays traced together, in a band of the picture: more would need more memory, fewer ask more about the same space.
BAND_RAYS = 1 << 19
# Rows of a band come in such numbers, since neighbouring rays help each other in squares.
BAND_STEP = 8


def render(folder: Path, reporter: Reporter) -> None:
    """Run the request in `folder` and write the result there.

    Raises
    ------
    RequestError, PriorError
        The request or its prior cannot be used.
    Cancelled
        The reporter was told to stop.
    """
    clock = Clock()
    request = RenderRequest.load(folder)
    device = prepare(request.device, request.threads)
    prior = load_prior(folder, device)
    counter: Counter[str] = Counter()
    field = prior.decoder.field(prior.as_code(request.code), counter)
    place = Similarity.from_placement(request.placement, prior.axes(), device)
    clock.lap("load")

    rows = max(BAND_RAYS // request.width // BAND_STEP, 1) * BAND_STEP
    tops = range(0, request.height, rows)
    depths, directions = [], []
    began = time.monotonic()
    for done, top in enumerate(tops):
        left = (time.monotonic() - began) / done * (len(tops) - done) if done else None
        reporter.progress(Stage.RENDER, done, len(tops), None, left)
        cameras = Cameras.from_views([_below(request.view, top)], device)
        band = Raster(cameras, 0, place, request.width, min(rows, request.height - top))
        depth, direction = trace_band(field, band)
        depths.append(depth.cpu().numpy())
        directions.append(direction.cpu().numpy())
    clock.lap("render")

    depth = np.concatenate(depths)
    RenderResult(
        depth=depth,
        normal=np.concatenate(directions),
        silhouette=np.isfinite(depth).astype(np.uint8),
        report={
            "prior": request.prior,
            "queries": dict(counter),
            "seconds": clock.seconds,
            "device": str(device),
        },
    ).save(folder)


def trace_band(field: DecoderField, band: Raster) -> tuple[Tensor, Tensor]:
    """Trace a picture.

    Returns
    -------
    depth : (H, W) tensor
        Along the camera's z in world units; infinity where nothing is hit.
    normal : (H, W, 3) tensor
        In world space; zero where nothing is hit.
    """
    rays = band.rays()
    trace = trace_guided(field, band, torch.full_like(rays.near, THRESHOLD))
    depth = trace.distance * rays.cosine * band.place.scale
    depth[~trace.hit] = torch.inf
    normal = hit_normals(field, band, trace) @ band.place.rotation.T
    normal[~trace.hit] = 0
    return depth.reshape(band.shape()), normal.reshape(*band.shape(), 3)


def _below(view: View, row: int) -> View:
    """The same camera with its picture cut off above `row`."""
    K = view.K.copy()
    K[1, 2] -= row
    return replace(view, K=K)
