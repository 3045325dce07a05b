"""The worker process: read a request, do its task, write a result, and say how it goes.

Started without a job's folder, it loads PyTorch and waits for the folder as a line of JSON on standard input.

Only events go to standard output; everything else that is printed goes to the log (standard error). A line ``cancel``
on standard input, or its end (Blender is gone), ends the process within seconds; ``pause`` and ``resume`` hold it up at
the next step; ``finish`` has a fit or a training make its result of what it has; ``watch`` asks for previews. Other
lines are for a task that stays and takes orders.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from . import protocol
from .reporting import Cancelled, Reporter

# What this Python must have.
REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"


def main(arguments: list[str]) -> int:
    """Run the job in the folder that `arguments` or, later, standard input names.

    Returns 0 when done, or when no folder came for long, 1 when cancelled, and 2 after an error.
    """
    # Libraries that print must not be taken for events: the pipe gets a descriptor of its own.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    reporter = Reporter(events)
    # And none may wait for the input: on Windows, to load one asks after descriptor 0, which waits while it is read.
    orders = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8")
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    threading.Thread(target=reporter.listen, args=(orders,), daemon=True).start()
    if len(arguments) > 1:
        reporter.event("error", message="The worker takes one argument at most: the job's folder.")
        return 2
    try:
        if arguments:
            reporter.event("status", message="Loading PyTorch")
            folder = Path(arguments[0])
        else:
            load_task(protocol.RECONSTRUCT)
            line = reporter.take_line(protocol.SPARE_SECONDS)
            if line is None:
                return 0
            folder = Path(json.loads(line))
        protocol.check_folder(folder)
        if not arguments:
            _move_into(folder)
        load_task(protocol.read_task(folder))(folder, reporter)
    except Cancelled:
        reporter.event("cancelled")
        return 1
    except Exception as error:
        traceback.print_exc()
        reporter.event("error", message=explain(error))
        return 2
    reporter.event("done")
    return 0


def _move_into(folder: Path) -> None:
    """Work in a job's folder, and write its log: as who is started for it does from the beginning."""
    os.chdir(folder)
    with protocol.open_regular(folder / "log.txt", "ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())


def load_task(task: str) -> Callable[[Path, Reporter], None]:
    """Import what does a task: not before it is needed, since PyTorch takes seconds and a cancel must be heard."""
    # Blender draws meanwhile: threads that wait must not keep the processor busy, or both stand still.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if task == protocol.RENDER:
        from .render import render

        return render
    if task == protocol.SHAPE:
        from .make_shapes import make_shapes

        return make_shapes
    if task == protocol.TRAIN:
        from .train import train_prior

        return train_prior
    if task == protocol.IMPORT:
        from .import_prior import import_prior

        return import_prior
    from .reconstruct import reconstruct

    return reconstruct


def explain(error: Exception) -> str:
    """Say what went wrong in words for the person who pressed the button."""
    name = type(error).__name__
    if name == "ModuleNotFoundError":
        remedy = f"Install what the worker needs: “{sys.executable}” -m pip install -r “{REQUIREMENTS}”"
        return f"The worker's Python lacks a package: {error}. {remedy}"
    if name in ("OutOfMemoryError", "MemoryError"):
        return "There was not enough memory: choose a lower quality or smaller pictures, or run on the CPU."
    if isinstance(error, ValueError):
        return str(error)
    return f"{name}: {error} (the job's log has the details)"
