"""What every task begins with: a clock, a device, a prior."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from .prior import Prior
from .protocol import PRIOR_FILE


class Clock:
    """Seconds a stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap under `stage`."""
        now = time.monotonic()
        self.seconds[stage], self._last = now - self._last, now


def choose_device(name: str) -> torch.device:
    """The device to work on.

    Raises
    ------
    ValueError
        The one asked for is not there.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        # Apple's GPUs lack doubles and some operations; who wants to try chooses them.
        name = "cuda" if there["cuda"] else "cpu"
    if not there.get(name, False):
        raise ValueError(f"PyTorch finds no “{name}” device here: choose Automatic or CPU in the add-on's preferences.")
    return torch.device(name)


def prepare(device: str, threads: int) -> torch.device:
    """Take as many threads (0: PyTorch's choice) as a request asks for, and return its device, as `choose_device`."""
    if threads:
        torch.set_num_threads(threads)
    return choose_device(device)


def load_prior(folder: Path, device: torch.device) -> Prior:
    """The prior in a job's folder, on a device; raises `PriorError`."""
    return Prior.load(folder / PRIOR_FILE).to(device)
