"""Make the worker's virtual environment: ``python -I -u installer FOLDER``. Needs the standard library only.

FOLDER/request.json says what to fetch (see `jobs.installer.Plan.request`); the environment is FOLDER/env. Its file
``whole.json`` is written last: an environment without it is half made. Events are those of the worker's protocol; what
pip says goes to stderr. "cancel" on stdin, or its end, kills what runs and takes the environment away.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

OLDEST = (3, 10)
PROBE = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
# Wheels only: a missing one is said plainly, not as a compiler's error.
PIP = ["-I", "-m", "pip", "install", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
# The first pip that tells how far a download is in a form for programs.
RAW_PROGRESS = (24, 1)
DOWNLOADING = re.compile(r"Downloading (?:\S*/)?([\w.]+)-\d\S* \((.+?)\)")
PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
# Seconds between two reports of a download.
PAUSE = 0.2


class InstallError(Exception):
    """The environment could not be made; the message says why and what to do."""


class InstallCancelled(Exception):
    """It was asked to stop."""


class Programs:
    """Runs programs one after the other, and can be cancelled from another thread at any time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Kill the program that runs, with all that it started, and let no other begin."""
        with self._guard:
            self._cancelled = True
            if self._child and self._child.poll() is None:
                _kill_tree(self._child)

    def run(self, command: list[str], on_line: Callable[[str], None] = lambda _: None) -> tuple[int, list[str]]:
        """Run a program to its end; return its exit code and the last lines that it wrote."""
        print("$", *command, file=sys.stderr, flush=True)
        with self._guard:
            if self._cancelled:
                raise InstallCancelled
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                # A group of its own, so that all of it can be killed at once.
                start_new_session=os.name == "posix",
            )
        assert self._child.stdout is not None
        last: list[str] = []
        with self._child.stdout as lines:
            for line in map(str.rstrip, lines):
                if not PROGRESS.match(line):
                    print(line, file=sys.stderr, flush=True)
                    last = [*last[-7:], line]
                on_line(line)
        code = self._child.wait()
        if self._cancelled:
            raise InstallCancelled
        return code, last


def _kill_tree(child: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True)


def say(event: str, **fields: Any) -> None:
    """Tell Blender something."""
    print(json.dumps({"v": 1, "event": event, **fields}), flush=True)


def stage(name: str, step: int = 0, steps: int = 0) -> None:
    """Tell what is being done, and how far it is."""
    say("progress", stage=name, step=step, steps=steps, loss=None, seconds_left=None)


def find_base(steps: Programs) -> str:
    """Return a Python that can make virtual environments: the one that runs this, or one on the search path."""
    names = [*(f"python3.{minor}" for minor in (13, 12, 11, 10, 14)), "python3", "python"]
    found = [sys.executable, *filter(None, map(shutil.which, names))]
    for path in dict.fromkeys(found):
        # Apple's own opens a window that offers developer tools.
        if sys.platform == "darwin" and path == "/usr/bin/python3":
            continue
        with contextlib.suppress(OSError, ValueError):
            code, said = steps.run([path, "-I", "-c", PROBE])
            if code == 0 and said and tuple(map(int, said[-1].split())) >= OLDEST:
                return path
    raise InstallError(
        "No Python was found that can make a virtual environment. Install Python 3.10 or newer with its venv module "
        "(Debian, Ubuntu: apt install python3-venv), and try again."
    )


def make(folder: Path, request: dict[str, Any], steps: Programs) -> None:
    """Make the environment that a request describes, in place of what is there."""
    stage("prepare")
    environment = folder / "env"
    remove(environment)
    free, needed = shutil.disk_usage(folder).free, int(request["bytes"])
    if free < needed:
        raise InstallError(
            f"There is too little room in {folder}: {free / 1e9:.1f} GB are free, {needed / 1e9:.1f} GB are needed."
        )
    base = find_base(steps)
    stage("environment")
    _check(*steps.run([base, "-I", "-m", "venv", str(environment)]), "The virtual environment could not be made.")
    python = str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    _, said = steps.run([python, "-I", "-m", "pip", "--version"])
    number = re.match(r"pip (\d+)\.(\d+)", said[-1] if said else "")
    raw = number is not None and tuple(map(int, number.groups())) >= RAW_PROGRESS
    for arguments in request["fetch"]:
        stage("fetch")
        command = [python, *PIP, "--progress-bar", "raw" if raw else "off", *arguments]
        _check(
            *steps.run(command, Teller()),
            "The packages could not be fetched. Check the connection to the package index, and try again: what was "
            "fetched is kept for that.",
        )
    stage("test")
    for module in request["modules"]:
        code, said = steps.run([python, "-I", "-c", f"import {module}"])
        _check(code, said, f"{module} was installed, but does not load.")
    (environment / "whole.json").write_text(json.dumps(request), encoding="utf-8")


class Teller:
    """Tells Blender what pip is doing, from the lines that it writes."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, line: str) -> None:
        """Take a line."""
        if found := DOWNLOADING.search(line):
            stage("fetch")
            say("status", message=f"Fetching {found[1]} ({found[2]})")
        elif (found := PROGRESS.match(line)) and time.monotonic() - self._last > PAUSE:
            self._last = time.monotonic()
            # In megabytes, which is what a person wants to know.
            stage("fetch", *(int(number) // 1_000_000 for number in found.groups()))
        elif line.startswith("Installing collected packages"):
            stage("unpack")


def _check(code: int, said: list[str], failure: str) -> None:
    if code:
        raise InstallError("\n".join([failure, "It said:", *said]))


def remove(environment: Path) -> None:
    """Delete an environment, its mark first."""
    with contextlib.suppress(FileNotFoundError):
        (environment / "whole.json").unlink()
    shutil.rmtree(environment, ignore_errors=True)
    if environment.exists():
        raise InstallError(f"{environment} cannot be deleted: something still uses it. Close it, and try again.")


def main() -> int:
    """Make it, and say how it ended."""
    folder = Path(sys.argv[1])
    steps = Programs()

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "cancel":
                break
        steps.cancel()

    threading.Thread(target=listen, daemon=True).start()
    try:
        make(folder, json.loads((folder / "request.json").read_text(encoding="utf-8")), steps)
    except InstallCancelled:
        with contextlib.suppress(InstallError):
            remove(folder / "env")
        say("cancelled")
        return 1
    except (InstallError, OSError) as error:
        with contextlib.suppress(InstallError):
            remove(folder / "env")
        say("error", message=str(error))
        return 1
    say("done")
    return 0


if __name__ == "__main__":
    # The thread that listens may still wait for a line.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
