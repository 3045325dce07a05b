"""Shapes without pictures: drawn, blended, and changed along the prior's main axes while the worker stays."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from dataclasses import replace

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_tests.support.drawing import draw
from blender_tests.support.stage import ROOT, is_alive, wait_until
from dist_addon import api, cli, live, prior_files
from dist_addon.operators import running
from dist_addon.scene import axes as scene_axes
from dist_addon.scene import result as scene_result
from dist_addon.scene.placement import read_placement
from dist_addon.worker.dist_engine.code_space import CodeSpace
from dist_addon.worker.dist_engine.protocol import RequestError

TABLE = ROOT / "dist_addon" / "priors" / "table.safetensors"


@pytest.fixture(scope="session")
def samples(python, tmp_path_factory) -> str:
    """The folder of a finished job that drew the tables of the seeds 3 and 4, coarsely."""
    job = api.start_sample(seed=3, count=2, resolution=32, folder=tmp_path_factory.mktemp("samples"))
    job.wait()
    assert job.state == "done", job.error
    return str(job.folder)


@pytest.fixture
def shapes(scene, samples) -> list[bpy.types.Object]:
    return api.import_shapes(samples)


def space() -> CodeSpace:
    return scene_axes.code_space(prior_files.find_prior("table"))


def points(thing: bpy.types.Object) -> np.ndarray:
    """The mesh's vertices (N, 3) in the world."""
    bpy.context.view_layer.update()
    return np.array([thing.matrix_world @ vertex.co for vertex in thing.data.vertices])


# The space of codes.


def test_axes_and_deviations_are_those_of_the_codes():
    generator = np.random.default_rng(0)
    turn = np.linalg.qr(generator.standard_normal((5, 5)))[0]
    codes = generator.standard_normal((4000, 5)) * [3.0, 2.0, 1.0, 0.5, 0.0] @ turn + 7
    found = CodeSpace.of(codes)
    np.testing.assert_allclose(found.deviations, [3, 2, 1, 0.5], rtol=0.05)
    np.testing.assert_allclose(np.abs(found.axes @ turn.T), np.eye(4, 5), atol=0.05)
    assert (found.axes[np.arange(4), np.abs(found.axes).argmax(1)] > 0).all()
    code = codes[0]
    moved = found.moved(code, 1, 1.5)
    step = (1.5 - found.values(code, 4)[1]) * found.deviations[1]
    np.testing.assert_allclose(moved - code, step * found.axes[1], atol=1e-12)
    np.testing.assert_allclose(found.values(moved, 4)[[0, 2, 3]], found.values(code, 4)[[0, 2, 3]], atol=1e-12)


def test_draws_are_between_training_codes_that_are_near():
    found = space()
    whitened = (found.codes - found.mean) @ found.axes.T / found.deviations
    for seed in range(20):
        drawn = found.values(found.sample(seed, 1.0), 64)
        distances = np.sort(np.linalg.norm(whitened - drawn, axis=1))
        # At most half way to a neighbour, and no training code itself.
        apart = np.median(np.linalg.norm(whitened[0] - whitened, axis=1))
        assert 1e-9 < distances[0] < 0.5 * apart
    np.testing.assert_array_equal(found.sample(5), found.sample(5))
    np.testing.assert_allclose(found.sample(5, 0.5) - found.mean, (found.sample(5, 1.0) - found.mean) / 2, atol=1e-12)
    np.testing.assert_array_equal(found.sample(5, 0), found.mean)


@pytest.mark.parametrize(("codes", "count"), [([[1.0, 2.0]], 0), ([[1.0, 2.0], [3.0, 6.0]], 1), ([[1.0, 2.0]] * 3, 0)])
def test_few_codes_have_few_axes(codes, count):
    found = CodeSpace.of(np.array(codes))
    assert found.axes.shape == (count, 2) and np.isfinite(found.sample(1)).all()


# Sample Shape.


