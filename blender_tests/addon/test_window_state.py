"""What the add-on remembers in a window: in objects that can be closed, and never begun by drawing."""

from __future__ import annotations

import ast
import queue
import subprocess
import threading
from typing import Any

import bpy
import pytest

from blender_tests.support.drawing import draw, draw_preferences
from blender_tests.support.stage import ROOT, is_alive, make_job_folder, wait_until
from dist_addon import jobs, live, outlines, registration, thumbnails, window, worker_python
from dist_addon.api import common
from dist_addon.jobs import Queue
from dist_addon.operators import running
from dist_addon.thumbnails import Pictures
from dist_addon.window import Timer

ADDON = ROOT / "dist_addon"
# Which workers run, for whoever ends the process; the command, as long as it is registered; texts that Blender shows.
ALLOWED = {("jobs/job.py", "_running"), ("cli/__init__.py", "_commands"), ("properties.py", "_prior_items")}
CONTAINERS = {"list", "dict", "set", "deque", "defaultdict", "Counter", "SimpleQueue", "WeakSet", "WeakKeyDictionary"}


def is_empty_container(value: ast.expr | None) -> bool:
    """Whether an expression makes a container for something to be put in later."""
    if isinstance(value, ast.List | ast.Set):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    name = getattr(value, "func", None)
    return getattr(name, "attr", getattr(name, "id", "")) in CONTAINERS and not getattr(value, "args", ())


def hidden_state(tree: ast.Module) -> list[str]:
    """Names that functions rebind in their module, or that are there for functions to fill."""
    found = [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_empty_container(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [ast.unparse(target) for target in targets]
    return found


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x = 0\ndef f():\n    global x\n    x = 1", ["x"]),
        ("class A:\n    def f(self):\n        global x, y", ["x", "y"]),
        ("a: list[int] = []\nb = {}\nc = set()\nd: Any = queue.SimpleQueue()", ["a", "b", "c", "d"]),
        ("A = [1]\nB = {1: 2}\nC = set(A)\ndef f():\n    d = []", []),
    ],
)
def test_hidden_state_is_found(code: str, names: list[str]) -> None:
    assert hidden_state(ast.parse(code)) == names


def test_no_state_hides_in_modules() -> None:
    files = sorted(ADDON.rglob("*.py"))
    assert len(files) > 100
    found = set()
    for path in files:
        name = path.relative_to(ADDON).as_posix()
        found |= {(name, each) for each in hidden_state(ast.parse(path.read_text(encoding="utf-8")))}
    assert found == ALLOWED


@pytest.fixture
def as_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (window, common, live, running, worker_python):
        monkeypatch.setattr(module, "in_background", lambda: False)


def test_drawing_starts_nothing(scene, rig, stand_in, as_in_a_window, monkeypatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(threading.Thread, "start", lambda self: started.append(self.name))
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda self, command, **_: started.append(command))
    monkeypatch.setattr(bpy.app.timers, "register", lambda function, **_: started.append(function))
    before = bpy.app.timers.is_registered(registration.seek)
    drawn = draw() + draw_preferences()
    assert {("operator", "dist.reconstruct"), ("operator", "dist.test_worker")} <= set(drawn)
    assert started == [] and bpy.app.timers.is_registered(registration.seek) == before
    # Each of them is seen.
    worker_python.setup.seek("")
    live.meshes.timer.start()
    with pytest.raises(AttributeError):
        subprocess.run(["true"], check=False)
    assert started == ["DIST seek", live.meshes.tick, ["true"]]


def told(state: Any) -> dict[str, Any]:
    """What an object remembers, as values that can be compared."""
    values = {
        Timer: lambda timer: timer.is_set,
        Queue: lambda line: len(line.runs),
        Pictures: len,
        queue.SimpleQueue: lambda answers: answers.qsize(),
    }
    return {name: values.get(type(value), lambda same: same)(value) for name, value in vars(state).items()}


def handlers() -> list[Any]:
    """All that Blender is to call, but for what it calls itself."""
    found = [each for name in dir(bpy.app.handlers) for each in _listed(getattr(bpy.app.handlers, name))]
    return [each for each in found if each.__module__.startswith("dist_addon")]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def test_nothing_outlives_the_add_on(scene, rig, stand_in, python, as_in_a_window) -> None:
    # Whatever other tests have left.
    for state in registration.STATES:
        state.close()
    # In a window each of them has something to remember.
    make_job_folder(stand_in, "wait")
    bpy.ops.dist.reconstruct("EXEC_DEFAULT")
    wait_until(lambda: running.jobs.tick() and (stand_in / "ready.txt").exists(), 20)
    job = running.jobs.queue.current.job
    running.jobs.say("Something failed.", "render", failure=True, added=[rig.objects["Cam0"]])
    running.jobs.draw_losses([(1, 1.0), (2, 0.5)])
    assert bpy.ops.dist.check_inputs() == {"FINISHED"}
    live.meshes.changed[1], live.meshes.problem = 0.0, "Something failed."
    live.meshes.timer.start()
    outlines.overlay.show(True)
    outlines.overlay.before[1] = {"use_local_camera": False}
    bpy.ops.mesh.primitive_ico_sphere_add()
    outlines.overlay.parts(bpy.context.object.data)
    assert thumbnails.priors.of_file(ADDON / "priors" / "table.png") == 0 and len(thumbnails.priors) > 0
    worker_python.setup.find(python)
    worker_python.setup.say("Something failed.", failure=True)
    worker_python.setup.timer.start()
    common.prepare()
    spare = jobs.spare.pid
    assert spare is not None and handlers()
    names = {f"{type(state).__name__}.{name}" for state in registration.STATES for name in told(state)}
    changed = {
        f"{type(state).__name__}.{name}"
        for state in registration.STATES
        for name, value in told(state).items()
        if value != told(type(state)())[name]
    }
    # What is not changed here is set for moments, or by what takes long.
    assert names - changed == {
        "RunningJobs.previewed",
        "LiveMeshes.worker",
        "Setup.job",
        "Setup.progress",
        "Setup.testing",
        "Setup._answers",
    }

    registration.unregister()
    try:
        assert not hasattr(bpy.types.Scene, "dist") and not hasattr(bpy.types.Object, "dist")
        assert not hasattr(bpy.types, "DIST_PT_reconstruct")
        assert not is_alive(job.pid) and not is_alive(spare) and not handlers()
        assert not bpy.app.timers.is_registered(registration.seek)
    finally:
        registration.register()
    assert hasattr(bpy.types, "DIST_PT_reconstruct") and bpy.app.timers.is_registered(registration.seek)
    for state in registration.STATES:
        assert told(state) == told(type(state)()), type(state)
    assert jobs.spare.pid is None and not any("failed" in str(entry) for entry in draw() + draw_preferences())


def test_handlers_outlive_another_file(scene) -> None:
    before = handlers()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert handlers() == before and len(before) == 9
