"""Starting, watching and ending a worker, without Blender's help."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from blender_tests.support.damaged_jobs import DAMAGED, ODD
from blender_tests.support.stage import is_alive, run_blender, wait_until
from dist_addon.jobs import (
    Job,
    JobError,
    Program,
    Progress,
    check_python,
    find_python,
    list_records,
    new_folder,
    read_record,
    remove,
)
from dist_addon.jobs.environment import clean_environment
from dist_addon.jobs.folders import prune
from dist_addon.jobs.job import explain_exit
from dist_addon.worker.dist_engine.protocol import RequestError


def make_folder(tmp_path: Path, mode: str) -> Path:
    folder = tmp_path / "a job"
    folder.mkdir()
    (folder / "mode.txt").write_text(mode)
    return folder


def make_job(tmp_path: Path, mode: str, python: str, worker: Path) -> Job:
    return Job(make_folder(tmp_path, mode), Program(python, worker))


def run(tmp_path: Path, python: str, worker: Path, mode: str) -> Job:
    job = make_job(tmp_path, mode, python, worker)
    job.start()
    job.wait()
    return job


def test_events_arrive_in_order(tmp_path, python, worker):
    job = make_job(tmp_path, "result", python, worker)
    assert job.state == "queued"
    events = []
    job.start()
    assert job.state == "running"
    job.wait(events.append)
    assert job.state == "done" and job.error == ""
    kinds = [event["event"] for event in events]
    assert kinds == ["status", "progress", "progress", "progress", "warning", "done"]
    mirrored = (job.folder / "events.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in mirrored] == events
    assert not is_alive(job.pid)


def test_garbage_is_logged_and_skipped(tmp_path, python, worker):
    job = run(tmp_path, python, worker, "garbage")
    assert job.state == "done"
    log = (job.folder / "log.txt").read_text(encoding="utf-8")
    assert "hello from a library" in log and "[1, 2]" in log


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        ("traceback", "KeyError: 'the cause'"),
        ("memory", "ran out of memory: choose a lower quality"),
        ("killed", "killed, most likely by the system for want of memory"),
        ("crash", "SIGSEGV"),
        ("silent", "without a result"),
        ("error", "The masks do not agree."),
    ],
)
def test_a_failure_names_its_cause(tmp_path, python, worker, mode, cause):
    job = run(tmp_path, python, worker, mode)
    assert job.state == "failed"
    assert cause in job.error and str(job.folder / "log.txt") in job.error


def test_the_logs_tail_has_the_traceback(tmp_path, python, worker):
    job = run(tmp_path, python, worker, "traceback")
    assert job.log_tail(3).splitlines()[-1] == "KeyError: 'the cause'"


@pytest.mark.parametrize(
    ("code", "log", "words"),
    [
        (1, "torch.OutOfMemoryError: CUDA out of memory.", "out of memory"),
        (1, "RuntimeError: no kernel image is available for execution", "too old for this GPU"),
        (0xC0000005, "", "access violation"),
        (0xC0000005 - (1 << 32), "", "access violation"),
        (3, "something odd", "exit code 3.*something odd"),
        (
            1,
            "Traceback (most recent call last):\n  x\ntorch.SomeError: it broke\nover lines",
            "failed: torch.SomeError: it",
        ),
    ],
)
def test_exit_codes_in_words(code, log, words):
    assert re.search(words, explain_exit(code, log))


def test_a_missing_python_is_named(tmp_path, worker):
    job = make_job(tmp_path, "result", "/no_such_python", worker)
    with pytest.raises(JobError, match=r"no_such_python.*could not be started"):
        job.start()
    assert job.state == "failed" and "no_such_python" in job.error


# A worker that reads nothing until it is told to by a file, then says what it reads.
LISTENER = """
import json, pathlib, sys, time
def say(message):
    print(json.dumps({"v": 1, "event": "status", "message": message}), flush=True)
folder = pathlib.Path(sys.argv[1])
say("here")
while not (folder / "read.txt").exists():
    time.sleep(0.02)
for line in sys.stdin:
    if line.strip() == "cancel":
        say("cancel")
        break
    say(f"{line[:3]}{len(line)}")
