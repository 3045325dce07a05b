"""The real worker process on a real request, without Blender."""

from __future__ import annotations

import json
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine import render
from dist_engine.cameras import Similarity
from dist_engine.prior import Prior
from dist_engine.protocol import (
    PRIOR_FILE,
    ImportRequest,
    MeshArrays,
    Placement,
    PriorResult,
    RenderRequest,
    RenderResult,
    Request,
    RequestError,
    Result,
    TrainRequest,
    View,
    read_task,
    shape_folder,
)
from dist_engine.run import explain

from blender_tests.support.official_files import Plain, write
from blender_tests.support.views import PRIOR, SIZE, orbit, request, silhouettes


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with a request whose truth is one of the prior's training shapes."""
    views = orbit(6)
    identity = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    masks = silhouettes(Prior.load(PRIOR).codes[20], views, identity)
    shutil.copyfile(PRIOR, tmp_path / PRIOR_FILE)
    request(masks, views).save(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_shape_is_found_from_its_silhouettes(job: Path, start) -> None:
    process = start(job)
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 0, process.stderr.read()
    assert events[-1]["event"] == "done"
    steps = [e["step"] for e in events if e.get("stage") == "fit"]
    assert steps[0] == 0 and steps == sorted(steps) and steps[-1] <= 30
    result = Result.load(job)
    assert result.report["prior"] == "my table"
    assert np.mean(list(result.report["iou"].values())) > 0.9
    assert np.linalg.det(result.rotation) == pytest.approx(1, abs=1e-4)
    assert result.report["queries"].keys() == {"start", "march", "inside", "gradient", "mesh", "uncertainty"}
    assert 0.2 < result.report["whitened_rms"] < 3 and result.report["disagree"] == []
    # Surer than what the prior's shapes differ by, and nowhere quite sure.
    assert result.uncertainty.shape == (len(result.vertices),)
    assert (result.uncertainty > 0).all() and np.median(result.uncertainty) < 0.06
    # The mesh, put back into the world, stands where the masks saw the thing.
    world = result.vertices @ result.rotation.T + result.translation
    loaded = Request.load(job)
    for view, mask in zip(loaded.views, loaded.masks, strict=True):
        in_camera = world @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]
        pixel = (in_camera @ view.K.T)[:, :2] / in_camera[:, 2:]
        column, row = np.clip(pixel, 0, SIZE - 1).astype(int).T
        assert (mask[row, column] > 0).mean() > 0.8


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_fit_is_watched_paused_and_taken_early(job: Path, start) -> None:
    loaded = Request.load(job)
    request(loaded.masks, loaded.views, iterations=100_000, rays=20_000).save(job)
    process = start(job)

    def order(line: str) -> None:
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def read(*kinds: str) -> dict:
        return next(event for event in map(json.loads, process.stdout) if event["event"] in kinds)

    order("watch")
    serial = read("preview")["serial"]
    seen = Result.load(shape_folder(job, serial))
    assert 500 < len(seen.vertices) < 20_000 and seen.faces.max() < len(seen.vertices)
    # Where the thing is, as the final one will be.
    middle = (seen.vertices @ seen.rotation.T + seen.translation).mean(0)
    assert np.abs(middle).max() < 0.4
    order("pause")
    read("paused")
    assert read_until_silent(process) == []
    order("resume")
    read("resumed")
    read("progress")
    order("finish")
    assert read("done", "error")["event"] == "done"
    result = Result.load(job)
    assert result.report["early"] and len(result.vertices) > 1000
    # Previews go with the job.
    assert not shape_folder(job, serial).parent.exists()


def read_until_silent(process: subprocess.Popen[str]) -> list[str]:
    """What a process says within a second and a half; what was under way may still come at first."""
    lines = []
    while select.select([process.stdout.buffer.raw], [], [], 1.5)[0]:
        lines.append(process.stdout.readline())
    return lines


@pytest.mark.slow
def test_without_a_watcher_there_are_no_previews(job: Path, start) -> None:
    events = [json.loads(line) for line in start(job).stdout]
    assert "preview" not in {event["event"] for event in events} and not Result.load(job).report["early"]