@pytest.mark.slow
def test_a_seed_is_a_shape(shapes, samples, scene, tmp_path):
    first, second = shapes
    for thing, seed in zip(shapes, (3, 4), strict=True):
        np.testing.assert_array_equal(list(thing["dist_code"]), space().sample(seed, api.SPREAD))
        assert (thing["dist_prior"], thing["dist_scale"], thing["dist_resolution"]) == ("table", 1.0, 32)
        assert scene_result.is_result(thing) and scene_result.is_current(thing, 32)
        assert [c.name for c in thing.users_collection] == ["DIST Reconstructions"]
    assert tuple(first.location) == (0, 0, 0) and second.location.x > 2
    assert max(abs(one - two) for one, two in zip(first.dimensions, second.dimensions, strict=True)) > 0.05
    where = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(0.5, 4, "X") @ Matrix.Scale(2, 4)
    again = api.sample_shape(seed=4, placement=where, resolution=32, folder=tmp_path / "job")
    bpy.context.view_layer.update()
    np.testing.assert_allclose(again.matrix_world @ Matrix.Scale(2, 4), where, atol=1e-6)
    own = np.array([vertex.co for vertex in second.data.vertices])
    np.testing.assert_allclose([vertex.co for vertex in again.data.vertices], 2 * own, atol=1e-6)
    assert again["dist_scale"] == pytest.approx(2)


@pytest.mark.slow
def test_the_mesh_lies_on_the_decoders_zero(shapes, python, tmp_path):
    thing = shapes[0]
    at = np.array([vertex.co for vertex in thing.data.vertices])
    np.savez(tmp_path / "mesh.npz", at=at, code=list(thing["dist_code"]))
    code = (
        "import sys; from pathlib import Path; import numpy as np, torch\n"
        "from dist_engine.prior import Prior; prior = Prior.load(Path(sys.argv[1])); data = np.load(sys.argv[2])\n"
        "f = prior.decoder.field(torch.tensor(data['code']).float())(torch.tensor(data['at']).float(), 'check').abs()\n"
        "print(float(f.mean()), float(f.max()))\n"
    )
    command = [python, "-c", code, str(TABLE), str(tmp_path / "mesh.npz")]
    done = subprocess.run(command, check=True, cwd=ROOT / "dist_addon" / "worker", capture_output=True, text=True)
    mean, largest = map(float, done.stdout.split())
    # A cell is 1 / 16.
    assert mean < 2e-3 and largest < 1 / 32


@pytest.mark.slow
def test_the_button_samples_where_it_is_told(scene, prior, stand_in):
    chosen = scene.dist.shapes
    scene.cursor.location, chosen.seed, chosen.spread, scene.dist.quality = (1, 2, 3), 7, 1.0, "preview"
    # The stand-in worker makes no shapes.
    with pytest.raises(RuntimeError):
        bpy.ops.dist.sample_shape()
    asked = json.loads((stand_in / "request.json").read_text())
    assert asked["placements"][0]["translation"] == [1, 2, 3] and asked["placements"][0]["scale"] == 1
    assert (asked["resolution"], asked["prior"], asked["stay"]) == (128, "cone", 0)
    found = scene_axes.code_space(prior_files.find_prior("cone"))
    np.testing.assert_array_equal(np.load(stand_in / "codes.npy"), [found.sample(7, 1.0)])
    assert chosen.seed == 8
    empty = bpy.data.objects.new("Box", None)
    scene.collection.objects.link(empty)
    scene.dist.bounds, empty.location = empty, (4, 5, 6)
    with pytest.raises(RuntimeError):
        bpy.ops.dist.sample_shape()
    asked = json.loads((stand_in / "request.json").read_text())
    assert asked["placements"][0]["translation"] == [4, 5, 6]
    assert asked["placements"][0]["scale"] == pytest.approx(math.sqrt(3) / 0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior": "spoon"}, "no shape prior “spoon”"),
        ({"seed": -1}, r"Seed \(-1\)"),
        ({"seed": 1 << 31}, "not too large"),
        ({"spread": -0.5}, r"spread \(-0.5\)"),
        ({"resolution": 100}, "resolution is 100: choose one of 32"),
        ({"quality": "best"}, "no quality “best”"),
        ({"placement": np.eye(3)}, "4x4"),
    ],
)
def test_what_cannot_be_sampled_is_refused_before_work(scene, options, words, tmp_path):
    with pytest.raises(RequestError, match=words):
        api.sample_shape(folder=tmp_path / "job", **options)
    assert not (tmp_path / "job").exists()


# Blend.