"""


def test_lines_never_wait_for_the_worker(tmp_path, python, worker):
    (worker / "__main__.py").write_text(LISTENER)
    job = make_job(tmp_path, "", python, worker)
    job.start()
    told = []

    def hears(text: str) -> bool:
        told.extend(event["message"] for event in job.poll())
        return text in told

    wait_until(lambda: hears("here"), 20)
    began = time.monotonic()
    # More than any pipe takes.
    for number in range(100, 400):
        job.send(f"{number}" + "x" * 50_000)
        time.sleep(0.001)
    assert time.monotonic() - began < 3
    (job.folder / "read.txt").touch()
    wait_until(lambda: hears("39950004"), 10)
    # What waited for its turn was dropped for something newer; order is kept.
    assert len(told) < 10 and told[1:] == sorted(told[1:])
    job.cancel()
    wait_until(lambda: hears("cancel"), 2)
    wait_until(lambda: job.poll() is not None and job.finished, 3)
    job.send("too late")


@pytest.mark.slow
def test_a_worker_that_reads_nothing_is_cancelled(tmp_path, python, worker):
    (worker / "__main__.py").write_text(LISTENER)
    job = make_job(tmp_path, "", python, worker)
    job.start()
    wait_until(lambda: bool(job.poll()), 20)
    for _ in range(5):
        job.send("x" * 200_000)
        time.sleep(0.01)
    job.cancel(wait=True)
    assert job.state == "cancelled" and not is_alive(job.pid)


def test_cancel_within_three_seconds(tmp_path, python, worker):
    job = make_job(tmp_path, "wait", python, worker)
    job.start()
    wait_until((job.folder / "ready.txt").exists, 20)
    wait_until(lambda: bool(job.poll()) and job.state == "running", 20)
    job.cancel()
    assert wait_until(lambda: not is_alive(job.pid), 3) < 1.5
    wait_until(lambda: job.poll() is not None and job.finished, 1)
    assert job.state == "cancelled" and job.error == ""


@pytest.mark.slow
def test_a_worker_that_ignores_cancel_is_killed(tmp_path, python, worker):
    job = make_job(tmp_path, "deaf", python, worker)
    job.start()
    wait_until((job.folder / "ready.txt").exists, 20)
    start = time.monotonic()
    job.cancel(wait=True)
    assert 1.5 < time.monotonic() - start < 3
    assert not is_alive(job.pid) and job.state == "cancelled"


@pytest.mark.slow
def test_polling_never_waits(tmp_path, python, worker):
    job = make_job(tmp_path, "deaf", python, worker)
    job.start()
    wait_until((job.folder / "ready.txt").exists, 20)
    job.cancel()
    start = time.monotonic()
    for _ in range(20):
        job.poll()
    assert time.monotonic() - start < 0.5
    job.cancel(wait=True)


@pytest.mark.parametrize("gently", [True, False])
def test_a_gentle_worker_comes_after_blender(tmp_path, python, worker, gently):
    job = Job(make_folder(tmp_path, "wait"), Program(python, worker, gently=gently))
    job.start()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, job.pid) == (max(own, 10) if gently else own)
    # In Blender's session, where priorities count, but out of reach of its terminal's Ctrl+C.
    assert os.getsid(job.pid) == os.getsid(0) and os.getpgid(job.pid) != os.getpgid(0)
    job.cancel(wait=True)


def test_an_exception_while_waiting_cancels(tmp_path, python, worker):
    job = make_job(tmp_path, "wait", python, worker)
    job.start()

    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.wait(stop)
    assert job.state == "cancelled" and not is_alive(job.pid)


CHILD = """
import sys, time, bpy, dist_addon
from pathlib import Path
from dist_addon.jobs import Job, Program
dist_addon.register()
job = Job(Path(sys.argv[1]), Program(sys.argv[2], Path(sys.argv[3])))
job.start()
while not (job.folder / "ready.txt").exists():
    time.sleep(0.02)
(job.folder / "go.txt").write_text("go")
if sys.argv[4] == "quit":
    sys.exit(0)