def boxes(count: int) -> list[MeshArrays]:
    """Closed meshes of twelve triangles, each of another height."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([corner for a, b, c, d in sides for corner in ((a, b, c), (a, c, d))], np.int32)
    return [MeshArrays(f"box {n}", corners * (1, 1, n + 1), faces) for n in range(count)]


@pytest.mark.slow
def test_a_prior_is_trained_and_the_training_can_be_cancelled(tmp_path: Path, start) -> None:
    TrainRequest("boxes", boxes(2), steps=100_000, device="cpu", threads=1).save(tmp_path)
    process = start(tmp_path)
    for line in process.stdout:
        if json.loads(line).get("stage") == "train" and json.loads(line)["step"] >= 5:
            break
    process.stdin.write("cancel\n")
    process.stdin.flush()
    assert process.wait(30) == 1 and not (tmp_path / "result.json").exists()
    # It goes on where it stopped, and is taken as it is then.
    process = start(tmp_path)
    steps = (json.loads(line)["step"] for line in process.stdout if json.loads(line).get("stage") == "train")
    assert next(steps) >= 5
    process.stdin.write("finish\n")
    process.stdin.flush()
    assert process.wait(30) == 0 and 5 < PriorResult.load(tmp_path).report["steps"] < 100_000
    (tmp_path / "result.json").unlink()
    # Of another number of steps, so a checkpoint does not count.
    TrainRequest("boxes", boxes(2), steps=4, device="cpu", threads=1).save(tmp_path)
    events = [json.loads(line) for line in start(tmp_path).stdout]
    assert events[-1]["event"] == "done", events[-1]
    assert Prior.load(tmp_path / PRIOR_FILE).codes.shape == (2, 64)
    assert PriorResult.load(tmp_path).report["shapes"] == ["box 0", "box 1"]


@pytest.mark.slow
@pytest.mark.parametrize("sound", [True, False])
def test_a_checkpoint_in_the_official_layout_is_imported(tmp_path: Path, start, sound: bool) -> None:
    codes, plain = torch.randn(3, 5), Plain([2], False, False, "none")
    write(tmp_path / "in", plain, codes, "none")
    if not sound:
        (tmp_path / "in" / "LatentCodes" / "latest.pth").write_bytes(b"nothing of the kind")
    (tmp_path / "job").mkdir()
    ImportRequest("sofas", tmp_path / "in").save(tmp_path / "job")
    events = [json.loads(line) for line in start(tmp_path / "job").stdout]
    if not sound:
        assert events[-1]["event"] == "error" and "latest.pth" in events[-1]["message"]
        assert not (tmp_path / "job" / PRIOR_FILE).exists()
        return
    assert events[-1]["event"] == "done"
    prior = Prior.load(tmp_path / "job" / PRIOR_FILE)
    assert (prior.name, PriorResult.load(tmp_path / "job").report["shapes"]) == ("sofas", ["0", "1", "2"])
    points = torch.rand(50, 3) * 2 - 1
    with torch.no_grad():
        expected = plain(codes[1:2], points)
    torch.testing.assert_close(prior.decoder.field(prior.codes[1])(points, "test"), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_spare_worker_waits_for_its_job(job: Path, start) -> None:
    loaded = Request.load(job)
    request(loaded.masks, loaded.views, iterations=2).save(job)
    process = start()
    # Orders for the job may come before the worker has loaded PyTorch.
    process.stdin.write(json.dumps(str(job)) + "\nan order\n")
    process.stdin.flush()
    events = [json.loads(line)["event"] for line in process.stdout]
    assert process.wait(10) == 0 and events[-1] == "done"
    assert len(Result.load(job).vertices) > 100
    # The job's own log is written, and not where the worker wrote before.
    assert (job / "log.txt").exists() and process.stderr.read() == ""


@pytest.mark.slow
def test_a_spare_worker_ends_with_who_started_it(start) -> None:
    process = start()
    time.sleep(1.0)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(3) == 1


@pytest.mark.slow
def test_a_spare_workers_job_fails_in_its_own_log(job: Path, start) -> None:
    (job / PRIOR_FILE).unlink()
    process = start()
    process.stdin.write(json.dumps(str(job)) + "\n")
    process.stdin.flush()
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 2 and "it is missing" in events[-1]["message"]
    assert "Traceback" in (job / "log.txt").read_text()


@pytest.mark.slow
def test_a_missing_prior_is_an_error_with_its_name(job: Path, start) -> None:
    (job / PRIOR_FILE).unlink()
    process = start(job)
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 2
    assert events[-1]["event"] == "error" and "prior.safetensors" in events[-1]["message"]


def test_an_unknown_device_is_an_error_with_a_remedy(job: Path, start) -> None:
    loaded = Request.load(job)
    request(loaded.masks, loaded.views, device="abacus").save(job)
    events = [json.loads(line) for line in start(job).stdout]
    assert "abacus" in events[-1]["message"] and "preferences" in events[-1]["message"]


# Rendering.


def render_request(**changes: object) -> RenderRequest:
    """The prior's sixth shape, smaller than its frame, upside down and moved, through a lens that is off the middle."""
    view = orbit(6)[1]
    turn = np.diag([1.0, -1.0, -1.0])
    chosen = {
        "view": View(view.name, np.array([[75.0, 0, 30], [0, 95, 14], [0, 0, 1]]), view.world_to_camera),
        "width": 64,
        "height": 40,
        "code": Prior.load(PRIOR).codes[5].double().numpy(),
        "placement": Placement(0.8, turn, np.array([0.1, 0.2, -0.1])),
        "prior": "my table",
        "device": "cpu",
        "threads": 1,
    }
    return RenderRequest(**chosen | changes)