@pytest.mark.slow
def test_a_blend_stands_between_the_two(shapes, tmp_path):
    first, second = shapes
    first.matrix_world = Matrix.Translation((1, 0, 0)) @ Matrix.Scale(2, 4)
    second.matrix_world = Matrix.Translation((3, 2, 0)) @ Matrix.Rotation(math.pi / 2, 4, "Z")
    made = api.blend_shapes(first, second, [0.0, 0.5, 1.0], folder=tmp_path / "job")
    assert len(made) == 3
    np.testing.assert_allclose(points(made[0]), points(first), atol=1e-5)
    np.testing.assert_allclose(points(made[2]), points(second), atol=1e-5)
    half = made[1]
    np.testing.assert_allclose(half.matrix_world.translation, [2, 1, 0], atol=1e-6)
    np.testing.assert_allclose(half.matrix_world.to_euler(), [0, 0, math.pi / 4], atol=1e-6)
    assert half["dist_scale"] == pytest.approx(1.5)
    codes = [np.array(thing["dist_code"]) for thing in (first, second, half)]
    np.testing.assert_allclose(codes[2], (codes[0] + codes[1]) / 2, atol=1e-12)


@pytest.mark.slow
def test_blending_tells_what_is_missing(shapes, scene, prior, rig):
    first, second = shapes
    with pytest.raises(RequestError, match="factor must be a number from 0 to 1"):
        api.blend_shapes(first, second, 1.5)
    with pytest.raises(RequestError, match="“Cam0” is no shape of a prior"):
        api.blend_shapes(first, rig.objects["Cam0"])
    second.scale = (1, 2, 1)
    with pytest.raises(RequestError, match="not scaled evenly"):
        api.blend_shapes(first, second)
    with pytest.raises(RuntimeError, match="Select two shapes"):
        bpy.ops.dist.blend_shapes()
    for thing in shapes:
        thing.select_set(True)
    with pytest.raises(RuntimeError, match="one of them active"):
        bpy.ops.dist.blend_shapes()
    bpy.context.view_layer.objects.active = second
    assert bpy.ops.dist.blend_shapes.poll()
    second["dist_prior"], second["dist_code"] = str(prior), [1.0, 2.0]
    with pytest.raises(RuntimeError, match="different priors"):
        bpy.ops.dist.blend_shapes()
    with pytest.raises(RequestError, match=r"is of the prior “table”, “DIST Shape\.001” of “cone”"):
        api.blend_shapes(first, second)


def test_the_button_blends_at_even_steps(shapes, monkeypatch):
    asked = []

    def start(first, second, factors, scene):
        asked.append((first, second, factors))
        raise RequestError("enough")

    monkeypatch.setattr(api, "start_blend", start)
    for thing in shapes:
        thing.select_set(True)
    bpy.context.view_layer.objects.active = shapes[0]
    for count, factors in ((1, [0.25]), (3, [0.25, 0.5, 0.75])):
        bpy.context.scene.dist.shapes.count, bpy.context.scene.dist.shapes.factor = count, 0.25
        with pytest.raises(RuntimeError, match="enough"):
            bpy.ops.dist.blend_shapes()
        assert asked.pop() == (shapes[1], shapes[0], factors)
    running.jobs.say("")


# The main axes.


@pytest.fixture
def window(monkeypatch):
    """Have the sliders behave as in a window; timers don't fire in background mode, so the tests call `tick`."""
    monkeypatch.setattr(live, "in_background", lambda: False)
    yield
    live.meshes.close()


def test_a_slider_moves_the_code_along_its_axis(shapes, window, monkeypatch):
    thing = shapes[0]
    before, found = np.array(thing["dist_code"]), space()
    np.testing.assert_allclose(thing.dist.axes, found.values(before, 6), atol=1e-6)
    thing.dist.axes[2] = 1.75
    after = np.array(thing["dist_code"])
    step = (1.75 - found.values(before, 6)[2]) * found.deviations[2]
    np.testing.assert_allclose(after - before, step * found.axes[2], atol=1e-12)
    assert thing.dist.axes[2] == 1.75
    bpy.context.view_layer.objects.active = thing
    assert bpy.ops.dist.reset_shape() == {"FINISHED"}
    np.testing.assert_array_equal(list(thing["dist_code"]), before)
    assert not bpy.ops.dist.reset_shape.poll()


