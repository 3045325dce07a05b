"""``dist reconstruct``: the shape that a scene's pictures show."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import bpy

from .. import api, properties
from ..scene.result import how_well
from ..worker.dist_engine.protocol import RequestError
from .common import DONE, named, save_scene, show, write_report


def add(actions: Any) -> argparse.ArgumentParser:
    """Add the command to the parsers, and return its own."""
    parser = actions.add_parser("reconstruct", help="reconstruct the thing that the cameras' pictures show")
    parser.add_argument("--cameras", help="name of the collection of cameras (default: the scene's choice)")
    parser.add_argument("--frames", type=_frames, metavar="FIRST:LAST[:STEP]", help="of one animated camera")
    parser.add_argument("--pictures", metavar="DIR", help="folder of pictures, instead of the background images")
    parser.add_argument(
        "--masks",
        metavar="alpha|background|DIR|NAME",
        help="the pictures' alpha, a background of one colour, a folder, or a mask of the file's",
    )
    parser.add_argument("--depths", metavar="DIR", help="folder of depth files (default: the scene's choice)")
    parser.add_argument("--depth-kind", choices=("z", "distance"), help="along the camera's axis, or along each ray")
    parser.add_argument("--depth-scale", type=float, metavar="UNITS", help="Blender units that 1 in the files is")
    parser.add_argument("--tracks", metavar="NAME", help="name of a solved movie clip (default: the scene's choice)")
    parser.add_argument(
        "--colours", action="store_true", help="compare the pictures' colours, too; pictures without alpha will do then"
    )
    parser.add_argument("--bounds", help="name of the bounds Empty (default: the scene's choice)")
    parser.add_argument("--points", help="name of a mesh of points of the surface (default: the scene's choice)")
    parser.add_argument("--start", help="name of a shape to start from (default: the scene's choice)")
    parser.add_argument("--keep-shape", action="store_true", help="leave the shape to start from as it is")
    parser.add_argument("--prior", help="name or path of the shape prior (default: the scene's choice)")
    parser.add_argument("--quality", choices=list(api.QUALITIES), help="default: the scene's choice")
    parser.add_argument("--refine-cameras", action="store_true", help="fit the cameras' poses, too")
    parser.add_argument("--refine-focal-length", action="store_true", help="fit one factor for all focal lengths")
    parser.add_argument(
        "--job", type=Path, help="the job's folder, new, empty or an earlier job's (default: a new one)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.blend", help="save the scene with the result here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Reconstruct, and write the scene and the report where the options say."""
    found = api.reconstruct(**gather_inputs(options), folder=options.job, progress=show)
    print(f"Added “{found.object.name}”; the job is in {found.folder}", file=sys.stderr)
    if told := how_well(found.object)[0]:
        print(told, file=sys.stderr)
    write_report(options.json, found.report)
    save_scene(options.out)
    return DONE


def gather_inputs(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `api.gather` takes: what the options say, else what the scene remembers.

    Raises
    ------
    RequestError
        The file has no thing of a name, or there are neither cameras nor points.
    """
    inputs = properties.inputs(bpy.context.scene, named("collection", options.cameras))
    if options.masks:
        inputs["masks"] = _masks(options.masks)
    views = properties.of(bpy.context.scene).views
    folder = options.depths or views.depth_folder
    kind, scale = options.depth_kind or views.depth_kind, options.depth_scale or views.depth_scale
    given = {
        "depths": api.Depths(folder, kind, scale) if folder else None,
        "tracks": named("movieclip", options.tracks),
        **{name: named("object", getattr(options, name)) for name in ("bounds", "points", "start")},
        **{name: getattr(options, name) for name in ("frames", "pictures", "prior", "quality")},
        **{name: getattr(options, name) for name in ("colours", "refine_cameras", "refine_focal_length")},
    }
    inputs |= {name: value for name, value in given.items() if value}
    inputs["refine_shape"] &= not options.keep_shape
    if inputs["cameras"] is None and inputs["points"] is None:
        raise RequestError(
            "The scene has no cameras chosen: give their collection's name with --cameras, or points with --points. "
            + (f"The file is {bpy.data.filepath}." if bpy.data.filepath else "No file is open: was its path right?")
        )
    return inputs


def _frames(text: str) -> range:
    first, last, *step = (int(part) for part in text.split(":"))
    return range(first, last + 1, *step)


def _masks(text: str) -> Any:
    """What `api.gather` takes as masks."""
    if text == "alpha":
        return None
    if text == "background":
        return api.Background(properties.of(bpy.context.scene).views.mask_tolerance)
    if Path(bpy.path.abspath(text)).is_dir():
        return text
    if text not in bpy.data.masks:
        raise RequestError(
            f"The masks “{text}” are neither “alpha” nor “background”, and neither a folder nor a mask of the file's."
        )
    return bpy.data.masks[text]
