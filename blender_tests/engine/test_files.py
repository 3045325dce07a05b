"""Writing and reading files where links, pipes and damage may stand in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine import checkpoint
from dist_engine.prior import Prior
from dist_engine.protocol import (
    ImportRequest,
    IrregularError,
    RequestError,
    check_folder,
    copy_file,
    open_regular,
    parse_event,
    read_array,
    read_json,
    read_tail,
    write_array,
    write_json,
    written_beside,
)

from blender_tests.support.hostile_priors import good_prior

WORKER = Path(__file__).resolve().parents[2] / "dist_addon" / "worker"


def save_checkpoint(path: Path) -> None:
    unknown = torch.zeros(2, requires_grad=True)
    checkpoint.save(path, 1, {"x": unknown}, torch.optim.Adam([unknown]), "a test")


def save_prior(path: Path) -> None:
    source = path.parent.parent / "source.safetensors"
    source.write_bytes(good_prior())
    Prior.load(source).save(path)


def copy(path: Path) -> None:
    source = path.parent.parent / "source"
    source.write_bytes(b"copied")
    copy_file(source, path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "result.json": lambda path: write_json(path, {"version": 1}),
    "vertices.npy": lambda path: write_array(path, np.zeros(3)),
    "checkpoint.safetensors": save_checkpoint,
    "prior.safetensors": save_prior,
    "copy": copy,
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_writer_follows_a_link(tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    folder = tmp_path / "job"
    folder.mkdir()
    for link in (name, f"{name}.part"):
        (folder / link).symlink_to(mine)
    WRITERS[name](folder / name)
    assert mine.read_text() == "mine"
    assert (folder / name).stat().st_size > 5 and not (folder / name).is_symlink()
    # Nothing else is left, and nothing but the writer could have named what was written first.
    assert {path.name for path in folder.iterdir()} == {name, f"{name}.part"}
    names = set()
    for _ in range(2):
        with written_beside(folder / name) as part:
            names.add(part.name)
            part.write_bytes(b"new")
    assert len(names) == 2 and (folder / name).read_bytes() == b"new"


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"version": 1})
    with pytest.raises(KeyError), written_beside(path) as part:
        part.write_bytes(b"half")
        raise KeyError
    assert read_json(path) == {"version": 1} and list(tmp_path.iterdir()) == [path]
    with pytest.raises(RequestError, match="larger than 16 MiB"):
        write_json(path, {"version": 1, "views": "x" * (16 << 20)})
    assert read_json(path) == {"version": 1} and list(tmp_path.iterdir()) == [path]


def test_a_file_is_made_as_others_are(tmp_path: Path) -> None:
    """Whoever shares the folder may read it, where the user lets them."""
    (tmp_path / "usual").touch()
    (tmp_path / "job").mkdir()
    for name in ("result.json", "vertices.npy", "prior.safetensors", "copy"):
        WRITERS[name](tmp_path / "job" / name)
        assert (tmp_path / "job" / name).stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_a_link_is_not_opened_to_be_written(tmp_path: Path, mode: str) -> None:
    mine, link, dangling = tmp_path / "mine.txt", tmp_path / "link", tmp_path / "dangling"
    mine.write_text("mine")
    link.symlink_to(mine)
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (link, dangling):
        with pytest.raises(IrregularError, match=path.name):
            open_regular(path, mode)
    assert mine.read_text() == "mine" and not (tmp_path / "nowhere").exists()
    # What is linked may be read: a folder of priors may hold links.
    with open_regular(link, "rb") as stream:
        assert stream.read() == b"mine"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "thing"
    make(path)
    for mode in ("rb", "ab", "r+b"):
        with pytest.raises(IrregularError, match="thing"):
            open_regular(path, mode)
    with pytest.raises(OSError, match="thing"):
        read_tail(path, 10)
    for read in (read_json, read_array):
        with pytest.raises(RequestError, match="thing cannot be read"):
            read(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b"[1]",
        b'{"version": 2}',
        b'{"version": 1, "x": ' + b"[" * 100_000,
        b" " * (17 << 20),
    ],
    ids=["empty", "half", "no text", "a list", "another version", "deep", "huge"],
)
def test_damaged_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "request.json").write_bytes(content)
    with pytest.raises(RequestError, match=r"request\.json"):
        read_json(tmp_path / "request.json")


@pytest.mark.parametrize(
    "line",
    [
        '{"event": []}',
        '{"v": 1, "event": {}}',
        '{"v": 1, "event": "done", "x": ' + "[" * 100_000,
        '{"v": 1, "event": "error"}',
        '{"v": 1, "event": "error", "message": ["no text"]}',
        '{"v": 1, "event": "preview", "serial": "../../elsewhere"}',
        '{"v": 1, "event": "progress", "stage": "fit", "step": "1", "steps": 2, "loss": 0, "seconds_left": 0}',
        "null",
    ],
)
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(RequestError, match="The worker wrote"):
        parse_event(line)


def test_an_event_holds_what_a_panel_can_show() -> None:
    odd = '{"v": 1, "event": "progress", "stage": "\\ud800\\u0000", "step": 1e999, "steps": 2, "loss": NaN, '
    found = parse_event(odd + '"seconds_left": 1.5, "more": {}}')
    assert found.pop("stage").encode().count(b"\0") == 0
    fields = {"step": None, "steps": 2, "loss": None, "seconds_left": 1.5}
    assert found == {"v": 1, "event": "progress"} | fields


def test_damaged_arrays_are_named(tmp_path: Path) -> None:
    path = tmp_path / "masks.npy"
    np.savez(tmp_path / "zip.npz", np.zeros(2))
    write_array(path, np.zeros((4, 5)))
    good = path.read_bytes()
    objects = good.replace(b"'<f8'", b"'|O' ")
    for content in (
        b"",
        good[:20],
        good[:-8],
        (tmp_path / "zip.npz").read_bytes(),
        objects,
        good.replace(b"(4", b"(("),
    ):
        path.write_bytes(content)
        with pytest.raises(RequestError, match=r"masks\.npy cannot be read"):
            read_array(path)
    path.write_bytes(good)
    assert read_array(path).shape == (4, 5)
    with pytest.raises(RequestError, match="claims 20 numbers, more than 10"):
        read_array(path, 10)


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("..")], ids=["a pipe", "a link to a folder outside"]
)
def test_a_worker_refuses_a_folder_that_leads_out_of_itself(tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    ImportRequest("thing", tmp_path).save(folder)
    check_folder(folder)
    (folder / "deep").mkdir()
    make(folder / "deep" / "shapes")
    done = subprocess.run(
        [sys.executable, "-I", "-u", str(WORKER), str(folder)], input=b"", capture_output=True, timeout=60
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 2 and told["event"] == "error"
    assert f"{folder / 'deep' / 'shapes'} is neither a file nor a folder" in told["message"]


def test_a_worker_leaves_a_folder_alone_that_holds_no_job(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    for name in ("shapes/mine.blend", "result.json", "vertices.npy"):
        (tmp_path / name).write_text("mine")
    for content in (None, "{}", '{"version": 1, "task": "mine"}'):
        if content:
            (tmp_path / "request.json").write_text(content)
        done = subprocess.run(
            [sys.executable, "-I", "-u", str(WORKER), str(tmp_path)], input=b"", capture_output=True, timeout=60
        )
        assert done.returncode == 2 and json.loads(done.stdout.splitlines()[-1])["event"] == "error"
        for name in ("shapes/mine.blend", "result.json", "vertices.npy"):
            assert (tmp_path / name).read_text() == "mine"
