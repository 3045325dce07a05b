"""What a user does in Blender's window, with the mouse and the keyboard only, and what comes of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from blender_tests.desktop.conftest import OpenFile
from blender_tests.desktop.window import SHOTS, Window, until

COLLECTION, PREVIEW = "DIST Reconstructions", "DIST Preview"
# Seconds: a reconstruction, and how long two cores with others' work on them may take for it.
LONG = 240


def shapes(window: Window) -> dict:
    """The results in the scene, without the preview of a job that runs."""
    found = {n: about for n, about in window.state()["objects"].items() if COLLECTION in about["collections"]}
    return {n: about for n, about in found.items() if n != PREVIEW}


def events(window: Window) -> list[dict]:
    path = Path(window.state()["job"]) / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def middle(window: Window) -> np.ndarray:
    """The viewport's middle, where the thing is to appear: (120, 160, 3)."""
    x, y, width, height = window.state()["regions"]["WINDOW"]
    row, column = y + height // 2, x + width // 2
    return window.pixels()[row - 60 : row + 60, column - 80 : column + 80].astype(int)


def changed(before: np.ndarray, after: np.ndarray) -> float:
    """How much of a picture is another one now, from 0 to 1."""
    return float((np.abs(after - before).max(axis=-1) > 12).mean())


def summary(ticks: np.ndarray) -> str:
    """How long between ticks, also those between which nothing was drawn, and how long the add-on's Python worked."""
    words = []
    for what, seconds in (("gaps", ticks[:, 1]), ("undrawn", undrawn(ticks)), ("the add-on's Python", ticks[:, 2])):
        at = np.quantile(seconds, [0.5, 0.99, 0.999, 1.0]) * 1000
        words.append("{}: median {:.0f}, 99 % {:.0f}, 99.9 % {:.0f}, longest {:.0f} ms".format(what, *at))
    return f"{len(ticks)} ticks; {'; '.join(words)}"


def undrawn(ticks: np.ndarray) -> np.ndarray:
    """The gaps between ticks in which Blender drew nothing."""
    return ticks[ticks[:, 3] == 0, 1]


def orange(window: Window) -> int:
    """How many pixels of the viewport have the outlines' colour."""
    x, y, width, height = window.state()["regions"]["WINDOW"]
    red, green, blue = np.moveaxis(window.pixels()[y : y + height, x : x + width].astype(int), -1, 0)
    return int(((red > 230) & (abs(green - 90) < 30) & (blue < 30)).sum())


def check_shape(window: Window, things: dict) -> None:
    """There is one more object than `things`: a shape of eight views where the bounds are."""
    ((name, made),) = shapes(window).items()
    iou = [value for key, value in made["numbers"].items() if key.startswith("dist_iou_")]
    assert made["type"] == "MESH" and made["faces"] > 500
    assert len(iou) == 8 and np.mean(iou) > 0.85
    assert np.allclose(made["place"], things["Bounds"]["place"], atol=0.4)
    assert window.state()["objects"].keys() - {name} == things.keys()


def test_cameras_to_a_mesh_and_back(open_file: OpenFile):
    with open_file("cameras.blend") as window:
        window.choose_tab("DIST")
        window.rest()
        window.shoot(SHOTS / "inputs.png")
        before, things = middle(window), window.state()["objects"]
        idle = time.time()
        time.sleep(8)
        idle = window.ticks(idle, time.time())

        pressed = window.press("dist.reconstruct(")
        window.wait(lambda: PREVIEW in window.state()["objects"], LONG, "a preview")
        previewed = time.time() - pressed
        window.rest()
        window.wait(lambda: any(e.get("stage") == "fit" and e["step"] > 9 for e in events(window)), LONG, "steps")
        window.scroll(20)
        window.rest()
        window.shoot(SHOTS / "running.png")
        window.wait(lambda: shapes(window), LONG, "the mesh")
        took = time.time() - pressed
        window.rest()
        window.shoot(SHOTS / "result.png")
        check_shape(window, things)
        assert changed(before, middle(window)) > 0.1
        print(f"\nFrom the click to a first preview: {previewed:.1f} s, to the mesh: {took:.1f} s")
        busy = window.ticks(pressed, time.time())
        print(f"Without a job, {summary(idle)}\nWith one, {summary(busy)}")
        # Of two free cores, 15 s and 0.1 s are the aim. How long Blender draws for, in software, is not the add-on's.
        assert previewed < 90 and np.quantile(busy[:, 2], 0.999) < 0.2 and np.quantile(undrawn(busy), 0.99) < 0.1

        window.key("ctrl+z")
        window.wait(lambda: not shapes(window), 20, "undo")
        window.rest()
        assert window.state()["objects"] == things
        assert changed(before, middle(window)) < 0.01
        window.key("ctrl+shift+z")
        window.wait(lambda: shapes(window), 20, "redo")

        before = orange(window)
        window.press("dist.look_through(step=1")
        window.rest()
        window.shoot(SHOTS / "outlines.png")
        assert orange(window) > before + 200
        # The picture is beside the sidebar, and no smaller than need be.
        (left, top), (right, bottom) = np.min(window.state()["picture"], 0), np.max(window.state()["picture"], 0)
        regions = window.state()["regions"]
        _, y, _, height = regions["WINDOW"]
        first, last = regions["TOOLS"][0] + regions["TOOLS"][2], regions["UI"][0]
        highest = max(regions[name][1] + regions[name][3] for name in ("HEADER", "TOOL_HEADER"))
        assert first <= left and right <= last and highest <= top and bottom <= y + height
        assert right - left > 0.8 * (last - first) or bottom - top > 0.8 * (y + height - highest)


