"""The command line: ``blender FILE.blend --command dist reconstruct``, ``render``, ``sample``, ``train``, or
``import-prior``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from . import api, properties
from .api import common
from .jobs import Progress
from .worker.dist_engine.protocol import AXES, MESH_FILES, SIZES, RequestError, ShapesResult

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
    reconstruct.add_argument("--points", help="name of a mesh of points of the surface (default: the scene's choice)")
    reconstruct.add_argument("--start", help="name of a shape to start from (default: the scene's choice)")
    reconstruct.add_argument("--keep-shape", action="store_true", help="leave the shape to start from as it is")
    reconstruct.add_argument("--prior", help="name or path of the shape prior (default: the scene's choice)")
    reconstruct.add_argument("--quality", choices=list(api.QUALITIES), help="default: the scene's choice")
    reconstruct.add_argument("--refine-cameras", action="store_true", help="fit the cameras' poses, too")
    reconstruct.add_argument("--refine-focal-length", action="store_true", help="fit one factor for all focal lengths")
    reconstruct.add_argument("--job", type=Path, help="the job's folder (default: a new one)")
    reconstruct.add_argument("--out", type=Path, metavar="FILE.blend", help="save the scene with the result here")
    reconstruct.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    reconstruct.set_defaults(run=_reconstruct)
    render = actions.add_parser("render", help="render depth, normals and silhouette of a shape")
    render.add_argument("--camera", help="name of the camera (default: the scene's active one)")
    render.add_argument("--prior", help="name or path of the shape prior (default: the object's or the scene's choice)")
    render.add_argument(
        "--code",
        default="mean",
        metavar="N|mean|OBJECT",
        help="which shape: a training shape's number, their mean, or a reconstruction's object (default: mean)",
    )
    render.add_argument("--size", type=_size, metavar="WxH", help="pixels (default: the size of the scene's renders)")
    render.add_argument("--out", type=Path, metavar="DIR", help="put the picture files here, too")
    render.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    render.set_defaults(run=_render)
    sample = actions.add_parser("sample", help="add random members of a shape prior, without pictures")
    sample.add_argument("--prior", help="name or path of the shape prior (default: the scene's choice)")
    sample.add_argument(
        "--seed", type=int, default=0, help="which member: the same number, the same shape (default: 0)"
    )
    sample.add_argument("--count", type=int, default=1, help="how many, from the seed on, side by side (default: 1)")
    sample.add_argument(
        "--spread", type=float, default=api.SPREAD, help=f"how far from the mean shape (default: {api.SPREAD})"
    )
    sample.add_argument("--quality", choices=list(api.QUALITIES), help="default: the scene's choice")
    sample.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="save the scene with the shapes here (.blend), or the shapes alone (.ply, .obj; their axes are Blender's)",
    )
    sample.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    sample.set_defaults(run=_sample)
    train = actions.add_parser("train", help="train a shape prior from meshes")
    source = train.add_mutually_exclusive_group(required=True)
    source.add_argument("--collection", metavar="NAME", help="name of a collection: each object in it is a shape")
    source.add_argument("--folder", metavar="DIR", help=f"folder of meshes: {', '.join(MESH_FILES)}")
    train.add_argument("--name", required=True, help="what the prior is to be called")
    train.add_argument("--size", choices=SIZES, default="small", help="small for a CPU (default), official for a GPU")
    train.add_argument("--up", choices=AXES, default="+y", help="a folder's axis that points up (default: +y)")
    train.add_argument(
        "--front", choices=AXES, default="+z", help="where a folder's shapes look (default: +z; --front=-z)"
    )
    train.add_argument("--steps", type=int, default=0, help="default: as the size and the number of shapes ask for")
    train.add_argument("--seed", type=int, default=0, help="default: 0")
    train.add_argument("--licence", default="", help="of the meshes, and so of the prior")
    train.add_argument("--job", type=Path, help="the job's folder (default: a new one); goes on where it stopped")
    train.add_argument("--out", type=Path, metavar="FILE", help="put the prior here (default: among the user's priors)")
    train.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    train.set_defaults(run=_train)
    load = actions.add_parser("import-prior", help="make a shape prior from a DeepSDF checkpoint")
    load.add_argument("folder", metavar="DIR", help="holds specs.json, ModelParameters and LatentCodes")
    load.add_argument("--name", help="what the prior is to be called (default: as the folder)")
    load.add_argument("--out", type=Path, metavar="FILE", help="put the prior here (default: among the user's priors)")
    load.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    load.set_defaults(run=_import_prior)
    try:
        options = parser.parse_args(arguments)
        return options.run(options)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else MISUSED
    except (RequestError, OSError, RuntimeError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return FAILED


def _reconstruct(options: argparse.Namespace) -> int:
    scene = bpy.context.scene
    inputs = properties.inputs(scene)
    given = {
        "cameras": _named("collection", options.cameras),
        **{name: _named("object", getattr(options, name)) for name in ("bounds", "points", "start")},
        **{name: getattr(options, name) for name in ("prior", "quality", "refine_cameras", "refine_focal_length")},
    }
    inputs |= {name: value for name, value in given.items() if value}
    inputs["refine_shape"] &= not options.keep_shape
    found = api.reconstruct(**inputs, folder=options.job, progress=_show)
    print(f"Added “{found.object.name}”; the job is in {found.folder}", file=sys.stderr)
    _write_report(options.json, found.report)
    if options.out:
        bpy.ops.wm.save_as_mainfile(filepath=str(options.out.resolve()), copy=True)
    return DONE


def _named(kind: str, name: str | None) -> Any:
    """The thing of a kind, such as an object, that the file has under that name; None where no name is given."""
    found = None if name is None else getattr(bpy.data, f"{kind}s").get(name)
    if name is not None and found is None:
        raise RequestError(f"The file has no {kind} “{name}”.")
    return found


def _render(options: argparse.Namespace) -> int:
    scene = bpy.context.scene
    chosen = properties.of(scene)
    camera = _named("object", options.camera)
    code, placement, prior = options.code, chosen.bounds, options.prior
    if code.isdigit():
        code = int(code)
    elif code != "mean":
        code, placement = bpy.data.objects.get(code), None
        if code is None:
            raise RequestError(f"The file has no object “{options.code}”: give one, a number, or “mean”.")
    if not isinstance(code, bpy.types.Object):
        prior = prior or chosen.prior
    made = api.render_shape(
        camera, prior=prior, code=code, placement=placement, size=options.size, scene=scene, progress=_show
    )
    print(f"The job is in {made.folder}", file=sys.stderr)
    _write_report(options.json, made.report)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for path in made.files.values():
            shutil.copyfile(path, options.out / path.name)
    return DONE


def _sample(options: argparse.Namespace) -> int:
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
    common.wait(job, _show, "sampling")
    added = api.import_shapes(job.folder, scene)
    names = ", ".join(f"“{thing.name}”" for thing in added)
    print(f"Added {names}; the job is in {job.folder}", file=sys.stderr)
    _write_report(options.json, ShapesResult.load(job.folder).report)
    if options.out:
        for thing in scene.objects:
            thing.select_set(thing in added)
        _WRITERS[options.out.suffix](str(options.out.resolve()))
    return DONE


# How a scene, or what is selected in it, is written into a file, by the file's ending.
_WRITERS: dict[str, Callable[[str], Any]] = {
    ".blend": lambda path: bpy.ops.wm.save_as_mainfile(filepath=path, copy=True),
    ".ply": lambda path: bpy.ops.wm.ply_export(filepath=path, export_selected_objects=True),
    ".obj": lambda path: bpy.ops.wm.obj_export(
        filepath=path, export_selected_objects=True, forward_axis="Y", up_axis="Z", export_materials=False
    ),
}


def _train(options: argparse.Namespace) -> int:
    source = _named("collection", options.collection) or options.folder
    made = api.train_prior(
        source,
        options.name,
        size=options.size,
        up=options.up,
        front=options.front,
        steps=options.steps,
        seed=options.seed,
        licence=options.licence,
        folder=options.job,
        file=options.out,
        progress=_show,
    )
    return _tell_prior(made, options.json)


def _import_prior(options: argparse.Namespace) -> int:
    return _tell_prior(api.import_prior(options.folder, options.name, file=options.out, progress=_show), options.json)


def _tell_prior(made: api.Training, report: Path | None) -> int:
    print(f"The prior is {made.prior.path}; the job is in {made.folder}", file=sys.stderr)
    for name, why in made.report.get("left_out", {}).items():
        print(f"Left out “{name}”: {why}", file=sys.stderr)
    _write_report(report, made.report)
    return DONE


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _write_report(path: Path | None, report: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _show(progress: Progress) -> None:
    print(progress, file=sys.stderr, flush=True)


def register() -> None:
    """Add the command ``dist``."""
    _commands.append(bpy.utils.register_cli_command("dist", main))


def unregister() -> None:
    """Take the command away."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
