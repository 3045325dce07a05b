"""``dist render``: depth, normals and silhouette of a shape."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import bpy

from .. import api, properties
from ..worker.dist_engine.protocol import RequestError, copy_file
from .common import DONE, named, show, write_report


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser("render", help="render depth, normals and silhouette of a shape")
    parser.add_argument("--camera", help="name of the camera (default: the scene's active one)")
    parser.add_argument("--prior", help="name or path of the shape prior (default: the object's or the scene's choice)")
    parser.add_argument(
        "--code",
        default="mean",
        metavar="N|mean|OBJECT",
        help="which shape: a training shape's number, their mean, or a reconstruction's object (default: mean)",
    )
    parser.add_argument("--size", type=_size, metavar="WxH", help="pixels (default: the size of the scene's renders)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="put the picture files here, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Render, and copy the pictures where the options say."""
    scene = bpy.context.scene
    chosen = properties.of(scene)
    camera = named("object", options.camera)
    code, placement, prior = options.code, chosen.bounds, options.prior
    if code.isdecimal():
        code = int(code)
    elif code != "mean":
        code, placement = bpy.data.objects.get(code), None
        if code is None:
            raise RequestError(f"The file has no object “{options.code}”: give one, a number, or “mean”.")
    if not isinstance(code, bpy.types.Object):
        prior = prior or chosen.prior
    made = api.render_shape(
        camera, prior=prior, code=code, placement=placement, size=options.size, scene=scene, progress=show
    )
    print(f"The job is in {made.folder}", file=sys.stderr)
    write_report(options.json, made.report)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for path in made.files.values():
            copy_file(path, options.out / path.name)
    return DONE


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)
