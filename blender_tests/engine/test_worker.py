"""The real worker process on a real request, without Blender."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.prior import Prior
from dist_engine.protocol import Bounds, Request, Result, Settings, View
from dist_engine.tracing.march import march

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / "dist_addon" / "worker"
PRIOR = ROOT / "dist_addon" / "priors" / "table.safetensors"
SIZE = 48


def orbit(count: int) -> list[View]:
    """Cameras on a circle, looking at the origin from 3 units away, Z up."""
    K = np.array([[55.0, 0, SIZE / 2], [0, 55.0, SIZE / 2], [0, 0, 1]])
    views = []
    for index in range(count):
        azimuth, elevation = 2 * np.pi * index / count, 0.2 + 0.25 * (index % 3)
        back = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
        rotation = np.stack([right, -np.cross(back, right), -back])
        views.append(View(f"camera {index}", K, np.column_stack([rotation, -rotation @ (3 * back)])))
    return views


def silhouettes(code: torch.Tensor, views: list[View], place: Similarity, steps: int = 100) -> np.ndarray:
    """Masks of a member of the prior, by plain sphere tracing."""
    prior = Prior.load(PRIOR)
    field = prior.decoder.field(code)
    cameras = Cameras.from_views(views, torch.device("cpu"))
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    masks = []
    for index in range(len(views)):
        rays = cameras.rays(torch.full((len(pixels),), index), pixels, place)
        masks.append(march(field, rays, rays.threshold(), steps=steps, relaxation=1.0).hit.reshape(SIZE, SIZE))
    return torch.stack(masks).numpy().astype(np.uint8) * 255


def request(masks: np.ndarray, views: list[View], **settings: object) -> Request:
    bounds = Bounds(np.array([0.03, -0.02, 0.02]), np.eye(3), np.array([0.57, 0.57, 0.57]))
    chosen = {"iterations": 30, "rays": 1000, "mesh_resolution": 64, "device": "cpu", "threads": 2} | settings
    return Request(views=views, masks=masks, bounds=bounds, settings=Settings(**chosen))


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with a request whose truth is the prior's fifth training shape."""
    views = orbit(6)
    identity = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    masks = silhouettes(Prior.load(PRIOR).codes[5], views, identity)
    shutil.copyfile(PRIOR, tmp_path / Request.PRIOR_FILE)
    request(masks, views).save(tmp_path)
    return tmp_path


@pytest.fixture
def start() -> Iterator[object]:
    """Start workers, and leave none behind."""
    started: list[subprocess.Popen[str]] = []

    def run(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-u", str(WORKER), str(folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        with process:  # closes its pipes
            process.wait()


def test_a_shape_is_found_from_its_silhouettes(job: Path, start) -> None:
    process = start(job)
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 0, process.stderr.read()
    assert events[-1]["event"] == "done"
    steps = [e["step"] for e in events if e.get("stage") == "fit"]
    assert steps[0] == 0 and steps == sorted(steps) and steps[-1] <= 30
    result = Result.load(job)
    assert np.mean(list(result.report["iou"].values())) > 0.9
    assert np.linalg.det(result.rotation) == pytest.approx(1, abs=1e-4)
    assert result.report["queries"].keys() == {"march", "inside", "gradient", "mesh"}
    # The mesh, put back into the world, stands where the masks saw the thing.
    world = result.vertices @ result.rotation.T + result.translation
    loaded = Request.load(job)
    for view, mask in zip(loaded.views, loaded.masks, strict=True):
        in_camera = world @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]
        pixel = (in_camera @ view.K.T)[:, :2] / in_camera[:, 2:]
        column, row = np.clip(pixel, 0, SIZE - 1).astype(int).T
        assert (mask[row, column] > 0).mean() > 0.8


def test_the_same_request_gives_the_same_result(job: Path, start, tmp_path: Path) -> None:
    loaded = Request.load(job)
    codes = []
    for _ in range(2):
        request(loaded.masks, loaded.views, iterations=5, threads=1).save(job)
        for name in ("result.json", "checkpoint.safetensors"):
            (job / name).unlink(missing_ok=True)
        process = start(job)
        assert json.loads(process.stdout.readlines()[-1])["event"] == "done"
        codes.append(Result.load(job).report["code"])
    assert codes[0] == codes[1]


def test_a_stopped_job_goes_on_from_its_checkpoint(job: Path, start) -> None:
    process = start(job)
    for line in process.stdout:
        if json.loads(line).get("stage") == "fit" and json.loads(line)["step"] >= 3:
            process.kill()
            break
    process.wait()
    assert (job / "checkpoint.safetensors").exists() and not (job / "result.json").exists()
    events = [json.loads(line) for line in start(job).stdout]
    # The search for a start is not done again, and the cost goes on where it was.
    assert "start" not in {event.get("stage") for event in events}
    assert (job / "result.json").exists()


@pytest.mark.parametrize("how", ["cancel", "end of input"])
def test_the_worker_is_gone_within_three_seconds(job: Path, start, how: str) -> None:
    loaded = Request.load(job)
    request(loaded.masks, loaded.views, iterations=100_000, rays=20_000).save(job)
    process = start(job)
    for line in process.stdout:
        if json.loads(line).get("stage") == "start":
            break
    began = time.monotonic()
    if how == "cancel":
        process.stdin.write("cancel\n")
        process.stdin.flush()
    else:
        process.stdin.close()
    assert process.wait(10) == 1
    assert time.monotonic() - began < 3
    assert not (job / "result.json").exists()


def test_a_missing_prior_is_an_error_with_its_name(job: Path, start) -> None:
    (job / Request.PRIOR_FILE).unlink()
    process = start(job)
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 2
    assert events[-1]["event"] == "error" and "prior.safetensors" in events[-1]["message"]


def test_an_unknown_device_is_an_error_with_a_remedy(job: Path, start) -> None:
    loaded = Request.load(job)
    request(loaded.masks, loaded.views, device="abacus").save(job)
    events = [json.loads(line) for line in start(job).stdout]
    assert "abacus" in events[-1]["message"] and "preferences" in events[-1]["message"]
