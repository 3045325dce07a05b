"""Set everything up and run the tests: ``python3 tools/test.py [--blender 5.2] [arguments for pytest]``.

Without ``--blender``: format, lint, types, then the whole suite. With it: the add-on's tests under that Blender, whose
worker still runs in the main environment.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import environment

CHECKS = [["ruff", "format", "--check"], ["ruff", "check"], ["mypy"]]


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    blenders = sorted(name[len("blender-") :] for name in environment.PINS if name != "main")
    parser = argparse.ArgumentParser(description="Set everything up and run the tests.")
    parser.add_argument("--blender", choices=blenders, help="only the add-on's tests, under this Blender")
    options, pytest = parser.parse_known_args()

    try:
        main_python = environment.ensure("main")
        python = environment.ensure(f"blender-{options.blender}") if options.blender else main_python
    except environment.SetupError as error:
        print(error, file=sys.stderr)
        return 1

    os.chdir(environment.ROOT)
    failed = []
    if options.blender:
        pytest = pytest if any(Path(a.split("::")[0]).exists() for a in pytest) else ["blender_tests/addon", *pytest]
    else:
        for check in CHECKS:
            print("$", *check, flush=True)
            if environment.run(main_python, ["-I", "-m", *check]):
                failed.append(" ".join(check))
    code = environment.run(python, ["-I", "-m", "pytest", *pytest], DIST_PYTHON=str(main_python))
    if failed:
        print("Failed before the tests:", ", ".join(failed), file=sys.stderr)
    return code or int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
