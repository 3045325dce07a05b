"""A result's way into the scene, with a stand-in worker."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from blender_tests.support.drawing import draw
from blender_tests.support.stage import make_job_folder
from dist_addon import api, live
from dist_addon.jobs import JobError, read_record
from dist_addon.operators import running
from dist_addon.operators.result import DIST_OT_import_result
from dist_addon.scene.result import (
    add_result,
    has_code,
    how_well,
    is_result,
    overlap,
    replace_mesh,
    reset_code,
    set_code,
)
from dist_addon.worker.dist_engine.protocol import Request, RequestError, Result

ODD = "Far less than the others: Cam1. Check the mask and the camera there."
CORNERS = [[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]]


def make(scene, rig, worker, prior, folder, **options):
    return api.reconstruct(rig, bpy.data.objects["Box"], prior=prior, worker_folder=worker, folder=folder, **options)


def test_a_reconstruction_stands_in_the_scene(scene, rig, worker, prior, tmp_path):
    before = {thing.name: thing.matrix_world.copy() for thing in scene.objects}
    told = []
    found = make(scene, rig, worker, prior, tmp_path / "job", progress=lambda p: told.append(str(p)))
    assert told[0] == "Loading" and "fit 3/3, loss 0.3333, 0 s left" in told
    assert found.report["scale"] == 1.5 and found.folder == (tmp_path / "job").resolve()
    assert (found.folder / "prior.safetensors").read_bytes() == prior.read_bytes()

    thing = found.object
    collections = [collection.name for collection in thing.users_collection]
    assert collections == ["DIST Reconstructions"]
    bpy.context.view_layer.update()
    # A quarter turn about z, then the shift, by hand.
    world = [thing.matrix_world @ vertex.co for vertex in thing.data.vertices]
    np.testing.assert_allclose(world, [[10, 20, 30], [10, 21, 30], [8, 20, 30], [10, 20, 33]], atol=1e-5)
    assert tuple(thing.scale) == (1, 1, 1)
    assert [tuple(polygon.vertices) for polygon in thing.data.polygons] == [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    assert len(thing.data.edges) == 6 and all(polygon.use_smooth for polygon in thing.data.polygons)
    expected = np.array([[-1, -1, -1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) / [[3**0.5], [1], [1], [1]]
    for loop, normal in zip(thing.data.loops, thing.data.corner_normals, strict=True):
        np.testing.assert_allclose(normal.vector, expected[loop.vertex_index], atol=1e-2)
    assert (thing["dist_scale"], thing["dist_device"], thing["dist_queries_march"]) == (1.5, "cpu", 5e9)
    assert (thing["dist_iou_Cam0"], thing["dist_iou_Cam1"], thing["dist_disagree"]) == (0.9, 0.8, "Cam1")
    assert overlap(scene, "Cam1") == (thing.name, 0.8) and overlap(scene, "Cam2") is None
    values = np.array([point.value for point in thing.data.attributes["uncertainty"].data])
    np.testing.assert_allclose(values, [0.01, 0.02, 0.03, 0.04])
    # What is least sure is the brightest.
    colours = np.array([point.color[:] for point in thing.data.color_attributes["uncertainty_color"].data])
    assert colours.shape == (4, 4) and (np.diff(colours[:, :3] @ [0.21, 0.72, 0.07]) > 0).all()

    # The pictures' colours are what a render shows.
    painted = [point.color_srgb[:3] for point in thing.data.color_attributes["Color"].data]
    np.testing.assert_allclose(painted, np.array([[255, 0, 0], [0, 128, 0], [0, 0, 255], [9, 9, 9]]) / 255, atol=1e-3)
    assert thing.data.color_attributes.active_color.name == "Color"
    (material,) = thing.data.materials
    (link,) = [link for link in material.node_tree.links if link.to_socket.name == "Base Color"]
    assert link.from_node.layer_name == "Color"

    assert before == {name: scene.objects[name].matrix_world for name in before}
    assert not thing.select_get() and bpy.context.view_layer.objects.active is None

    again = api.import_result(found.folder)
    assert again != thing and again.users_collection == thing.users_collection


def test_cameras_of_any_name_have_an_overlap(scene, rig, worker, prior, tmp_path):
    """Blender's custom properties have names of at most 63 bytes, its objects may have so long ones themselves."""
    result = Result.load(make(scene, rig, worker, prior, tmp_path / "job").folder)
    long = "Kamera für die Übersicht von links hinten oben am Gerüst, 01"
    told = {"iou": {long: 0.75, long[:-1] + "2": 0.25}, "residuals": {"depths": {long: 0.5}}}
    thing = add_result(replace(result, report=result.report | told), scene)
    assert overlap(scene, long) == (thing.name, 0.75) and overlap(scene, long[:-1] + "2") == (thing.name, 0.25)
    assert [value for name, value in thing.items() if name.startswith("dist_residuals_depths_")] == [0.5]