def ask(folder: Path, start, wanted: RenderRequest) -> list[dict]:
    """Run the worker on a request; returns its events."""
    shutil.copyfile(PRIOR, folder / PRIOR_FILE)
    wanted.save(folder)
    return [json.loads(line) for line in start(folder).stdout]


@pytest.mark.slow
def test_a_picture_shows_the_first_surface_on_each_ray(tmp_path: Path, start) -> None:
    wanted = render_request()
    events = ask(tmp_path, start, wanted)
    assert events[-1]["event"] == "done" and "render" in {event.get("stage") for event in events}
    made = RenderResult.load(tmp_path)
    assert (made.depth.dtype, made.normal.dtype, made.silhouette.dtype) == (np.float32, np.float32, np.uint8)
    assert made.depth.shape == (40, 64) and set(np.unique(made.silhouette)) == {0, 1}
    assert made.report["prior"] == "my table" and made.report["device"] == "cpu"
    # A few rays may have to be marched.
    assert made.report["queries"].keys() - {"march"} == {"grid", "silhouette", "refine", "normal"}
    assert (made.silhouette == 1).tolist() == np.isfinite(made.depth).tolist()

    # Walk along each pixel's ray in small steps, in double precision, and ask the decoder there.
    rotation, shift = wanted.view.world_to_camera[:, :3], wanted.view.world_to_camera[:, 3]
    y, x = np.mgrid[:40, :64] + 0.5
    seen = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(wanted.view.K).T
    place = wanted.placement

    decoder = Prior.load(PRIOR).to("cpu", torch.float64).decoder
    field = decoder.field(torch.as_tensor(wanted.code))

    def distances(depth: np.ndarray) -> np.ndarray:
        world = (depth[..., None] * seen - shift) @ rotation
        own = torch.as_tensor((world - place.translation) @ place.rotation / place.scale)
        found = torch.ones(depth.shape, dtype=torch.float64)
        # Shapes are in the unit sphere.
        in_sphere = own.norm(dim=-1) < 1
        found[in_sphere] = field(own[in_sphere], "test")
        return found.numpy()

    steps = np.arange(2.3, 3.9, 0.02)
    inside = np.stack([distances(np.full(x.shape, step)) < 0 for step in steps])
    first = inside.argmax(axis=0)
    hit = inside.any(axis=0)
    assert hit.sum() > 300
    both = hit & (made.silhouette == 1)
    assert both.sum() / (hit | (made.silhouette == 1)).sum() > 0.96
    # The surface lies within the step before the first sample inside; rays along a face may be off.
    behind = steps[first][both] - made.depth[both]
    assert ((behind > -1e-3) & (behind < 0.021)).mean() > 0.98
    assert np.abs(distances(np.where(both, made.depth, 3.0))[both]).max() < 1e-3

    # Normals against central differences of the distance, turned into the world.
    points = ((np.where(both, made.depth, 3.0)[..., None] * seen - shift) @ rotation)[both]
    own = (points - place.translation) @ place.rotation / place.scale
    slopes = []
    for axis in np.eye(3) * 1e-5:
        pair = [field(torch.as_tensor(own + sign * axis), "test").numpy() for sign in (1, -1)]
        slopes.append(pair[0] - pair[1])
    normal = np.stack(slopes, axis=1) @ place.rotation.T
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    assert ((made.normal[both] * normal).sum(axis=1) > 0.999).mean() > 0.98
    assert (made.normal[made.silhouette == 0] == 0).all()


