"""Things of no class from their pictures: the visual hull, outlines, colours, and a prior's shape before and after.

Shapes ship with libraries or are made (`things`), their pictures are Blender's (`photographed`). Each reconstruction is
the engine's, from job folder to result, in a process of its own with one thread. The views that are held back are
compared with the mesh's outline, cast by rays through the middles of pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from dist_engine.protocol import Bounds, Request, RequestError, Settings, View, covered
from dist_engine.reference import evaluation

from . import figures, scenes, things
from .engine import alone, reconstructed
from .hull import visual_hull
from .photographed import Photographs, Scene, photographed, with_turned_cameras, with_wrong_masks
from .priors import PRIORS
from .scenes import Row
from .things import Mesh

METHODS = ("hull", "outlines", "colours", "prior", "freed")
# Those that compare colours; a prior alone goes by outlines, as it does by default.
COLOURED = ("colours", "freed")
# Things that a built-in prior knows the like of.
CLASSES = {"table": "table"}
# As the add-on's "normal".
STEPS, RAYS, RESOLUTION = 80, 8000, 256
# Wrong masks: a blob of this share of the mask's area, and flipped pixels of its edge.
BLOB, FLIPPED = 0.04, 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--objects", nargs="+", choices=list(things.THINGS), default=list(things.THINGS))
    parser.add_argument("--views", nargs="+", type=int, default=[4, 8, 12, 24], metavar="N")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seed", type=int, default=0, help="of the made things, textures and noise")
    parser.add_argument(
        "--mask-noise",
        nargs="+",
        choices=("blob", "edge"),
        default=[],
        help="a wrong blob, flipped pixels in each mask",
    )
    parser.add_argument("--pose-noise", type=float, default=0.0, metavar="PX", help="cameras are turned by as much")
    parser.add_argument("--json", type=Path, metavar="FILE")
    figures.add_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows, left_out = [], []
    for name in options.objects:
        try:
            scene = photographed(name, options.seed)
        except things.Unreachable as error:
            left_out.append(f"{name}: {error}")
            continue
        shown: dict[tuple[str, int], Mesh] = {}
        for views in options.views:
            for method in options.methods:
                if method in ("prior", "freed") and name not in CLASSES:
                    continue
                try:
                    found, row = measured(options, scene, views, method)
                except RequestError as error:
                    left_out.append(f"{name}, {views} views, {method}: {error}")
                    continue
                rows.append(row)
                print(scenes.line(row), flush=True)
                shown[method, views] = found
        if options.pictures and shown:
            draw(options, scene, shown)
    scenes.write(options, rows)
    if left_out:
        raise SystemExit("\nLEFT OUT:\n" + "\n".join(left_out))


def draw(options: argparse.Namespace, scene: Scene, found: dict[tuple[str, int], Mesh]) -> None:
    """A sheet: the truth and what methods found of it, a line each number of views, from two held-back views."""

    def seen(mesh: Mesh | None) -> np.ndarray | None:
        size = scene.held_back.masks.shape[:0:-1]
        return (
            None
            if mesh is None
            else np.hstack([figures.relief(mesh, view, size) for view in scene.held_back.views[:2]])
        )

    true = seen((scene.vertices, scene.faces))
    lines = {
        f"{views} views": [true, *[seen(found.get((method, views))) for method in options.methods]]
        for views in options.views
    }
    figures.tiles(options, scene.name, ["truth", *options.methods], lines)


def measured(options: argparse.Namespace, scene: Scene, views: int, method: str) -> tuple[Mesh, Row]:
    """One mesh, and how good it is."""
    given = noisy(scene.seen.first(views), options)
    if method == "hull":
        (found, cost), cells = alone(visual_hull, given.views, covered(given.masks)), {}
    else:
        made, cost = alone(reconstructed, *asked(scene, given, method))
        found, cells = made.mesh, {key: made.report[key] for key in ("cells",) if key in made.report}
    errors = evaluation.compare(*found, scene.vertices, scene.faces)
    return found, {
        "object": scene.name,
        "views": views,
        "method": method,
        "chamfer": errors.chamfer_x1000,
        "f": errors.f,
        "normal_error": errors.normal_error,
        "iou_heldout": overlap(found, scene.held_back.views, scene.held_back.masks),
        **cost,
        **cells,
        "mask_noise": "+".join(options.mask_noise),
        "pose_noise": options.pose_noise,
    }


def noisy(given: Photographs, options: argparse.Namespace) -> Photographs:
    """The pictures with what is asked for of noise."""
    if options.mask_noise:
        blob, flipped = (
            share if kind in options.mask_noise else 0.0 for kind, share in (("blob", BLOB), ("edge", FLIPPED))
        )
        given = with_wrong_masks(given, blob, flipped, options.seed)
    return with_turned_cameras(given, options.pose_noise, options.seed) if options.pose_noise else given


def asked(scene: Scene, given: Photographs, method: str) -> tuple[Request, Path | None]:
    """The request of a method, and its prior."""
    prior = CLASSES[scene.name] if method in ("prior", "freed") else ""
    settings = Settings(
        iterations=STEPS,
        rays=RAYS,
        mesh_resolution=RESOLUTION,
        compare_colours=method in COLOURED,
        freedom="some" if method == "freed" else "none",
        device="cpu",
        threads=1,
    )
    low, high = scene.vertices.min(0), scene.vertices.max(0)
    request = Request(
        views=given.views,
        masks=given.masks,
        pictures=given.pictures if method in COLOURED else None,
        bounds=Bounds((low + high) / 2, np.eye(3), (high - low) / 2) if prior else None,
        settings=settings,
        prior=prior,
    )
    return request, PRIORS / f"{prior}.safetensors" if prior else None


def overlap(mesh: Mesh, views: list[View], masks: np.ndarray, known: np.ndarray | None = None) -> float:
    """Mean IoU of a mesh's outline and masks (V, H, W) uint8, where they are known."""
    found = [
        evaluation.silhouette_iou(
            np.isfinite(scenes.cast(*mesh, view, mask.shape[::-1])), covered(mask), True if known is None else known[k]
        )
        for k, (view, mask) in enumerate(zip(views, masks, strict=True))
    ]
    return float(np.mean(found))
