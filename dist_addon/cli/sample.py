"""``dist sample``: random members of a shape prior."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from .. import api, properties
from ..api import common
from ..worker.dist_engine.protocol import RequestError, ShapesResult
from .common import DONE, show, write_report, written_beside


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser("sample", help="add random members of a shape prior, without pictures")
    parser.add_argument("--prior", help="name or path of the shape prior (default: the scene's choice)")
    parser.add_argument(
        "--seed", type=int, default=0, help="which member: the same number, the same shape (default: 0)"
    )
    parser.add_argument("--count", type=int, default=1, help="how many, from the seed on, side by side (default: 1)")
    parser.add_argument(
        "--spread", type=float, default=api.SPREAD, help=f"how far from the mean shape (default: {api.SPREAD})"
    )
    parser.add_argument("--quality", choices=list(api.QUALITIES), help="default: the scene's choice")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="save the scene with the shapes here (.blend), or the shapes alone (.ply, .obj; their axes are Blender's)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Sample, and write the shapes where the options say."""
    scene = bpy.context.scene
    chosen = properties.of(scene)
    if options.out and options.out.suffix not in _WRITERS:
        raise RequestError(f"The file {options.out} must end in {', '.join(_WRITERS)}.")
    job = api.start_sample(
        prior=options.prior or chosen.prior,
        seed=options.seed,
        count=options.count,
        spread=options.spread,
        placement=chosen.bounds,
        quality=options.quality or chosen.quality,
        scene=scene,
    )
    common.wait(job, show, "sampling")
    added = api.import_shapes(job.folder, scene)
    names = ", ".join(f"“{thing.name}”" for thing in added)
    print(f"Added {names}; the job is in {job.folder}", file=sys.stderr)
    write_report(options.json, ShapesResult.load(job.folder).report)
    if options.out:
        for thing in scene.objects:
            thing.select_set(thing in added)
        with written_beside(options.out) as part:
            _WRITERS[options.out.suffix](str(part))
    return DONE


# How a scene, or what is selected in it, is written into a file, by the file's ending.
_WRITERS: dict[str, Callable[[str], Any]] = {
    ".blend": lambda path: bpy.ops.wm.save_as_mainfile(filepath=path, copy=True),
    ".ply": lambda path: bpy.ops.wm.ply_export(filepath=path, export_selected_objects=True),
    ".obj": lambda path: bpy.ops.wm.obj_export(
        filepath=path, export_selected_objects=True, forward_axis="Y", up_axis="Z", export_materials=False
    ),
}
