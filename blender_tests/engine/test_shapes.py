"""Meshes of given codes, without Blender: the request, the worker's answers, and orders on its standard input."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine.prior import Prior
from dist_engine.protocol import (
    PRIOR_FILE,
    Placement,
    RequestError,
    Result,
    ShapeOrder,
    ShapeRequest,
    ShapesResult,
    read_task,
    shape_folder,
)
from dist_engine.reporting import Cancelled, Reporter

from blender_tests.support.views import PRIOR

ORIGIN = Placement(1.0, np.eye(3), np.zeros(3))


def codes(*numbers: int) -> np.ndarray:
    return Prior.load(PRIOR).codes[list(numbers)].double().numpy()


def save(folder: Path, **options: object) -> None:
    chosen = {"codes": np.zeros((0, 64)), "placements": [], "resolution": 32, "device": "cpu", "threads": 1} | options
    ShapeRequest(**chosen).save(folder)
    shutil.copyfile(PRIOR, folder / PRIOR_FILE)


@pytest.mark.slow
def test_shapes_are_made_and_more_while_the_worker_stays(tmp_path: Path, start) -> None:
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    places = [ORIGIN, Placement(2.0, turn, np.array([1.0, 2.0, 3.0]))]
    save(tmp_path, codes=codes(5, 5), placements=places, prior="my table", stay=1.5)
    process = start(tmp_path)
    tell = lambda text: (process.stdin.write(text + "\n"), process.stdin.flush())  # noqa: E731
    events = iter(lambda: json.loads(process.stdout.readline()), None)
    assert next(event for event in events if event.get("message") == "Ready")
    result = ShapesResult.load(tmp_path)
    assert result.report["shapes"] == 2 and result.report["prior"] == "my table"
    first, second = result.shapes
    np.testing.assert_allclose(second.vertices, 2 * first.vertices, rtol=1e-6)
    np.testing.assert_array_equal(second.rotation, turn)
    assert second.report["scale"] == 2 and second.report["resolution"] == 32 and second.report["queries"]["mesh"] > 0
    field = Prior.load(PRIOR).decoder.field(torch.tensor(first.report["code"], dtype=torch.float32))
    off = field(torch.as_tensor(first.vertices), "check").abs()
    # A cell is 1 / 16, and a corner within it bends f.
    assert off.mean() < 1 / 200 and off.max() < 1 / 32

    # Many at once: only the newest has to be made, and it is the last to be told of.
    for serial in range(10, 20):
        tell(ShapeOrder(serial, codes(serial)[0].tolist(), 1.0, 64).to_line())
    tell(ShapeOrder(20, codes(5)[0].tolist(), 3.0, 32).to_line())
    told = [next(event for event in events if event["event"] == "shape")]
    while told[-1]["serial"] != 20:
        told.append(next(event for event in events if event["event"] == "shape"))
    assert len(told) < 5 and all(event["problem"] == "" for event in told)
    np.testing.assert_allclose(Result.load(shape_folder(tmp_path, 20)).vertices, 3 * first.vertices, rtol=1e-5)
    # A code without a surface is no end.
    tell(ShapeOrder(21, [50.0] * 64, 1.0, 32).to_line())
    answer = next(event for event in events if event["event"] == "shape")
    assert answer["serial"] == 21 and "no surface" in answer["problem"]
    began = time.monotonic()
    assert process.wait(10) == 0 and time.monotonic() - began > 1
    assert json.loads(process.stdout.read())["event"] == "done"


@pytest.mark.slow
def test_a_staying_worker_obeys_a_cancel(tmp_path: Path, start) -> None:
    save(tmp_path, stay=60.0)
    process = start(tmp_path)
    while json.loads(process.stdout.readline()).get("message") != "Ready":
        pass
    assert not (tmp_path / "result.json").exists()
    process.stdin.write("cancel\n")
    process.stdin.flush()
    assert process.wait(2) == 1
    assert json.loads(process.stdout.read())["event"] == "cancelled"


def test_the_newest_line_wins() -> None:
    reporter = Reporter(None)
    assert reporter.take_order(0.01) is None and not reporter.called
    for line in ("a", "b", "c"):
        reporter._lines.put(line)
    assert reporter.called and reporter.take_order(0.01) == "c" and not reporter.called
    reporter._stop.set()
    reporter._lines.put("")
    with pytest.raises(Cancelled):
        reporter.take_order(5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codes": np.zeros(3)}, "lists of finite numbers"),
        ({"codes": np.zeros((1, 5000)), "placements": [ORIGIN]}, "lists of finite numbers"),
        ({"codes": np.full((1, 2), np.nan), "placements": [ORIGIN]}, "lists of finite numbers"),
        ({}, "1 to 1000 shapes"),
        ({"codes": np.zeros((2, 2)), "placements": [ORIGIN]}, "2 codes and 1 placements"),
        ({"stay": -1.0}, "may stay 0 to 3600 seconds"),
        ({"stay": 5.0, "resolution": 48}, "resolution is 48: choose one of 32, 64"),
        ({"codes": np.zeros((1, 2)), "placements": [Placement(0.0, np.eye(3), np.zeros(3))]}, "scale is 0"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        save(tmp_path, **options)


def test_a_request_is_checked_when_it_is_read(tmp_path: Path) -> None:
    save(tmp_path, codes=codes(3), placements=[ORIGIN])
    assert read_task(tmp_path) == "shape"
    np.testing.assert_array_equal(ShapeRequest.load(tmp_path).codes, codes(3))
    good = json.loads((tmp_path / "request.json").read_text())
    for spoiled in ({"stay": "long"}, {"placements": 3}, {"resolution": 33}, {"placements": []}):
        (tmp_path / "request.json").write_text(json.dumps(good | spoiled))
        with pytest.raises(RequestError):
            ShapeRequest.load(tmp_path)
    (tmp_path / "request.json").write_text(json.dumps(good))
    # A header that claims more than can be.
    np.lib.format.open_memmap(tmp_path / "codes.npy", mode="w+", dtype="<f8", shape=(2000, 4096)).flush()
    with pytest.raises(RequestError, match="8,192,000 numbers"):
        ShapeRequest.load(tmp_path)
    (tmp_path / "result.json").write_text('{"version": 1, "report": {"shapes": 10000000}}')
    with pytest.raises(RequestError, match="no finished shapes"):
        ShapesResult.load(tmp_path)


@pytest.mark.parametrize(
    "line", ["", "x", "[1]", "{}", "[" * 100_000, '{"serial": 1, "code": [1, NaN], "scale": 1, "resolution": 32}']
)
def test_lines_that_ask_for_nothing_are_refused(line: str) -> None:
    with pytest.raises(RequestError, match="worker was sent"):
        ShapeOrder.from_line(line, 2)