def test_only_shapes_of_a_known_prior_have_sliders(scene, shapes, rig, prior):
    camera, thing = rig.objects["Cam0"], shapes[0]
    assert list(camera.dist.axes) == [0] * 6
    bpy.context.view_layer.objects.active = thing
    assert draw().count(("prop", "axes")) == 6 and ("operator", "dist.reset_shape") in draw()
    thing["dist_prior"] = "spoon"
    assert ("prop", "axes") not in draw() and any("spoon" in str(entry) for entry in draw())
    assert list(thing.dist.axes) == [0] * 6
    # Two training codes differ along one axis.
    thing["dist_prior"], thing["dist_code"] = str(prior), [3.0, 6.0]
    assert draw().count(("prop", "axes")) == 1
    np.testing.assert_allclose(thing.dist.axes, [math.sqrt(0.5), 0, 0, 0, 0, 0], atol=1e-6)
    bpy.context.view_layer.objects.active = camera
    assert ("prop", "axes") not in draw()


def settle(seconds: float = 30) -> None:
    def tick():
        live.meshes.tick()
        return not live.meshes.changed

    wait_until(tick, seconds)


@pytest.mark.slow
def test_a_mesh_follows_its_sliders(shapes, scene, window, monkeypatch):
    thing, other = shapes
    monkeypatch.setattr(live, "STAY", 1.5)
    thing.name, thing.location, thing["dist_resolution"] = "Mine", (1, 2, 3), 128
    thing.data.materials.append(bpy.data.materials.new("Wood"))
    thing.modifiers.new("Thick", "SOLIDIFY")
    # A linked duplicate keeps its shape.
    twin = thing.copy()
    scene.collection.objects.link(twin)
    count, first = len(thing.data.vertices), thing.data
    first.color_attributes.new("Color", "BYTE_COLOR", "POINT")
    first["dist_resolution"] = 128
    began = time.monotonic()
    for value in np.linspace(-2, 2, 9):
        thing.dist.axes[0] = value
        live.meshes.tick()
    # The worker starts, beside Blender.
    assert time.monotonic() - began < 5 and live.meshes.doing().startswith("Starting")
    pid = live.meshes.worker.job.pid
    wait_until(lambda: live.meshes.tick() and live.meshes.worker.ready, 30)
    monkeypatch.setattr(live, "REST", 60)
    for value in (0.5, 0.25, 0.0):
        thing.dist.axes[0] = value
        wait_until(lambda: live.meshes.tick() and scene_result.is_current(thing, 0), 10)
        assert thing.data["dist_resolution"] == 64 and live.meshes.changed
    monkeypatch.setattr(live, "REST", 0.3)
    settle()
    assert thing.data["dist_resolution"] == 128 and list(thing.data["dist_code"]) == list(thing["dist_code"])
    assert abs(thing.dist.axes[0]) < 1e-6 and not any((live.meshes.worker.job.folder / "shapes").iterdir())
    assert (thing.name, tuple(thing.location), thing.data.materials[0].name) == ("Mine", (1, 2, 3), "Wood")
    assert thing.modifiers.keys() == ["Thick"] and all(polygon.use_smooth for polygon in thing.data.polygons)
    assert len(twin.data.vertices) == count and twin.data.materials[0].name == "Wood"

    # Reset brings its first mesh back, with its colours, to where Object > Apply has brought the other one.
    assert thing.data != first and not thing.data.color_attributes
    bpy.context.view_layer.objects.active = thing
    at = np.array(first.vertices[0].co)
    thing.data.transform(Matrix.Translation((0, 0, 4)))
    made = thing.data.name
    assert bpy.ops.dist.reset_shape() == {"FINISHED"}
    reset = thing.data
    assert twin.data == first and reset.color_attributes and made not in bpy.data.meshes
    np.testing.assert_allclose(first.vertices[0].co, at, atol=1e-5)
    np.testing.assert_allclose(np.array(reset.vertices[0].co) - (0, 0, 4), at, atol=1e-5)
    settle()
    assert thing.data == reset and reset.color_attributes
    # Also while another one is on its way, which comes too late.
    thing.dist.axes[0] = 0.25
    wait_until(lambda: live.meshes.tick() and live.meshes.worker and live.meshes.worker.order, 10)
    assert bpy.ops.dist.reset_shape() == {"FINISHED"}
    wait_until(lambda: live.meshes.tick() and not live.meshes.worker.order and not live.meshes.changed, 10)
    assert thing.data == reset and reset.color_attributes

    # A code without a surface is told, and the mesh stays.
    far = np.array(thing["dist_code"]) * 0 + 50.0
    scene_result.set_code(other, far)
    live.meshes.follow(other)
    settle()
    assert "no surface" in live.meshes.problem and len(other.data.vertices) > 0
    bpy.context.view_layer.objects.active = other
    assert any("no surface" in str(entry) for entry in draw())
    assert bpy.ops.dist.reset_shape() == {"FINISHED"} and live.meshes.problem == ""
    settle()

    # The worker ends by itself, and its folder goes.
    folder = live.meshes.worker.job.folder
    assert is_alive(pid)
    wait_until(lambda: live.meshes.tick() is None, 10)
    assert live.meshes.worker is None and not is_alive(pid) and not folder.exists()


