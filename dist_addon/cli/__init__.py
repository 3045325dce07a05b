"""The command line: ``blender FILE.blend --command dist reconstruct``, and others; one module a command."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import bpy

from ..worker.dist_engine.protocol import RequestError
from . import batch, import_cameras, import_prior, jobs, reconstruct, render, sample, train, worker
from .common import FAILED, MISUSED

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
    for command in (reconstruct, batch, render, sample, train, import_prior, import_cameras, jobs, worker):
        command.add(actions)
    try:
        options = parser.parse_args(arguments)
        return options.run(options)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else MISUSED
    except (RequestError, OSError, RuntimeError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return FAILED


def register() -> None:
    """Add the command ``dist``."""
    _commands.append(bpy.utils.register_cli_command("dist", main))


def unregister() -> None:
    """Take the command away."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
