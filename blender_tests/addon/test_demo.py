"""The demo's ways, small: the table that is freed from its prior, a thing of no class, and photographs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_tests.support import camera_files
from blender_tests.support.stage import ROOT

SMALL = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tools import demo, demo_report, demo_scene
demo_scene.SIZE, demo_report.SAMPLES = 64, 1
sys.argv = ["demo.py", *sys.argv[2:], "--inside", repr(time.time())]
sys.exit(demo.main())
"""
KEYS = {
    "iou_fit",
    "iou_heldout",
    "chamfer_x1000",
    "chamfer_prior",
    "queries",
    "seconds_fit",
    "seconds_total",
    "iou_per_view",
    "queries_per_purpose",
    "seconds_per_stage",
    "blender",
    "device",
}
RADIUS = 0.6


def demo(python: str, out: Path, *options: str) -> dict[str, object]:
    """Run it in the tools' environment; its numbers."""
    command = [python, "-I", "-c", SMALL, str(ROOT), "--quality", "preview", "--out", str(out)]
    told = subprocess.run(
        [*command, "--json", str(out) + ".json", *options],
        env={**os.environ, "DIST_PYTHON": python},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    for made in ("comparison.png", "result.ply", "demo.blend"):
        assert (out / made).stat().st_size > 1000
    numbers = json.loads(Path(str(out) + ".json").read_text(encoding="utf-8"))
    assert numbers.keys() == KEYS
    return numbers


@pytest.mark.slow
def test_the_table_is_freed_from_its_prior(python: str, tmp_path: Path) -> None:
    numbers = demo(python, tmp_path / "out")
    assert numbers["iou_heldout"] > 0.93 and len(numbers["iou_per_view"]) == 16
    assert 0 < numbers["chamfer_x1000"] < min(numbers["chamfer_prior"], 2)
    assert "free" in numbers["seconds_per_stage"]["worker"] and numbers["queries"] > 0


@pytest.mark.slow
def test_a_mesh_needs_no_class(scene: bpy.types.Scene, python: str, tmp_path: Path) -> None:
    numbers = demo(python, tmp_path / "out", "--mesh", "monkey")
    assert numbers["iou_heldout"] > 0.9 and numbers["chamfer_x1000"] < 2
    assert numbers["chamfer_prior"] is None and numbers["queries"] == 0
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "demo.blend"))
    chosen = bpy.context.scene.dist
    assert chosen.prior == "anything" and chosen.bounds is None and "Bounds" not in bpy.data.objects


def ball(camera: camera_files.Truth) -> np.ndarray:
    """What a camera sees of a chequered ball about the origin before a black ground, (H, W, 3) uint8."""
    width, height = camera.size
    y, x = np.mgrid[:height, :width] + 0.5
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(camera.K).T @ camera.R
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    place = -camera.R.T @ camera.t
    along = rays @ place
    inside = along**2 - place @ place + RADIUS**2
    points = place - rays * (along + np.sqrt(inside.clip(0)))[..., None]
    light = np.where((np.floor(points / 0.15).sum(-1) % 2) == 0, 120, 220)
    return np.where(inside > 0, light, 4)[..., None].repeat(3, -1).astype(np.uint8)


@pytest.mark.slow
def test_photographs_need_a_dark_ground_and_a_file_of_their_cameras(python: str, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    cameras = camera_files.looking_at_origin(12, (160, 120))
    for camera in cameras:
        camera.K = np.array([[320.0, 0, 80], [0, 320.0, 60], [0, 0, 1]])
        camera_files.write_png(folder / camera.picture, ball(camera))
    camera_files.write_transforms(folder, cameras)
    numbers = demo(python, tmp_path / "out", "--photos", str(folder))
    assert len(numbers["iou_per_view"]) == 12 and numbers["iou_heldout"] > 0.95
    assert numbers["chamfer_x1000"] is None and numbers["chamfer_prior"] is None
