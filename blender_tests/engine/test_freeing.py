"""Things of no class all the way, from closed forms of what cameras see of them to their meshes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine.fitting import freeing, levels
from dist_engine.observations import Observations
from dist_engine.protocol import Request, RequestError, Result
from dist_engine.reconstruct import reconstruct_kind
from dist_engine.reporting import Reporter
from dist_engine.shapes.free.kind import FreeKind
from dist_engine.tasks import Clock

from blender_tests.support.free_forms import CPU, around, ball, ball_masks, box, box_masks, grid_of, request, sight

SIZE, FOCAL, AWAY = 64, 80.0, 3.0
VIEWS = around(10, FOCAL, SIZE, AWAY)
# What a pixel covers at the middle, and a cell of the finest grid that these pictures are worth.
FOOT, CELL = AWAY / FOCAL, 2.12 / 64
HALF, MIDDLE = (0.45, 0.3, 0.25), (0.05, 0.0, -0.05)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(job: Request, folder: Path) -> Result:
    folder.mkdir(exist_ok=True)
    reconstruct_kind(job, FreeKind(), CPU, folder, Reporter(io.StringIO()), Clock())
    return Result.load(folder)


def in_world(result: Result) -> torch.Tensor:
    return torch.as_tensor(result.vertices.astype(float) @ result.rotation.T + result.translation)


def boxed(**settings: object) -> Request:
    return request(box_masks(VIEWS, SIZE, HALF, MIDDLE), VIEWS, **settings)


def ball_mesh(radius: float) -> tuple[np.ndarray, np.ndarray]:
    from dist_engine.meshing import extract_mesh
    from dist_engine.shapes.free.shape import FreeShape

    mesh = extract_mesh(FreeShape(grid_of(ball(radius), 32)).field(Counter()), 32)
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)


@pytest.mark.slow
def test_a_box_is_found_from_its_outlines_without_bounds(tmp_path: Path) -> None:
    result = made(replace(boxed(), bounds=None), tmp_path)
    off = box(HALF, *MIDDLE)(in_world(result))
    # Outlines see edges; faces bulge between them, since no camera looks along them.
    assert off.abs().mean() < FOOT and off.abs().max() < 3 * FOOT
    assert min(result.report["iou"].values()) > 0.94
    assert result.report["shape"] == "free" and result.departure is None and "departure" not in result.report


@pytest.mark.slow
def test_a_ball_is_found_from_depths_alone(tmp_path: Path) -> None:
    depths = []
    for view in VIEWS:
        origin, ways = sight(view, SIZE)
        along = -(ways @ origin)
        gap = along**2 - origin @ origin + 0.5**2
        z = ways @ view.world_to_camera[2, :3]
        depths.append(np.where(gap > 0, (along - np.sqrt(np.maximum(gap, 0))) * z, np.nan).astype(np.float32))
    job = request(np.zeros((len(VIEWS), SIZE, SIZE), np.uint8), VIEWS)
    job = replace(job, masked=np.zeros(len(VIEWS), bool), depths=np.stack(depths))
    result = made(job, tmp_path)
    off = ball(0.5)(in_world(result))
    assert off.abs().mean() < 0.003 and off.abs().max() < 0.02
    # What it says of its own error is that, to an order of magnitude.
    assert result.uncertainty is not None and 0.3 < result.uncertainty.mean() / off.abs().mean() < 10


@pytest.mark.slow
def test_a_mesh_to_start_from_is_freed_to_the_pictures(tmp_path: Path) -> None:
    vertices, faces = ball_mesh(0.45)
    job = request(ball_masks(VIEWS, SIZE, 0.5), VIEWS, freedom="some")
    result = made(replace(job, bounds=None, start_vertices=vertices, start_faces=faces), tmp_path)
    off = ball(0.5)(in_world(result))
    assert off.abs().mean() < 0.5 * FOOT
    # The mesh's own corners lie on the ball, and its faces a little inside.
    assert result.departure is not None and np.median(result.departure) == pytest.approx(0.05, abs=0.02)
    assert result.report["freedom"] == "some"
    assert result.report["departure"]["rms"] == pytest.approx(float(np.sqrt((result.departure**2).mean())), rel=1e-3)


@pytest.mark.slow
def test_a_fit_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[bytes] = []
    save = freeing._save

    def kept(path: Path, *state: object) -> None:
        save(path, *state)  # type: ignore[arg-type]
        saved.append(path.read_bytes())

    monkeypatch.setattr(freeing, "_save", kept)
    whole = in_world(made(boxed(), tmp_path / "whole"))
    steps = len(saved)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "surface.safetensors").write_bytes(saved[steps - 3])
    again = in_world(made(boxed(), tmp_path / "again"))
    assert len(saved) == steps + 2
    # Other pixels are drawn.
    apart = torch.cdist(again, whole).amin(1)
    assert apart.mean() < 0.1 * CELL and apart.max() < CELL


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut short", "no number", "of blocks that are not there"])
def test_a_damaged_checkpoint_is_not_gone_on_from(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load, save_file

    monkeypatch.setattr(levels, "BY_OUTLINES", (levels.Level(32, 2, 0.003),))
    file = tmp_path / "surface.safetensors"
    first = in_world(made(boxed(), tmp_path))
    tensors = load(file.read_bytes())
    tensors["step"] -= 1
    if damage == "no number":
        tensors["shape.values"][7] = torch.nan
    elif damage == "of blocks that are not there":
        tensors["shape.values"] = tensors["shape.values"][:-64].contiguous()
    save_file(tensors, file)
    if damage == "cut short":
        file.write_bytes(file.read_bytes()[:-9])
    assert torch.equal(in_world(made(boxed(), tmp_path)), first)


@pytest.mark.slow
def test_what_is_stopped_is_a_shape_all_the_same(tmp_path: Path) -> None:
    job, seen = boxed(), []
    observations = Observations(job, CPU, torch.Generator().manual_seed(0))

    def watch(*state: object) -> bool:
        seen.append(state)
        return len(seen) < 2

    reporter = Reporter(io.StringIO())
    found, departure = freeing.free(job, FreeKind(), None, observations, Counter(), tmp_path, reporter, watch)
    assert len(seen) == 2 and departure is None
    assert found.shape.field(Counter())(torch.tensor([MIDDLE]), "any").item() < -0.15


def test_nothing_to_start_from_is_refused(tmp_path: Path) -> None:
    job = request(np.zeros((len(VIEWS), SIZE, SIZE), np.uint8), VIEWS)
    pictures = np.zeros((len(VIEWS), SIZE, SIZE, 3), np.uint8)
    job = replace(job, masked=np.zeros(len(VIEWS), bool), pictures=pictures)
    job = replace(job, settings=replace(job.settings, compare_colours=True))
    with pytest.raises(RequestError, match="needs masks, depths or points"):
        made(job, tmp_path)


def test_masks_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    masks = ball_masks(VIEWS, SIZE, 0.2, (0.5, 0.0, 0.0))
    masks[:5] = ball_masks(VIEWS[:5], SIZE, 0.2, (-0.5, 0.0, 0.0))
    with pytest.raises(RequestError, match="masks"):
        made(request(masks, VIEWS), tmp_path)


def test_colours_of_cameras_that_are_too_far_apart_are_refused(tmp_path: Path) -> None:
    views = [VIEWS[0], VIEWS[-1]]
    job = request(ball_masks(views, SIZE, 0.5), views, compare_colours=True)
    with pytest.raises(RequestError, match="8 to 75 degrees apart"):
        made(replace(job, pictures=np.zeros((2, SIZE, SIZE, 3), np.uint8)), tmp_path)
