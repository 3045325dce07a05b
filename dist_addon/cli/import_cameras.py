"""``dist import-cameras``: calibrated cameras, with their pictures, into the scene."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import bpy

from .. import api, properties
from ..worker.dist_engine.protocol import AXES
from .common import DONE, save_scene, write_report


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser("import-cameras", help="add calibrated cameras with their pictures")
    parser.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="transforms.json, a COLMAP model or Middlebury's *_par.txt, or the folder that holds it",
    )
    parser.add_argument("--up", choices=AXES, help="which axis points up there, as --up=-y (default: as usual there)")
    parser.add_argument("--out", type=Path, metavar="FILE.blend", help="save the scene with the cameras here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import, choose what came as the scene's inputs, and write the scene where the options say."""
    scene = bpy.context.scene
    found = api.import_cameras(options.path, options.up, scene)
    properties.choose(scene, found)
    print("\n".join(found.notes), file=sys.stderr)
    report = {
        "collection": found.collection.name,
        "cameras": [camera.name for camera in found.cameras],
        "points": found.points and found.points.name,
        "missing": [str(path) for path in found.missing],
    }
    write_report(options.json, report)
    save_scene(options.out)
    return DONE