def test_a_prior_is_chosen_by_its_picture_and_views_are_checked(open_file: OpenFile):
    with open_file("priors.blend") as window:
        window.choose_tab("DIST")
        window.rest()
        # With the mouse at rest, the list comes by itself.
        before = window.pixels().astype(int)
        window.press("dist.check_inputs(")
        assert until(lambda: changed(before, window.pixels()) > 0.02, 20)
        window.rest()
        window.shoot(SHOTS / "views.png")

        # The picture is to the left of the button.
        assert window.state()["prior"] == "table"
        _, y = window.find("dist.import_prior(")
        before = window.pixels().astype(int)
        window.click(window.state()["regions"]["UI"][0] + 60, y)
        window.rest()
        window.shoot(SHOTS / "priors.png")
        rows, columns = np.nonzero(np.abs(window.pixels() - before).max(-1) > 12)
        window.click(np.quantile(columns, 0.1), np.quantile(rows, 0.5))
        window.wait(lambda: window.state()["prior"] != "table", 20, "another prior")
        assert window.state()["prior"] in {"anything", "aeroplane", "car", "chair", "sofa"}


def test_a_thing_of_no_class_from_its_cameras_file_to_its_mesh(open_file: OpenFile):
    with open_file("anything/start.blend") as window:
        window.choose_tab("DIST")
        assert window.state()["prior"] == "anything"
        lights = window.state()["objects"]
        window.press("dist.import_cameras(")
        # The file browser shows the folder that the file is in, and where the cameras are.
        window.accept()
        window.wait(lambda: len(window.state()["objects"]) == len(lights) + 8, 60, "the cameras")
        things = window.state()["objects"]
        before = middle(window)

        pressed = window.press("dist.reconstruct(")
        window.wait(lambda: shapes(window), LONG, "the mesh")
        print(f"\nFrom the click to the mesh of a thing of no class: {time.time() - pressed:.1f} s")
        window.rest()
        window.shoot(SHOTS / "anything.png")
        ((name, made),) = shapes(window).items()
        iou = [value for key, value in made["numbers"].items() if key.startswith("dist_iou_")]
        assert made["type"] == "MESH" and made["faces"] > 500
        assert len(iou) == 8 and np.median(iou) > 0.9
        assert window.state()["objects"].keys() - {name} == things.keys()
        assert changed(before, middle(window)) > 0.1


def test_a_moving_camera_cancel_and_quit(open_file: OpenFile):
    with open_file("shot.blend") as window:
        window.choose_tab("DIST")
        things = window.state()["objects"]
        window.scroll(20)

        window.press("dist.reconstruct(")
        window.wait(window.workers, 60, "the worker")
        window.press("dist.cancel(")
        window.wait(lambda: not window.workers(), 20, "the worker's end")
        window.wait(lambda: window.state()["objects"] == things, 20, "the preview's end")

        window.press("dist.reconstruct(")
        window.wait(lambda: shapes(window), LONG, "the mesh")
        check_shape(window, things)
        window.rest()
        window.shoot(SHOTS / "shot.png")

        pressed = window.press("dist.reconstruct(")
        window.wait(lambda: PREVIEW in window.state()["objects"], LONG, "a preview")
        print(f"\nWith a worker that waited, from the click to a first preview: {time.time() - pressed:.1f} s")
        assert window.workers()
        file = Path(window.state()["file"])
        saved = file.stat().st_mtime
        window.key("ctrl+s")
        window.wait(lambda: file.stat().st_mtime > saved, 30, "the saved file")
        window.rest()
        window.key("ctrl+q")
        if not until(lambda: window.process.poll() is not None, 60):
            window.shoot(SHOTS / "failed.png")
        assert window.process.poll() == 0
        assert until(lambda: not window.workers(), 20)
