"""Batches: many scenes, one line each, on one machine or several, whatever happens in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import bpy
import pytest

from blender_tests.support.stage import make_job_folder, run_blender, wait_until
from dist_addon import cli, jobs, prior_files
from dist_addon.api import common
from dist_addon.cli import batch


@pytest.fixture
def scenes(scene, rig, tmp_path) -> Path:
    """A folder with the scenes a, b and c, all alike; “b” has another name for its collection of cameras."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for image in bpy.data.images:
        image.pack()
    for name in "abc":
        rig.name = "Other" if name == "b" else "Rig"
        bpy.ops.wm.save_as_mainfile(filepath=str(folder / f"{name}.blend"), copy=True)
    return folder


@pytest.fixture
def started(monkeypatch, worker, prior, tmp_path):
    """The scenes whose jobs were started, with the stand-in worker; `modes` says what it does for each."""
    names: list[str] = []
    real = common.start

    def start(request, _folder, _worker, **options):
        name = Path(bpy.data.filepath).stem
        names.append(name)
        folder = make_job_folder(Path(tempfile.mkdtemp(prefix="job ", dir=tmp_path)), modes.get(name, "result"))
        return real(request, folder, worker, **options)

    modes.clear()
    monkeypatch.setattr(common, "start", start)
    monkeypatch.setattr(prior_files, "FOLDER", prior.parent)
    yield names
    jobs.leave_all()


modes: dict[str, str] = {}


def write_lines(scenes: Path, *lines: dict | str) -> Path:
    file = scenes / "lines.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return file


def three_lines(scenes: Path) -> Path:
    lines = [{"scene": f"{n}.blend", "quality": "preview", "out": f"out/{n}.blend"} for n in "abc"]
    lines[2]["json"] = "reports/c.json"
    return write_lines(scenes, *lines)


def objects(path: Path) -> list[str]:
    with bpy.data.libraries.load(str(path)) as (found, _):
        return list(found.objects)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_every_line_is_done_once(scenes, started, capfd):
    file = three_lines(scenes)
    assert cli.main(["batch", str(file)]) == 0
    assert started == ["a", "b", "c"] and "3 of 3 lines: 3 done" in capfd.readouterr().err
    for name in "abc":
        assert "DIST Shape" in objects(scenes / "out" / f"{name}.blend")
    assert json.loads((scenes / "reports" / "c.json").read_text())["scale"] == 1.5
    assert not [name for name in everything(scenes) if Path(name).name.startswith(".")]
    before = everything(scenes)
    assert cli.main(["batch", str(file)]) == 0
    assert started == ["a", "b", "c"] and everything(scenes) == before
    assert "3 of 3 lines: 3 done before" in capfd.readouterr().err


@pytest.mark.slow
def test_what_was_changed_is_done_again(scenes, started):
    file = three_lines(scenes)
    assert cli.main(["batch", str(file)]) == 0
    started.clear()
    # A new line before the others, and another quality in one; then another scene; then a result that was deleted.
    lines = file.read_text().splitlines()
    lines[1] = lines[1].replace("preview", "normal")
    write_lines(scenes, {"scene": "c.blend", "json": "again.json"}, "", *lines)
    assert cli.main(["batch", str(file)]) == 0
    assert started == ["c", "b"]
    os.utime(scenes / "a.blend", (1e9, 1e9))
    (scenes / "reports" / "c.json").unlink()
    assert cli.main(["batch", str(file)]) == 0
    assert started == ["c", "b", "a", "c"]


def test_a_failure_keeps_no_other_line_from_being_done(scenes, started, tmp_path, capfd):
    file = three_lines(scenes)
    modes["b"] = "error"
    assert cli.main(["batch", str(file), "--json", str(tmp_path / "report.json")]) == 1
    shown = capfd.readouterr().err
    assert "lines.jsonl:2: b.blend: Error: The masks do not agree." in shown and "2 done, 1 failed" in shown
    report = json.loads((tmp_path / "report.json").read_text())["lines"]
    assert [(entry["line"], entry["state"]) for entry in report] == [(1, "done"), (2, "failed"), (3, "done")]
    assert "The masks do not agree." in report[1]["error"]
    assert not (scenes / "out" / "b.blend").exists()
    modes.clear()
    assert cli.main(["batch", str(file)]) == 0
    assert started == ["a", "b", "c", "b"]


def test_a_flaw_of_ours_in_one_scene_is_a_failure_of_that_line(scenes, started, monkeypatch):
    def stumble(*_arguments, **_options):
        raise KeyError("the flaw")

    file = three_lines(scenes)
    with monkeypatch.context() as patched:
        patched.setattr(common, "start", stumble)
        assert cli.main(["batch", str(file)]) == 1
    assert cli.main(["batch", str(file)]) == 0


@pytest.mark.parametrize("count", [2, 5])
def test_shards_share_the_lines(scenes, started, count):
    file = three_lines(scenes)
    done = []
    for index in range(1, count + 1):
        assert cli.main(["batch", str(file), "--shard", f"{index}/{count}"]) == 0
        done.append("".join(started))
        started.clear()
    assert done == (["ac", "b"] if count == 2 else ["a", "b", "c", "", ""])


