"""A reconstruction from request to result, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import KDTree  # type: ignore[import-untyped]

from .cameras import Cameras, Similarity
from .colouring import vertex_colours
from .fitting.fit import fit
from .fitting.freeing import free
from .meshing import Mesh, extract_mesh
from .observations import Observations
from .observations.agreement import disagreeing
from .observations.observation import Estimate
from .preview import Preview
from .protocol import RefinedCamera, Request, Result, Stage, View, covered
from .reporting import Reporter
from .shapes import load_kind
from .shapes.free.kind import FreeKind
from .shapes.shape import ShapeKind
from .shrinking import shrunk
from .tasks import Clock, prepare

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
    request = Request.load(folder)
    device = prepare(request.settings.device, request.settings.threads)
    kind = load_kind(request, folder, device)
    clock.lap("load")
    reconstruct_kind(request, kind, device, folder, reporter, clock)


def reconstruct_kind(
    whole: Request, kind: ShapeKind | FreeKind, device: torch.device, folder: Path, reporter: Reporter, clock: Clock
) -> None:
    """The same for a request that is read, with any kind of shape."""
    request, factor = shrunk(whole)
    settings = request.settings
    observations = Observations(request, device, torch.Generator().manual_seed(settings.seed))
    counter: Counter[str] = Counter()
    clock.lap("observe")

    preview = Preview(folder, kind, reporter)
    given = None
    if not isinstance(kind, FreeKind):
        given = fit(request, kind, observations, counter, folder, reporter, preview.show)
        clock.lap("fit")
    if given is None or settings.freedom != "none":
        found, departure = free(request, kind, given, observations, counter, folder, reporter, preview.show)
        clock.lap("free")
    else:
        found, departure = given, None
    shape, place, cameras = found.shape, found.place, found.cameras

    reporter.progress(Stage.MESH, 0, 1, found.cost, None)
    field = shape.field(counter)
    mesh = extract_mesh(field, settings.mesh_resolution)
    clock.lap("mesh")

    reporter.progress(Stage.JUDGE, 0, 1, found.cost, None)
    outlines = observations.outlines
    iou = None if outlines is None else outlines.overlaps(field, cameras, place)
    residuals = observations.residuals(Estimate(found.state, field, found.unknowns), mesh)
    left = None if departure is None else place.scale * departure(mesh.vertices)
    uncertainty = place.scale * spread_out(found.variances, mesh.vertices).sqrt()
    clock.lap("judge")

    cameras = cameras.enlarged(factor)
    colours = None if whole.pictures is None else paint(mesh, place, cameras, whole, whole.pictures)
    clock.lap("colour")

    overlaps = {} if iou is None else overlap_by_view(whole, iou)
    report = shape.describe() | {
        "scale": float(place.scale),
        "resolution": settings.mesh_resolution,
        "iou": overlaps,
        "disagree": disagreeing(overlaps),
        "residuals": residuals,
        "loss": found.cost,
        "early": reporter.finishing,
        "queries": dict(counter),
        "seconds": clock.seconds,
        "device": str(device),
    }
    if left is not None:
        report["freedom"] = settings.freedom
        report["departure"] = {"rms": float(left.square().mean().sqrt()), "largest": float(left.abs().max())}
    if given is not None and (given.unknowns.cameras or given.unknowns.focal):
        report["cameras"] = [camera.to_json() for camera in refined_cameras(whole, cameras)]
    # The thing's own axes are the bounds' (right, back, up), whatever the shape's frame is.
    placed = mesh.placed(place, kind.axes())
    Result(
        **placed,
        uncertainty=uncertainty.cpu().numpy(),
        departure=None if left is None else left.cpu().numpy(),
        colours=colours,
        report=report,
    ).save(folder)
    preview.remove()


def paint(mesh: Mesh, place: Similarity, cameras: Cameras, request: Request, pictures: np.ndarray) -> np.ndarray:
    """The pictures' colours (N, 3) uint8 at a mesh's vertices."""
    masks = covered(request.masks) & request.mask_tells | ~request.mask_counts[:, None, None]
    normals = mesh.normals @ place.rotation.T
    return vertex_colours(place.to_world(mesh.vertices), normals, cameras, pictures, masks)[0]


def spread_out(of: Callable[[torch.Tensor], torch.Tensor], vertices: torch.Tensor) -> torch.Tensor:
    """What `of` says of some vertices (N, 3), at all of them: each takes it from the nearest."""
    some = vertices[:: len(vertices) // JUDGED_VERTICES + 1]
    points, targets = (part.cpu().double().numpy() for part in (vertices, some))
    nearest = KDTree(targets).query(points)[1]
    return of(some)[torch.as_tensor(nearest, device=vertices.device)]


def overlap_by_view(request: Request, iou: torch.Tensor) -> dict[str, float]:
    """The overlap (V,) of the views that have a mask, by name."""
    views = zip(request.views, iou.tolist(), request.mask_counts, strict=True)
    return {view.name: value for view, value, masked in views if masked}


def refined_cameras(request: Request, cameras: Cameras) -> list[RefinedCamera]:
    """The cameras, and how far each is from where the request had it."""
    height, width = request.masks.shape[1:]
    found = zip(request.views, cameras.to_views([view.name for view in request.views]), strict=True)
    return [RefinedCamera(after, width, height, *moved(before, after)) for before, after in found]


def moved(before: View, after: View) -> tuple[float, float]:
    """How far a camera was turned, in degrees, and moved, in world units."""
    (turn, shift), (turned, shifted) = ((v.world_to_camera[:, :3], v.world_to_camera[:, 3]) for v in (before, after))
    # The sine of half the angle: exact for small ones.
    half = float(np.linalg.norm(turned - turn)) / 8**0.5
    degrees = float(np.degrees(2 * np.arcsin(min(half, 1.0))))
    return degrees, float(np.linalg.norm(turned.T @ shifted - turn.T @ shift))
