"""A job takes no folder that holds something else, whichever door it comes in by."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest

from dist_addon import api, cli, formats, prior_files
from dist_addon.api import common
from dist_addon.formats.files import picture_size
from dist_addon.scene.folders import Folder
from dist_addon.worker.dist_engine.protocol import RequestError, ShapeRequest

# What a job would overwrite or delete, a job's own among them.
MINE = ("shapes/mine.blend", "samples/mine.npy", "meshes/0/mine.obj", "prior.safetensors", "vertices.npy")
MINE += ("masks.npy", "log.txt", "events.jsonl", "result.json", "checkpoint.safetensors", "lock", "training.png")


def fill(folder: Path) -> Path:
    for name in MINE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"my {name}")
    return folder


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def doors(scene, rig, prior, worker, monkeypatch) -> dict[str, Callable[..., object]]:
    """Each function that starts a job in a folder, ready to be called with it."""
    monkeypatch.setattr(prior_files, "FOLDER", prior.parent)
    box, camera = bpy.data.objects["Box"], rig.objects[0]
    cubes = bpy.data.collections.new("Cubes")
    for name in "ab":
        bpy.ops.mesh.primitive_cube_add()
        bpy.context.object.name = name
        cubes.objects.link(bpy.context.object)
    official = prior.parent / "official"
    official.mkdir()
    (official / "specs.json").write_text("{}")
    shape = api.reconstruct(rig, box, prior=prior, worker_folder=worker).object
    request = api.gather(rig, box, prior=prior)
    started = {
        "start_reconstruction": (rig, box, {"prior": prior}),
        "start_request": (request, {}),
        "start_render": (camera, {"prior": prior}),
        "start_sample": ({"prior": prior},),
        "start_blend": (shape, shape, {}),
        "start_reshape": (shape, [0.0, 1.0], {}),
        "start_training": (cubes, "cubes", {}),
        "start_import": (official, "cubes", {}),
    }
    waiting = {
        "reconstruct": "start_reconstruction",
        "render_shape": "start_render",
        "sample_shape": "start_sample",
        "blend_shapes": "start_blend",
        "reshape": "start_reshape",
        "train_prior": "start_training",
        "import_prior": "start_import",
    }
    given = started | {name: started[other] for name, other in waiting.items()}

    def door(name: str) -> Callable[..., object]:
        *arguments, named = given[name]
        return lambda folder: getattr(api, name)(*arguments, folder=folder, worker_folder=worker, **named)

    return {name: door(name) for name in given}


def refuse(call: Callable[[], object], folder: Path) -> None:
    before = content(folder)
    with pytest.raises(RequestError, match="is not empty and holds no job: choose an empty or new folder") as caught:
        call()
    assert str(folder) in str(caught.value)
    assert content(folder) == before


def test_no_door_takes_a_folder_of_the_users(doors, tmp_path):
    takes = {name for name in api.__all__ if {"folder", "worker_folder"} <= set(_parameters(getattr(api, name)))}
    assert takes - {"resume", "rerun"} == doors.keys()
    mine = fill(tmp_path / "mine")
    for door in doors.values():
        refuse(lambda door=door: door(mine), mine)


def _parameters(thing: object) -> list[str]:
    return list(inspect.signature(thing).parameters) if inspect.isfunction(thing) else []


@pytest.mark.parametrize(
    "request_text",
    ["", "{}", '{"version": 1}', '{"version": 1, "task": "mine"}', '{"version": 2, "task": "shape"}', "[" * 100_000],
)
def test_another_programs_request_makes_no_job(doors, tmp_path, request_text):
    mine = fill(tmp_path / "mine")
    (mine / "request.json").write_text(request_text)
    refuse(lambda: doors["start_sample"](mine), mine)
    for call in (api.resume, api.rerun, api.remove):
        before = content(mine)
        with pytest.raises(RequestError, match="mine"):
            call(mine)
        assert content(mine) == before


def test_a_single_file_keeps_a_job_out(doors, tmp_path):
    for name in ("notes.txt", ".hidden", "lock"):
        mine = tmp_path / name.strip(".")
        mine.mkdir()
        (mine / name).touch()
        refuse(lambda mine=mine: doors["start_sample"](mine), mine)
    # All the jobs' folder itself, and what a link names.
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "notes.txt")
    refuse(lambda: doors["start_sample"](link), link)


def test_the_command_line_takes_no_folder_of_the_users(scene, rig, prior, worker, tmp_path, monkeypatch, capfd):
    real = common.launch
    monkeypatch.setattr(common, "launch", lambda folder, _worker, *rest: real(folder, worker, *rest))
    cubes = bpy.data.collections.new("Cubes")
    for _ in range(2):
        bpy.ops.mesh.primitive_cube_add()
        cubes.objects.link(bpy.context.object)
    mine = fill(tmp_path / "mine")
    before = content(mine)
    for command in (
        ["reconstruct", "--cameras", "Rig", "--prior", str(prior)],
        ["train", "--collection", "Cubes", "--name", "cubes"],
    ):
        assert cli.main([*command, "--job", str(mine)]) == 1
        told = capfd.readouterr().err
        assert f"The folder {mine} is not empty and holds no job" in told and content(mine) == before


def test_empty_new_and_earlier_folders_are_taken(doors, tmp_path):
    empty, new, old = tmp_path / "empty", tmp_path / "deep" / "new", tmp_path / "old"
    empty.mkdir()
    # A file manager looked into it.
    (empty / ".DS_Store").touch()
    doors["reconstruct"](old)
    (old / "my notes.txt").write_text("kept")
    for folder in (empty, new, old):
        doors["reconstruct"](folder)
        assert (folder / "result.json").exists()
    assert (old / "my notes.txt").read_text() == "kept"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/nowhere")], ids=["pipe", "link"])
def test_an_earlier_folder_that_leads_out_of_itself_is_refused(doors, tmp_path, make):
    folder = tmp_path / "job"
    doors["reconstruct"](folder)
    for name in ("shapes", "log.txt", "lock", "masks.npy"):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        with pytest.raises(RequestError, match=f"{name} is neither a file nor a folder: take it out"):
            doors["reconstruct"](folder)
        (folder / name).unlink()
    doors["reconstruct"](folder)


def test_a_request_that_fails_leaves_no_half_job(tmp_path, python, monkeypatch):
    """A second try in the same folder is not refused for what the first left there."""
    request = ShapeRequest(np.full((1, 2), np.nan), [])
    with pytest.raises(RequestError, match="finite"):
        common.start(request, tmp_path / "job", Path("unused"))
    assert not (tmp_path / "job").exists()
    # What was there before stays.
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "request.json").write_text(json.dumps({"version": 1, "task": "shape"}))
    with pytest.raises(RequestError, match="finite"):
        common.start(request, tmp_path / "job", Path("unused"))
    assert (tmp_path / "job" / "request.json").exists()


@pytest.mark.parametrize("place", ["empty", "with a system's own file", "a link to an empty one"])
def test_a_start_that_fails_leaves_a_folder_of_the_users_as_it_was(tmp_path, python, place):
    folder = tmp_path / "mine"
    folder.mkdir()
    if place == "with a system's own file":
        (folder / ".DS_Store").write_text("")
    before = sorted(folder.iterdir())
    asked = folder
    if place == "a link to an empty one":
        asked = tmp_path / "link"
        asked.symlink_to(folder)
    with pytest.raises(RequestError, match="finite"):
        common.start(ShapeRequest(np.full((1, 2), np.nan), []), asked, Path("unused"))
    assert folder.is_dir() and sorted(folder.iterdir()) == before and asked.is_dir()


def test_a_start_that_fails_loses_no_earlier_result(tmp_path, python):
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps({"version": 1, "task": "shape"}))
    for name in ("result.json", "checkpoint.safetensors", "log.txt"):
        (folder / name).write_text(name)
    with pytest.raises(RequestError, match="finite"):
        common.start(ShapeRequest(np.full((1, 2), np.nan), []), folder, Path("unused"))
    for name in ("result.json", "checkpoint.safetensors", "log.txt"):
        assert (folder / name).read_text() == name


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_what_is_called_as_a_picture_and_is_no_file_is_passed_over(tmp_path, make):
    (tmp_path / "Cam0.png").write_bytes(b"")
    make(tmp_path / "Cam1.png")
    found = Folder(tmp_path, "picture")
    assert [file.name for file in found.files] == ["Cam0.png"] and found.find(["Cam1"]) is None


def test_a_pipe_is_no_file_of_cameras(tmp_path):
    os.mkfifo(tmp_path / "thing_par.txt")
    with pytest.raises(RequestError, match=r"thing_par.txt is no file"):
        formats.read(tmp_path)
    assert picture_size(tmp_path / "thing_par.txt") is None


def test_a_prior_that_is_kept_elsewhere_overwrites_no_picture(tmp_path, prior):
    (tmp_path / "holiday.png").write_text("mine")
    prior.with_suffix(".png").write_text("the prior's")
    api.keep_prior(prior, "other", file=tmp_path / "holiday.safetensors")
    assert (tmp_path / "holiday.safetensors").exists() and (tmp_path / "holiday.png").read_text() == "mine"
    api.keep_prior(prior, "another", file=tmp_path / "new.safetensors")
    assert (tmp_path / "new.png").read_text() == "the prior's"
