"""Photographs of a real thing: how well its outline is told in those that are held back.

``FOLDER`` holds pictures and a file of cameras that the add-on's **Import Cameras** reads. Masks are the pictures'
alpha, or the files of the folder ``--masks``; or the background is dark and plain, and they are made from it: what is
in its shadows is unknown. What is unknown does not count.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dist_engine.protocol import Request, RequestError, Settings, View, covered, where_lines_meet
from PIL import Image

from dist_addon import formats
from tools.cut_out import from_dark_background

from . import figures, scenes
from .engine import alone, reconstructed
from .hull import visual_hull
from .methods import RAYS, RESOLUTION, STEPS, overlaps
from .scenes import Row
from .things import Mesh

METHODS = ("hull", "outlines", "colours")
# Pixels along a picture's longer side that are enough.
ENOUGH = 384
# Where the hull is sought: so many times as far as the masks reach about the place where their middles meet.
ROOM = 1.3


@dataclass(frozen=True)
class Taken:
    """Photographs of a thing, all of one size.

    Attributes
    ----------
    views : list of View
        Called as the pictures.
    masks : (V, H, W) uint8 array
        Coverage.
    known : (V, H, W) bool array
        Where the masks tell.
    pictures : (V, H, W, 3) uint8 array
    """

    views: list[View]
    masks: np.ndarray
    known: np.ndarray
    pictures: np.ndarray

    def part(self, chosen: np.ndarray) -> Taken:
        """Those that are chosen, by a (V,) bool array."""
        views = [view for view, here in zip(self.views, chosen, strict=True) if here]
        return Taken(views, self.masks[chosen], self.known[chosen], self.pictures[chosen])


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="pictures and a file of cameras")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="masks, called as the pictures")
    parser.add_argument("--held-back", nargs="+", metavar="NAME", help="pictures (default: every fourth)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    figures.add_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    try:
        taken = read(options.folder, options.masks)
        names = [view.name for view in taken.views]
        held_back = options.held_back or names[3::4]
        if unknown := set(held_back) - set(names):
            raise RequestError(f"There is no picture {', '.join(sorted(unknown))}: choose from {', '.join(names)}.")
    except ValueError as error:
        raise SystemExit(str(error)) from error
    apart = np.isin(names, held_back)
    given, others = taken.part(~apart), taken.part(apart)
    height, width = taken.masks.shape[1:]
    print(f"{len(given.views)} pictures of {width} x {height}; held back: {', '.join(held_back)}", flush=True)
    rows, shown = list[Row](), dict[str, Mesh]()
    for method in options.methods:
        shown[method], row = measured(options.folder.resolve().name, given, others, method)
        rows.append(row)
        print(scenes.line(row), flush=True)
    draw(options, others, shown)
    scenes.write(options, rows)


def measured(name: str, given: Taken, others: Taken, method: str) -> tuple[Mesh, Row]:
    """One mesh, and how good it is."""
    if method == "hull":
        found, cost = alone(visual_hull, given.views, covered(given.masks), given.known, *around(given))
    else:
        made, cost = alone(reconstructed, asked(given, method))
        found = made.mesh
    by_view = overlaps(found, others.views, others.masks, others.known)
    return found, {
        "object": name,
        "views": len(given.views),
        "method": method,
        "iou_heldout": float(np.mean(by_view)),
        "iou_least": min(by_view),
        "iou_given": float(np.mean(overlaps(found, given.views, given.masks, given.known))),
        **cost,
    }


def asked(given: Taken, method: str) -> Request:
    """The request of a method."""
    coloured = method == "colours"
    return Request(
        views=given.views,
        masks=given.masks,
        mask_known=None if given.known.all() else given.known,
        pictures=given.pictures if coloured else None,
        bounds=None,
        settings=Settings(
            iterations=STEPS, rays=RAYS, mesh_resolution=RESOLUTION, compare_colours=coloured, device="cpu", threads=1
        ),
    )


def read(folder: Path, masks: Path | None = None) -> Taken:
    """Photographs, halved or more until they are no larger than is enough.

    Raises
    ------
    ValueError
        Cameras, pictures or masks cannot be read; the message says which.
    """
    found = formats.read(folder)
    factor = -(-max(found.size) // ENOUGH)
    views, pictures, covers, knowns = [], [], [], []
    for view, path in zip(found.views, found.pictures, strict=True):
        with Image.open(path) as image:
            rgba = np.array(image.convert("RGBA"))
        if rgba.shape[1::-1] != found.size:
            raise RequestError(f"{path} is of {rgba.shape[1::-1]}, not of {found.size} pixels.")
        cover, known = rgba[..., 3], np.ones(rgba.shape[:2], bool)
        if masks is not None:
            cover = _mask_file(masks, path.stem, found.size)
        elif cover.min() == 255:
            thing, known = from_dark_background(rgba[..., :3])
            cover = thing.astype(np.uint8) * 255
        K = np.diag([1 / factor, 1 / factor, 1]) @ view.K
        views.append(View(path.stem, K, view.world_to_camera))
        pictures.append(smaller(rgba[..., :3], factor).round().astype(np.uint8))
        covers.append(smaller(cover, factor).round().astype(np.uint8))
        knowns.append(smaller(known, factor) == 1)
    return Taken(views, np.stack(covers), np.stack(knowns), np.stack(pictures))


def smaller(picture: np.ndarray, factor: int) -> np.ndarray:
    """Means (h, w, ...) of blocks of a picture (H, W, ...); what is left over at the right and below is left out."""
    height, width = (side // factor for side in picture.shape[:2])
    cut = picture[: height * factor, : width * factor].astype(float)
    return np.asarray(cut.reshape(height, factor, width, factor, *picture.shape[2:]).mean((1, 3)))


def around(given: Taken) -> tuple[tuple[float, ...], float]:
    """Middle and radius of a sphere that holds the thing."""
    seen, reach = [], []
    for view, mask in zip(given.views, covered(given.masks), strict=True):
        places = np.argwhere(mask)[:, ::-1] + 0.5
        middle = (places.min(0) + places.max(0)) / 2
        seen.append(np.linalg.solve(view.K, [*middle, 1.0]))
        reach.append(np.linalg.norm(places - middle, axis=1).max() / view.K[0, 0])
    centre, depths = where_lines_meet([view.world_to_camera for view in given.views], np.array(seen))
    return tuple(centre), ROOM * float(np.max(np.array(reach) * depths))


def draw(options: argparse.Namespace, others: Taken, found: dict[str, Mesh]) -> None:
    """A sheet: the pictures held back with what is unknown of them, and the meshes from there."""
    if not options.pictures:
        return
    height, width = others.masks.shape[1:]
    lines: dict[str, list[np.ndarray | None]] = {}
    for view, mask, known, picture in zip(others.views, others.masks, others.known, others.pictures, strict=True):
        told = np.where(covered(mask)[..., None], picture, picture // 4)
        told[~known] = (200, 40, 40)
        lines[view.name] = [picture, told, *[figures.relief(mesh, view, (width, height)) for mesh in found.values()]]
    figures.tiles(options, options.folder.resolve().name, ["picture", "mask", *found], lines)


def _mask_file(folder: Path, stem: str, size: tuple[int, int]) -> np.ndarray:
    """Coverage (H, W) uint8 of a mask's file: its alpha, or how bright it is."""
    paths = sorted(folder.glob(f"{stem}.*"))
    if not paths:
        raise RequestError(f"The folder {folder} has no mask {stem}.")
    with Image.open(paths[0]) as image:
        mask = image.convert("RGBA")
        if mask.size != size:
            raise RequestError(f"{paths[0]} is of {mask.size}, not of {size} pixels.")
        alpha = np.array(mask)[..., 3]
        return alpha if alpha.min() < 255 else np.array(mask.convert("L"))
