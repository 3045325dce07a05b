"""What to measure on: a decoder, a code and a camera, from the command line's words."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.decoder import DecoderField
from dist_engine.official import load_official
from dist_engine.prior import Prior
from dist_engine.protocol import View
from dist_engine.tracing.raster import Raster


@dataclass(frozen=True)
class Case:
    """One shape in one view."""

    title: str
    prior: Prior
    code: torch.Tensor
    picture: Raster

    def field(self) -> DecoderField:
        """The shape's distance function with a counter of its own."""
        return self.prior.decoder.field(self.code)


def add_shape_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that choose a decoder and a code."""
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="a folder in the official DeepSDF layout")
    parser.add_argument("--shape", metavar="NAME", help="a code of the checkpoint: a name of names.json, or a number")
    parser.add_argument("--prior", type=Path, metavar="FILE", help="a prior of the add-on instead")
    parser.add_argument("--code", type=int, default=0, metavar="N", help="a code of the prior")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that choose a case."""
    add_shape_arguments(parser)
    parser.add_argument("--views", type=Path, metavar="FILE", help="JSON: name -> width, height, K, R, T")
    parser.add_argument("--view", metavar="NAME", help="one of the views")
    parser.add_argument("--size", type=int, default=512, metavar="N", help="pixels along the longer side")


def load_shape(options: argparse.Namespace) -> tuple[str, Prior, int]:
    """A title, the decoder and the number of the code; `SystemExit` says what is wrong with the options."""
    if (options.checkpoint is None) == (options.prior is None):
        raise SystemExit("Give either --checkpoint DIR or --prior FILE.")
    if options.checkpoint is not None:
        prior = load_official(options.checkpoint)
        number = _number(options.shape, prior.about.get("names", []), len(prior.codes))
    else:
        prior, number = Prior.load(options.prior), options.code
        if not 0 <= number < len(prior.codes):
            raise SystemExit(f"--code {number}: the prior has the codes 0 to {len(prior.codes) - 1}.")
    return str(options.shape or number), prior, number


def load_case(options: argparse.Namespace) -> Case:
    """Read what the options name; `SystemExit` says what is wrong with them."""
    title, prior, number = load_shape(options)
    name, picture = _picture(options)
    return Case(f"{title}, view {name}", prior, prior.codes[number], picture)


def _number(shape: str | None, names: list[str], count: int) -> int:
    if shape in names:
        return names.index(shape)
    if shape is None or not shape.isdigit() or int(shape) >= count:
        raise SystemExit(f"--shape {shape}: choose a number below {count}, or from {', '.join(names)}.")
    return int(shape)


def _picture(options: argparse.Namespace) -> tuple[str, Raster]:
    """The named view at the wanted size; without a file, one from above and the right that sees the unit sphere."""
    if options.views is None:
        focal, back = 1.1, np.array([0.6, 0.4, 0.69])
        right = np.cross([0.0, 1, 0], back)
        rotation = np.stack([right / np.linalg.norm(right), np.cross(right, back) / np.linalg.norm(right), -back])
        rotation /= np.linalg.norm(rotation, axis=1, keepdims=True)
        K = np.array([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1 / options.size]]) * options.size
        view, size, name = View("default", K, np.hstack([rotation, [[0], [0], [2.5]]])), (options.size,) * 2, "default"
    else:
        views = json.loads(options.views.read_text(encoding="utf-8"))
        name = options.view or next(iter(views))
        if name not in views:
            raise SystemExit(f"--view {name}: choose from {', '.join(views)}.")
        data = views[name]
        scale = options.size / max(data["width"], data["height"])
        K = np.asarray(data["K"], float)
        K[:2] *= scale
        extrinsics = np.hstack([np.asarray(data["R"], float), np.asarray(data["T"], float)[:, None]])
        view, size = View(name, K, extrinsics), (round(data["width"] * scale), round(data["height"] * scale))
    cameras = Cameras.from_views([view], torch.device("cpu"))
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    return name, Raster(cameras, 0, place, *size)
