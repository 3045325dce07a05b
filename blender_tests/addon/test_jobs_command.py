"""``dist jobs``: what the command line does with earlier jobs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dist_addon import cli
from dist_addon.api import common


@pytest.fixture
def folders(tmp_path, monkeypatch, worker) -> list[Path]:
    """Two jobs, the newer one first: one that its Blender left half way, and one that failed."""
    real = common.launch
    monkeypatch.setattr(common, "jobs_folder", lambda: tmp_path)
    monkeypatch.setattr(common, "launch", lambda folder, _worker, *rest: real(folder, worker, *rest))
    made = [tmp_path / f"dist_20260101_00000{second}_abcd1234" for second in (2, 1)]
    fields = {"message": "No view.", "stage": "fit", "step": 1, "steps": 2, "loss": 0.5, "seconds_left": 3.0}
    for folder, event, age in zip(made, ("progress", "error"), (100, 200), strict=True):
        folder.mkdir()
        request = folder / "request.json"
        request.write_text(json.dumps({"version": 1, "task": "reconstruct", "prior": "chair"}))
        (folder / "events.jsonl").write_text(json.dumps({"v": 1, "event": event} | fields) + "\n")
        os.utime(request, (1.8e9 - age, 1.8e9 - age))
    return made


def test_jobs_are_listed(folders, tmp_path, capfd):
    assert cli.main(["jobs", "--json", str(tmp_path / "jobs.json")]) == 0
    lines = [line for line in capfd.readouterr().out.splitlines() if "dist_2026" in line]
    assert [line.split()[:3] for line in lines] == [
        ["interrupted", "reconstruct", "chair"],
        ["failed", "reconstruct", "chair"],
    ]
    assert [line.endswith(str(folder)) for line, folder in zip(lines, folders, strict=True)] == [True, True]
    told = json.loads((tmp_path / "jobs.json").read_text())["jobs"]
    assert [(job["folder"], job["state"], job["error"]) for job in told] == [
        (str(folders[0]), "interrupted", ""),
        (str(folders[1]), "failed", "No view."),
    ]


def test_a_job_is_resumed(folders, capfd):
    assert cli.main(["jobs", "resume", str(folders[0])]) == 0
    assert "fit 3/3" in capfd.readouterr().err and (folders[0] / "vertices.npy").exists()
    assert cli.main(["jobs", "resume", str(folders[0])]) == 1
    assert "is done" in capfd.readouterr().err


def test_a_job_is_removed(folders, tmp_path, capfd):
    assert cli.main(["jobs", "remove", str(folders[1])]) == 0
    assert folders[0].exists() and not folders[1].exists()
    (tmp_path / "mine").mkdir()
    assert cli.main(["jobs", "remove", str(tmp_path / "mine")]) == 1
    assert (tmp_path / "mine").exists() and str(tmp_path / "mine") in capfd.readouterr().err
    assert cli.main(["jobs", "remove"]) == 2
