"""``dist reconstruct``: the shape that a scene's pictures show."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import bpy

from .. import api, properties
from ..inputs import INPUTS, OPTIONS, THINGS, InputField
from ..scene.result import how_well
from ..worker.dist_engine.protocol import RequestError
from .common import DONE, named, save_scene, show, write_report

# What a kind of option shows in place of its value.
METAVARS = {
    "folder": "DIR",
    "frames": "FIRST:LAST[:STEP]",
    "masks": "alpha|background|DIR|NAME",
    "prior": "anything|NAME|FILE",
    "number": "X",
    **dict.fromkeys(THINGS, "NAME"),
}


def add(actions: Any) -> argparse.ArgumentParser:
    """Add the command to the parsers, and return its own."""
    parser = actions.add_parser(
        "reconstruct",
        help="reconstruct the thing that the cameras' pictures show",
        description="What is not said is taken from the scene. Things of the file are given by their names.",
    )
    for name, option in OPTIONS.items():
        parser.add_argument("--" + name.replace("_", "-"), help=f"{option.label}: {option.text}", **_reads(option))
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
    given: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        value = getattr(options, name)
        if value is not None:
            given |= _fields(option, value)
    inputs = properties.inputs(bpy.context.scene, given)
    for each in INPUTS:
        # What says more of an input that there is none of would be lost without a word.
        more = [field.key for field in each.options[1:] if getattr(options, field.key) is not None]
        if more and inputs[each.name] is None:
            first, last = (name.replace("_", "-") for name in (each.options[0].key, more[0]))
            raise RequestError(
                f"--{last} says nothing without --{first}: give both, or choose {each.name} in the scene."
            )
    if inputs["cameras"] is None and inputs["points"] is None:
        raise RequestError(
            "The scene has no cameras chosen: give their collection's name with --cameras, or points with --points. "
            + (f"The file is {bpy.data.filepath}." if bpy.data.filepath else "No file is open: was its path right?")
        )
    return inputs


def _reads(option: InputField) -> dict[str, Any]:
    """How a parser reads an option."""
    if option.kind == "flag":
        return {"action": argparse.BooleanOptionalAction}
    if option.kind == "choice":
        return {"choices": [choice.value for choice in option.choices]}
    reads = {"number": float, "frames": _frames}.get(option.kind, str)
    return {"type": reads, "metavar": METAVARS[option.kind]}


def _fields(option: InputField, value: Any) -> dict[str, Any]:
    """The fields of an input that an option gives, by their names."""
    if option.kind == "frames":
        return {"frame_start": value.start, "frame_end": value.stop - 1, "frame_step": value.step}
    if option.kind == "masks":
        return _masks(value)
    return {option.name: named(option.kind, value) if option.kind in THINGS else value}


def _frames(text: str) -> range:
    first, last, *step = (int(part) for part in text.split(":"))
    return range(first, last + 1, *step)


def _masks(text: str) -> dict[str, Any]:
    if text in ("alpha", "background"):
        return {"mask_source": text.upper()}
    if Path(bpy.path.abspath(text)).is_dir():
        return {"mask_source": "FOLDER", "mask_folder": text}
    if text not in bpy.data.masks:
        raise RequestError(
            f"The masks “{text}” are neither “alpha” nor “background”, and neither a folder nor a mask of the file's."
        )
    return {"mask_source": "MASK", "mask": bpy.data.masks[text]}
