"""How well each prior holds shapes: the best code found from signed distances, for training, unseen and foreign shapes.

Held-out shapes are the generators' own, of seeds that no prior was trained on; foreign ones are the mesh files of
``--meshes DIR/<class>/*``, in whichever of the 24 upright poses fits best. All numbers are in the unit sphere's frame.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import permutations, product
from pathlib import Path
from typing import Any

import igl
import numpy as np
import torch
from dist_engine.decoder import DecoderField
from dist_engine.fitting.levenberg_marquardt import minimise
from dist_engine.fitting.model import Linearised
from dist_engine.meshing import extract_mesh
from dist_engine.observations.rows import Rows
from dist_engine.prior import Prior
from dist_engine.reference import evaluation
from dist_engine.shapes.shape import OwnTerm, Springs
from dist_engine.training.auto_decoder import taught
from dist_engine.training.sampling import normalisation, sdf_samples, signed_distance, spread
from generators import GENERATORS
from torch import Tensor

# What the folders of others call the priors' classes.
FOLDERS = {"aeroplane": "airplane"}
PRIORS = Path(__file__).resolve().parents[2] / "dist_addon" / "priors"
COLUMNS = ("chamfer_x1000", "f", "normal_error", "iou", "thin", "whole", "far")
# Seeds from here on are never trained on; by the thirty before them the built-in priors were chosen.
UNSEEN = 20_030
SAMPLES, SURFACE_POINTS, RESOLUTION = 16_000, 30_000, 256
# Residuals are in this unit (of f) and count linearly from there on; the codes' spread holds the code that much.
NOISE, HOLD = 0.002, 1e-4
# Of several starts, the one that gets farthest in some steps on a part of the samples goes on with all of them.
STARTS, FIRST_STEPS, PART, STEPS = 4, 20, 4, 40
# Of the object's largest extent: how near a thin part is found, and what counts as one.
REACH, THIN = 0.01, 0.04
# The far field is farther than the first from the surface; f may exceed the distance by no more than the second.
FAR, OVERSHOOT = 0.02, 0.01


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("priors", nargs="*", metavar="prior", help="names of built-in priors (default: all), or files")
    parser.add_argument("--held-out", type=int, default=30, metavar="N", help="unseen generated shapes of each class")
    parser.add_argument("--training", type=int, default=5, metavar="N", help="training shapes of each class")
    parser.add_argument("--meshes", type=Path, metavar="DIR", help="foreign shapes: DIR/<class>/*.off")
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows: list[dict[str, Any]] = []
    print(f"{'prior':>10} {'set':>9} {'shape':>12} " + " ".join(f"{column:>13}" for column in COLUMNS))
    for name in options.priors or sorted(path.stem for path in PRIORS.glob("*.safetensors")):
        path = PRIORS / f"{name}.safetensors"
        prior = Prior.load(path if path.is_file() else Path(name))
        for kind, shape, vertices, faces in shapes(prior.name, options):
            began = time.monotonic()
            row: dict[str, Any] = {"prior": prior.name, "set": kind, "shape": shape}
            row |= measure(prior, vertices, faces, kind == "foreign")
            rows.append(row | {"seconds": round(time.monotonic() - began, 1)})
            show(row)
        for kind in ("training", "held-out", "foreign"):
            some = [row for row in rows if row["prior"] == prior.name and row["set"] == kind]
            if some:
                for word, share in (("median", 0.5), ("nine in ten", 0.9)):
                    show({"prior": prior.name, "set": kind, "shape": word} | summary(some, share))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def shapes(name: str, options: argparse.Namespace) -> Any:
    """Yield set, name, vertices and faces of each shape to try."""
    if name in GENERATORS:
        for seed in range(options.training):
            yield "training", str(seed), *GENERATORS[name](seed)
        for seed in range(UNSEEN, UNSEEN + options.held_out):
            yield "held-out", str(seed), *GENERATORS[name](seed)
    folder = options.meshes and options.meshes / FOLDERS.get(name, name)
    for path in sorted(folder.glob("*.*")) if folder else ():
        vertices, faces = igl.read_triangle_mesh(str(path))
        yield "foreign", path.stem, vertices, faces


def summary(rows: list[dict[str, Any]], share: float) -> dict[str, float]:
    """What `share` of the rows reach in each column."""
    lower_is_better = {"chamfer_x1000", "normal_error", "far"}
    return {
        column: float(np.nanquantile([row[column] for row in rows], share if column in lower_is_better else 1 - share))
        for column in COLUMNS
    }


def show(row: dict[str, Any]) -> None:
    """Print one row."""
    cells = " ".join(f"{row[column]:13.3f}" for column in COLUMNS)
    print(f"{row['prior']:>10} {row['set']:>9} {row['shape']:>12} {cells}", flush=True)


def measure(prior: Prior, vertices: np.ndarray, faces: np.ndarray, any_pose: bool) -> dict[str, float]:
    """Fit a code to a mesh and compare."""
    random = np.random.default_rng(0)
    vertices = normalisation(vertices, prior.radius)(vertices)
    points, distances = sdf_samples(vertices, faces, SAMPLES, random)
    turn = best_pose(prior, points, distances) if any_pose else np.eye(3)
    vertices, points = vertices @ turn.T, points @ turn.T.astype(np.float32)
    field = prior.decoder.field(fit_code(prior, torch.from_numpy(points), torch.from_numpy(distances)))
    size = float(np.ptp(vertices, axis=0).max())
    far = far_overshoot(field, vertices, faces, random)
    try:
        mesh = extract_mesh(field, RESOLUTION)
    except ValueError:
        return dict.fromkeys(COLUMNS, float("nan")) | {"chamfer_x1000": float("inf"), "far": far}
    found_vertices, found_faces = mesh.vertices.double().numpy(), mesh.faces
    errors = evaluation.compare(found_vertices, found_faces, vertices, faces)
    true, face = spread(vertices, faces, SURFACE_POINTS, random)
    there, _ = evaluation.nearest(true, found_vertices, found_faces)
    thin = is_thin(vertices, faces, true, evaluation.face_normals(vertices, faces)[face], THIN * size)
    probe = np.random.default_rng(1).uniform(vertices.min(0) - 0.02, vertices.max(0) + 0.02, (40_000, 3))
    one = signed_distance(vertices, faces, probe) < 0
    two = field(torch.from_numpy(probe).float(), "truth").numpy() < 0
    return {
        **asdict(errors),
        "iou": float((one & two).sum() / max((one | two).sum(), 1)),
        "thin": float((there[thin] < REACH * size).mean()) if thin.any() else float("nan"),
        "whole": float(pieces(found_faces) == pieces(faces)),
        "far": far,
    }


def best_pose(prior: Prior, points: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The proper rotation (3, 3) by right angles with which some training code explains most samples."""
    turns = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turn = np.eye(3)[list(order)] * np.array(signs)[:, None]
        if np.linalg.det(turn) > 0:
            turns.append(turn)
    some, target = points[:: len(points) // 300], torch.from_numpy(distances[:: len(points) // 300])
    codes = prior.codes[:: max(1, len(prior.codes) // 60)]
    errors = [
        min(float((prior.decoder.field(code)(turned, "start") - target).abs().mean()) for code in codes)
        for turn in turns
        for turned in [torch.from_numpy(some @ turn.T).float()]
    ]
    return turns[int(np.argmin(errors))]


def fit_code(prior: Prior, points: Tensor, distances: Tensor) -> Tensor:
    """The best code (latent,) found from the nearest training codes, by Levenberg-Marquardt on robust residuals."""
    spread = torch.linalg.inv(prior.precision_root())
    # As in training: far from the surface an error matters less.
    noise, wanted = NOISE * (1 + distances.abs() / 0.05), taught(distances)
    starts = torch.stack([prior.mean, *prior.codes])
    some = slice(None, None, len(points) // 500)
    errors = [
        float(((prior.decoder.field(code)(points[some], "start") - wanted[some]) / noise[some]).abs().mean())
        for code in starts
    ]
    nearest = torch.tensor(errors).topk(STARTS, largest=False).indices
    whitened = torch.linalg.solve(spread, (starts[nearest] - prior.mean).T).T
    ends = []
    for start in whitened:
        *_, end = minimise(
            torch.add, start, cost_of(prior, spread, points[::PART], wanted[::PART], noise[::PART]), FIRST_STEPS
        )
        ends.append(end)
    best = min(ends, key=lambda end: end[1])[0]
    *_, (best, *_) = minimise(torch.add, best, cost_of(prior, spread, points, wanted, noise), STEPS)
    return prior.mean + spread @ best


def cost_of(
    prior: Prior, spread: Tensor, points: Tensor, wanted: Tensor, noise: Tensor
) -> Callable[[Tensor], Linearised]:
    """What `minimise` asks for, of whitened codes (latent,): Huber's cost of f - `wanted`, and the spread's hold."""

    def evaluate(whitened: Tensor) -> Linearised:
        at = prior.decoder.field(prior.mean + spread @ whitened).jacobian(points, "fit")
        rows = Rows(1 / len(points), (at.value - wanted) / noise, at.d_code @ spread / noise[:, None])
        return Linearised([rows], held(whitened, HOLD), torch.ones_like(whitened))

    return evaluate


def held(whitened: Tensor, weight: float) -> list[tuple[slice, OwnTerm]]:
    """What holds a whitened code (latent,): half its square, with a weight."""
    return [(slice(None), Springs(torch.full_like(whitened, weight), whitened))]


def far_overshoot(field: DecoderField, vertices: np.ndarray, faces: np.ndarray, random: np.random.Generator) -> float:
    """Share of the points of the unit ball far outside the shape at which f exceeds the true distance."""
    points = random.normal(size=(20_000, 3))
    points *= random.random((len(points), 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    distance = signed_distance(vertices, faces, points)
    far = distance > FAR
    value = field(torch.from_numpy(points[far]).float(), "truth").numpy()
    return float((value > distance[far] + OVERSHOOT).mean())


def is_thin(
    vertices: np.ndarray, faces: np.ndarray, points: np.ndarray, normals: np.ndarray, thickness: float
) -> np.ndarray:
    """Whether (N,) the far side of the part under each point of the surface is nearer than `thickness`."""
    depths = thickness * np.linspace(0.15, 1, 7)
    below = points[:, None] - depths[:, None] * normals[:, None]
    return (signed_distance(vertices, faces, below.reshape(-1, 3)).reshape(len(points), -1) > 0).any(1)


def pieces(faces: np.ndarray) -> int:
    """Number of connected pieces of a mesh."""
    return int(igl.facet_components(np.ascontiguousarray(faces, np.int64))[0])