def test_a_result_that_shows_something_else_is_called_poor(scene, rig, worker, prior, tmp_path, capfd):
    folder = make(scene, rig, worker, prior, tmp_path / "job").folder
    data = json.loads((folder / "result.json").read_text())
    # One wrong mask does not make it poor.
    data["report"] |= {"iou": {"Cam0": 0.1, "Cam1": 0.9, "Cam2": 0.97}, "disagree": ["Cam0"]}
    (folder / "result.json").write_text(json.dumps(data))
    told, poor = how_well(api.import_result(folder))
    assert "by 90% (IoU). Far less than the others: Cam0." in told and not poor
    data["report"] |= {"iou": {"Cam0": 0.7, "Cam1": 0.8}, "disagree": []}
    (folder / "result.json").write_text(json.dumps(data))
    thing = api.import_result(folder)
    told, poor = how_well(thing)
    assert poor and "only 75% (IoU): the thing is of another kind than the shape prior" in told
    assert bpy.ops.dist.import_result(folder=str(folder)) == {"FINISHED"}
    assert "Warning: Added" in capfd.readouterr().out
    # A shape that was changed since was compared with nothing.
    set_code(thing, np.array(thing["dist_code"]) + 0.1)
    assert how_well(thing) == ("", False) and overlap(scene, "Cam0")[0] != thing.name
    reset_code(thing)
    assert "75%" in how_well(thing)[0]


def free(result: Result, **told) -> Result:
    """A result of no class: neither a prior nor a code."""
    report = {name: value for name, value in result.report.items() if name not in ("prior", "code")}
    return replace(result, report=report | {"shape": "free", "cells": 64} | told)


def test_a_thing_of_no_class_stands_in_the_scene(scene, rig, worker, prior, tmp_path, capfd):
    result = Result.load(make(scene, rig, worker, prior, tmp_path / "job").folder)
    thing = add_result(free(result), scene)
    assert is_result(thing) and not has_code(thing)
    assert (thing["dist_shape"], thing["dist_cells"], thing["dist_scale"]) == ("free", 64, 1.5)
    assert overlap(scene, "Cam1") == (thing.name, 0.8) and "85% (IoU)" in how_well(thing)[0]
    # Nothing speaks of a prior that it never had.
    told, poor = how_well(add_result(free(result, iou={"Cam0": 0.5}), scene))
    assert poor and "only 50% (IoU): masks, cameras or bounds are wrong" in told and "prior" not in told
    # All that works on codes says why it does not.
    bpy.context.view_layer.objects.active = thing
    thing.select_set(True)
    scene.camera = rig.objects[0]
    for operator in (bpy.ops.dist.render_shape, bpy.ops.dist.reset_shape, bpy.ops.dist.blend_shapes):
        assert not operator.poll()
    with pytest.raises(RuntimeError, match=r"is of no class: it has no prior and no code, only its mesh\. Render that"):
        bpy.ops.dist.render_shape()
    drawn = [entry[1] for entry in draw() if entry[0] == "label"]
    assert "is of no class" in " ".join(drawn)
    assert not any(entry == ("prop", "axes") for entry in draw())
    live.meshes.check()
    for call in (
        lambda: api.render_shape(code=thing),
        lambda: api.reshape(thing, "mean"),
        lambda: api.blend_shapes(thing, thing),
        lambda: api.gather(rig, prior=prior, start=thing),
    ):
        with pytest.raises(RequestError, match=f"“{thing.name}” is of no class: it has no prior and no code"):
            call()
    assert len(api.gather(rig, start=thing).start_faces) == 4


def test_a_surface_that_left_its_prior_says_how_far(scene, rig, worker, prior, tmp_path):
    result = Result.load(make(scene, rig, worker, prior, tmp_path / "job").folder)
    left = {"freedom": "some", "departure": {"rms": 0.02, "largest": 0.125}}
    report = result.report | {"shape": "free", "prior": str(prior)} | left
    moved = np.array([0.0, -0.125, 0.01, 0.02], np.float32)
    thing = add_result(replace(result, report=report, departure=moved), scene)
    values = thing.data.attributes["departure"]
    assert (values.domain, values.data_type) == ("POINT", "FLOAT")
    np.testing.assert_array_equal([point.value for point in values.data], moved)
    assert (thing["dist_departure_rms"], thing["dist_departure_largest"]) == (0.02, 0.125)
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.01
    assert how_well(thing)[0].endswith("Its surface has left the prior's shape by up to 1.25 mm.")
    scene.unit_settings.system = "NONE"
    assert how_well(thing)[0].endswith("by up to 0.125.")
    # Its code is that of the shape that it left: good to start from, not to be shown as what it is.
    assert is_result(thing) and not has_code(thing)
    scene.camera = rig.objects[0]
    with pytest.raises(RequestError, match="has left its prior's shape, so no code says what it is"):
        api.render_shape(code=thing)
    np.testing.assert_allclose(api.gather(rig, prior=prior, start=thing).code, [0.5, -0.5])
    # Nothing of it where the mesh is another one.
    other = add_result(replace(result, report=report, departure=moved[:3]), scene)
    assert "departure" not in other.data.attributes
    started = add_result(free(result, iou={}, **left), scene)
    assert how_well(started) == ("Its surface has left the mesh that it started from by up to 0.125.", False)


