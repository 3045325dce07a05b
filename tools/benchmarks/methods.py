"""What is made of a scene's pictures by several methods, and how good that is.

Each reconstruction is the engine's, from job folder to result, in a process of its own with one thread. The views that
are held back are compared with the mesh's outline, cast by rays through the middles of pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from dist_engine.protocol import Bounds, Request, RequestError, Settings, View, covered
from dist_engine.reference import evaluation

from . import figures, scenes
from .engine import alone, reconstructed
from .hull import visual_hull
from .photographed import Photographs, Scene
from .priors import PRIORS
from .scenes import Row
from .things import Mesh

# The visual hull; without a prior, by outlines, and by colours; a prior's shape alone, and freed.
METHODS = ("hull", "outlines", "colours", "prior", "freed")
# A prior alone goes by outlines, as it does by default. Freed, it goes by colours, too, unless all cameras look from
# more than so many degrees apart.
WIDEST = 75.0
# As the add-on's "normal".
STEPS, RAYS, RESOLUTION = 80, 8000, 256


def add_arguments(parser: argparse.ArgumentParser, methods: tuple[str, ...], views: list[int]) -> None:
    """The options that choose what is done to scenes, and where the rows go."""
    parser.add_argument("--views", nargs="+", type=int, default=views, metavar="N")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(methods))
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="reconstructions at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    figures.add_argument(parser)


def measured(
    options: argparse.Namespace,
    some: list[Scene],
    left_out: list[str],
    more: Callable[[Mesh, Photographs], Row] | None = None,
) -> list[Row]:
    """The rows of scenes by the chosen views and methods, printed as they come.

    Parameters
    ----------
    options : Namespace
        Of `add_arguments`.
    some : list of Scene
    left_out : list of str
        Gets what the engine refuses, and why.
    more : callable, optional
        Further columns, from what was found and what it was found from.
    """
    cases = [
        (scene, views, method)
        for scene in some
        for views in options.views
        for method in options.methods
        if scene.prior or method not in ("prior", "freed")
    ]
    rows, shown = list[Row](), dict[str, dict[tuple[str, int], Mesh]]()
    with ThreadPoolExecutor(options.jobs) as pool:
        for (scene, views, method), made in zip(cases, pool.map(_tried, cases), strict=True):
            if isinstance(made, str):
                left_out.append(f"{scene.name}, {views} views, {method}: {made}")
                continue
            found, row = made
            shown.setdefault(scene.name, {})[method, views] = found
            row |= more(found, scene.seen.first(views)) if more else {}
            rows.append(row)
            print(scenes.line(row), flush=True)
    for scene in some:
        if options.pictures and scene.name in shown:
            draw(options, scene, shown[scene.name])
    return rows


def finish(options: argparse.Namespace, rows: list[Row], left_out: list[str]) -> None:
    """Write the rows where asked for; end with an error where something was left out."""
    scenes.write(options, rows)
    if left_out:
        raise SystemExit("\nLEFT OUT:\n" + "\n".join(left_out))


def draw(options: argparse.Namespace, scene: Scene, found: dict[tuple[str, int], Mesh]) -> None:
    """A sheet: the truth and what methods found of it, a line each number of views, from two held-back views."""

    def seen(mesh: Mesh | None) -> np.ndarray | None:
        height, width = scene.held_back.masks.shape[1:]
        return (
            None
            if mesh is None
            else np.hstack([figures.relief(mesh, view, (width, height)) for view in scene.held_back.views[:2]])
        )

    true = seen((scene.vertices, scene.faces))
    methods, counts = list(dict.fromkeys(method for method, _ in found)), dict.fromkeys(views for _, views in found)
    lines = {f"{views} views": [true, *[seen(found.get((method, views))) for method in methods]] for views in counts}
    figures.tiles(options, scene.name, ["truth", *methods], lines)


def _tried(case: tuple[Scene, int, str]) -> tuple[Mesh, Row] | str:
    """One mesh, and how good it is; or why the engine refused."""
    scene, views, method = case
    given = scene.seen.first(views)
    told: Row = {}
    try:
        if method == "hull":
            found, cost = alone(visual_hull, given.views, covered(given.masks))
        else:
            made, cost = alone(reconstructed, *asked(scene, given, method))
            found = made.mesh
            told = {key: made.report[key] for key in ("cells", "departure") if key in made.report}
    except RequestError as error:
        return str(error)
    errors = evaluation.compare(*found, scene.vertices, scene.faces)
    return found, {
        "object": scene.name,
        "views": views,
        "method": method,
        "chamfer": errors.chamfer_x1000,
        "f": errors.f,
        "normal_error": errors.normal_error,
        "iou_heldout": float(np.mean(overlaps(found, scene.held_back.views, scene.held_back.masks))),
        **cost,
        **told,
    }


def asked(scene: Scene, given: Photographs, method: str) -> tuple[Request, Path | None]:
    """The request of a method, and its prior."""
    prior = scene.prior if method in ("prior", "freed") else ""
    near = given.pictures is not None and nearest_cameras(given.views) < WIDEST
    coloured = method == "colours" or (method == "freed" and near)
    settings = Settings(
        iterations=STEPS,
        rays=RAYS,
        mesh_resolution=RESOLUTION,
        compare_colours=coloured,
        freedom="some" if method == "freed" else "none",
        device="cpu",
        threads=1,
    )
    low, high = scene.vertices.min(0), scene.vertices.max(0)
    request = Request(
        views=given.views,
        masks=given.masks,
        pictures=given.pictures if coloured else None,
        bounds=Bounds((low + high) / 2, np.eye(3), (high - low) / 2) if prior else None,
        settings=settings,
        prior=prior,
    )
    return request, PRIORS / f"{prior}.safetensors" if prior else None


def nearest_cameras(views: list[View]) -> float:
    """The smallest angle between two cameras about the origin, in degrees."""
    towards = np.array([-view.world_to_camera[:, :3].T @ view.world_to_camera[:, 3] for view in views])
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    cosines = towards @ towards.T - 2 * np.eye(len(views))
    return float(np.degrees(np.arccos(cosines.max().clip(-1, 1))))


def overlaps(mesh: Mesh, views: list[View], masks: np.ndarray, known: np.ndarray | None = None) -> list[float]:
    """IoU of a mesh's outline and each of masks (V, H, W) uint8, where they are known."""
    height, width = masks.shape[1:]
    known = np.ones(masks.shape, bool) if known is None else known
    return [
        evaluation.silhouette_iou(np.isfinite(scenes.cast(*mesh, view, (width, height))), covered(mask), told)
        for view, mask, told in zip(views, masks, known, strict=True)
    ]
