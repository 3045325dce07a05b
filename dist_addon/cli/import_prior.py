"""``dist import-prior``: a shape prior from a DeepSDF checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import api
from .common import show
from .train import tell_prior


def add(actions: Any) -> None:
    """Add the command to the parsers."""
    parser = actions.add_parser("import-prior", help="make a shape prior from a DeepSDF checkpoint")
    parser.add_argument("folder", metavar="DIR", help="holds specs.json, ModelParameters and LatentCodes")
    parser.add_argument("--name", help="what the prior is to be called (default: as the folder)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="put the prior here (default: among the user's priors)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import, and say where the prior is."""
    return tell_prior(api.import_prior(options.folder, options.name, file=options.out, progress=show), options.json)
