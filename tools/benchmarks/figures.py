"""Figures of fits for ``--pictures``: sheets of the shapes that were found, and curves of their errors."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from dist_engine.cameras import Similarity
from dist_engine.protocol import View
from dist_engine.reference import evaluation
from dist_engine.shapes.shape import Shape
from generators.sheet import render

from . import scenes
from .scenes import Mesh, Row, Scene, first_hits

# Inches along a cell of a sheet; pixels an inch.
CELL, DPI = 1.1, 150
# Pixels along a picture of a mesh.
RELIEF = 320


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option that asks for figures."""
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw the shapes that were found, and the errors")


def judged(options: argparse.Namespace, scene: Scene, shape: Shape, place: Similarity | None = None) -> dict[str, Any]:
    """A row's Chamfer distance x 1000 of a shape at a place; and, for figures, what it and the truth look like."""
    found = scenes.surface(scene, shape, place)
    row: dict[str, Any] = {"chamfer_x1000": scenes.chamfer(scene, found)}
    if options.pictures:
        row["truth"], row["picture"] = (
            None if mesh is None else render(mesh[0] @ scene.prior.axes(), mesh[1])
            for mesh in ((scene.vertices, scene.faces), found)
        )
    return row


def sheet(options: argparse.Namespace, name: str, rows: list[Row], by: str, columns: list[Any], lines: str) -> None:
    """Draw each class's first shape: the truth, then a column each of `columns`, and a line each kind of `lines`.

    Parameters
    ----------
    options : Namespace
    name : str
        The figure's file becomes ``DIR/<name>.png``.
    rows : list of dict
        With `judged`'s entries, ``class`` and ``seed``.
    by, lines : str
        The rows' entries that tell a cell's column and line.
    columns : list
    """
    if not options.pictures:
        return
    plot = _pyplot()
    first = {row["class"]: row["seed"] for row in reversed(rows)}
    rows = [row for row in rows if row["seed"] == first[row["class"]]]
    kinds = list(dict.fromkeys((row["class"], row[lines]) for row in rows))
    size = CELL * (len(columns) + 1.6), CELL * (len(kinds) + 0.3)
    figure, axes = plot.subplots(len(kinds), len(columns) + 1, figsize=size, squeeze=False, layout="constrained")
    for line, kind in zip(axes, kinds, strict=True):
        cells = {row[by]: row for row in rows if (row["class"], row[lines]) == kind}
        show = [(None, next(iter(cells.values()))["truth"])]
        show += [(cells[c]["chamfer_x1000"], cells[c]["picture"]) if c in cells else (None, None) for c in columns]
        line[0].set_ylabel("\n".join(dict.fromkeys(map(str, kind))), fontsize=7)
        for axis, (error, picture) in zip(line, show, strict=True):
            axis.set(xticks=[], yticks=[], frame_on=False)
            axis.imshow(np.full((2, 2), 255) if picture is None else picture, cmap="gray", vmin=0, vmax=255)
            if error is not None:
                axis.set_xlabel(f"{error:.3g}", fontsize=7, labelpad=1)
    for axis, title in zip(axes[0], ["truth", *columns], strict=True):
        axis.set_title(str(title), fontsize=8)
    _save(figure, options, name)


def curves(options: argparse.Namespace, name: str, rows: list[Row], by: str, columns: list[Any], lines: str) -> None:
    """Draw medians of the Chamfer distance over `columns`, a line each kind of `lines`, and each shape as a dot.

    The parameters are those of `sheet`.
    """
    if not options.pictures:
        return
    figure, axis = _pyplot().subplots(figsize=(5, 3.2), layout="constrained")
    for number, kind in enumerate(dict.fromkeys(row[lines] for row in rows)):
        errors = [[row["chamfer_x1000"] for row in rows if (row[lines], row[by]) == (kind, c)] for c in columns]
        places = [place for place, some in enumerate(errors) for _ in some]
        axis.scatter(places, np.concatenate(errors), 6, f"C{number}", alpha=0.4)
        axis.plot([np.median(some) for some in errors], f"C{number}", label=str(kind))
    axis.set(xticks=range(len(columns)), xticklabels=map(str, columns), xlabel=by, yscale="log")
    axis.set_ylabel("Chamfer distance x 1000, median")
    for ticks in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        ticks("{x:g}")
    axis.legend(fontsize=7)
    _save(figure, options, name)


def tiles(options: argparse.Namespace, name: str, titles: list[str], lines: dict[str, list[np.ndarray | None]]) -> None:
    """Draw pictures in a grid into ``DIR/<name>.png``: a title each column, and a name each line.

    Pictures are (H, W) or (H, W, 3) uint8 arrays; None leaves a gap.
    """
    if not options.pictures:
        return
    first = next(tile for line in lines.values() for tile in line if tile is not None)
    high, wide = 1.8, 1.8 * first.shape[1] / first.shape[0]
    figure, axes = _pyplot().subplots(
        len(lines), len(titles), figsize=(wide * len(titles), high * len(lines)), squeeze=False, layout="constrained"
    )
    for row, (label, line) in zip(axes, lines.items(), strict=True):
        row[0].set_ylabel(label, fontsize=7)
        for axis, title, tile in zip(row, titles, line, strict=True):
            axis.imshow(np.full_like(first, 255) if tile is None else tile, cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[], frame_on=False)
            axis.set_title(title, fontsize=8)
    _save(figure, options, name)


def relief(mesh: Mesh, view: View, size: tuple[int, int]) -> np.ndarray:
    """What a camera sees of a mesh under a raking light, uint8, flat triangles on white; `RELIEF` along its long side.

    `size` is the width and height that the view's K is for.
    """
    scale = RELIEF / max(size)
    seen = replace(view, K=np.diag([scale, scale, 1]) @ view.K)
    face, _ = first_hits(*mesh, seen, (round(size[0] * scale), round(size[1] * scale)))
    normals = evaluation.face_normals(*mesh)[face] @ view.world_to_camera[:, :3].T
    # Most of it from the side: what is a little off casts a shade.
    light = (normals @ [-0.85, -0.35, -0.4]).clip(0) * 190 + (normals @ [0.4, 0.2, -0.9]).clip(0) * 45 + 20
    return np.where(face >= 0, light, 255).clip(0, 255).astype(np.uint8)


def _pyplot() -> Any:
    import matplotlib

    # Without a window.
    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, options: argparse.Namespace, name: str) -> None:
    options.pictures.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.pictures / f"{name}.png", dpi=DPI)
    _pyplot().close(figure)