if sys.argv[4] == "disable":
    dist_addon.unregister()
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "quit", "disable"])
def test_the_worker_ends_with_blender(tmp_path, python, worker, how):
    folder = ask(make_folder(tmp_path, "wait"))
    blender = run_blender(CHILD, str(folder), python, str(worker), how)
    try:
        wait_until((folder / "go.txt").exists, 60)
        pid = int((folder / "ready.txt").read_text())
        if how == "kill":
            assert is_alive(pid)
            blender.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), 3)
        # Nobody has cancelled it.
        wait_until(lambda: read_record(folder).state == "interrupted", 3)
    finally:
        blender.kill()
        blender.communicate()


def test_the_childs_environment_is_clean():
    leaked = {
        "PYTHONHOME": "/b/python",
        "PYTHONPATH": "/b/lib",
        "OCIO": "/b/config.ocio",
        "LD_LIBRARY_PATH": os.pathsep.join(["/b/lib", "/usr/local/cuda/lib64"]),
        "LD_PRELOAD": "/b/lib/libx.so",
        "HOME": "/home/me",
        "CUDA_VISIBLE_DEVICES": "1",
    }
    assert clean_environment(leaked, Path("/b")) == {
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
        "HOME": "/home/me",
        "CUDA_VISIBLE_DEVICES": "1",
    }


def make_python(path: Path, answer: str) -> str:
    """A program that answers the probe with a text of ours."""
    path.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_pythons_that_cannot_work_are_named_with_a_remedy(tmp_path):
    with pytest.raises(JobError, match="“/no/python” cannot be run"):
        check_python("/no/python")
    with pytest.raises(JobError, match="does not answer as Python"):
        check_python(make_python(tmp_path / "other", "I am no Python"))
    answer = {"version": [3, 11, 2], "packages": {"numpy": "2.0", "torch": "2.13.0"}, "broken": {}}
    bare = make_python(tmp_path / "bare", json.dumps(answer))
    with pytest.raises(JobError, match=r"bare” is a Python without libigl, safetensors, scipy\.\n.* -m pip install"):
        check_python(bare)
    answer["version"] = [3, 8, 1]
    with pytest.raises(JobError, match=r"Python 3\.8\.1.*3\.10 or newer"):
        check_python(make_python(tmp_path / "old", json.dumps(answer)))
    answer = {
        "version": [3, 11, 2],
        "packages": {"numpy": "2.0", "torch": "2.13.0", "libigl": "2", "safetensors": "1", "scipy": "1"},
        "broken": {"torch": "OSError: no libcudart"},
    }
    with pytest.raises(JobError, match="has torch, but it does not load: OSError: no libcudart"):
        check_python(make_python(tmp_path / "broken", json.dumps(answer)))


def test_a_python_is_found(tmp_path, monkeypatch, python):
    monkeypatch.setenv("DIST_PYTHON", python)
    found = find_python()
    assert found.path == python and set(found.packages) == {"torch", "libigl", "safetensors", "scipy", "numpy"}
    assert find_python(python) == found
    # What the user chose counts, even where the variable names a good one.
    with pytest.raises(JobError, match="/no/python"):
        find_python("/no/python")


