"""Fixtures of the engine's tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from blender_tests.support.views import WORKER

# CI has two cores and runs one test after another.
torch.set_num_threads(2)
torch.manual_seed(0)


@pytest.fixture
def start() -> Iterator[object]:
    """Start workers, and leave none behind."""
    started: list[subprocess.Popen[str]] = []

    def run(*folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-u", str(WORKER), *map(str, folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        with process:  # closes its pipes
            process.wait()
