"""Do the tests notice mistakes? ``python tools/mutate.py [--list] [--only NAME ...] [--jobs N]``.

Each edit of ``tools/mutations.toml`` is put into a copy of the project, and a test of those that it names must fail
there, and pass without it. The checkout itself is never changed. Run it with the interpreter of the tools' main
environment (see ``tools/environment.py``). Ends with a table, and with exit code 1 where an edit survived that is not
excused, no longer fits the code, or proves nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EDITS = ROOT / "tools" / "mutations.toml"
# Seconds for an edit's tests.
LONGEST = 900
# A failed test in pytest's summary, without its parameters, and what it failed with.
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::[^\s\[]+)(?:\[.*?\])?(?: - (\w+))?", re.MULTILINE)
# An edit that fails with these is no mistake in what the code does.
SLIPS = ("NameError", "UnboundLocalError", "SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError")
NOTICED, SURVIVED, EXCUSED, ERROR = "noticed", "SURVIVED", "excused", "ERROR"


@dataclass(frozen=True)
class Edit:
    """A mistake.

    Attributes
    ----------
    name : str
    file : str
        What is edited, from the project's root.
    old, new : str
        Text that occurs once, and what takes its place.
    tests : tuple of str
        Files (or single tests) that should notice it.
    why : str
        What it stands for.
    excused : str
        Why nothing need notice it; empty where something must.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str
    excused: str = ""

    def applied(self, root: Path) -> str:
        """The edited file's text; ValueError where the edit does not fit the file, or a test is not there."""
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"stale: its text is {count} times in {self.file}")
        if lacking := [test for test in self.tests if not (root / test.split("::")[0]).is_file()] or not self.tests:
            raise ValueError(f"stale: tests that are not there: {lacking}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What came of an edit: one of four words, the test that noticed it or what is wrong, and how long it took."""

    edit: Edit
    word: str
    told: str
    seconds: float


class Runner:
    """Runs edits, each in a copy of the project that nothing else uses meanwhile.

    Parameters
    ----------
    folder : Path
        For the copies.
    jobs : int
        How many edits at a time.
    """

    def __init__(self, folder: Path, jobs: int) -> None:
        self._copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._children: set[subprocess.Popen[str]] = set()
        self._ended = False
        for number in range(jobs):
            copy_project(folder / str(number))
            self._copies.put(folder / str(number))

    def run(self, edit: Edit) -> Outcome:
        """Say what the tests make of an edit."""
        began = time.monotonic()
        copy = self._copies.get()
        try:
            word, told = self._run(edit, copy)
        finally:
            self._copies.put(copy)
        return Outcome(edit, word, told, time.monotonic() - began)

    def _run(self, edit: Edit, copy: Path) -> tuple[str, str]:
        path = copy / edit.file
        try:
            before, after = path.read_bytes() if path.is_file() else b"", edit.applied(copy)
        except ValueError as error:
            return ERROR, str(error)
        try:
            compile(after, edit.file, "exec")
        except SyntaxError as error:
            return ERROR, f"no Python: {error}"
        try:
            put(path, after.encode())
            code, output = self._pytest(copy, edit.tests)
        except subprocess.TimeoutExpired:
            return ERROR, f"its tests took longer than {LONGEST} s"
        finally:
            put(path, before)
        if code == 0:
            return (EXCUSED, edit.excused) if edit.excused else (SURVIVED, edit.why)
        failed = FAILED.search(output)
        # Where a test module cannot even be imported, no test has failed.
        if code != 1 or failed is None:
            return ERROR, f"pytest ended with {code}: {' '.join(output.split()[-20:])}"
        if failed[2] in SLIPS:
            return ERROR, f"{failed[2]} in {failed[1]}"
        # A test that fails anyway proves nothing.
        code, _ = self._pytest(copy, (failed[1],))
        return (NOTICED, failed[1]) if code == 0 else (ERROR, f"fails without the edit, too: {failed[1]}")

    def _pytest(self, copy: Path, tests: tuple[str, ...]) -> tuple[int, str]:
        """Run tests in a copy up to the first that fails; the exit code, and the end of the output."""
        temporary = copy.with_name(f"{copy.name} temporary")
        temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-I", "-B", "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *tests]
        child = subprocess.Popen(
            command,
            cwd=copy,
            # What a test that is ended leaves behind goes with the copy.
            env=os.environ | {"DIST_PYTHON": sys.executable} | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._children.add(child)
        if self._ended:
            end(child)
        try:
            output, _ = child.communicate(timeout=LONGEST)
        finally:
            end(child)
            self._children.discard(child)
        return child.returncode, output

    def stop(self) -> None:
        """End what runs, and what would be run."""
        self._ended = True
        for child in list(self._children):
            end(child)


def end(child: subprocess.Popen[str]) -> None:
    """End a process, and all that it started and left."""
    if os.name == "nt":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def put(path: Path, content: bytes) -> None:
    """Write a module; what Python has made of the one before is forgotten."""
    path.write_bytes(content)
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)


def copy_project(target: Path) -> None:
    """Copy what git tracks, or does not ignore, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def read_edits(path: Path = EDITS) -> list[Edit]:
    """Read the edits; ValueError where two have one name."""
    data: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["edit"]
    edits = [Edit(**(entry | {"tests": tuple(entry["tests"])})) for entry in data]
    names = [edit.name for edit in edits]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{path.name} has two edits of one name: {', '.join(sorted(twice))}")
    return edits


def table(outcomes: list[Outcome]) -> str:
    """What came of the edits, in Markdown."""
    rows = ["| edit | file | outcome | by | s |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        told = outcome.told.removeprefix("blender_tests/").replace("|", "\\|")
        rows.append(
            f"| {outcome.edit.name} | {outcome.edit.file.removeprefix('dist_addon/')} | {outcome.word} | {told} "
            f"| {outcome.seconds:.0f} |"
        )
    return "\n".join(rows)


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="only say what edits there are, and whether they still fit")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this edit; can be given several times")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="edits at a time (1)")
    options = parser.parse_args()
    edits = read_edits()
    if unknown := set(options.only or ()) - {edit.name for edit in edits}:
        parser.error(f"there is no edit {', '.join(sorted(unknown))}: see --list")
    edits = [edit for edit in edits if not options.only or edit.name in options.only]
    if options.list:
        return list_edits(edits)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes = []
    jobs = max(options.jobs, 1)
    # A process that was ended may still be writing.
    made = tempfile.TemporaryDirectory(prefix="dist-mutate-", ignore_cleanup_errors=True)
    with made as folder, ThreadPoolExecutor(jobs) as pool:
        runner = Runner(Path(folder), jobs)
        try:
            for outcome in pool.map(runner.run, edits):
                outcomes.append(outcome)
                print(f"{outcome.word:8} {outcome.seconds:4.0f} s  {outcome.edit.name}: {outcome.told}", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()
            print("Cancelled.", file=sys.stderr)
            return 130
    print()
    print(table(outcomes))
    good = sum(outcome.word in (NOTICED, EXCUSED) for outcome in outcomes)
    print(f"\n{good} of {len(outcomes)} are noticed or excused.")
    return int(good < len(outcomes))


def list_edits(edits: list[Edit]) -> int:
    """Print the edits; the exit code is 1 where one no longer fits."""
    stale = 0
    for edit in edits:
        try:
            edit.applied(ROOT)
            state = edit.why
        except ValueError as error:
            state, stale = str(error), stale + 1
        print(f"{edit.name} ({edit.file}): {state}")
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