def test_no_python_at_all_is_one_clear_error(tmp_path, monkeypatch):
    for name in ("DIST_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    bare = json.dumps({"version": [3, 11, 2], "packages": {}, "broken": {}})
    monkeypatch.setattr(sys, "executable", make_python(tmp_path / "python", bare))
    with pytest.raises(JobError, match=r"No Python for the worker was found.*preferences.*DIST_PYTHON") as caught:
        find_python()
    # The remedy stands above, once.
    assert "is a Python without torch" in str(caught.value) and "-m pip" not in str(caught.value)


def make_folders(parent: Path, count: int, last: str) -> list[Path]:
    """Folders of jobs, the oldest first, as the add-on names them; `last` is the last event of each."""
    folders = [parent / f"dist_20260101_{number:06d}_abcd1234" for number in range(count)]
    for folder in folders:
        tell(ask(folder), "status", last)
    return folders


@pytest.mark.parametrize("last", ["done", "error", "cancelled", "progress"])
def test_old_finished_jobs_are_deleted(tmp_path, last):
    folders = make_folders(tmp_path, 25, last)
    made = new_folder(tmp_path)
    assert [folder for folder in folders if folder.exists()] == folders[5:] and made.is_dir()


def test_other_folders_stay(tmp_path):
    folders = make_folders(tmp_path, 30, "done")
    tell(folders[0], "progress")
    (folders[0] / "checkpoint.safetensors").touch()
    (folders[1] / "events.jsonl").write_text("")
    (folders[2] / "events.jsonl").unlink()
    mine = tmp_path / "dist_my_renderings"
    tell(ask(mine), "done")
    elsewhere = tmp_path / "elsewhere"
    folders[3].rename(elsewhere)
    folders[3].symlink_to(elsewhere)
    # Another program's, by chance of such a name; and a damaged one, which may be anybody's.
    (folders[4] / "request.json").unlink()
    (folders[5] / "request.json").write_text("{}")
    new_folder(tmp_path)
    assert [number for number in range(10) if folders[number].exists()] == [0, 1, 2, 3, 4, 5]
    assert mine.exists() and (elsewhere / "events.jsonl").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "event"), [("killed", "error"), ("deaf", "cancelled")])
def test_a_folder_tells_how_its_job_ended(tmp_path, python, worker, mode, event):
    job = make_job(tmp_path, mode, python, worker)
    job.start()
    if mode == "deaf":
        wait_until((job.folder / "ready.txt").exists, 20)
        job.cancel(wait=True)
    job.wait()
    last = json.loads((job.folder / "events.jsonl").read_text().splitlines()[-1])
    assert last["event"] == event and last.get("message", "") == job.error.partition("\n")[0]


def test_progress_is_readable():
    progress = Progress()
    assert (str(progress), progress.factor) == ("Starting", 0.0)
    progress.take({"event": "status", "message": "Loading"})
    assert str(progress) == "Loading"
    progress.take({"event": "progress", "stage": "fit", "step": 30, "steps": 120, "loss": 0.01234, "seconds_left": 75})
    assert (str(progress), progress.factor) == ("fit 30/120, loss 0.01234, 1 min 15 s left", 0.25)
    progress.take({"event": "progress", "stage": "mesh", "step": 0, "steps": 0, "loss": None, "seconds_left": None})
    assert (str(progress), progress.factor) == ("mesh", 0.0)
    # What a panel shows follows the stage, and says no more of the last one.
    assert (progress.message, progress.detail) == ("Making the mesh", "")


# What folders tell of their jobs.


def ask(folder: Path, task: str = "reconstruct", **more: object) -> Path:
    """A folder with a request that nobody has begun with."""
    folder.mkdir(exist_ok=True)
    (folder / "request.json").write_text(
        json.dumps({"version": 1, "task": task, "prior": "/a/chair.safetensors"} | more)
    )
    return folder


FIELDS = {"message": "", "stage": "fit", "step": 1, "steps": 2, "loss": 0.5, "seconds_left": 3.0}


def tell(folder: Path, *events: str, **fields: object) -> None:
    lines = [json.dumps({"v": 1, "event": event} | FIELDS | fields) for event in events]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")


def test_a_folder_tells_of_its_job(tmp_path, python, worker):
    folder = ask(tmp_path / "dist_20260101_000000_abcd1234")
    found = read_record(folder)
    assert (found.folder, found.task, found.name) == (folder, "reconstruct", "chair")
    assert (found.state, found.error, found.can_resume) == ("interrupted", "", False)
    assert found.when == pytest.approx(time.time(), abs=60)
    for last, state in (("progress", "interrupted"), ("cancelled", "cancelled"), ("done", "done")):
        tell(folder, "status", last)
        assert read_record(folder).state == state
    tell(folder, "status", "error", message="The masks do not agree.")
    (folder / "checkpoint.safetensors").touch()
    found = read_record(folder)
    assert (found.state, found.error, found.can_resume) == ("failed", "The masks do not agree.", True)
    # The crash of a machine may cut a line short; a result is there only when all of it is.
    (folder / "events.jsonl").write_text('{"v": 1, "event": "cancelled"}\n{"v": 1, "ev')
    assert read_record(folder).state == "cancelled"
    (folder / "result.json").write_text("{}")
    assert (read_record(folder).state, read_record(folder).can_resume) == ("done", False)


