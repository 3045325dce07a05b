"""Find the Python that runs the worker: one that has the packages in ``worker/requirements.txt``."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .environment import NO_WINDOW, clean_environment
from .job import JobError

_LINES = (Path(__file__).resolve().parent.parent / "worker" / "requirements.txt").read_text("utf-8").splitlines()
# What pip is asked for, PyTorch first.
REQUIREMENTS = [line for line in _LINES if not line.startswith("#")]
# Distribution names, as pip knows them, and the module that each brings.
PACKAGES = {name: {"libigl": "igl"}.get(name, name) for name in (re.split("[<=>]", one)[0] for one in REQUIREMENTS)}
OLDEST = (3, 10)
VARIABLE = "DIST_PYTHON"

# Reading a version does not import the package, which takes seconds for PyTorch; "import" does, to find a broken one.
PROBE = """
import importlib, importlib.metadata, json, sys
answer = {"version": list(sys.version_info[:3]), "packages": {}, "broken": {}}
for name, module in json.loads(sys.argv[1]).items():
    try:
        answer["packages"][name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    if sys.argv[2] == "import":
        try:
            importlib.import_module(module)
        except BaseException as error:
            answer["broken"][name] = f"{type(error).__name__}: {error}"
if sys.argv[2] == "import" and "torch" in answer["packages"] and "torch" not in answer["broken"]:
    import torch
    answer["devices"] = ["CPU"] + [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        answer["devices"].append("Metal")
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class WorkerPython:
    """An interpreter that can run the worker.

    Attributes
    ----------
    path : str
        The program.
    version : str
        Python's version, such as ``3.11.9``.
    packages : dict
        Version of each of `PACKAGES`.
    devices : list of str
        What PyTorch can compute on; empty where that was not asked.
    """

    path: str
    version: str
    packages: dict[str, str]
    devices: list[str] = field(default_factory=list, compare=False)

    def __str__(self) -> str:
        told = f"Python {self.version} with " + ", ".join(f"{k} {v}" for k, v in self.packages.items())
        return f"{told}; devices: {', '.join(self.devices)}" if self.devices else told


def check_python(path: str, thorough: bool = False) -> WorkerPython:
    """Ask one interpreter whether it can run the worker.

    Parameters
    ----------
    path : str
        The program.
    thorough : bool
        Import the packages, which takes seconds, instead of only reading their versions.

    Raises
    ------
    JobError
        It is no Python, too old, or lacks a package; the message names it and the remedy.
    """
    return _ask(path, thorough=True) if thorough else _look(path)


def forget() -> None:
    """Ask each Python anew from now on: its packages may be others than they were."""
    _look.cache_clear()


@functools.cache
def _look(path: str) -> WorkerPython:
    return _ask(path, thorough=False)


def _ask(path: str, thorough: bool) -> WorkerPython:
    command = [path, "-I", "-c", PROBE, json.dumps(PACKAGES), "import" if thorough else "look"]
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120 if thorough else 20,
            env=clean_environment(),
            creationflags=NO_WINDOW,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise JobError(
            f"“{path}” cannot be run as a Python ({error}). Choose another one in the add-on's preferences."
        ) from error
    try:
        data = json.loads(answer.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
        version, packages, broken = (
            tuple(data["version"]),
            dict(data["packages"]),
            dict(data["broken"]),
        )
    except (ValueError, LookupError, TypeError) as error:
        raise JobError(
            f"“{path}” does not answer as Python does (exit code {answer.returncode}). "
            "Choose another one in the add-on's preferences."
        ) from error
    if version < OLDEST:
        raise JobError(f"“{path}” is Python {_dotted(version)}; the worker needs {_dotted(OLDEST)} or newer.")
    missing = [name for name in PACKAGES if name not in packages]
    if missing:
        raise JobError(
            f"“{path}” is a Python without {', '.join(missing)}.\nIn the add-on's preferences, leave the field Python "
            "empty and press Install PyTorch, which makes an environment of the add-on's own; or, where that Python is "
            "a virtual environment of yours, install what is missing there: "
            f'"{path}" -m pip install {" ".join(missing)}'
        )
    if broken:
        name, reason = next(iter(broken.items()))
        raise JobError(f"“{path}” has {name}, but it does not load: {reason}. Install {name} there again.")
    return WorkerPython(path, _dotted(version), packages, [str(each) for each in data.get("devices", [])])


def find_python(chosen: str = "", own: str = "") -> WorkerPython:
    """Find the Python that runs the worker.

    Parameters
    ----------
    chosen : str
        What the user chose. Empty: ``DIST_PYTHON``, then `own`, the interpreter of this process, those on the search
        path, and virtual environments in common places; the first that has all packages.
    own : str
        The one that the add-on installed; empty where there is none.

    Raises
    ------
    JobError
        The chosen one (or that of ``DIST_PYTHON``) cannot run the worker, or none was found.
    """
    chosen = chosen or os.environ.get(VARIABLE, "")
    if chosen:
        return check_python(chosen)
    without = []
    for path in [own, *_candidates()] if own else _candidates():
        try:
            return check_python(path)
        except JobError as error:
            # What to do about packages that are missing, on further lines, is told above.
            without.append(str(error).splitlines()[0])
    tried = "\n".join(f"- {line}" for line in without) or "- (no Python at all)"
    raise JobError(
        "No Python for the worker was found: it needs one with " + ", ".join(PACKAGES) + ". Press Install "
        "PyTorch in the add-on's preferences, or install them into a Python of yours and choose it there, or set "
        f"{VARIABLE}. Tried:\n{tried}"
    )


def _candidates() -> Sequence[str]:
    """Paths of Pythons that exist, likeliest first, without repeats."""
    program = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    home = Path.home()
    environments = [os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX")]
    environments += [str(home / name) for name in (".venv", "venv", ".virtualenvs/dist", "dist_venv")]
    paths = [sys.executable] if "python" in Path(sys.executable or "").name.lower() else []
    paths += [found for name in ("python3", "python") if (found := shutil.which(name))]
    paths += [str(Path(folder) / program) for folder in environments if folder]
    for name in ("miniforge3", "miniconda3", "anaconda3"):
        paths.append(str(home / name / ("python.exe" if sys.platform == "win32" else "bin/python")))
    # Apple's own python3 opens a window that offers developer tools.
    apple = "/usr/bin/python3" if sys.platform == "darwin" else ""
    return [path for path in dict.fromkeys(paths) if path != apple and Path(path).is_file()]


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(number) for number in version)
