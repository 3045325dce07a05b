"""Fixtures of the add-on's tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

import dist_addon
from blender_tests.support.stage import FAKE_WORKER, ROOT, add_camera, make_picture
from dist_addon import jobs, prior_files
from dist_addon.api import common
from dist_addon.jobs import find_python
from dist_addon.operators import running

ENDED = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[ENDED] = int(exitstatus)


def pytest_unconfigure(config: pytest.Config) -> None:
    # bpy 4.2 crashes at exit once its own glTF exporter has run.
    if bpy.app.version < (4, 5):
        sys.stdout.flush()
        os._exit(config.stash.get(ENDED, 1))


@pytest.fixture(scope="session", autouse=True)
def addon() -> Iterator[None]:
    dist_addon.register()
    yield
    dist_addon.unregister()


@pytest.fixture(autouse=True)
def own_priors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's priors are, apart from those of whoever runs the tests."""
    folder = tmp_path / "own priors"
    monkeypatch.setattr(prior_files, "user_folder", lambda: folder)
    return folder


@pytest.fixture(scope="session")
def python() -> str:
    return find_python().path


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    folder = tmp_path / "fake worker"
    folder.mkdir()
    (folder / "__main__.py").write_text(FAKE_WORKER, encoding="utf-8")
    return folder


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    path = tmp_path / "cone.safetensors"
    codes = np.array([[1, 2], [3, 6]], "<f4")
    about = {"description": "Cones", "radius": "0.5"}
    tensor = {"dtype": "F32", "shape": codes.shape, "data_offsets": [0, codes.nbytes]}
    header = json.dumps({"__metadata__": about, "codes": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + codes.tobytes())
    return path


@pytest.fixture
def scene() -> bpy.types.Scene:
    """An empty scene that renders 32 x 24."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.use_file_compression = False
    made = bpy.context.scene
    made.render.resolution_x, made.render.resolution_y = 32, 24
    made.render.resolution_percentage = 100
    return made


@pytest.fixture
def rig(scene: bpy.types.Scene) -> bpy.types.Collection:
    """Three cameras with pictures in a collection, and an Empty as bounds, chosen in the scene."""
    collection = bpy.data.collections.new("Rig")
    scene.collection.children.link(collection)
    for number in range(3):
        add_camera(collection, f"Cam{number}", 2.0 * number, make_picture(f"Pic{number}"))
    empty = bpy.data.objects.new("Box", None)
    empty.empty_display_size = 1.0
    scene.collection.objects.link(empty)
    scene.dist.cameras, scene.dist.bounds = collection, empty
    bpy.context.view_layer.update()
    return collection


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, worker: Path, prior: Path, tmp_path: Path) -> Iterator[Path]:
    """Let the whole add-on use the stand-in worker and its prior, which is chosen; returns the next job's folder."""
    folder = tmp_path / "job"
    folder.mkdir()
    real = common.start

    def start(request, _folder, _worker, **options):
        return real(request, folder, worker, **options)

    monkeypatch.setattr(common, "start", start)
    monkeypatch.setattr(prior_files, "FOLDER", prior.parent)
    bpy.context.scene.dist.prior = prior.stem
    yield folder
    running.jobs.close()
    jobs.leave_all()


@pytest.fixture(scope="session")
def zip_path(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("zip")
    tool = [sys.executable, str(ROOT / "tools" / "build_extension.py"), "--output-dir", str(output)]
    subprocess.run(tool, check=True, capture_output=True)
    (found,) = output.glob("dist_addon-*.zip")
    return found
