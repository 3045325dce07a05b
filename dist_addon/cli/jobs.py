"""``dist jobs``: earlier jobs, to see, resume and remove."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import api
from ..api import common
from .common import DONE, show, write_report


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser("jobs", help="list earlier jobs, the newest first; resume or remove one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the list here, too")
    parser.set_defaults(run=_list)
    deeds = parser.add_subparsers(metavar="{resume,remove}")
    resume = deeds.add_parser("resume", help="take a job up again that was cancelled, interrupted or failed")
    resume.set_defaults(run=_resume)
    remove = deeds.add_parser("remove", help="delete a job's folder, with its result")
    remove.set_defaults(run=_remove)
    for deed in (resume, remove):
        deed.add_argument("folder", type=Path, metavar="FOLDER", help="the job's")


def _list(options: argparse.Namespace) -> int:
    found = api.jobs()
    for record in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.when))
        print(f"{record.state:<11} {record.task or 'damaged':<11} {record.name:<12} {when}  {record.folder}")
    write_report(options.json, {"jobs": [{**asdict(record), "folder": str(record.folder)} for record in found]})
    return DONE


def _resume(options: argparse.Namespace) -> int:
    common.wait(api.resume(options.folder), show, "job")
    print(f"Done; the result is in {options.folder}", file=sys.stderr)
    return DONE


def _remove(options: argparse.Namespace) -> int:
    api.remove(options.folder)
    return DONE