def test_no_prior_of_an_earlier_job_is_left_in_its_folder(scene, rig, worker, prior, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = make(scene, rig, worker, prior, tmp_path / "job").folder
    assert (folder / "prior.safetensors").exists()
    make(scene, rig, worker, "anything", folder)
    assert not (folder / "prior.safetensors").exists() and Request.load(folder).prior == ""
    assert read_record(folder).name == ""
    # Nor is one missed when it runs again.
    again = api.rerun(folder, worker_folder=worker)
    again.wait()
    assert again.state == "done" and not (again.folder / "prior.safetensors").exists()
    # A prior that is lost does not make the thing one of no class.
    make(scene, rig, worker, prior, folder)
    (folder / "prior.safetensors").unlink()
    with pytest.raises(RequestError, match=r"prior\.safetensors"):
        api.rerun(folder, worker_folder=worker)


def test_shapes_of_a_prior_want_one(scene, rig):
    scene.camera = rig.objects[0]
    for operator in (bpy.ops.dist.sample_shape, bpy.ops.dist.render_shape):
        with pytest.raises(RuntimeError, match="Choose a shape prior first: Anything has no shapes of its own"):
            operator()
    scene.dist.prior = "table"
    assert bpy.ops.dist.sample_shape.poll() and bpy.ops.dist.render_shape.poll()
    with pytest.raises(RequestError, match="no shape prior “anything”"):
        api.sample_shape(prior="anything")


def test_a_result_is_selected_by_who_asks_for_it(scene, rig, worker, prior, tmp_path):
    folder = str(make(scene, rig, worker, prior, tmp_path / "job").folder)
    told = []

    def press(asked: bool) -> None:
        """As the button does, or as a job's end does."""
        operator = SimpleNamespace(
            folder=folder, options=SimpleNamespace(is_invoke=asked), report=lambda *words: told.append(words)
        )
        assert DIST_OT_import_result.execute(operator, bpy.context) == {"FINISHED"}

    press(asked=False)
    assert bpy.context.view_layer.objects.active is None
    press(asked=True)
    assert bpy.context.view_layer.objects.active == scene.objects["DIST Shape.002"]
    # Where Blender does not show it, it cannot be selected.
    layer = bpy.context.view_layer.layer_collection.children["DIST Reconstructions"]
    layer.exclude = True
    press(asked=True)
    layer.exclude = False
    assert "Added “DIST Shape.003”" in told[-1][1]


def test_a_new_shape_has_not_the_old_ones_colours(scene, rig, worker, prior, tmp_path):
    found = make(scene, rig, worker, prior, tmp_path / "job")
    thing, own = found.object, bpy.data.materials.new("Oak")
    thing.data.materials.append(own)
    replace_mesh(thing, replace(Result.load(found.folder), colours=None))
    assert list(thing.data.materials) == [own] and "Color" not in thing.data.color_attributes


def test_refined_cameras_come_beside_the_old_ones(scene, rig, worker, prior, tmp_path):
    folder = make(scene, rig, worker, prior, tmp_path / "job").folder
    data = json.loads((folder / "result.json").read_text())
    turned = [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 5]]
    data["report"]["cameras"] = [
        {"name": name, "K": [[40, 0, 16], [0, 40, 12], [0, 0, 1]], "world_to_camera": turned, "width": 32, "height": 24}
        | {"turned": 3.0, "moved": 0.25}
        for name in ("Cam0", "Cam1")
    ]
    (folder / "result.json").write_text(json.dumps(data))
    old = bpy.data.objects["Cam0"]
    before = old.matrix_world.copy()
    thing = api.import_result(folder)
    added = [camera for camera in thing.users_collection[0].objects if camera.type == "CAMERA"]
    assert sorted(camera.name for camera in added) == ["Cam0 refined", "Cam1 refined"]
    camera = bpy.data.objects["Cam0 refined"]
    assert camera.data.lens == pytest.approx(45) and tuple(camera.matrix_world.translation) == (0, 0, 5)
    assert (camera["dist_iou"], camera["dist_turned"], camera["dist_moved"]) == (0.9, 3.0, 0.25)
    assert camera.data.background_images[0].image == old.data.background_images[0].image
    assert old.matrix_world == before and not old.data.name.endswith("refined")
    assert running._made(SimpleNamespace(task="reconstruct"), [thing, *added]) == [
        f"Added “{thing.name}”. Its outlines overlap the pictures' by 85% (IoU). {ODD} “DIST Shape” "
        "stands there, too: hide one of them (H) to see the other.",
        "Added 2 refined cameras, turned by up to 3.0° from where they were.",
    ]


