"""The command line: ``blender scene.blend --command dist reconstruct ...``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import bpy

from . import api, properties
from .jobs import Progress
from .worker.dist_engine.protocol import RequestError

DONE, FAILED, MISUSED = 0, 1, 2

_commands: list[Any] = []


def main(arguments: list[str]) -> int:
    """Run a command; progress goes to stderr.

    Returns
    -------
    int
        0: done; 1: failed; 2: the arguments make no sense.
    """
    parser = argparse.ArgumentParser(prog="blender SCENE.blend --command dist", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    reconstruct = actions.add_parser("reconstruct", help="reconstruct the thing that the cameras' pictures show")
    reconstruct.add_argument("--cameras", help="name of the collection of cameras (default: the scene's choice)")
    reconstruct.add_argument("--bounds", help="name of the bounds Empty (default: the scene's choice)")
    reconstruct.add_argument("--prior", help="name or path of the shape prior (default: the scene's choice)")
    reconstruct.add_argument("--quality", choices=list(api.QUALITIES), help="default: the scene's choice")
    reconstruct.add_argument("--job", type=Path, help="the job's folder (default: a new one)")
    reconstruct.add_argument("--out", type=Path, metavar="FILE.blend", help="save the scene with the result here")
    reconstruct.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    try:
        return _reconstruct(parser.parse_args(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else MISUSED
    except (RequestError, OSError, RuntimeError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return FAILED


def _reconstruct(options: argparse.Namespace) -> int:
    scene = bpy.context.scene
    chosen = properties.of(scene)
    cameras, bounds = chosen.cameras, chosen.bounds
    if options.cameras is not None and (cameras := bpy.data.collections.get(options.cameras)) is None:
        raise RequestError(f"The file has no collection “{options.cameras}”.")
    if options.bounds is not None and (bounds := bpy.data.objects.get(options.bounds)) is None:
        raise RequestError(f"The file has no object “{options.bounds}”.")
    found = api.reconstruct(
        cameras,
        bounds,
        prior=options.prior or chosen.prior,
        quality=options.quality or chosen.quality,
        refine_placement=chosen.refine_placement,
        scene=scene,
        folder=options.job,
        progress=_show,
    )
    print(f"Added “{found.object.name}”; the job is in {found.folder}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(found.report, indent=1) + "\n", encoding="utf-8")
    if options.out:
        bpy.ops.wm.save_as_mainfile(filepath=str(options.out.resolve()), copy=True)
    return DONE


def _show(progress: Progress) -> None:
    print(progress, file=sys.stderr, flush=True)


def register() -> None:
    """Add the command ``dist``."""
    _commands.append(bpy.utils.register_cli_command("dist", main))


def unregister() -> None:
    """Take the command away."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