@pytest.mark.parametrize("shard", ["0/3", "4/3", "2", "a/b", "1/2/3"])
def test_no_such_shard(scenes, started, shard, capfd):
    assert cli.main(["batch", str(three_lines(scenes)), "--shard", shard]) == 2
    assert not started and f"“{shard}” is no share: for one of three, give 1/3" in capfd.readouterr().err


def test_a_dry_run_finds_what_is_wrong_and_does_nothing(scenes, started, capfd):
    file = write_lines(
        scenes,
        {"scene": "a.blend", "cameras": "Rig", "json": "1.json"},
        {"scene": "b.blend", "cameras": "Rig", "json": "2.json"},
        {"scene": "nowhere.blend", "json": "3.json"},
        {"scene": "c.blend", "prior": "spoon", "json": "4.json"},
        {"scene": "lines.jsonl", "json": "5.json"},
    )
    before = everything(scenes)
    assert cli.main(["batch", str(file), "--dry-run"]) == 1
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("lines.jsonl:")]
    words = [": well", "no collection “Rig”", "no file", "no shape prior “spoon”", "lines.jsonl"]
    assert len(told) == 5 and all(word in line for word, line in zip(words, told, strict=True)), told
    assert not started and everything(scenes) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "lines.jsonl:2: "),
        ('"a.blend"', "must be an object with a scene"),
        ({"cameras": "Rig", "out": "x.blend"}, "must be an object with a scene"),
        ({"scene": "a.blend"}, "Neither “out” nor “json”"),
        ({"scene": "a.blend", "out": "x.blend", "colour": "red"}, "--colour"),
        ({"scene": "a.blend", "out": "x.blend", "qual": "fine"}, "--qual"),
        ({"scene": "a.blend", "out": "x.blend", "quality": "best"}, "'best'"),
        ({"scene": "a.blend", "out": "x.blend", "refine_shape": 5}, "refine-shape"),
        ({"scene": "a.blend", "out": "x.blend", "job": "here"}, "can't say “job”"),
        ({"scene": "a.blend", "out": "../scenes/a.blend"}, "scenes/a.blend: name another file"),
        ({"scene": "a.blend", "json": "lines.jsonl"}, "scenes/lines.jsonl: name another file"),
        ({"scene": "a.blend", "out": "out/../out/a.blend"}, "is what line 1 writes, too"),
        ({"scene": "a.blend", "out": "x", "json": "x"}, "is what line 2 writes, too"),
        ("[" * 100_000, "lines.jsonl:2: "),
    ],
)
def test_a_line_that_makes_no_sense_is_told_before_any_work(scenes, started, capfd, line, words):
    file = write_lines(scenes, {"scene": "a.blend", "out": "out/a.blend"}, line)
    assert cli.main(["batch", str(file)]) == 2
    shown = capfd.readouterr().err
    assert "lines.jsonl:2: " in shown and words in shown
    assert not started


def test_a_missing_batch_file(tmp_path, started, capfd):
    assert cli.main(["batch", str(tmp_path / "nowhere.jsonl")]) == 2
    assert "nowhere.jsonl" in capfd.readouterr().err


def test_options_reach_the_reconstruction(scenes, started, tmp_path, prior):
    (scenes / "priors").mkdir()
    (scenes / "priors" / "own.safetensors").write_bytes(prior.read_bytes())
    line = {"scene": "a.blend", "refine-cameras": True, "refine_focal_length": False, "json": "1.json"}
    file = write_lines(scenes, {**line, "prior": "priors/own.safetensors", "bounds": "Box"})
    assert cli.main(["batch", str(file)]) == 0
    asked = json.loads(next(tmp_path.glob("job */request.json")).read_text())
    assert asked["settings"]["refine_cameras"] and not asked["settings"]["refine_focal_length"]
    assert asked["prior"] == str(scenes / "priors" / "own.safetensors")


def test_a_line_switches_off_what_its_scene_has_chosen(scenes, started, tmp_path):
    bpy.context.scene.dist.prior, bpy.context.scene.dist.refine_cameras = "cone", True
    bpy.ops.wm.save_as_mainfile(filepath=str(scenes / "d.blend"), copy=True)
    for said in (None, False):
        file = write_lines(scenes, {"scene": "d.blend", "json": f"{said}.json", "refine_cameras": said})
        assert cli.main(["batch", str(file)]) == 0
    folders = sorted(tmp_path.glob("job */request.json"), key=lambda path: path.stat().st_mtime_ns)
    settings = [json.loads(path.read_text())["settings"] for path in folders]
    assert [each["refine_cameras"] for each in settings] == [True, False]


