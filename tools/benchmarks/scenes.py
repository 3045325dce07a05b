"""Held-out shapes before cameras, with masks and depths cast from their meshes, and how well a fit found them."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import igl.embree
import numpy as np
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.fitting.fit import Fit, fit
from dist_engine.meshing import extract_mesh
from dist_engine.observations import Observations
from dist_engine.prior import Prior
from dist_engine.protocol import Bounds, Placement, Request, Settings, View
from dist_engine.reference import evaluation
from dist_engine.shapes.latent import LatentKind
from dist_engine.shapes.shape import Shape
from dist_engine.tracing.raster import Raster
from dist_engine.training.sampling import normalisation
from generators import GENERATORS

from .feedforward import CACHE
from .priors import PRIORS, UNSEEN
from .truth import truth

Row = dict[str, Any]
# Vertices (N, 3), and faces (M, 3).
Mesh = tuple[np.ndarray, np.ndarray]
Measure = Callable[[argparse.Namespace, Prior, Any], Iterable[Row]]
CORES = os.cpu_count() or 1
# Baselines are tuned on seeds from here on.
TUNING = 30_000
# Pixels along a picture's side, and the object's distance: the unit sphere fills most of it.
SIZE, DISTANCE, FOCAL = 128, 3.0, 1.4
RESOLUTION = 128


@dataclass(frozen=True)
class Scene:
    """One shape in the object frame, which is also the world, and what cameras see of it.

    Attributes
    ----------
    name : str
    prior : Prior
    vertices, faces : (N, 3) and (M, 3) arrays
    views : list of View
    masks : (V, SIZE, SIZE) uint8 array
    depths : (V, SIZE, SIZE) float32 array
        Along the camera's z; NaN beside the thing.
    """

    name: str
    prior: Prior
    vertices: np.ndarray
    faces: np.ndarray
    views: list[View]
    masks: np.ndarray
    depths: np.ndarray

    def request(self, **given: Any) -> Request:
        """A request with the masks of all views and the true place; `given` replaces its fields or its settings'."""
        settings = {key: given.pop(key) for key in list(given) if key in Settings.__dataclass_fields__}
        settings = {"device": "cpu", "refine_placement": False, "mesh_resolution": RESOLUTION} | settings
        place = Placement(1.0, self.prior.axes(), np.zeros(3))
        around = Bounds(np.zeros(3), self.prior.axes(), np.full(3, self.prior.radius / 3**0.5))
        fields = {"views": self.views, "masks": self.masks, "placement": place, "bounds": around} | given
        return Request(settings=Settings(**settings), **fields)


def add_arguments(parser: argparse.ArgumentParser, classes: tuple[str, ...], instances: int) -> None:
    """The options that choose shapes, and where the rows go."""
    parser.add_argument("--classes", default=",".join(classes), help="built-in priors, with commas between")
    parser.add_argument("--instances", type=int, default=instances, metavar="N", help="held-out shapes of each class")
    parser.add_argument("--jobs", type=int, default=CORES, metavar="N", help="shapes at a time (default: one a core)")
    parser.add_argument("--json", type=Path, metavar="FILE")


def built_in(name: str) -> Prior:
    """The prior of a class."""
    return Prior.load(PRIORS / f"{name}.safetensors")


def measured(
    options: argparse.Namespace, measure: Measure, things: Iterable[tuple[str, Any]] | None = None
) -> list[Row]:
    """The rows of all things, printed as they come: pairs of a class and what `measure` is given with its prior.

    By default the things are the seeds of the unseen shapes of the chosen classes. Each has a process of its own.
    """
    if things is None:
        things = product(options.classes.split(","), range(UNSEEN, UNSEEN + options.instances))
    threads, rows = max(1, CORES // options.jobs), list[Row]()
    # Forked processes would wait for threads that they do not have.
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), torch.set_num_threads, (threads,)) as pool:
        for some in pool.map(partial(_measured, measure, options), things):
            rows += some
            print("\n".join(line(row) for row in some), flush=True)
    return rows


def _measured(measure: Measure, options: argparse.Namespace, thing: tuple[str, Any]) -> list[Row]:
    return list(measure(options, built_in(thing[0]), thing[1]))


def write(options: argparse.Namespace, rows: list[Row]) -> None:
    """Write the rows where asked for."""
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([_told(row) for row in rows], indent=1), encoding="utf-8")


def line(row: dict[str, Any]) -> str:
    """One row as a line of text."""
    return "  ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in _told(row).items()
    )


def _told(row: Row) -> Row:
    """A row without what only figures need."""
    return {key: value for key, value in row.items() if key not in ("truth", "picture")}


def unseen_scene(prior: Prior, seed: int, cameras: int, size: int = SIZE, focal: float = FOCAL) -> Scene:
    """The generator's shape of a seed."""
    vertices, faces = GENERATORS[prior.name](seed)
    vertices = normalisation(vertices, prior.radius)(vertices)
    return mesh_scene(f"{prior.name} {seed}", prior, vertices, faces, orbit(prior, seed, cameras, size, focal), size)


def mesh_scene(
    name: str, prior: Prior, vertices: np.ndarray, faces: np.ndarray, views: list[View], size: int = SIZE
) -> Scene:
    """A mesh in the object frame before cameras."""
    depths = np.stack([cast(vertices, faces, view, size) for view in views])
    masks = np.isfinite(depths).astype(np.uint8) * 255
    return Scene(name, prior, vertices, faces, views, masks, depths)


