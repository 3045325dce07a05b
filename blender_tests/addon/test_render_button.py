"""Render Shape, from the panel and the command line, with a stand-in worker."""

from __future__ import annotations

import json

import bpy
import pytest

from blender_tests.support.drawing import draw
from blender_tests.support.stage import add_camera, make_job_folder, wait_until
from dist_addon import (
    cli,
)
from dist_addon.operators import running


@pytest.fixture
def camera(scene):
    scene.camera = add_camera(scene.collection, "Eye", 1.0, None)
    bpy.context.view_layer.update()
    return scene.camera


def add_result(scene):
    thing = bpy.data.objects.new("Shape", None)
    thing["dist_code"], thing["dist_scale"], thing["dist_prior"] = [0.5, -0.5], 2.0, "cone"
    scene.collection.objects.link(thing)
    return thing


def test_a_rendering_needs_a_camera(scene, rig, stand_in):
    with pytest.raises(RuntimeError, match="The scene has no camera: add one first"):
        bpy.ops.dist.render_shape()
    scene.camera = rig.objects["Cam0"]
    assert bpy.ops.dist.render_shape.poll()


def test_the_render_button_blocks_in_background(scene, camera, stand_in):
    scene.dist.render_code = 1
    assert bpy.ops.dist.render_shape() == {"FINISHED"}
    assert tuple(bpy.data.images["DIST Depth"].size) == (3, 2)
    assert scene.dist.last_job == str(stand_in)
    asked = json.loads((stand_in / "request.json").read_text())
    assert asked["task"] == "render" and asked["code"] == [3, 6]


def test_the_render_button_takes_the_bounds(scene, camera, rig, stand_in):
    scene.dist.bounds.location = (1, 2, 3)
    assert bpy.ops.dist.render_shape() == {"FINISHED"}
    assert json.loads((stand_in / "request.json").read_text())["placement"]["translation"] == [1, 2, 3]


def test_the_render_button_takes_the_active_reconstruction(scene, camera, rig, stand_in):
    assert ("prop", "render_code") in draw()
    bpy.context.view_layer.objects.active = add_result(scene)
    drawn = draw()
    assert ("label", "The shape of “Shape”") in drawn and ("prop", "render_code") not in drawn
    assert bpy.ops.dist.render_shape() == {"FINISHED"}
    asked = json.loads((stand_in / "request.json").read_text())
    assert asked["code"] == [0.5, -0.5] and asked["placement"]["scale"] == 2.0 and asked["prior"] == "cone"


def test_the_render_button_tells_what_is_wrong(scene, camera, stand_in):
    scene.dist.render_code = 2
    with pytest.raises(RuntimeError, match=r"no shape 2.*0 to 1"):
        bpy.ops.dist.render_shape()
    assert not any(stand_in.iterdir())
    assert (running.jobs.outcome.failed, running.jobs.outcome.task) == (True, "render")
    assert sum("no shape 2" in str(entry) for entry in draw()) == 1
    make_job_folder(stand_in, "memory")
    scene.dist.render_code = 0
    with pytest.raises(RuntimeError, match="ran out of memory"):
        bpy.ops.dist.render_shape()


def test_a_rendering_beside_the_window(scene, camera, stand_in, monkeypatch):
    monkeypatch.setattr(running, "in_background", lambda: False)
    assert bpy.ops.dist.render_shape() == {"FINISHED"}
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert not running.jobs.outcome.failed and "Made the images DIST Depth" in running.jobs.outcome.text
    assert "DIST Normal" in bpy.data.images and len(scene.objects) == 1


def test_a_script_beside_the_window_can_wait(scene, camera, stand_in, monkeypatch):
    monkeypatch.setattr(running, "in_background", lambda: False)
    assert bpy.ops.dist.render_shape(wait=True) == {"FINISHED"}
    assert not running.jobs.queue.runs and "DIST Normal" in bpy.data.images


def test_a_rendering_beside_the_window_is_cancelled(scene, camera, stand_in, monkeypatch):
    monkeypatch.setattr(running, "in_background", lambda: False)
    make_job_folder(stand_in, "wait")
    bpy.ops.dist.render_shape()
    wait_until(lambda: running.jobs.tick() and (stand_in / "ready.txt").exists(), 20)
    bpy.ops.dist.cancel()
    wait_until(lambda: running.jobs.tick() is None, 5)
    assert (running.jobs.outcome.text, running.jobs.outcome.failed) == ("The rendering was cancelled.", False)
    assert not bpy.data.images


def test_a_rendering_is_imported_again(scene, camera, stand_in):
    bpy.ops.dist.render_shape()
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)
    assert bpy.ops.dist.import_result(folder=str(stand_in)) == {"FINISHED"}
    assert "DIST Silhouette" in bpy.data.images


def test_an_open_image_editor_shows_the_normals(scene, camera, stand_in):
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    bpy.context.scene.dist.prior = "cone"
    area = bpy.data.window_managers[0].windows[0].screen.areas[0]
    area.type = "IMAGE_EDITOR"
    bpy.ops.dist.render_shape()
    assert area.spaces.active.image == bpy.data.images["DIST Normal"]
    # What the user chose among the images stays.
    area.spaces.active.image = bpy.data.images["DIST Depth"]
    bpy.ops.dist.render_shape()
    assert area.spaces.active.image == bpy.data.images["DIST Depth"]


def test_the_command_line_renders(scene, camera, stand_in, tmp_path, capfd):
    arguments = ["render", "--camera", "Eye", "--prior", "cone", "--code", "1", "--size", "12x34"]
    arguments += ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "report.json")]
    assert cli.main(arguments) == 0
    assert "Loading" in capfd.readouterr().err
    assert json.loads((tmp_path / "report.json").read_text())["queries"] == {"grid": 7}
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["depth.exr", "normal.exr", "normal.png", "silhouette.png"]
    asked = json.loads((stand_in / "request.json").read_text())
    assert (asked["width"], asked["height"], asked["code"]) == (12, 34, [3, 6])
    # The mean is the default; an object is named.
    assert cli.main(["render"]) == 0
    assert json.loads((stand_in / "request.json").read_text())["code"] == [2, 4]
    add_result(scene).location = (1, 2, 3)
    assert cli.main(["render", "--code", "Shape"]) == 0
    asked = json.loads((stand_in / "request.json").read_text())
    assert asked["code"] == [0.5, -0.5] and asked["placement"]["translation"] == [1, 2, 3]


def test_the_command_line_tells_why_it_does_not_render(scene, camera, stand_in, capfd):
    for arguments, words in [
        (["--camera", "Nowhere"], "no object “Nowhere”"),
        (["--code", "Nowhere"], "no object “Nowhere”"),
        (["--code", "7"], "no shape 7"),
        (["--prior", "spoon"], "no shape prior “spoon”"),
    ]:
        assert cli.main(["render", *arguments]) == 1
        assert words in capfd.readouterr().err
    assert cli.main(["render", "--size", "large"]) == 2
    assert not any(stand_in.iterdir())
    make_job_folder(stand_in, "error")
    assert cli.main(["render"]) == 1