def test_a_failed_worker_is_an_error(scene, rig, worker, prior, tmp_path):
    with pytest.raises(JobError, match="masks do not agree"):
        make(scene, rig, worker, prior, make_job_folder(tmp_path / "job", "error"))


def test_an_old_result_is_not_taken_for_a_new_one(scene, rig, worker, prior, tmp_path):
    make(scene, rig, worker, prior, tmp_path / "job")
    (tmp_path / "job" / "mode.txt").write_text("silent")
    with pytest.raises(JobError):
        make(scene, rig, worker, prior, tmp_path / "job")
    with pytest.raises(RequestError, match="holds no result"):
        api.import_result(tmp_path / "job")


def test_a_folder_is_made_where_none_is_given(scene, rig, worker, prior, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = make(scene, rig, worker, prior, None)
    assert found.folder.parent == tmp_path.resolve()
    assert (found.folder / "request.json").is_file()


def test_damaged_results_are_refused(scene, rig, worker, prior, tmp_path):
    folder = make(scene, rig, worker, prior, tmp_path / "job").folder
    count = len(bpy.data.objects)
    np.save(folder / "faces.npy", np.array([[0, 1, 9]], np.int32))
    with pytest.raises(RequestError, match="damaged"):
        api.import_result(folder)
    np.save(folder / "faces.npy", np.empty((0, 3), np.int32))
    with pytest.raises(RequestError, match="no surface"):
        api.import_result(folder)
    (folder / "faces.npy").unlink()
    with pytest.raises(RequestError, match=r"faces\.npy"):
        api.import_result(folder)
    (folder / "result.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(RequestError):
        api.import_result(folder)
    assert len(bpy.data.objects) == count


@pytest.mark.slow
def test_a_job_is_taken_up_again(scene, rig, worker, prior, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    job = api.start_reconstruction(rig, bpy.data.objects["Box"], prior=prior, worker_folder=worker)
    folder = job.folder
    (record,) = api.jobs()
    assert (record.folder, record.task, record.name, record.state) == (folder, "reconstruct", "cone", "running")
    with pytest.raises(JobError, match="waits or runs"):
        api.resume(folder)
    job.wait()
    assert [record.state for record in api.jobs()] == ["done"]
    with pytest.raises(RequestError, match="is done"):
        api.resume(folder)
    (folder / "checkpoint.safetensors").write_bytes(b"so far")
    (folder / "mode.txt").write_text("error")
    # From the beginning, as a new job: what the old one has stays.
    again = api.rerun(folder, worker_folder=worker)
    again.wait()
    assert [(record.folder, record.state) for record in api.jobs()] == [(again.folder, "done"), (folder, "done")]
    assert not (again.folder / "checkpoint.safetensors").exists() and not (again.folder / "mode.txt").exists()
    for name in ("request.json", "prior.safetensors", "masks.npy"):
        assert (again.folder / name).read_bytes() == (folder / name).read_bytes()
    assert len(api.import_result(folder).data.polygons) == len(api.import_result(again.folder).data.polygons) == 4
    api.remove(again.folder)
    # As if its Blender had gone down.
    for name in ("result.json", "events.jsonl"):
        (folder / name).unlink()
    assert [record.state for record in api.jobs()] == ["interrupted"]
    api.resume(folder, worker_folder=worker).wait()
    (record,) = api.jobs()
    assert (record.state, record.error) == ("failed", "The masks do not agree.")
    (folder / "checkpoint.safetensors").write_bytes(b"so far")
    (folder / "mode.txt").write_text("result")
    api.resume(folder, worker_folder=worker).wait()
    assert (folder / "checkpoint.safetensors").read_bytes() == b"so far"
    assert len(api.import_result(folder).data.polygons) == 4
    api.remove(folder)
    assert api.jobs() == [] and not folder.exists()
    with pytest.raises(RequestError, match="holds no job"):
        api.resume(folder)
