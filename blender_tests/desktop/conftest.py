"""A desktop Blender with the built zip installed, and files to open in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from blender_tests.desktop import scenes
from blender_tests.desktop.window import Window, opened
from tools import build_extension, desktop_blender
from tools.desktop_blender import Desktop

OpenFile = Callable[[str], AbstractContextManager[Window]]


@pytest.fixture(scope="session")
def desktop() -> Desktop:
    return desktop_blender.ensure()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desktop")


@pytest.fixture(scope="session")
def files(folder: Path) -> Path:
    scenes.write(folder)
    return folder


@pytest.fixture(scope="session")
def variables(desktop: Desktop, folder: Path) -> dict[str, str]:
    """The environment of a Blender in which the built zip is installed from disk, and whose worker has a Python."""
    home = folder / "home"
    home.mkdir()
    worker = desktop.python(Path(os.environ.get("DIST_PYTHON", sys.executable)), folder)
    threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
    variables = {**desktop.variables(home), **threads, "DIST_PYTHON": str(worker)}
    install = ["--command", "extension", "install-file", "-r", "user_default", "-e"]
    command = [desktop.blender, *install, str(build_extension.build(folder / "dist"))]
    done = subprocess.run(desktop.command(command, folder), env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return variables


@pytest.fixture
def open_file(desktop: Desktop, folder: Path, variables: dict[str, str], files: Path) -> OpenFile:
    """Open one of the files in Blender's window."""

    @contextmanager
    def do(name: str) -> Iterator[Window]:
        own = folder / Path(name).stem
        own.mkdir()
        with opened(desktop, own, files / name, variables) as window:
            yield window

    return do
