"""The poster's table of tracing strategies and ours: decoder queries, seconds, and errors against brute force."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dist_engine.reference.strategies import STRATEGIES, trace_picture
from dist_engine.tracing.march import Trace
from dist_engine.tracing.memory import Memory
from dist_engine.tracing.raster import hit_normals
from PIL import Image

from . import small_steps
from .cases import Case, add_arguments, load_case
from .truth import truth

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "truth"
COLUMNS = ("strategy", "queries", "seconds", "mean", "p95", "p99", "max", "over_1e2", "iou", "missed", "extra")


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    add_arguments(parser)
    parser.add_argument(
        "--strategies", default="dynamic,aggressive,coarse_to_fine,grid", help=f"some of {','.join(STRATEGIES)}"
    )
    parser.add_argument("--threshold", type=float, default=5e-5, metavar="X", help="on |f|; 0: from the camera")
    parser.add_argument("--steps", type=int, default=50, metavar="N")
    parser.add_argument(
        "--warm", type=int, default=0, metavar="N", help="then N steps of the code, and N of the camera, with a memory"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw depth, normals, errors and queries here")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    case = load_case(options)
    rows = cold(case, options, "")
    if options.warm:
        for name, frames in (("code", moved_codes(case, options.warm)), ("camera", moved_cameras(case, options.warm))):
            rows.append(warm(frames, options, name))
            rows += cold(frames[-1], options, f" after {name} steps")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def cold(case: Case, options: argparse.Namespace, suffix: str) -> list[dict[str, Any]]:
    """One row a strategy, each from nothing."""
    true = case_truth(case)
    meets = case.picture.rays()
    entering = int((meets.near < meets.far).sum())
    print(f"{case.title}: {entering} rays meet the unit sphere, {int(true.isfinite().sum())} the surface")
    print("  ".join(f"{column:>14}" for column in COLUMNS))
    rows = []
    for strategy in options.strategies.split(","):
        field = case.field()
        began = time.perf_counter()
        trace = trace_picture(field, case.picture, strategy, threshold=options.threshold or None, steps=options.steps)
        seconds = time.perf_counter() - began
        row = {"strategy": strategy + suffix, "queries": sum(field.counter.values()), "seconds": round(seconds, 3)}
        rows.append(row | errors(trace, true) | {"purposes": dict(field.counter)})
        show(rows[-1])
        if options.out:
            draw(options.out, case, strategy + suffix.replace(" ", "_"), trace, true)
    return rows


def warm(frames: list[Case], options: argparse.Namespace, name: str) -> dict[str, Any]:
    """One row for a sequence: mean queries and seconds of the frames after the first, errors of the last."""
    memory, queries, moves = Memory(), [], []
    before: Trace | None = None
    began = time.perf_counter()
    for case in frames:
        field = case.field()
        trace = trace_picture(field, case.picture, threshold=options.threshold or None, memory=memory)
        queries.append(sum(field.counter.values()))
        if before is None:
            began = time.perf_counter()
        else:
            both = trace.hit & before.hit
            moves.append(float((trace.distance - before.distance)[both].abs().median()))
        before = trace
    seconds = (time.perf_counter() - began) / max(1, len(frames) - 1)
    row = {
        "strategy": f"grid, warm, {name}",
        "queries": round(float(np.mean(queries[1:]))),
        "seconds": round(seconds, 3),
    }
    row |= errors(trace, case_truth(frames[-1])) | {"purposes": dict(field.counter)}
    row |= {"steps": len(frames) - 1, "moved": float(np.mean(moves)), "queries_cold": queries[0]}
    row |= {"queries_first": queries[1], "queries_last": queries[-1], "queries_max": max(queries[1:])}
    print(f"{len(frames) - 1} steps of the {name}; depth moved by {row['moved']:.2e} a step (median over the pixels)")
    show(row)
    print("  queries: " + ", ".join(f"{key[8:]} {row[key]:,}" for key in row if key.startswith("queries_")))
    return row


def moved_codes(case: Case, steps: int) -> list[Case]:
    """The case and what becomes of it when the code walks."""
    return [case, *(replace(case, title=f"{case.title}, moved", code=code) for code in small_steps.codes(case, steps))]


def moved_cameras(case: Case, steps: int) -> list[Case]:
    """The case and what becomes of it when the camera moves."""
    return [case, *(replace(case, title=f"{case.title}, moved", picture=p) for p in small_steps.pictures(case, steps))]


def case_truth(case: Case) -> torch.Tensor:
    """Distances (N,) by brute force, NaN where a ray meets nothing."""
    return truth(case.prior.decoder, case.code, case.picture.rays(), CACHE)


def show(row: dict[str, Any]) -> None:
    """Print a row of the table."""
    print("  ".join(f"{_short(row[column]):>14}" for column in COLUMNS), row["purposes"], flush=True)


def errors(trace: Trace, true: torch.Tensor) -> dict[str, Any]:
    """Depth errors in the unit sphere's units over the pixels hit by both, and how the silhouettes differ."""
    seen = true.isfinite()
    both = trace.hit & seen
    off = (trace.distance.double() - true)[both].abs().numpy()
    return {
        "mean": float(off.mean()),
        "p95": float(np.quantile(off, 0.95)),
        "p99": float(np.quantile(off, 0.99)),
        "max": float(off.max()),
        "over_1e2": int((off > 1e-2).sum()),
        "iou": float(both.sum() / (trace.hit | seen).sum()),
        "missed": int((seen & ~trace.hit).sum()),
        "extra": int((trace.hit & ~seen).sum()),
    }


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2e}" if abs(value) < 0.1 else f"{value:.5f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def draw(folder: Path, case: Case, strategy: str, trace: Trace, true: torch.Tensor) -> None:
    """Four pictures a strategy: depth (near is bright), normals, error (log scale 1e-5 to 1e-1), queries (0 to 50)."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = case.picture.shape()
    hit = trace.hit.numpy().reshape(shape)
    depth = trace.distance.numpy().reshape(shape)
    low, high = (float(v) for v in np.quantile(depth[hit], [0.0, 1.0])) if hit.any() else (0.0, 1.0)
    grey = np.where(hit, 1 - 0.85 * (depth - low) / max(high - low, 1e-9), 0.0)
    facing = hit_normals(case.field(), case.picture, trace).nan_to_num(-1.0).numpy().reshape(*shape, 3)
    off = (trace.distance.double() - true).abs().numpy().reshape(shape)
    wrong = hit != true.isfinite().numpy().reshape(shape)
    scale = np.log10(np.clip(np.nan_to_num(off, nan=1e-5), 1e-5, 1e-1)) / 4 + 1.25
    error = np.where(wrong[..., None], [1.0, 0.0, 1.0], heat(np.where(hit, scale, 0.0)))
    asked = trace.queries.numpy().reshape(shape)
    images = {
        "depth": np.repeat(grey[..., None], 3, 2),
        "normals": 0.5 + 0.5 * facing,
        "error": error,
        "queries": heat(np.sqrt(np.clip(asked / 50, 0, 1))),
    }
    for name, image in images.items():
        Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8)).save(folder / f"{strategy}_{name}.png")


def heat(value: np.ndarray) -> np.ndarray:
    """Black, blue, red, yellow, white for 0 to 1: (H, W) to (H, W, 3)."""
    stops = np.array([[0, 0, 0], [0.1, 0.1, 0.7], [0.85, 0.15, 0.2], [1, 0.8, 0.2], [1, 1, 1]])
    return np.stack([np.interp(value, np.linspace(0, 1, len(stops)), stops[:, c]) for c in range(3)], axis=-1)