@pytest.mark.slow
def test_a_picture_in_bands_is_the_same_picture(monkeypatch, tmp_path: Path) -> None:
    class Quiet:
        def progress(self, *_arguments: object) -> None:
            told.append(_arguments[1:3])

    made = []
    for rays in (render.BAND_RAYS, 64 * 16):
        told: list[tuple] = []
        monkeypatch.setattr(render, "BAND_RAYS", rays)
        folder = tmp_path / str(rays)
        folder.mkdir()
        shutil.copyfile(PRIOR, folder / PRIOR_FILE)
        render_request(threads=0).save(folder)
        render.render(folder, Quiet())
        made.append(RenderResult.load(folder))
    assert told == [(0, 3), (1, 3), (2, 3)]
    whole, bands = made
    both = (whole.silhouette == 1) & (bands.silhouette == 1)
    assert (whole.silhouette != bands.silhouette).sum() <= 2
    np.testing.assert_allclose(whole.depth[both], bands.depth[both], atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": np.zeros(3)}, "code has 3 numbers, but the prior “table” takes 64"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_what_cannot_be_rendered_is_an_error(tmp_path: Path, start, changes: dict, words: str) -> None:
    events = ask(tmp_path, start, render_request(**changes))
    assert events[-1]["event"] == "error" and words in events[-1]["message"]
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 0}, "0 x 40 pixels"),
        ({"code": np.array([np.nan])}, "finite"),
        ({"placement": Placement(0.0, np.eye(3), np.zeros(3))}, "scale is 0"),
        ({"placement": Placement(1.0, np.diag([1.0, 1, -1]), np.zeros(3))}, "mirrored"),
        ({"placement": Placement(1.0, np.eye(3), np.array([0, np.inf, 0]))}, "not finite"),
        ({"view": View("a", np.eye(3), np.full((3, 4), np.nan))}, "“a” has a number"),
    ],
)
def test_a_request_for_nothing_is_not_written(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        render_request(**changes).save(tmp_path)
    assert not any(tmp_path.iterdir())


def test_an_unknown_task_is_an_error(tmp_path: Path, start) -> None:
    render_request().save(tmp_path)
    assert read_task(tmp_path) == "render"
    data = json.loads((tmp_path / "request.json").read_text())
    (tmp_path / "request.json").write_text(json.dumps(data | {"task": "juggle"}))
    process = start(tmp_path)
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 2 and "“juggle”" in events[-1]["message"]


def test_a_missing_package_is_an_error_with_a_remedy() -> None:
    said = explain(ModuleNotFoundError("No module named 'igl'"))
    assert "No module named 'igl'" in said and f"“{sys.executable}” -m pip install -r " in said
    packages = Path(said.split("“")[-1].rstrip("”")).read_text(encoding="utf-8")
    assert {"torch", "libigl", "scipy"} <= set(re.findall(r"^\w+", packages, re.MULTILINE))