def test_paths_are_relative_to_the_batch(scenes, tmp_path):
    (scenes / "pics").mkdir()
    line = {
        "scene": "a.blend",
        "json": "1.json",
        "pictures": "pics",
        "depths": "pics",
        "normals": "pics",
        "prior": "p/own.safetensors",
    }
    file = write_lines(
        scenes,
        {**line, "masks": "pics"},
        {"scene": str(scenes / "a.blend"), "json": "2.json", "pictures": "//pics", "masks": "alpha", "prior": "pics"},
        {"scene": "a.blend", "json": str(tmp_path / "3.json"), "pictures": str(tmp_path), "masks": "Roto"},
    )
    first, second, third = (each.options for each in batch.read_lines(file))
    assert [first.pictures, first.depths, first.normals, first.masks] == [str(scenes / "pics")] * 4
    assert (first.json, first.prior) == (scenes / "1.json", str(scenes / "p" / "own.safetensors"))
    assert (second.pictures, second.masks, second.prior) == ("//pics", "alpha", "pics")
    assert (third.pictures, third.masks, third.json) == (str(tmp_path), "Roto", tmp_path / "3.json")


def test_a_line_may_name_a_folder_of_pictures(scenes, started):
    (scenes / "pics").mkdir()
    for number in range(3):
        picture = bpy.data.images[f"Pic{number}"]
        picture.filepath_raw, picture.file_format = str(scenes / "pics" / f"Cam{number}.png"), "PNG"
        picture.save()
    file = write_lines(scenes, {"scene": "a.blend", "pictures": "pics", "json": "1.json"})
    assert cli.main(["batch", str(file)]) == 0 and started == ["a"]
    file = write_lines(scenes, {"scene": "a.blend", "pictures": "nowhere", "json": "1.json"})
    assert cli.main(["batch", str(file), "--dry-run"]) == 1


# A Blender of its own that does a batch with the stand-in worker; for scene “b” it waits, where the test wants that.
MACHINE = """
import sys, tempfile
from pathlib import Path
import bpy, dist_addon
from blender_tests.support.stage import make_job_folder
from dist_addon import cli, prior_files
from dist_addon.api import common
from dist_addon.cli import batch
file, worker, prior, jobs, mode = sys.argv[1:]
real = common.start
def start(request, _folder, _worker, **options):
    folder = Path(jobs, Path(bpy.data.filepath).stem) if mode == "wait" else Path(tempfile.mkdtemp(dir=jobs))
    make_job_folder(folder, mode if bpy.data.filepath.endswith("b.blend") else "result")
    return real(request, folder, Path(worker), **options)
common.start, prior_files.FOLDER = start, Path(prior).parent
dist_addon.register()
code = cli.main(["batch", file])
# Blender 4.2 as a module crashes at its end where classes are registered still.
dist_addon.unregister()
sys.exit(code)
"""


def run_machine(file: Path, worker: Path, prior: Path, tmp_path: Path, mode: str) -> subprocess.Popen[str]:
    (tmp_path / "jobs").mkdir(exist_ok=True)
    return run_blender(MACHINE, str(file), str(worker), str(prior), str(tmp_path / "jobs"), mode)


@pytest.mark.slow
def test_a_batch_goes_on_where_it_was_killed(scenes, started, worker, prior, tmp_path):
    file = three_lines(scenes)
    machine = run_machine(file, worker, prior, tmp_path, "wait")
    try:
        wait_until((tmp_path / "jobs" / "b" / "ready.txt").exists, 120)
        machine.send_signal(signal.SIGKILL)
    finally:
        machine.kill()
        machine.communicate()
    assert sorted(path.name for path in (scenes / "out").iterdir()) == ["a.blend"]
    assert cli.main(["batch", str(file)]) == 0
    assert started == ["b", "c"]
    assert all("DIST Shape" in objects(scenes / "out" / f"{name}.blend") for name in "abc")


@pytest.mark.slow
def test_two_machines_at_the_same_lines_leave_whole_results(scenes, started, worker, prior, tmp_path):
    file = three_lines(scenes)
    machines = [run_machine(file, worker, prior, tmp_path, "result") for _ in range(2)]
    try:
        for machine in machines:
            shown, _ = machine.communicate(timeout=240)
            assert machine.returncode == 0, shown
    finally:
        for machine in machines:
            machine.kill()
    assert all("DIST Shape" in objects(scenes / "out" / f"{name}.blend") for name in "abc")
    assert cli.main(["batch", str(file)]) == 0
    assert not started


def test_no_result_overwrites_a_scene_the_batch_or_another_result(scenes, started, capfd):
    before = {path: path.read_bytes() for path in scenes.rglob("*.blend")}
    file = write_lines(scenes, {"scene": "a.blend", "out": "b.blend"}, {"scene": "b.blend", "out": "c2.blend"})
    assert cli.main(["batch", str(file)]) == 2
    assert "lines.jsonl:1: The result would overwrite" in capfd.readouterr().err
    file = three_lines(scenes)
    for report in (file, scenes / "a.blend", scenes / "out" / "b.blend"):
        lines = file.read_text()
        assert cli.main(["batch", str(file), "--dry-run", "--json", str(report)]) == 2
        assert "name another file" in capfd.readouterr().err and file.read_text() == lines
    assert started == [] and before == {path: path.read_bytes() for path in scenes.rglob("*.blend")}
