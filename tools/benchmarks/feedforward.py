"""The poster's table of tracing strategies and ours: decoder queries, seconds, and errors against brute force."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dist_engine.tracing.march import Trace
from dist_engine.tracing.strategies import STRATEGIES, normals, trace_picture
from PIL import Image

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
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw depth, normals, errors and queries here")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    case = load_case(options)
    true = truth(case.prior.decoder, case.code, case.picture.rays(), CACHE)
    seen = int(true.isfinite().sum())
    meets = case.picture.rays()
    entering = int((meets.near < meets.far).sum())
    print(f"{case.title}: {entering} rays meet the unit sphere, {seen} the surface")
    rows = []
    print("  ".join(f"{column:>14}" for column in COLUMNS))
    for strategy in options.strategies.split(","):
        field = case.field()
        began = time.perf_counter()
        trace = trace_picture(field, case.picture, strategy, threshold=options.threshold or None, steps=options.steps)
        seconds = time.perf_counter() - began
        row = {"strategy": strategy, "queries": sum(field.counter.values()), "seconds": round(seconds, 3)}
        row |= errors(trace, true) | {"purposes": dict(field.counter)}
        rows.append(row)
        print("  ".join(f"{_short(row[column]):>14}" for column in COLUMNS), dict(field.counter), flush=True)
        if options.out:
            draw(options.out, case, strategy, trace, true)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


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
    facing = normals(case.field(), case.picture, trace).nan_to_num(-1.0).numpy().reshape(*shape, 3)
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