@pytest.mark.slow
def test_undo_leaves_mesh_and_sliders_consistent(shapes, scene, window):
    bpy.context.preferences.edit.use_global_undo = True
    thing = shapes[0]
    thing.name = "Mine"
    thing.data.color_attributes.new("Color", "BYTE_COLOR", "POINT")
    bpy.ops.ed.undo_push(message="Before")
    first = list(thing["dist_code"])
    thing.dist.axes[1] = 2.0
    # As Blender does when the slider is let go, while the mesh is on its way.
    bpy.ops.ed.undo_push(message="Slider")
    settle()
    assert scene_result.is_current(thing, 32)
    pid = live.meshes.worker.job.pid
    for undo, value in ((bpy.ops.ed.undo, None), (bpy.ops.ed.redo, 2.0)):
        undo()
        thing = bpy.data.objects["Mine"]
        # The first mesh is back at once, with its colours.
        assert bool(live.meshes.changed) == (value == 2.0) and thing.data.color_attributes
        settle()
        assert scene_result.is_current(thing, 32)
        assert (list(thing["dist_code"]) == first) == (value is None)
        assert value is None or thing.dist.axes[1] == value
    # Another file ends the worker.
    thing.dist.axes[1] = 1.0
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert not live.meshes.changed
    wait_until(lambda: live.meshes.tick() is None, 5)
    assert not is_alive(pid)


def test_a_mesh_that_is_edited_is_left_alone(shapes, scene, window):
    thing = shapes[0]
    bpy.context.view_layer.objects.active = thing
    thing.shape_key_add(name="Basis")
    thing.dist.axes[0] = 1.0
    live.meshes.tick()
    assert "shape keys" in live.meshes.problem and live.meshes.worker is None and not live.meshes.changed
    assert any("shape keys" in str(entry) for entry in draw())
    with pytest.raises(RequestError, match="shape keys"):
        api.reshape(thing, "mean")


def test_a_worker_that_fails_is_told_of(shapes, scene, window, worker, monkeypatch):
    start = live.common.start
    monkeypatch.setattr(live.common, "start", lambda request, folder, _, **more: start(request, folder, worker, **more))
    thing = shapes[0]
    thing.dist.axes[0] = 1.0
    wait_until(lambda: live.meshes.tick() and live.meshes.worker is not None, 5)
    folder = live.meshes.worker.job.folder
    os.kill(live.meshes.worker.job.pid, 9)
    wait_until(lambda: live.meshes.tick() is None, 10)
    assert "killed" in live.meshes.problem and (folder / "log.txt").exists()


# Scripts and the command line.


@pytest.mark.slow
def test_a_script_gives_an_object_another_code(shapes, tmp_path):
    thing, other = shapes
    assert api.reshape(thing, other, folder=tmp_path / "job") is thing
    np.testing.assert_array_equal(list(thing["dist_code"]), list(other["dist_code"]))
    own = [[vertex.co for vertex in each.data.vertices] for each in shapes]
    np.testing.assert_array_equal(*own)
    with pytest.raises(RequestError, match="code has 2 numbers"):
        api.reshape(thing, [1.0, 2.0])
    with pytest.raises(RequestError, match="no shapes of codes"):
        (tmp_path / "job" / "request.json").write_text('{"version": 1, "task": "render"}')
        api.import_shapes(tmp_path / "job")


