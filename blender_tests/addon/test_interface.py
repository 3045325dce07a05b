"""Operators, panels and the command line, headless and with a stand-in worker."""

from __future__ import annotations

import json
import os
import warnings

import blf
import bpy
import numpy as np
import pytest

from blender_tests.support.drawing import draw
from blender_tests.support.stage import is_alive, make_job_folder, make_picture, wait_until
from dist_addon import (
    api,
    cli,
    labels,
    panels,
    properties,
    registration,
    thumbnails,
)
from dist_addon.api import checks, common
from dist_addon.operators import check_inputs, running


def test_everything_is_registered():
    for cls in registration.CLASSES:
        assert cls.is_registered, cls
    for panel in (cls for cls in panels.CLASSES if issubclass(cls, bpy.types.Panel)):
        assert (panel.bl_space_type, panel.bl_region_type, panel.bl_category) == ("VIEW_3D", "UI", "DIST")


def test_the_panels_offer_what_is_needed(scene, rig):
    scene.dist.prior = "table"
    drawn = draw()
    refined = ("refine_placement", "refine_cameras", "refine_focal_length")
    for name in ("cameras", "points", "bounds", "prior", "quality", "start", "freedom", *refined):
        assert ("prop", name) in drawn
    assert ("prop", "refine_shape") not in drawn
    assert ("operator", "dist.reconstruct") in drawn and ("operator", "dist.cancel") not in drawn
    assert {("operator", "dist.import_cameras"), ("operator", "dist.import_prior")} <= set(drawn)


def test_the_panels_ask_for_what_the_views_need(scene, rig):
    views = scene.dist.views
    drawn = draw()
    assert ("prop", "pictures") in drawn and ("prop", "mask_source") in drawn and ("prop", "depth_folder") in drawn
    assert not {("prop", "frame_step"), ("prop", "tracks"), ("prop", "depth_kind"), ("prop", "normal_space")} & set(
        drawn
    )
    views.depth_folder = views.normal_folder = "somewhere"
    assert {("prop", "depth_kind"), ("prop", "depth_scale"), ("prop", "normal_space")} <= set(draw())
    assert ("prop", "use_colours") in drawn
    for source, needed in [("FOLDER", "mask_folder"), ("MASK", "mask"), ("BACKGROUND", "mask_tolerance")]:
        assert ("prop", needed) not in draw()
        views.mask_source = source
        assert ("prop", needed) in draw()
    for camera in list(rig.objects)[1:]:
        rig.objects.unlink(camera)
    rig.objects[0].data.background_images[0].image.source = "SEQUENCE"
    assert {("prop", "frame_step"), ("prop", "tracks")} <= set(draw())
    scene.dist.cameras = None
    assert ("prop", "mask_source") not in draw()


def test_the_views_are_listed_with_what_is_wrong(scene, rig):
    rig.objects["Cam1"].data.background_images.clear()
    assert bpy.ops.dist.check_inputs() == {"FINISHED"}
    shown = [entry[1] for entry in draw() if entry[0] == "label"]
    assert shown.count("32 x 24, mask on 8%") == 2 and shown.index("Cam1: no picture") < shown.index("Cam0: Pic0")
    assert "“Cam1” has no picture" in " ".join(shown)
    # What was found of other choices says nothing.
    scene.dist.views.mask_source = "BACKGROUND"
    assert not any("Pic0" in str(entry) for entry in draw())
    scene.dist.views.mask_source = "MASK"
    with pytest.raises(RuntimeError, match="No mask was chosen"):
        bpy.ops.dist.check_inputs()
    scene.dist.cameras = None
    assert not bpy.ops.dist.check_inputs.poll()