def test_what_is_no_job_is_not_listed(tmp_path):
    ask(tmp_path / "dist_20260101_000000_abcd1234", "shape", stay=60.0)
    (tmp_path / "dist_20260101_000001_abcd1234").mkdir()
    ask(tmp_path / "mine")
    made = [ask(tmp_path / f"dist_20260101_00000{number}_abcd1234") for number in (2, 3)]
    os.utime(made[1] / "request.json", (1, 1))
    assert [record.folder for record in list_records(tmp_path)] == made


def test_a_job_that_somebody_cares_for_is_active(tmp_path, python, worker):
    folder = ask(make_folder(tmp_path, "wait"))
    job = Job(folder, Program(python, worker))
    assert read_record(folder).state == "queued"
    with pytest.raises(JobError, match="waits or runs"):
        Job(folder, Program(python, worker))
    job.start()
    # An event comes a moment after the file that tells of it.
    wait_until(job.poll, 20)
    assert read_record(folder).state == "running"
    job.cancel(wait=True)
    assert read_record(folder).state == "cancelled"
    # One that never began was cancelled all the same.
    (folder / "events.jsonl").unlink()
    Job(folder, Program(python, worker)).cancel()
    assert read_record(folder).state == "cancelled"


HOLDER = """
import sys, time
from pathlib import Path
from dist_addon.jobs import Job, Program
job = Job(Path(sys.argv[1]), Program("python"))
(job.folder / "ready.txt").touch()
time.sleep(60)
"""


def test_a_crash_interrupts(tmp_path):
    folder = ask(tmp_path / "job")
    other = run_blender(HOLDER, str(folder))
    try:
        wait_until((folder / "ready.txt").exists, 30)
        assert read_record(folder).state == "queued"
        with pytest.raises(JobError, match="waits or runs"):
            Job(folder, Program("python"))
    finally:
        other.kill()
        other.communicate()
    assert read_record(folder).state == "interrupted"


def test_only_own_folders_are_removed(tmp_path):
    mine = ask(tmp_path / "mine")
    with pytest.raises(RequestError, match="delete it yourself"):
        remove(mine)
    with pytest.raises(RequestError, match="holds no job"):
        remove(tmp_path)
    folder = ask(tmp_path / "dist_20260101_000000_abcd1234")
    job = Job(folder, Program("python"))
    with pytest.raises(RequestError, match="cancel it first"):
        remove(folder)
    job.cancel()
    remove(folder)
    assert not folder.exists() and mine.exists()


# Damaged folders: each is listed with what is wrong, can be removed, and keeps nobody else's job from anything.


@pytest.mark.parametrize("name", [*DAMAGED, *ODD])
def test_a_damaged_folder_keeps_no_other_from_anything(tmp_path, name):
    good, folder = (ask(tmp_path / f"dist_20260101_00000{number}_abcd1234") for number in range(2))
    os.utime(good / "request.json", (1, 1))
    (DAMAGED | ODD)[name][0](folder)
    first, second = list_records(tmp_path)
    assert (first.folder, second.folder, second.state) == (folder, good, "interrupted")
    assert re.fullmatch(ODD[name][1] if name in ODD else "failed", first.state)
    if name in DAMAGED:
        assert (first.task, first.can_resume) == ("", False) and re.search(DAMAGED[name][1], first.error)
        assert str(folder) in first.error
    # What Blender and a terminal can show.
    assert "\0" not in (first.task + first.name + first.error).encode().decode()
    assert new_folder(tmp_path).is_dir()
    prune(tmp_path, keep=0)
    # One that ended is deleted when it is old.
    assert folder.exists() or name in ODD
    if folder.exists():
        remove(folder)
    assert not folder.exists() and good.exists()