@pytest.mark.slow
@pytest.mark.parametrize(("edited", "location"), [(False, True), (True, True), (False, False)])
def test_what_was_applied_to_a_shape_stays(shapes, scene, edited, location):
    thing, other = shapes
    scene.view_layers[0].objects.active = thing
    thing.location, thing.rotation_euler, thing.scale = (1, -2, 0.5), (0.3, -0.2, 1.1), (2.5, 2.5, 2.5)
    before = points(thing)
    place = read_placement(thing, prior_files.find_prior("table"), api.evaluate(scene))
    with bpy.context.temp_override(selected_editable_objects=[thing], object=thing, active_object=thing):
        assert bpy.ops.object.transform_apply(location=location, rotation=True, scale=True) == {"FINISHED"}
    np.testing.assert_allclose(points(thing), before, atol=1e-5)
    if edited:
        thing.data.vertices[0].co.x += 1
    now = read_placement(thing, prior_files.find_prior("table"), api.evaluate(scene))
    if edited:
        # It was no Apply alone: the shape is taken as it was made.
        assert now.scale == pytest.approx(place.scale / 2.5)
        return
    assert now.scale == pytest.approx(place.scale, rel=1e-4)
    np.testing.assert_allclose(now.rotation, place.rotation, atol=1e-4)
    np.testing.assert_allclose(now.translation, place.translation, atol=1e-4)
    # A mesh that is made anew stands there, too, again and again; and the sliders leave no other trace.
    code = list(thing["dist_code"])
    for wanted in (list(other["dist_code"]), code):
        api.reshape(thing, wanted)
    after = points(thing)
    for corner in ("min", "max"):
        np.testing.assert_allclose(getattr(after, corner)(0), getattr(before, corner)(0), atol=0.01)
    again = read_placement(thing, prior_files.find_prior("table"), api.evaluate(scene))
    assert again.scale == pytest.approx(place.scale, rel=1e-4)
    normals = np.array([normal.vector for normal in thing.data.vertex_normals])
    directions = np.array([vertex.normal for vertex in thing.data.vertices])
    assert ((normals * directions).sum(axis=1) > 0).mean() > 0.99


@pytest.mark.slow
def test_a_slider_in_background_mode_waits(shapes, scene):
    thing = shapes[0]
    thing.dist.axes[1] = 1.5
    assert scene_result.is_current(thing, 32) and thing.dist.axes[1] == 1.5 and live.meshes.worker is None


@pytest.mark.slow
def test_the_command_line_samples(scene, tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(api.QUALITIES, "preview", replace(api.QUALITIES["preview"], mesh_resolution=32))
    arguments = ["sample", "--prior", "table", "--seed", "3", "--count", "2", "--quality", "preview"]
    assert cli.main([*arguments, "--out", str(tmp_path / "two.ply"), "--json", str(tmp_path / "report.json")]) == 0
    assert "Added “DIST Shape”, “DIST Shape.001”" in capfd.readouterr().err
    assert json.loads((tmp_path / "report.json").read_text())["shapes"] == 2
    header = (tmp_path / "two.ply").read_bytes()[:400].decode("ascii", "replace")
    count = sum(len(thing.data.vertices) for thing in scene.objects)
    assert f"element vertex {count}" in header
    assert cli.main(["sample", "--out", "x.stl"]) == 1 and "must end in .blend, .ply, .obj" in capfd.readouterr().err
    assert cli.main(["sample", "--count", "1001"]) == 1 and "1 to 1000 shapes" in capfd.readouterr().err
    assert cli.main(["sample", "--prior", "spoon"]) == 1 and "no shape prior “spoon”" in capfd.readouterr().err


def test_an_import_chooses_the_shapes(shapes, scene, samples):
    assert bpy.ops.dist.import_result(folder=samples) == {"FINISHED"}
    chosen = bpy.context.selected_objects
    assert len(chosen) == 2 and bpy.context.view_layer.objects.active in chosen and not set(chosen) & set(shapes)
    with pytest.raises(RequestError, match="holds shapes of codes"):
        api.import_result(samples)