def test_the_views_are_shown_small(scene, rig, monkeypatch):
    # Left half red, right half green, of which the upper left is the thing; wider than a thumbnail.
    pixels = np.zeros((150, 200, 4), np.float32)
    pixels[:, :100, 0] = pixels[:, 100:, 1] = 1
    pixels[75:, :100, 3] = 1
    image = make_picture("Pic0", 200, 150)
    image.pixels.foreach_set(pixels.ravel())
    rig.objects["Cam0"].data.background_images[0].image = image
    # Without a mask a picture is shown, too.
    rig.objects["Cam1"].data.background_images[0].image = make_picture("Opaque", alpha=1.0)
    rig.objects["Cam2"].data.background_images.clear()
    assert bpy.ops.dist.check_inputs() == {"FINISHED"}
    pictures = check_inputs.views.pictures
    assert len(pictures) == 2
    width, height = pictures["0"].image_size
    assert (width, height) == (66, 50)
    shown = np.empty(width * height * 4, np.float32)
    pictures["0"].image_pixels_float.foreach_get(shown)
    shown = shown.reshape(height, width, 4)[::-1]
    np.testing.assert_allclose(shown[2, 2], [1, 0, 0, 1], atol=0.01)
    np.testing.assert_allclose(shown[-2, -2], [0, 1, 0, 0.25], atol=0.01)
    np.testing.assert_allclose(shown[-2, 2], [1, 0, 0, 0.25], atol=0.01)
    opaque = np.empty(4 * 32 * 24, np.float32)
    pictures["1"].image_pixels_float.foreach_get(opaque)
    np.testing.assert_allclose(opaque, 1)
    # Without a window a picture has no number.
    monkeypatch.setattr(thumbnails.Pictures, "icon", lambda _self, name: 7 + int(name))
    assert [entry[1] for entry in draw() if entry[0] == "icon"] == [8, 9, 7]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (96, 7), (97, 1), (5000, 3), (1001, 997)])
def test_thumbnails_of_any_shape(size):
    colours = np.full((size[1], size[0], 3), 51, np.uint8)
    made = checks.shrink(colours, np.full((size[1], size[0]), 255, np.uint8))
    assert 1 <= max(made.shape[:2]) <= checks.THUMBNAIL and min(made.shape[:2]) >= 1
    np.testing.assert_allclose(made, np.broadcast_to([0.2, 0.2, 0.2, 1], made.shape), atol=1e-6)


def test_each_built_in_prior_has_a_small_picture(scene, monkeypatch):
    for prior in api.priors():
        assert 500 < prior.picture.stat().st_size < 20_000
    # Without a window a picture has no number.
    monkeypatch.setattr(thumbnails.Pictures, "of_file", lambda _self, path: {"car": 7, "chair": 9}.get(path.stem, 0))
    icons = {name: icon for name, _, _, icon, _ in properties._list_priors(None, None)}
    assert (icons["car"], icons["chair"], icons["table"]) == (7, 9, "SHAPEKEY_DATA")
    # And so has that there is none, which comes first.
    assert next(iter(icons)) == "anything" and properties.ANYTHING_PICTURE.stat().st_size < 20_000


def test_a_picture_that_was_made_anew_is_loaded_anew(tmp_path):
    path = tmp_path / "own.png"
    pictures = thumbnails.Pictures()
    assert pictures.of_file(path) == 0 and len(pictures) == 0
    for stamp in (1, 1, 2):
        path.touch()
        os.utime(path, (stamp, stamp))
        pictures.of_file(path)
    assert len(pictures) == 2
    pictures.close()
    assert len(pictures) == 0


def test_nothing_can_start_without_inputs(scene):
    assert not bpy.ops.dist.reconstruct.poll() and not bpy.ops.dist.make_bounds.poll()
    assert not bpy.ops.dist.cancel.poll()


def test_the_button_blocks_in_background(scene, rig, stand_in):
    assert bpy.app.background
    assert bpy.ops.dist.reconstruct() == {"FINISHED"}
    assert "DIST Shape" in scene.objects
    assert scene.dist.last_job == str(stand_in)


def test_the_button_tells_what_is_wrong(scene, rig, stand_in):
    bpy.data.objects["Box"].scale = (0, 0, 0)
    with pytest.raises(RuntimeError, match="“Box” have no size"):
        bpy.ops.dist.reconstruct()
    assert any("Box" in str(entry) for entry in draw())
    assert not any(stand_in.iterdir())


def test_the_button_tells_why_the_worker_failed(scene, rig, stand_in):
    make_job_folder(stand_in, "error")
    with pytest.raises(RuntimeError, match="The masks do not agree"):
        bpy.ops.dist.reconstruct()


