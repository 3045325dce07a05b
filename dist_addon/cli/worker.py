"""``dist install-worker`` and ``dist test-worker``: the Python that runs the worker."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import bpy

from .. import preferences, worker_python
from ..jobs import JobError, installed, make_plan
from ..jobs.installer import BUILDS
from ..operators.worker import describe
from .common import DONE


def add(actions: Any) -> None:
    """Add the commands to the parsers."""
    install = actions.add_parser("install-worker", help="fetch PyTorch into an environment of the add-on's own")
    install.add_argument("--device", choices=["auto", *BUILDS], default="auto", help="default: what the machine has")
    install.set_defaults(run=_install)
    test = actions.add_parser("test-worker", help="load the worker's packages; tell its versions and devices")
    test.set_defaults(run=_test)


def _install(options: argparse.Namespace) -> int:
    if not bpy.app.online_access:
        raise JobError("Nothing may be fetched: start Blender with --online-mode, or allow it in its preferences.")
    plan = make_plan(options.device)
    print(*describe(plan.device), sep="\n", file=sys.stderr)
    job = worker_python.setup.begin_install(plan)

    def show(event: dict[str, Any]) -> None:
        state = worker_python.setup.progress
        before = state.message
        state.take(event)
        if state.message != before:
            print(state.message, file=sys.stderr, flush=True)

    job.wait(show)
    worker_python.setup.tick()
    if job.state != "done":
        raise JobError(job.error or worker_python.setup.outcome)
    print(installed(job.folder))
    return DONE


def _test(options: argparse.Namespace) -> int:
    print(worker_python.test(preferences.python()))
    return DONE
