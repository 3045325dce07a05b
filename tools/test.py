"""Set everything up and run the tests: ``python3 tools/test.py [--fast | --blender 5.2 | --desktop] [for pytest]``.

Without options: format, lint, import contracts, types, then the whole suite, but for Blender's window. With
``--fast``: the same without the tests that are marked as slow. With ``--blender``: the add-on's tests under that
Blender, whose worker still runs in the main environment. With ``--desktop``: those that press the buttons in the window
of the Blender that ``tools/desktop_blender.py`` gets.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import desktop_blender, environment

# What should be marked as slow shows in the output.
FAST = ["-m", "not slow", "--durations", "5", "--durations-min", "2"]
# Each as arguments for Python; import-linter has no module that runs.
CHECKS = {
    "ruff format --check": ["-m", "ruff", "format", "--check"],
    "ruff check": ["-m", "ruff", "check"],
    "lint-imports": ["-c", "from importlinter import cli; cli.lint_imports_command()", "--no-cache", "--no-logo"],
    "mypy": ["-m", "mypy"],
}


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    blenders = sorted(name[len("blender-") :] for name in environment.PYTHONS if name != "main")
    parser = argparse.ArgumentParser(description="Set everything up and run the tests.")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--fast", action="store_true", help="the checks, and the tests that are not marked as slow")
    only.add_argument("--blender", choices=blenders, help="only the add-on's tests, under this Blender")
    only.add_argument("--desktop", action="store_true", help="only the tests in Blender's window")
    options, pytest = parser.parse_known_args()

    try:
        main_python = environment.ensure("main")
        python = environment.ensure(f"blender-{options.blender}") if options.blender else main_python
        if options.desktop:
            desktop_blender.ensure()
    except environment.SetupError as error:
        print(error, file=sys.stderr)
        return 1

    os.chdir(environment.ROOT)
    failed: list[str] = []
    checks: dict[str, list[str]] = {}
    if options.blender or options.desktop:
        folder = "blender_tests/desktop" if options.desktop else "blender_tests/addon"
        pytest = pytest if any(Path(a.split("::")[0]).exists() for a in pytest) else [folder, *pytest]
    else:
        checks = CHECKS
    if options.fast:
        pytest = [*FAST, *pytest]
    # The checks take one core, and the tests mostly the other.
    with ThreadPoolExecutor(1) as beside:
        done = [(name, beside.submit(check, main_python, arguments)) for name, arguments in checks.items()]
        code = environment.run(python, ["-I", "-m", "pytest", *pytest], DIST_PYTHON=str(main_python))
        for name, told in done:
            passed, words = told.result()
            print(f"$ {name}\n{words}", end="", flush=True)
            failed += [] if passed else [name]
    if failed:
        print("Failed beside the tests:", ", ".join(failed), file=sys.stderr)
    return code or int(bool(failed))


def check(python: Path, arguments: list[str]) -> tuple[bool, str]:
    """Run a check to its end; whether it passed, and what it said."""
    command = [str(python), "-I", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.returncode == 0, done.stdout


if __name__ == "__main__":
    sys.exit(main())
