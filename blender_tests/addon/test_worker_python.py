"""The worker's Python in the preferences: tried, installed and told of."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import bpy
import pytest

from blender_tests.support.drawing import Layout, draw_preferences
from blender_tests.support.stage import wait_until
from dist_addon import (
    cli,
    jobs,
    preferences,
    registration,
    worker_python,
)
from dist_addon.jobs import installer, python_finder
from dist_addon.operators import worker as worker_operators


@pytest.fixture
def own_python(tmp_path, monkeypatch):
    """Where the add-on's own environment is, apart from that of whoever runs the tests; fetching is allowed."""
    folder = tmp_path / "python"
    monkeypatch.setattr(worker_python, "folder", lambda: folder)
    system = bpy.context.preferences.system
    before = system.use_online_access
    system.use_online_access = True
    yield folder
    jobs.leave_all()
    worker_python.setup.close()
    system.use_online_access = before


def test_the_preferences_draw(own_python):
    drawn = draw_preferences()
    assert {("operator", "dist.test_worker"), ("operator", "dist.install_worker"), ("prop", "python")} <= set(drawn)
    assert ("operator", "dist.cancel_install") not in drawn
    (own_python / "env" / "bin").mkdir(parents=True)
    for name in ("bin/python", "whole.json"):
        (own_python / "env" / name).touch()
    assert not any("Empty the field" in str(entry) for entry in draw_preferences())
    assert any("Empty the field" in str(entry) for entry in draw_preferences("/other/python"))


@pytest.mark.slow
def test_the_worker_test_names_versions_and_devices(capfd, own_python):
    assert bpy.ops.dist.test_worker() == {"FINISHED"}
    shown = capfd.readouterr().out
    assert any("torch" in str(entry) for entry in draw_preferences())
    assert all(word in shown for word in ("Python 3.", "torch 2.", "libigl 2.", "safetensors", "devices: CPU"))


@pytest.mark.slow
def test_the_worker_test_runs_beside_the_window(own_python, monkeypatch):
    monkeypatch.setattr(worker_operators, "in_background", lambda: False)
    began = time.monotonic()
    assert bpy.ops.dist.test_worker() == {"FINISHED"}
    assert time.monotonic() - began < 0.5 and worker_python.setup.tick() is not None
    assert any("Loading PyTorch" in str(entry) for entry in draw_preferences()) and not bpy.ops.dist.test_worker.poll()
    wait_until(lambda: worker_python.setup.tick() is None, 120)
    assert "devices: CPU" in worker_python.setup.outcome and not worker_python.setup.failed
    assert bpy.ops.dist.test_worker.poll()


@pytest.mark.slow
def test_the_workers_python_is_sought_before_it_is_needed(scene, own_python, monkeypatch, python):
    monkeypatch.setattr(worker_python, "in_background", lambda: False)
    python_finder.forget()
    monkeypatch.setenv("DIST_PYTHON", python)
    chosen = preferences.python()
    assert worker_python.setup.known(chosen) is None
    began = time.monotonic()
    # A timer calls it some time after the add-on was enabled.
    registration.seek()
    assert time.monotonic() - began < 0.1
    wait_until(lambda: worker_python.setup.known(chosen), 20)
    assert worker_python.setup.known(chosen).path == python
    # Another choice is sought when it is made, beside the window, too.
    found = []
    monkeypatch.setattr(worker_python.setup, "seek", found.append)
    monkeypatch.setattr(preferences, "python", lambda: "/other/python")
    preferences.seek_other(None, bpy.context)
    assert found == ["/other/python"]


def test_what_comes_of_a_test_too_late_is_not_told(own_python, monkeypatch):
    setup, may_end = worker_python.Setup(), threading.Event()
    monkeypatch.setattr(worker_python, "_test", lambda *_: may_end.wait(20) and "Python 3")
    for closes in (False, True):
        may_end.clear()
        setup.begin_test("")
        (thread,) = (t for t in threading.enumerate() if t.name == "DIST test")
        if closes:
            setup.close()
        may_end.set()
        thread.join(20)
        assert setup.tick() is None
        assert (setup.testing, setup.outcome) == (False, "" if closes else "Python 3")
    assert not setup.timer.is_set


def test_nothing_is_fetched_without_leave(own_python, monkeypatch, capfd):
    assert bpy.ops.dist.install_worker.poll()
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.dist.install_worker()
    assert cli.main(["install-worker"]) == 1
    assert "--online-mode" in capfd.readouterr().err and not own_python.exists()


# Stands in for the installer: is half way through a download until it is cancelled.
HALF_WAY = """
import json, sys
for event in ({"event": "progress", "stage": "fetch", "step": 50, "steps": 175, "loss": None, "seconds_left": None},
              {"event": "status", "message": "Fetching torch (175.3 MB)"}):
    print(json.dumps({"v": 1, **event}), flush=True)
sys.stdin.readline()
print(json.dumps({"v": 1, "event": "cancelled"}))
"""


def test_an_installation_beside_the_window(own_python, monkeypatch, tmp_path):
    stand_in = tmp_path / "installer"
    stand_in.mkdir()
    (stand_in / "__main__.py").write_text(HALF_WAY)
    monkeypatch.setattr(installer, "INSTALLER", stand_in)
    monkeypatch.setattr(worker_operators, "in_background", lambda: False)
    assert bpy.ops.dist.install_worker(device="cpu") == {"FINISHED"}
    wait_until(lambda: worker_python.setup.tick() and worker_python.setup.progress.step == 50, 20)
    wait_until(lambda: worker_python.setup.tick() and "torch" in worker_python.setup.progress.message, 20)
    drawn = draw_preferences()
    assert ("label", "Fetching torch (175.3 MB)") in drawn and ("progress", "50 of 175 MB", 50 / 175) in drawn
    assert ("operator", "dist.cancel_install") in drawn and ("operator", "wm.path_open") in drawn
    assert not bpy.ops.dist.install_worker.poll() and not bpy.ops.dist.test_worker.poll()
    assert bpy.ops.dist.cancel_install() == {"FINISHED"}
    wait_until(lambda: worker_python.setup.tick() is None, 5)
    assert "cancelled" in worker_python.setup.outcome and not bpy.ops.dist.cancel_install.poll()


def test_an_installation_says_first_what_it_fetches(own_python):
    layout = Layout()
    own = SimpleNamespace(layout=layout, device="cpu", bl_rna=bpy.ops.dist.install_worker.get_rna_type())
    own.layout.prop = lambda data, name: None
    worker_operators.DIST_OT_install_worker.draw(own, bpy.context)
    told = " ".join(entry[1] for entry in layout.drawn)
    for word in ("PyTorch for cpu", "libigl", "0.3 GB", "https://download.pytorch.org/whl/cpu", str(own_python)):
        assert word in told


def test_a_device_of_another_system_is_refused(own_python):
    with pytest.raises(RuntimeError, match="PyTorch for mps is not made for this system"):
        bpy.ops.dist.install_worker(device="mps")