def member_scene(prior: Prior, number: int, cameras: int, size: int = SIZE) -> Scene:
    """The shape of one of the prior's codes, whose pictures come from the decoder by brute force.

    Marching cubes cut sharp edges by a tenth of a pixel, which would shift a camera by half a percent.
    """
    code = prior.codes[number]
    views = orbit(prior, number, cameras, size)
    mesh = extract_mesh(prior.decoder.field(code), RESOLUTION)
    seen = Cameras.from_views(views, torch.device("cpu"))
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    depths = []
    for index in range(cameras):
        picture = Raster(seen, index, place, size, size)
        rays = picture.rays()
        depths.append((truth(prior.decoder, code, rays, CACHE) * rays.cosine).reshape(size, size).float().numpy())
    depth = np.stack(depths)
    masks = np.isfinite(depth).astype(np.uint8) * 255
    name = f"{prior.name} code {number}"
    return Scene(name, prior, mesh.vertices.double().numpy(), mesh.faces, views, masks, depth)


def orbit(prior: Prior, seed: int, cameras: int, size: int, focal: float = FOCAL) -> list[View]:
    """Cameras round the object, the first of them in front and to the right."""
    random = np.random.default_rng(seed)
    begin = random.uniform(0.3, 1.2)
    return [
        look(prior, f"camera {index}", begin + 2 * np.pi * index / cameras, random.uniform(0.15, 0.65), size, focal)
        for index in range(cameras)
    ]


def look(prior: Prior, name: str, azimuth: float, elevation: float, size: int, focal: float = FOCAL) -> View:
    """A camera that looks at the origin; azimuth 0 sees the thing's front, angles are in radians.

    The focal length is in pictures' widths; the camera stands where the unit sphere fills as much of the picture as
    with `FOCAL` from `DISTANCE`.
    """
    right, back, up = prior.axes().T
    level = np.cos(azimuth) * -back + np.sin(azimuth) * right
    away = np.cos(elevation) * level + np.sin(elevation) * up
    side = np.cross(up, away) / np.linalg.norm(np.cross(up, away))
    rotation = np.stack([side, -np.cross(away, side), -away])
    K = np.array([[focal * size, 0, size / 2], [0, focal * size, size / 2], [0, 0, 1]])
    distance = np.hypot(1, focal / FOCAL * np.sqrt(DISTANCE**2 - 1))
    return View(name, K, np.column_stack([rotation, [0, 0, distance]]))


def cast(vertices: np.ndarray, faces: np.ndarray, view: View, size: int | tuple[int, int]) -> np.ndarray:
    """Depth (height, width) of a mesh along a camera's z; NaN where nothing is. `size`: a side, or width and height."""
    return first_hits(vertices, faces, view, size)[1]


def first_hits(
    vertices: np.ndarray, faces: np.ndarray, view: View, size: int | tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Which triangle each pixel's middle shows, -1 where none, and its depth as `cast` tells: both (height, width)."""
    scene = igl.embree.EmbreeIntersector()
    scene.init(np.asfortranarray(vertices, np.float32), np.asfortranarray(faces, np.int32))
    rotation, translation = view.world_to_camera[:, :3], view.world_to_camera[:, 3]
    width, height = (size, size) if isinstance(size, int) else size
    y, x = np.mgrid[:height, :width] + 0.5
    # Depth is then along z: the direction's own z is 1.
    in_camera = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(view.K).T
    origin = (-rotation.T @ translation).astype(np.float32)
    hits = [scene.intersectRay_first(origin, ray) for ray in (in_camera @ rotation).astype(np.float32)]
    face, depth = (np.array([hit[part] for hit in hits]).reshape(height, width) for part in (0, 1))
    return face, np.where(face >= 0, depth, np.nan).astype(np.float32)


class Quiet:
    """A reporter that nobody listens to."""

    stopping = False

    def progress(self, *_: object) -> None:
        """Say nothing."""


def run_fit(scene: Scene, request: Request) -> tuple[Fit, dict[str, float]]:
    """Fit as a worker does; what was found, with seconds and queries."""
    request.check()
    counter: Counter[str] = Counter()
    began = time.monotonic()
    generator = torch.Generator().manual_seed(request.settings.seed)
    observations = Observations(request, torch.device("cpu"), generator)
    with tempfile.TemporaryDirectory() as folder:
        kind = LatentKind(scene.prior, given=None if request.code is None else scene.prior.as_code(request.code))
        found = fit(request, kind, observations, counter, Path(folder), Quiet())
    return found, {"seconds": time.monotonic() - began, "queries": sum(counter.values())}


def medians(rows: list[Row], by: str, columns: list[Any], value: str = "chamfer_x1000") -> None:
    """Print the median of a value, a line each class and one for all, a column each of `columns`."""
    print(f"\nMedian {value} by {by}\n{'':>10}" + "".join(f"{column!s:>12}" for column in columns))
    for name in [*dict.fromkeys(row["class"] for row in rows), "all"]:
        some = [row for row in rows if name in (row["class"], "all")]
        cells = [np.median([row[value] for row in some if row[by] == column]) for column in columns]
        print(f"{name:>10}" + "".join(f"{cell:12.3f}" for cell in cells))


def surface(scene: Scene, shape: Shape, place: Similarity | None = None) -> Mesh | None:
    """The mesh of a shape at a place; None where it has no surface."""
    try:
        mesh = extract_mesh(shape.field(Counter()), RESOLUTION)
    except ValueError:
        return None
    return (mesh.vertices if place is None else place.to_world(mesh.vertices)).double().numpy(), mesh.faces


def chamfer(scene: Scene, found: Mesh | None) -> float:
    """Chamfer distance x 1000 of a mesh to the scene's; infinite where there is none."""
    if found is None:
        return float("inf")
    return evaluation.compare(*found, scene.vertices, scene.faces).chamfer_x1000
