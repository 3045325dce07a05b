"""Make the virtual environments in which the tools run, and run things in them.

Needs the standard library only, and any Python from 3.8 on: it finds the Python that an environment needs by itself, or
says which one to install. An environment is a folder in ``.env/`` (which git ignores); deleting it is always safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".env"

REQUIREMENTS = ROOT / "tools" / "requirements"
WORKER = ROOT / "dist_addon" / "worker" / "requirements.txt"
# The Pythons that each environment may have; the first that the machine has is taken. The small ones are for the
# add-on's tests under another Blender: its worker still runs in "main".
PYTHONS = {
    "main": ["3.11", "3.13"],
    "blender-4.2": ["3.11"],
    "blender-4.5": ["3.11"],
    "blender-5.0": ["3.11"],
    "blender-5.2": ["3.13"],
}


class SetupError(Exception):
    """An environment cannot be made; the message says why and what to do."""


def ensure(name: str) -> Path:
    """Make the environment `name`, or find that it stands already, which takes no time.

    Parameters
    ----------
    name : str
        A key of `PYTHONS`.

    Returns
    -------
    Path
        The environment's Python.

    Raises
    ------
    SetupError
        There is no Python for it, or its packages could not be installed.
    """
    folder = FOLDER / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "stamp"
    if stamp.is_file() and python.exists():
        hashes = {_hash(f"{name}-{version}") for version in PYTHONS[name]}
        if stamp.read_text(encoding="utf-8") in hashes:
            return python

    version, base = _choose(PYTHONS[name])
    began = time.monotonic()
    where = folder.relative_to(ROOT)
    print(f"Setting up {where} with Python {version}: once, some minutes on a slow line.", flush=True)
    FOLDER.mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    log = FOLDER / f"{name}.log"
    with log.open("w", encoding="utf-8") as stream:
        _logged([str(base), "-I", "-m", "venv", "--clear", str(folder)], stream)
        _logged([str(python), "-I", "-m", "pip", *PIP, *_packages(f"{name}-{version}")], stream)
    stamp.write_text(_hash(f"{name}-{version}"), encoding="utf-8")
    print(f"Ready in {time.monotonic() - began:.0f} s.", flush=True)
    return python


def run(python: Path, arguments: list[str], **variables: str) -> int:
    """Run Python to its end, its output passing through, and return its exit code.

    Parameters
    ----------
    python : Path
    arguments : list of str
    **variables : str
        Environment variables to set for it.
    """
    child = subprocess.Popen([str(python), *arguments], env={**_clean_variables(), **variables})
    with contextlib.suppress(ValueError):  # not in the main thread: nobody asks us to end
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        code = child.wait()
        return code if code >= 0 else 128 - code  # ended by a signal: as shells count
    except KeyboardInterrupt:  # the terminal has told the child as well: let it clean up
        try:
            child.wait(5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            child.kill()
            child.wait()
        return 130


def find_python(version: str) -> Path | None:
    """Find a Python of `version` ("3.11") that can make virtual environments; None where there is none.

    Looks at the running Python, the PATH, pyenv's and uv's versions and Windows' launcher. Each is tried, since a shim
    may exist for a version that is not installed.
    """
    name = f"python{version}" + (".exe" if os.name == "nt" else "")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    commands = [[sys.executable]]
    commands += [[str(Path(entry) / name)] for entry in os.get_exec_path()]
    commands += [[str(path)] for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    if os.name == "nt":
        commands += [["py", f"-{version}"]]
    if shutil.which("uv"):
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            found = subprocess.run(["uv", "python", "find", version], capture_output=True, text=True, timeout=30)
            commands += [[found.stdout.strip()]] if found.returncode == 0 else []

    probe = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for command in commands:
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            answer = subprocess.run(
                [*command, "-I", "-c", probe],
                capture_output=True,
                text=True,
                timeout=30,
                env=_clean_variables(),
            )
            found_version, _, executable = answer.stdout.strip().partition(" ")
            if answer.returncode == 0 and found_version == version:
                return Path(executable)
    return None


# Wheels only: a missing one is said plainly, not as a compiler's error.
PIP = ["install", "--only-binary", ":all:", "--no-input", "--progress-bar", "off", "--disable-pip-version-check"]


def _choose(versions: list[str]) -> tuple[str, Path]:
    for version in versions:
        python = find_python(version)
        if python:
            return version, python
    first = versions[0]
    raise SetupError(
        f"This needs Python {' or '.join(versions)} with its venv module, and found none; it was started with "
        f"{sys.version.split()[0]}.\nInstall it in one of these ways and run the same command again:\n"
        f"    uv python install {first}                     (any system, with uv)\n"
        f"    pyenv install {first}                         (Linux, macOS)\n"
        f"    sudo apt install python{first} python{first}-venv (Debian, Ubuntu)\n"
        f"    brew install python@{first}                   (macOS)\n"
        f"    winget install Python.Python.{first}          (Windows)"
    )


def _logged(command: list[str], log: TextIO) -> None:
    """Run `command` with its output in `log`, and its newest line on the terminal if there is one."""
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=_clean_variables(),
    )
    assert child.stdout is not None
    live = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 1
    lines = []
    try:
        for line in child.stdout:
            lines.append(line.rstrip())
            log.write(line)
            if live:
                print("\r" + line.strip()[:width].ljust(width), end="", flush=True)
        code = child.wait()
    except BaseException:
        child.kill()
        raise
    finally:
        if live:
            print("\r" + " " * width + "\r", end="", flush=True)
    if code:
        raise SetupError(
            "The packages could not be installed. The last lines were:"
            + "".join(f"\n    {line}" for line in lines[-12:])
            + "\nCheck the connection to the package index (a proxy or mirror set up for pip is used) and the free disk"
            f" space (3 GB), then run the same command again. All of it: {log.name}"
        )


def _packages(name: str) -> list[str]:
    """Pip's arguments: what is asked for, and the lock file as constraints.

    Not `-r` of the lock file: it is made on Linux, with PyTorch's packages for CUDA, which other systems and builds of
    PyTorch neither need nor have. So pip goes from package to package as ever, and the lock says which version of each.
    """
    return ["-r", str(REQUIREMENTS / f"{name}.in"), "-c", str(REQUIREMENTS / f"{name}.txt")]


def _hash(name: str) -> str:
    """What an environment is made of: what is asked for, and the versions that it gets."""
    files = (REQUIREMENTS / f"{name}.txt", *sorted(REQUIREMENTS.glob("*.in")), WORKER)
    texts = [path.read_text(encoding="utf-8") for path in files]
    return hashlib.sha256("\n".join([name, *texts]).encode()).hexdigest()


def _clean_variables() -> dict[str, str]:
    unwanted = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in unwanted}
