"""``dist train``: a shape prior from meshes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .. import api
from ..worker.dist_engine.protocol import AXES, MESH_FILES, SIZES
from .common import DONE, named, show, write_report


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser("train", help="train a shape prior from meshes")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--collection", metavar="NAME", help="name of a collection: each object in it is a shape")
    source.add_argument("--folder", metavar="DIR", help=f"folder of meshes: {', '.join(MESH_FILES)}")
    parser.add_argument("--name", required=True, help="what the prior is to be called")
    parser.add_argument("--size", choices=SIZES, default="small", help="small for a CPU (default), official for a GPU")
    parser.add_argument("--up", choices=AXES, default="+y", help="a folder's axis that points up (default: +y)")
    parser.add_argument(
        "--front", choices=AXES, default="+z", help="where a folder's shapes look (default: +z; --front=-z)"
    )
    parser.add_argument("--steps", type=int, default=0, help="default: as the size and the number of shapes ask for")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--licence", default="", help="of the meshes, and so of the prior")
    parser.add_argument(
        "--job",
        type=Path,
        help="the job's folder, new, empty or an earlier job's (default: a new one); goes on where it stopped",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="put the prior here (default: among the user's priors)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, and say where the prior is."""
    source = named("collection", options.collection) or options.folder
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
        progress=show,
    )
    return tell_prior(made, options.json)


def tell_prior(made: api.Training, report: Path | None) -> int:
    """Say where a prior is, and what was left out of it."""
    print(f"The prior is {made.prior.path}; the job is in {made.folder}", file=sys.stderr)
    for name, why in made.report.get("left_out", {}).items():
        print(f"Left out “{name}”: {why}", file=sys.stderr)
    write_report(report, made.report)
    return DONE
