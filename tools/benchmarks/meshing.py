"""Sparse marching cubes beside the dense lattice: decoder queries, seconds, and whether the triangles are the same.

The dense lattice asks the decoder for f at every node, which takes minutes, and is kept on disk.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import igl
import numpy as np
import torch
from dist_engine.decoder import Decoder, DecoderField
from dist_engine.meshing import CORNERS, SignLattice, marching_cubes, polish
from dist_engine.prior import Prior
from generators.sheet import render
from PIL import Image
from torch import Tensor

from .cases import add_shape_arguments, load_shape

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "meshing"
VERSION = 1
COLUMNS = {
    "method": "{}",
    "queries": "{:,}",
    "share": "{:.3%}",
    "seconds": "{:.1f}",
    "triangles": "{:,}",
    "same": "{}",
    "vertices": "{:,}",
    "mean_f": "{:.2e}",
    "max_f": "{:.2e}",
    "newton_mean_f": "{:.2e}",
    "newton_max_f": "{:.2e}",
}
PICTURE = 512


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    add_shape_arguments(parser)
    parser.add_argument("--resolution", type=int, default=256, metavar="N", help="cells along the cube's side")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw the mesh, and where the decoder was asked, here")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    title, prior, number = load_shape(options)
    code, resolution = prior.codes[number], options.resolution
    field = prior.decoder.field(code)
    began = time.perf_counter()
    lattice = SignLattice(field, resolution)
    sparse = marching_cubes(lattice)
    sparse_seconds, sparse_queries = time.perf_counter() - began, sum(field.counter.values())
    values, dense_seconds = dense_values(prior.decoder, code, resolution, CACHE)
    began = time.perf_counter()
    dense = dense_marching_cubes(values)
    dense_seconds += time.perf_counter() - began
    print(f"{title}, {resolution}^3 cells; queries without those of the Newton step, one a vertex")
    print("  ".join(f"{column:>13}" for column in COLUMNS))
    rows = [
        _row("dense", field, dense, dense, values.size, dense_seconds, resolution),
        _row("sparse", field, sparse, dense, sparse_queries, sparse_seconds, resolution),
    ]
    for row in rows:
        print("  ".join(f"{form.format(row[column]):>13}" for column, form in COLUMNS.items()), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if options.out:
        draw(options.out, prior, lattice, sparse)


def dense_values(decoder: Decoder, code: Tensor, resolution: int, cache: Path) -> tuple[np.ndarray, float]:
    """Distances at every node of the cube's lattice, (n + 1, n + 1, n + 1), and the seconds that it took; cached."""
    digest = hashlib.sha256(repr((VERSION, resolution, decoder.architecture)).encode())
    for tensor in (*decoder.state_dict().values(), code):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    file = cache / f"{digest.hexdigest()[:24]}.npz"
    if file.is_file():
        with np.load(file) as kept:
            return kept["values"], float(kept["seconds"])
    field = decoder.field(code)
    axis = torch.arange(resolution + 1)
    plane = torch.cartesian_prod(axis[:1], axis, axis)
    values = np.empty([resolution + 1] * 3, np.float32)
    began = time.perf_counter()
    for x in axis:
        plane[:, 0] = x
        values[x] = field(plane * (2 / resolution) - 1, "dense").reshape(resolution + 1, -1).numpy()
    seconds = time.perf_counter() - began
    cache.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".part.npz")
    np.savez(beside, values=values, seconds=seconds)
    beside.replace(file)
    return values, seconds


def dense_marching_cubes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (M, 3) of all cells of a lattice over the cube whose corners differ in sign."""
    nodes = values.shape[0]
    corners = CORNERS.numpy()
    outside = values > 0
    count = sum(outside[x : nodes - 1 + x, y : nodes - 1 + y, z : nodes - 1 + z].astype(np.int8) for x, y, z in corners)
    cells = np.argwhere((count > 0) & (count < 8))
    keys = np.ravel_multi_index(tuple(np.moveaxis(cells[:, None] + corners, 2, 0)), values.shape)
    used, index = np.unique(keys, return_inverse=True)
    points = np.stack(np.unravel_index(used, values.shape), 1) * (2 / (nodes - 1)) - 1
    values = values.ravel()[used].astype(float)
    return igl.marching_cubes(values, points, index.reshape(-1, 8).astype(np.int64), 0.0)[:2]


def triangles(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> np.ndarray:
    """Triangles (M, 3) in an order of their own, each corner named after the lattice's edge that it lies on."""
    places = (vertices + 1) * (resolution / 2)
    start = np.floor(places).astype(np.int64)
    axis = (places - start).argmax(1)
    names = np.ravel_multi_index((*start.T, axis), (*[resolution + 1] * 3, 3))[faces]
    turn = names.argmin(1)[:, None] + np.arange(3)
    names = np.take_along_axis(names, turn % 3, 1)
    return names[np.lexsort(names.T)]


def _row(
    method: str,
    field: DecoderField,
    mesh: tuple[np.ndarray, np.ndarray],
    dense: tuple[np.ndarray, np.ndarray],
    queries: int,
    seconds: float,
    resolution: int,
) -> dict[str, Any]:
    vertices = torch.as_tensor(mesh[0]).to(field.code)
    before = field(vertices, "check").abs()
    after = field(polish(field, vertices, mesh[1], 2 / resolution).vertices, "check").abs()
    return {
        "method": method,
        "queries": queries,
        "share": queries / resolution**3,
        "seconds": round(seconds, 3),
        "triangles": len(mesh[1]),
        "same": np.array_equal(triangles(*mesh, resolution), triangles(*dense, resolution)),
        "vertices": len(vertices),
        "mean_f": float(before.mean()),
        "max_f": float(before.max()),
        "newton_mean_f": float(after.mean()),
        "newton_max_f": float(after.max()),
    }


def draw(folder: Path, prior: Prior, lattice: SignLattice, mesh: tuple[np.ndarray, np.ndarray]) -> None:
    """The mesh, shaded; and the lattice's middle plane from the side: where f was asked, and inside and outside."""
    folder.mkdir(parents=True, exist_ok=True)
    axes, resolution = prior.axes(), lattice.resolution
    vertices = polish(lattice.field, torch.as_tensor(mesh[0]).float(), mesh[1], 2 / resolution).vertices
    Image.fromarray(render(vertices.numpy() @ axes, mesh[1], PICTURE)).save(folder / "mesh.png")
    right, back, up = np.abs(axes).argmax(0)
    asked, sign = (
        array.numpy().reshape([resolution + 1] * 3).transpose(right, up, back)[resolution // 2].astype(int)
        for array in (lattice.asked, lattice.values.sign())
    )
    unknown, outside, inside = [255, 255, 255], [250, 225, 195], [190, 205, 240]
    colours = np.array([[unknown, outside, inside], [unknown, [225, 120, 20], [40, 80, 190]]], np.uint8)
    image = colours[asked, sign]
    # Up is up, and the front is on the left.
    image = image[:: -1 if axes[up, 2] > 0 else 1, :: 1 if axes[back, 1] > 0 else -1]
    scale = max(PICTURE // resolution, 1)
    Image.fromarray(image.repeat(scale, 0).repeat(scale, 1)).save(folder / "asked.png")
