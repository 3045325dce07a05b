"""``dist import-prior``: a shape prior from a file, or from a DeepSDF checkpoint."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .. import api
from .common import DONE, show, write_report
from .train import tell_prior


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser("import-prior", help="add a prior's file, or make one of a DeepSDF checkpoint")
    parser.add_argument(
        "source",
        metavar="PATH",
        help="a .safetensors file, or a folder with specs.json, ModelParameters, LatentCodes",
    )
    parser.add_argument("--name", help="what the prior is to be called (default: as the file or the folder)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="put the prior here (default: among the user's priors)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import, and say where the prior is."""
    if options.source.endswith(".safetensors"):
        kept = api.keep_prior(options.source, options.name, file=options.out)
        print(f"The prior is {kept.path}", file=sys.stderr)
        write_report(options.json, {"name": kept.name, **kept.metadata})
        return DONE
    return tell_prior(api.import_prior(options.source, options.name, file=options.out, progress=show), options.json)
