"""Jobs in line, and the list of jobs, with a stand-in worker."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import bpy
import pytest

from blender_tests.support.damaged_jobs import DAMAGED, ODD
from blender_tests.support.stage import is_alive, wait_until
from dist_addon import api, job_items, jobs, prior_files
from dist_addon.api import common
from dist_addon.jobs import Job, Program, Queue, Run, read_record
from dist_addon.operators import job_list as operators_job_list
from dist_addon.operators import running


def make_run(folder: Path, mode: str, python: str, worker: Path) -> Run:
    folder.mkdir()
    (folder / "mode.txt").write_text(mode)
    (folder / "request.json").write_text(json.dumps({"version": 1, "task": "reconstruct"}))
    return Run(Job(folder, Program(python, worker)), "reconstruct")


def test_one_runs_after_the_other(tmp_path, python, worker):
    queue = Queue()
    assert queue.current is None and queue.poll() == []
    first, second, third = (make_run(tmp_path / name, "wait", python, worker) for name in "abc")
    queue.runs += [first, second, third]
    wait_until(lambda: queue.poll() == [] and (tmp_path / "a" / "ready.txt").exists(), 20)
    assert [run.job.state for run in queue.runs] == ["running", "queued", "queued"]
    assert queue.find(tmp_path / "b") is second and queue.find("") is first and queue.find("/elsewhere") is None
    # One that waits is taken out of the line, and never runs.
    second.cancel()
    assert queue.poll() == [second] and queue.runs == [first, third]
    assert read_record(tmp_path / "b").state == "cancelled" and not (tmp_path / "b" / "log.txt").exists()
    first.cancel()
    ended = []
    wait_until(lambda: bool(ended.extend(queue.poll()) or ended), 5)
    assert ended == [first] and not is_alive(first.job.pid)
    wait_until(lambda: queue.poll() == [] and (tmp_path / "c" / "ready.txt").exists(), 20)
    third.cancel()
    wait_until(lambda: queue.poll() == [third], 5)
    assert queue.runs == []


def test_one_that_cannot_start_holds_nobody_up(tmp_path, python, worker):
    queue = Queue()
    first = make_run(tmp_path / "a", "result", "/no/python", worker)
    second = make_run(tmp_path / "b", "result", python, worker)
    queue.runs += [first, second]
    ended = []
    wait_until(lambda: bool(ended.extend(queue.poll()) or not queue.runs), 20)
    assert [run.job.state for run in ended] == ["failed", "done"] and "/no/python" in first.job.error
    assert read_record(tmp_path / "a").error == first.job.error


def test_what_waits_can_be_taken_up_by_another(tmp_path, python, worker):
    queue = Queue()
    queue.runs.append(make_run(tmp_path / "a", "result", python, worker))
    queue.leave()
    assert queue.runs == [] and read_record(tmp_path / "a").state == "interrupted"


# In Blender.


@pytest.fixture
def window(monkeypatch, worker, prior, tmp_path):
    """Let the add-on behave as in a window, with the stand-in worker; returns the folder of the jobs."""
    folder = tmp_path / "all jobs"
    folder.mkdir()
    real = common.launch

    def launch(target, _worker, *others, **named):
        return real(target, worker, *others, **named)

    monkeypatch.setattr(common, "launch", launch)
    monkeypatch.setattr(common, "WORKER_FOLDER", worker)
    monkeypatch.setattr(prior_files, "FOLDER", prior.parent)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for module in (running, common):
        monkeypatch.setattr(module, "in_background", lambda: False)
    bpy.context.scene.dist.prior = prior.stem
    yield folder
    running.jobs.close()
    jobs.leave_all()


def listed() -> list[tuple[str, str]]:
    return [(item.name, item.state) for item in job_items.of(bpy.context.window_manager).jobs]


def choose(number: int) -> job_items.DIST_JobItem:
    job_items.of(bpy.context.window_manager).active_job = number
    return job_items.active()


def run_all() -> None:
    wait_until(lambda: running.jobs.tick() is None, 30)


def test_two_presses_two_shapes(scene, rig, window):
    assert bpy.ops.dist.reconstruct() == {"FINISHED"}
    scene.dist.prior = "anything"
    assert bpy.ops.dist.reconstruct() == {"FINISHED"}
    names = ["Anything, reconstruction", "cone, reconstruction"]
    assert sorted(listed()) == [(name, "queued") for name in names]
    # The request was written when the button was pressed: what becomes of the scene does not matter.
    for camera in list(rig.objects):
        bpy.data.objects.remove(camera)
    run_all()
    assert sorted(listed()) == [(name, "done") for name in names]
    assert "DIST Shape" in scene.objects and "DIST Shape.001" in scene.objects
    assert "“DIST Shape” stands there, too: hide one of them" in running.jobs.outcome.text


def test_a_shape_in_another_place_is_no_shape_in_the_way(scene, rig, window):
    for move in (5.0, 0.0):
        bpy.ops.dist.reconstruct()
        run_all()
        scene.objects["DIST Shape"].location.x += move
        assert "stands there, too" not in running.jobs.outcome.text
    assert "DIST Shape.001" in scene.objects


def test_the_next_job_is_done_by_a_worker_that_waited(scene, rig, window):
    bpy.ops.dist.reconstruct()
    first = running.jobs.queue.current.job
    run_all()
    waiting = jobs.spare.pid
    assert waiting is not None
    bpy.ops.dist.reconstruct()
    second = running.jobs.queue.current.job
    run_all()
    assert second.pid == waiting != first.pid and second.state == "done"


def test_a_job_in_line_outlives_its_file(scene, rig, window):
    for _ in range(2):
        bpy.ops.dist.reconstruct()
    running.jobs.tick()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    run_all()
    assert [state for _, state in listed()] == ["done", "done"] and len(bpy.data.objects) == 0
    assert "its scene is closed" in running.jobs.outcome.text
    assert bpy.ops.dist.import_result(folder=choose(1).folder) == {"FINISHED"}
    assert "DIST Shape" in bpy.context.scene.objects


def fail(window: Path) -> Path:
    """A job in the list that failed."""
    bpy.ops.dist.reconstruct()
    folder = Path(choose(0).folder)
    assert folder.parent == window
    (folder / "mode.txt").write_text("error")
    run_all()
    return folder


def test_the_list_resumes_runs_again_and_removes(scene, rig, window):
    folder = fail(window)
    item = choose(0)
    assert (item.state, item.error) == ("failed", "The masks do not agree.")
    (folder / "mode.txt").write_text("wait")
    assert bpy.ops.dist.resume_job() == {"FINISHED"}
    assert choose(0).state == "queued"
    for busy in (bpy.ops.dist.resume_job, bpy.ops.dist.rerun_job, bpy.ops.dist.remove_job):
        with pytest.raises(RuntimeError, match="waits or runs: cancel it first"):
            busy()
    wait_until(lambda: running.jobs.tick() and (folder / "ready.txt").exists(), 20)
    assert choose(0).state == "running"
    bpy.ops.dist.cancel(folder=str(folder))
    run_all()
    assert choose(0).state == "cancelled"
    bpy.ops.dist.rerun_job()
    run_all()
    assert [state for _, state in listed()] == ["done", "cancelled"] and "DIST Shape" in scene.objects
    choose(1)
    assert bpy.ops.dist.remove_job() == {"FINISHED"} and not folder.exists()
    folder = Path(choose(0).folder)
    with pytest.raises(RuntimeError, match="import its result"):
        bpy.ops.dist.resume_job()
    assert bpy.ops.dist.remove_job() == {"FINISHED"}
    assert listed() == [] and not folder.exists() and "DIST Shape" in scene.objects
    with pytest.raises(RuntimeError, match="Choose a job"):
        bpy.ops.dist.show_log()


def test_the_log_and_the_report_are_shown(scene, rig, window):
    fail(window)
    assert bpy.ops.dist.show_log() == {"FINISHED"}
    assert "The masks do not agree." in bpy.data.texts["DIST Job"].as_string()
    bpy.ops.dist.reconstruct()
    run_all()
    choose(0)
    bpy.ops.dist.show_log()
    shown = bpy.data.texts["DIST Job"].as_string()
    assert '"scale": 1.5' in shown and "Log\n" in shown and len(bpy.data.texts) == 1
    # A number a line, it would push all that tells a reader something out of sight.
    assert '"code"' not in shown


@pytest.mark.parametrize("name", [*DAMAGED, *ODD])
def test_a_damaged_job_keeps_none_in_line(scene, rig, window, name):
    folder = window / "dist_20260101_000000_abcd1234"
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps({"version": 1, "task": "reconstruct", "prior": "cone"}))
    (DAMAGED | ODD)[name][0](folder)
    assert bpy.ops.dist.reconstruct() == {"FINISHED"}
    run_all()
    assert "Added “DIST Shape”" in running.jobs.outcome.text
    assert (listed()[0], len(listed())) == (("cone, reconstruction", "done"), 2)
    item = choose(1)
    assert item.folder == str(folder) and "There is no log." in operators_job_list.describe(item)
    if name in DAMAGED:
        assert (item.name, item.state) == ("damaged", "failed") and item.error
        for again in (bpy.ops.dist.resume_job, bpy.ops.dist.rerun_job):
            with pytest.raises(RuntimeError, match="is damaged"):
                again()
    assert bpy.ops.dist.remove_job() == {"FINISHED"}
    assert not folder.exists() and len(listed()) == 1


def test_a_flaw_of_ours_keeps_none_in_line(scene, rig, window, monkeypatch, capfd):
    for _ in range(2):
        bpy.ops.dist.reconstruct()
    real, calls = running.jobs._finish, []

    def finish(run):
        calls.append(run)
        if len(calls) == 1:
            raise KeyError("the flaw")
        real(run)

    monkeypatch.setattr(running.jobs, "_finish", finish)
    wait_until(lambda: running.jobs.tick() and calls, 30)
    assert running.jobs.outcome.failed and "the flaw" in running.jobs.outcome.text
    # So that a panel shows it.
    assert running.jobs.outcome.task == "reconstruct"
    run_all()
    assert len(calls) == 2 and "DIST Shape" in scene.objects and "KeyError: 'the flaw'" in capfd.readouterr().err


def test_a_job_elsewhere_is_listed_with_its_scene(scene, rig, window, tmp_path):
    with common.in_line():
        job = api.start_reconstruction(rig, bpy.data.objects["Box"], prior="cone", folder=tmp_path / "mine")
    job.cancel()
    job_items.refresh()
    assert listed() == []
    scene.dist.last_job = str(tmp_path / "mine")
    job_items.refresh()
    assert listed() == [("cone, reconstruction", "cancelled")]
    with pytest.raises(RuntimeError, match="delete it yourself"):
        bpy.ops.dist.remove_job()


# While it runs.


@pytest.fixture
def watched(scene, rig, window):
    """A job that has shown its first preview; returns its folder."""
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.dist.reconstruct("EXEC_DEFAULT", True)
    folder = Path(choose(0).folder)
    (folder / "mode.txt").write_text("preview")
    wait_until(lambda: running.jobs.tick() and bool(previews()), 20)
    return folder


def previews() -> list[bpy.types.Object]:
    return [thing for thing in bpy.data.objects if thing.name.startswith("DIST Preview")]


def test_the_mesh_grows_in_the_viewport(scene, watched):
    (shown,) = previews()
    assert [c.name for c in shown.users_collection] == ["DIST Reconstructions"]
    assert len(shown.data.polygons) == 4 and tuple(shown.matrix_world.translation) == (0, 0, 5)
    assert shown.hide_select and shown.hide_render
    (watched / "seen0.txt").touch()
    wait_until(lambda: running.jobs.tick() and previews()[0].data.vertices[3].co.z == 2, 20)
    assert previews() == [shown] and len(bpy.data.meshes) == 1 and len(shown.data.vertices) == 4
    (watched / "seen1.txt").touch()
    assert bpy.ops.dist.finish() == {"FINISHED"} and not bpy.ops.dist.finish.poll()
    run_all()
    assert previews() == [] and "DIST Shape" in scene.objects and len(bpy.data.meshes) == 1


def test_previews_wait_for_a_window_that_draws_slowly(scene, watched, monkeypatch):
    # Blender was busy for a minute, with more than the first preview.
    monkeypatch.setattr(running.jobs, "due", time.monotonic() - 60)
    (watched / "seen0.txt").touch()
    wait_until(lambda: running.jobs.tick() and running.jobs.queue.current.progress.preview == 1, 20)
    running.jobs.tick()
    assert previews()[0].data.vertices[3].co.z == 1 and running.jobs.late == pytest.approx(2, abs=0.5)
    monkeypatch.setattr(running.jobs, "previewed", time.monotonic() - 30)
    running.jobs.tick()
    assert previews()[0].data.vertices[3].co.z == 2 and running.jobs.late < 0.5


def test_a_preview_goes_with_a_cancelled_job(scene, watched):
    bpy.ops.dist.cancel()
    run_all()
    assert previews() == [] and not bpy.data.meshes and "DIST Reconstructions" not in bpy.data.collections


def test_a_preview_survives_an_undo(scene, watched):
    bpy.ops.ed.undo_push(message="With the preview")
    bpy.ops.ed.undo()
    assert previews() == []
    (watched / "seen0.txt").touch()
    wait_until(lambda: running.jobs.tick() and len(previews()) == 1, 20)
    # A later undo may bring one back whose job has ended.
    bpy.ops.ed.undo_push(message="Again with it")
    (watched / "seen1.txt").touch()
    bpy.ops.dist.finish()
    run_all()
    assert "DIST Shape" in bpy.data.objects and previews() == []
    bpy.ops.ed.undo()
    assert "DIST Shape" not in bpy.data.objects
    assert running.jobs.timer.is_set and running.jobs.tick() is None
    assert previews() == []


def test_a_preview_is_not_saved(scene, watched, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"), copy=True)
    with bpy.data.libraries.load(str(tmp_path / "file.blend")) as (found, _):
        assert "Cam0" in found.objects and "DIST Preview" not in found.objects
    (watched / "seen0.txt").touch()
    wait_until(lambda: running.jobs.tick() and len(previews()) == 1, 20)


def test_a_job_beside_the_window_comes_after_it(scene, watched):
    assert os.getpriority(os.PRIO_PROCESS, running.jobs.queue.current.job.pid) >= 10


def test_a_job_pauses_and_goes_on(scene, watched):
    assert bpy.ops.dist.pause() == {"FINISHED"}
    wait_until(lambda: running.jobs.tick() and running.jobs.queue.current.progress.paused, 5)
    assert choose(0).state == "paused" and read_record(watched).state == "paused"
    bpy.ops.dist.pause()
    wait_until(lambda: running.jobs.tick() and not running.jobs.queue.current.progress.paused, 5)
    assert choose(0).state == "running"
    for name in ("seen0.txt", "seen1.txt"):
        (watched / name).touch()
    bpy.ops.dist.cancel()
    run_all()
    assert not bpy.ops.dist.pause.poll() and not bpy.ops.dist.finish.poll()
