"""Measure the renderer: ``python tools/benchmark.py feedforward --checkpoint DIR --shape NAME ...``.

Each subcommand is a module in ``tools/benchmarks``. Run it with the interpreter of the tools' main environment (see
``tools/environment.py``). Truth and other things that take long are kept in ``.cache``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "dist_addon" / "worker"), str(ROOT)]

from benchmarks import (  # noqa: E402
    anything,
    camera,
    feedforward,
    focal,
    freedom,
    gradients,
    meshing,
    multi_view,
    noise,
    outline_offset,
    photographs,
    priors,
    real,
    solvers,
    sparse_depth,
    tracks,
)

BENCHMARKS = {
    "anything": anything,
    "camera": camera,
    "feedforward": feedforward,
    "focal": focal,
    "freedom": freedom,
    "gradients": gradients,
    "meshing": meshing,
    "multi-view": multi_view,
    "noise": noise,
    "outline-offset": outline_offset,
    "photographs": photographs,
    "priors": priors,
    "real": real,
    "solvers": solvers,
    "sparse-depth": sparse_depth,
    "tracks": tracks,
}


def main() -> None:
    """Read the command line and run the benchmark that it names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, module in BENCHMARKS.items():
        module.configure(commands.add_parser(name, help=module.__doc__.splitlines()[0] if module.__doc__ else None))
    options = parser.parse_args()
    BENCHMARKS[options.benchmark].run(options)


if __name__ == "__main__":
    main()
