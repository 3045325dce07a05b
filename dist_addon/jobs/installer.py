"""The worker's own environment: what to fetch for a device, where it is, and whether it is whole."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..worker.dist_engine.protocol import write_json
from .environment import NO_WINDOW
from .job import Job, JobError
from .program import Program
from .python_finder import PACKAGES, REQUIREMENTS

INSTALLER = Path(__file__).resolve().parent.parent / "installer"
# In the installer's folder: the environment, and in that the file which says that it is whole.
ENVIRONMENT, MARK = "env", "whole.json"
PYTORCH_INDEX = "https://download.pytorch.org/whl/"
# What PyTorch for CUDA 12.8 no longer runs on: cards older than this compute capability (Turing).
NEWER_CARDS = 7.5
# For each device: a folder of PyTorch's index, or none for the usual package index; GB to fetch, and on disk.
BUILDS = {"cpu": ("cpu", 0.3, 2), "cuda": ("cu128", 4, 10), "rocm": ("rocm6.4", 5, 20), "mps": ("", 0.2, 2)}
# What PyTorch is made for, by system.
DEVICES = {"linux": ("cpu", "cuda", "rocm"), "win32": ("cpu", "cuda"), "darwin": ("cpu", "mps")}


@dataclass(frozen=True)
class Plan:
    """What is to be fetched for a device.

    Attributes
    ----------
    device : str
        ``cpu``, ``cuda``, ``rocm`` or ``mps``.
    index : str
        Address of the package index that PyTorch comes from; empty for the one that pip is set up for.
    download, disk : float
        About how much is fetched, and how much room is needed, in GB.
    """

    device: str
    index: str
    download: float
    disk: float

    def request(self) -> dict[str, Any]:
        """What the installer is to do: the arguments of each call of pip, the modules to try, the room to look for."""
        source = ["--index-url", self.index] if self.index else []
        return {
            "device": self.device,
            "fetch": [[REQUIREMENTS[0], *source], REQUIREMENTS[1:]],
            "modules": list(PACKAGES.values()),
            "bytes": int(self.disk * 1e9),
        }


def make_plan(device: str = "auto") -> Plan:
    """Return what is to be fetched for a device; ``auto``: for the one that this machine has.

    Raises
    ------
    JobError
        PyTorch is not made for that device on this system.
    """
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise JobError("PyTorch is no longer made for Macs with Intel processors: choose a Python that has one.")
    if device == "auto":
        device = detect_device()
    if device not in DEVICES.get(sys.platform, DEVICES["linux"]):
        raise JobError(f"PyTorch for {device} is not made for this system: choose another device.")
    # Apple's only build computes on both.
    build, download, disk = BUILDS["mps" if sys.platform == "darwin" else device]
    if device == "cuda" and 0 < _compute_capability() < NEWER_CARDS:
        build = "cu126"
    return Plan(device, PYTORCH_INDEX + build if build else "", download, disk)


def detect_device() -> str:
    """Return the device that this machine has, as far as its files tell."""
    if sys.platform == "darwin":
        return "mps"
    if shutil.which("nvidia-smi"):
        return "cuda"
    return "rocm" if sys.platform == "linux" and Path("/dev/kfd").exists() else "cpu"


@functools.cache
def _compute_capability() -> float:
    """The oldest NVIDIA card's, such as 8.6; 0 where it can't be told."""
    try:
        said = subprocess.run(
            ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            creationflags=NO_WINDOW,
        ).stdout.decode("ascii", "replace")
        return min(map(float, said.split()), default=0.0)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0.0


def installed(folder: Path) -> str:
    """Return the Python of the environment in an installer's folder; empty where there is no whole one."""
    python = folder / ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return str(python) if (folder / ENVIRONMENT / MARK).is_file() and python.is_file() else ""


def start_install(folder: Path, request: dict[str, Any]) -> Job:
    """Start to make the environment in a folder, in place of the one that is there; returns at once.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    request : dict
        See `Plan.request`.

    Raises
    ------
    JobError
        An installation runs there already, or there is no Python to begin with.
    """
    own = sys.executable if "python" in Path(sys.executable or "").name.lower() else None
    runner = own or shutil.which("python3") or shutil.which("python")
    if runner is None:
        raise JobError("There is no Python to begin with: install Python 3.10 or newer, and try again.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        job = Job(folder, Program(runner, INSTALLER, gently=True))
        try:
            for name in ("events.jsonl", "log.txt"):
                (folder / name).unlink(missing_ok=True)
            write_json(folder / "request.json", request)
        except BaseException:
            job.cancel()
            raise
    except OSError as error:
        raise JobError(f"The folder {folder} cannot be written: {error}.") from error
    job.start()
    return job
