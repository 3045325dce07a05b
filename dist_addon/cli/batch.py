"""``dist batch``: many reconstructions, one a line of a file; goes on where it stopped, and is split over machines."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import api, preferences, worker_python
from ..inputs import OPTIONS
from ..worker.dist_engine.protocol import MAX_JSON, RequestError, parse_json, read_file
from . import reconstruct
from .common import DONE, FAILED, MISUSED, write_report, written_beside


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser(
        "batch",
        help="reconstruct from many scenes",
        description="Each line of FILE is a JSON object: “scene”, and the options of “reconstruct” by their names, as "
        'in {"scene": "a.blend", "quality": "fine", "out": "done/a.blend", "json": "done/a.json"}. Paths are relative '
        "to FILE. Lines that are done already are left out, so the same command goes on where it stopped.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the lines")
    parser.add_argument(
        "--shard", type=_shard, default=(1, 1), metavar="I/N", help="only every N-th line, from the I-th on: 1/N to N/N"
    )
    parser.add_argument("--dry-run", action="store_true", help="only check the lines and their scenes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what came of each line here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do the lines one after the other; one that fails does not keep the others from being done."""
    try:
        lines = read_lines(options.file)
        _check_report(options.json, options.file, lines)
    except (RequestError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return MISUSED
    worker_python.setup.find(preferences.python())
    index, count = options.shard
    report = []
    for line in lines[index - 1 :: count]:
        began = time.monotonic()
        state, why = _do(line, options.dry_run)
        told = f"Error: {why}" if why else state
        print(f"{options.file.name}:{line.number}: {line.scene.name}: {told}", file=sys.stderr, flush=True)
        seconds = round(time.monotonic() - began, 1)
        report.append({"line": line.number, "scene": str(line.scene), "state": state, "error": why, "seconds": seconds})
    states = [entry["state"] for entry in report]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(f"{len(report)} of {len(lines)} lines: {counts or 'nothing to do'}", file=sys.stderr)
    write_report(options.json, {"lines": report})
    return FAILED if "failed" in states else DONE


@dataclass(frozen=True)
class Line:
    """A line of a batch file.

    Attributes
    ----------
    number : int
        Its number in the file, from 1.
    entry : dict
        What it says.
    scene : Path
        The file to open.
    options : Namespace
        Those of ``reconstruct``.
    record : Path
        Tells that the line was done.
    """

    number: int
    entry: dict[str, Any]
    scene: Path
    options: argparse.Namespace
    record: Path

    @property
    def outputs(self) -> list[Path]:
        """The files that it writes."""
        return [path for path in (self.options.out, self.options.json) if path]

    def state(self) -> dict[str, Any]:
        """Return what the record says once the line is done from what the scene's file is now."""
        status = self.scene.stat()
        return {"line": self.entry, "scene": [status.st_size, int(status.st_mtime)]}

    def is_done(self) -> bool:
        """Whether its files are there, made from the same line and the same scene."""
        try:
            kept = parse_json(read_file(self.record, MAX_JSON))
            return kept == self.state() and all(path.is_file() for path in self.outputs)
        except (OSError, ValueError):
            return False


def read_lines(file: Path) -> list[Line]:
    """Read a batch file and check each line, without opening a scene.

    Raises
    ------
    RequestError
        A line makes no sense; the message names the file and the line.
    """
    lines: list[Line] = []
    written: dict[Path, int] = {}
    for number, text in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), 1):
        if not text.strip():
            continue
        try:
            line = _read_line(file.absolute(), number, text)
            for path in (each.resolve() for each in line.outputs):
                if path == file.resolve():
                    raise RequestError(f"The result would overwrite {path}: name another file.")
                if path in written:
                    raise RequestError(f"{path} is what line {written[path]} writes, too: name another file.")
                written[path] = number
        except (RequestError, ValueError, RecursionError) as error:
            raise RequestError(f"{file.name}:{number}: {error}") from error
        lines.append(line)
    for line in lines:
        if line.scene.resolve() in written:
            raise RequestError(
                f"{file.name}:{written[line.scene.resolve()]}: The result would overwrite {line.scene}: name another "
                f"file. It is the scene of line {line.number}."
            )
    return lines


def _check_report(report: Path | None, file: Path, lines: list[Line]) -> None:
    """Raise `RequestError` where the batch's own report would overwrite what it works with, or makes."""
    taken = {file, *(line.scene for line in lines), *(path for line in lines for path in line.outputs)}
    if report and report.resolve() in {path.resolve() for path in taken}:
        raise RequestError(f"The report would overwrite {report}, or be overwritten: name another file.")


class _Parser(argparse.ArgumentParser):
    """Raises `RequestError` instead of ending the program."""

    def error(self, message: str) -> Any:
        raise RequestError(message)


def _read_line(file: Path, number: int, text: str) -> Line:
    entry = json.loads(text)
    if not isinstance(entry, dict) or not isinstance(entry.get("scene"), str):
        raise RequestError('The line must be an object with a scene, such as {"scene": "a.blend", "out": "b.blend"}.')
    parser = reconstruct.add(_Parser().add_subparsers())
    parser.allow_abbrev = False
    arguments: list[str] = []
    for name, value in entry.items():
        if name in ("help", "job", "h"):
            raise RequestError(f"A line can't say “{name}”: each gets a job's folder of its own.")
        flag = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(flag)
        elif value is False:
            arguments.append("--no" + flag[1:])
        elif isinstance(value, list):
            arguments += [flag, *map(str, value)]
        elif value is not None and name != "scene":
            arguments.append(f"{flag}={value}")
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        if isinstance(value, Path) or (isinstance(value, str) and _is_path(name, value, file.parent)):
            setattr(options, name, type(value)(file.parent / value))
    if not (options.out or options.json):
        raise RequestError("Neither “out” nor “json” says where the result is to go.")
    key = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]
    record = file.with_name(f"{file.name}.done") / f"{key}.json"
    return Line(number, entry, file.parent / entry["scene"], options, record)


def _is_path(name: str, value: str, folder: Path) -> bool:
    """Whether a text option is the path of a file or folder, and not relative to the scene as Blender writes it."""
    if not value or value.startswith("//") or name not in OPTIONS:
        return False
    kind = OPTIONS[name].kind
    if kind == "masks":
        return value not in ("alpha", "background") and (folder / value).is_dir()
    return kind == "folder" or (kind == "prior" and value.endswith(".safetensors"))


def _do(line: Line, dry_run: bool) -> tuple[str, str]:
    """Do or check a line; return what came of it, and the error where it failed."""
    try:
        if not line.scene.is_file():
            raise RequestError(f"There is no file {line.scene}.")
        if line.is_done():
            return "done before", ""
        state = line.state()
        bpy.ops.wm.open_mainfile(filepath=str(line.scene), load_ui=False)
        if dry_run:
            api.gather(**reconstruct.gather_inputs(line.options))
            return "well", ""
        reconstruct.run(line.options)
        with written_beside(line.record) as part:
            part.write_text(json.dumps(state), encoding="utf-8")
        return "done", ""
    except (RequestError, OSError, RuntimeError) as error:
        return "failed", str(error).removeprefix("Error: ").strip()
    except Exception as error:
        # One scene that shows a flaw of ours must not keep a thousand others from being done.
        traceback.print_exc()
        return "failed", f"{type(error).__name__}: {error}"


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"“{text}” is no share: for one of three, give 1/3, 2/3 or 3/3")
    return int(found[1]), int(found[2])