def start_beside(scene, stand_in, mode):
    """Start a job as the window does; timers don't fire in background mode, so the tests call `tick`."""
    make_job_folder(stand_in, mode)
    with common.in_line():
        job = api.start_reconstruction(scene.dist.cameras, scene.dist.bounds, prior=scene.dist.prior)
    assert job.state == "queued"
    running.jobs.watch(job, scene)
    assert running.jobs.timer.is_set
    return job


def test_a_job_beside_the_window_is_imported(scene, rig, stand_in):
    start_beside(scene, stand_in, "result")
    # Another one could be put in line.
    assert bpy.ops.dist.reconstruct.poll() and bpy.ops.dist.cancel.poll()
    assert ("operator", "dist.cancel") in draw()
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert "DIST Shape" in scene.objects and not running.jobs.outcome.failed
    assert running.jobs.outcome.text == (
        "Added “DIST Shape”. Its outlines overlap the pictures' by 85% (IoU). "
        "Far less than the others: Cam1. Check the mask and the camera there.\nA view is of little use."
    )
    assert bpy.ops.dist.reconstruct.poll()


def test_a_job_beside_the_window_is_cancelled(scene, rig, stand_in, monkeypatch):
    job = start_beside(scene, stand_in, "wait")
    wait_until(lambda: running.jobs.tick() and running.jobs.queue.current.progress.step == 3, 20)
    # Without a window a picture has no number.
    monkeypatch.setattr(thumbnails.Pictures, "icon", lambda _self, name: 7 * (name == running.LOSSES))
    drawn = draw()
    assert ("progress", "3/3, loss 0.3333, 0 s left", 1.0) in drawn and ("icon", 7) in drawn
    assert ("label", "Fitting the shape") in drawn and ("label", "Loading") not in drawn
    assert bpy.ops.dist.cancel() == {"FINISHED"}
    assert ("label", "Cancelling") in draw() and not bpy.ops.dist.cancel.poll()
    wait_until(lambda: not is_alive(job.pid), 3)
    wait_until(lambda: running.jobs.tick() is None, 3)
    assert running.jobs.outcome.text == "The reconstruction was cancelled." and not running.jobs.outcome.failed


def test_the_loss_curve_falls(scene):
    jobs = running.RunningJobs()
    jobs.draw_losses([(1, 1.0)])
    assert len(jobs.curve) == 0
    jobs.draw_losses([(step, 10.0 ** (-step / 50)) for step in range(101)])
    picture = jobs.curve[running.LOSSES]
    width, height = picture.image_size
    pixels = np.empty(width * height * 4, np.float32)
    picture.image_pixels_float.foreach_get(pixels)
    # Where the curve is: the brightest red of each column, counted from below.
    rows = pixels.reshape(height, width, 4)[..., 0].argmax(axis=0)[40:]
    assert (np.diff(rows) <= 0).all() and rows[0] > 0.8 * height and rows[-1] < 0.2 * height
    jobs.draw_losses([])
    assert len(jobs.curve) == 0 and jobs.curve.icon(running.LOSSES) == 0


def test_a_failure_beside_the_window_is_shown(scene, rig, stand_in):
    start_beside(scene, stand_in, "traceback")
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert running.jobs.outcome.failed and "KeyError: 'the cause'" in running.jobs.outcome.text
    assert any("KeyError" in str(entry) for entry in draw())


def test_a_closed_scene_gets_no_import(scene, rig, stand_in):
    start_beside(scene, stand_in, "result")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert len(bpy.data.objects) == 0
    assert str(stand_in) in running.jobs.outcome.text
    assert bpy.ops.dist.import_result(folder=str(stand_in)) == {"FINISHED"}
    assert "DIST Shape" in bpy.context.scene.objects


def test_another_file_shows_no_old_outcome(scene, rig):
    running.jobs.say("Added “DIST Shape”.")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert running.jobs.outcome.text == ""


def test_a_file_saved_meanwhile_gets_its_import(scene, rig, stand_in, tmp_path):
    start_beside(scene, stand_in, "result")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere.blend"))
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert "DIST Shape" in scene.objects, running.jobs.outcome.text


def test_undoing_an_import_keeps_the_last_job(scene, rig, stand_in, monkeypatch):
    # The button as in a window, where it does not wait.
    monkeypatch.setattr(running, "in_background", lambda: False)
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="Before")
    assert bpy.ops.dist.reconstruct("EXEC_DEFAULT", True) == {"FINISHED"}
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert "DIST Shape" in bpy.data.objects
    bpy.ops.ed.undo()
    assert "DIST Shape" not in bpy.data.objects
    assert bpy.context.scene.dist.last_job == str(stand_in)


def test_long_texts_are_cut_into_lines_that_fit(scene):
    path = "/a/folder" + "/with/a/long/name" * 6
    text = f"The picture “Pic0” of camera “Cam0” is not on disk at {path}: find it."
    lines = labels.wrap(text, bpy.context)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    blf.size(0, bpy.context.preferences.ui_styles[0].widget.points)
    assert all(0 < blf.dimensions(0, line)[0] <= 300 - labels.MARGINS for line in lines)


def test_an_import_can_be_undone(scene, rig, stand_in):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="Before")
    start_beside(scene, stand_in, "result")
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert "DIST Shape" in bpy.data.objects and "Added “DIST Shape”" in running.jobs.outcome.text
    bpy.ops.ed.undo()
    assert "DIST Shape" not in bpy.data.objects and "Cam0" in bpy.data.objects
    # The panel tells of no object that is gone.
    assert running.jobs.outcome.text == ""


def test_paths_may_begin_at_the_blend_file(scene, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"), check_existing=False)
    scene = bpy.context.scene
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene.dist.training.folder = "//meshes"
        scene.dist.views.pictures = scene.dist.views.mask_folder = "//pictures"
        for operator, name in ((bpy.ops.dist.import_result, "folder"), (bpy.ops.dist.import_result, "directory")):
            with pytest.raises(RuntimeError, match=f"The folder {tmp_path}/a holds no result"):
                operator(**{name: "//a"})
        with pytest.raises(RuntimeError, match=f"{tmp_path}/a holds no specs"):
            bpy.ops.dist.import_prior(directory="//a")
        with pytest.raises(RuntimeError, match=f"no file {tmp_path}/a"):
            bpy.ops.dist.import_cameras(filepath="//a")


def test_an_import_without_a_result_is_refused(scene, tmp_path):
    with pytest.raises(RuntimeError, match="holds no result"):
        bpy.ops.dist.import_result(folder=str(tmp_path))


# The command line.


def test_the_command_line(scene, rig, stand_in, tmp_path, capfd):
    arguments = ["reconstruct", "--cameras", "Rig", "--bounds", "Box", "--quality", "preview"]
    arguments += ["--out", str(tmp_path / "out.blend"), "--json", str(tmp_path / "report.json")]
    assert cli.main(arguments) == 0
    told = capfd.readouterr().err
    assert "fit 3/3" in told and "overlap the pictures' by 85% (IoU)" in told
    assert json.loads((tmp_path / "report.json").read_text())["scale"] == 1.5
    with bpy.data.libraries.load(str(tmp_path / "out.blend")) as (found, _):
        assert "DIST Shape" in found.objects
    assert json.loads((stand_in / "request.json").read_text())["settings"]["iterations"] == 30


def test_the_command_line_tells_what_is_wrong(scene, rig, stand_in, capfd):
    assert cli.main(["reconstruct", "--cameras", "Nowhere"]) == 1
    assert "no collection “Nowhere”: it has “Rig”" in capfd.readouterr().err
    assert cli.main(["reconstruct", "--cameras", "Rig", "--masks", "dark"]) == 1
    assert "“dark” are neither “alpha” nor “background”" in capfd.readouterr().err
    assert cli.main(["reconstruct", "--quality", "best"]) == 2
    assert cli.main([]) == 2
    assert cli.main(["--help"]) == 0
    make_job_folder(stand_in, "error")
    assert cli.main(["reconstruct"]) == 1
    assert "The masks do not agree" in capfd.readouterr().err
    scene.dist.cameras = None
    assert cli.main(["reconstruct"]) == 1
    assert "with --cameras" in capfd.readouterr().err
