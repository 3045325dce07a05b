"""Training a prior from the scene's meshes or a folder's, importing one, and what becomes of it."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_tests.support.stage import ROOT, make_job_folder, wait_until
from dist_addon import api, cli, jobs, panels, prior_files
from dist_addon.api import common
from dist_addon.operators import running
from dist_addon.scene import meshes as scene_meshes
from dist_addon.scene import training as scene_training
from dist_addon.worker.dist_engine.protocol import RequestError


@pytest.fixture
def shapes(scene) -> bpy.types.Collection:
    """A collection in the scene that holds two cubes, chosen to train from."""
    collection = bpy.data.collections.new("Shapes")
    scene.collection.children.link(collection)
    for number in range(2):
        add_cube(collection, f"Cube {number}", scale=(1, 1, 1 + number))
    chosen = scene.dist.training
    chosen.collection, chosen.name = collection, "mugs"
    return collection


@pytest.fixture
def stand_in(monkeypatch, worker, prior, tmp_path):
    """Let jobs use the stand-in worker; returns the folder of those that name none."""
    folder = tmp_path / "job"
    folder.mkdir()
    real = common.start

    def start(request, chosen, _worker, **options):
        return real(request, chosen or folder, worker, **options)

    monkeypatch.setattr(common, "start", start)
    monkeypatch.setattr(prior_files, "FOLDER", prior.parent)
    yield folder
    running.jobs.close()
    jobs.leave_all()


def add_cube(collection, name, scale=(1, 1, 1)) -> bpy.types.Object:
    """A cube of edge 2."""
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], sides)
    thing = bpy.data.objects.new(name, mesh)
    thing.scale = scale
    collection.objects.link(thing)
    bpy.context.view_layer.update()
    return thing


def add_data(collection, name, data) -> bpy.types.Object:
    thing = bpy.data.objects.new(name, data)
    collection.objects.link(thing)
    return thing


def read(collection) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = scene_meshes.read_collection(collection, api.evaluate(bpy.context.scene))
    return {mesh.name: (mesh.vertices, mesh.faces) for mesh in found}


def volume(vertices, faces) -> float:
    """Positive where the faces look outwards."""
    a, b, c = np.moveaxis(vertices[faces].astype(float), 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


# What the scene holds.


def test_meshes_are_taken_as_they_stand_in_the_world(shapes):
    cube = shapes.objects["Cube 0"]
    cube.matrix_world = (
        Matrix.Translation((1000, 0, 0)) @ Matrix.Rotation(math.pi / 2, 4, "X") @ Matrix.Diagonal((1, 2, 3, 1))
    )
    cube.modifiers.new("Array", "ARRAY").count = 2
    found = read(shapes)
    assert list(found) == ["Cube 0", "Cube 1"]
    vertices, faces = found["Cube 0"]
    # Two in a row along x; what was its z lies along -y.
    np.testing.assert_allclose(np.ptp(vertices, axis=0), (4, 6, 4), atol=1e-4)
    np.testing.assert_allclose(vertices.min(0) + vertices.max(0), 0, atol=1e-4)
    assert volume(vertices, faces) == pytest.approx(96, rel=1e-4) and faces.shape == (24, 3)
    assert vertices.dtype == np.float32 and faces.dtype == np.int32


def test_a_mirrored_mesh_still_looks_outwards(shapes):
    shapes.objects["Cube 0"].scale = (1, -1, 1)
    assert volume(*read(shapes)["Cube 0"]) == pytest.approx(8, rel=1e-5)


def test_what_converts_to_a_mesh_counts(shapes):
    curve = bpy.data.curves.new("Curve", "CURVE")
    curve.dimensions = "3D"
    curve.splines.new("POLY").points.add(1)
    curve.splines[0].points[1].co, curve.bevel_depth = (0, 0, 3, 1), 0.5
    add_data(shapes, "Pipe", curve)
    text = bpy.data.curves.new("Text", "FONT")
    text.body, text.extrude = "Dist", 0.2
    add_data(shapes, "Sign", text)
    ball = bpy.data.metaballs.new("Ball")
    ball.elements.new().radius = 2
    add_data(shapes, "Blob", ball)
    for name, data in (
        ("Eye", bpy.data.cameras.new("Eye")),
        ("Nothing", None),
        ("Lamp", bpy.data.lights.new("L", "SUN")),
    ):
        add_data(shapes, name, data)
    found = read(shapes)
    assert set(found) == {"Cube 0", "Cube 1", "Pipe", "Sign", "Blob"}
    assert np.ptp(found["Pipe"][0][:, 2]) == pytest.approx(3, abs=1e-4)
    assert np.ptp(found["Sign"][0][:, 2]) == pytest.approx(0.4, abs=1e-4)
    assert volume(*found["Blob"]) > 1


def test_a_collection_in_it_is_one_shape(shapes, scene):
    chair = bpy.data.collections.new("Chair ä")
    shapes.children.link(chair)
    back = bpy.data.collections.new("Back")
    chair.children.link(back)
    add_cube(chair, "Seat")
    add_cube(back, "Rest").location = (4, 0, 0)
    found = read(shapes)
    assert set(found) == {"Cube 0", "Cube 1", "Chair ä"}
    vertices, faces = found["Chair ä"]
    np.testing.assert_allclose(np.ptp(vertices, axis=0), (6, 2, 2), atol=1e-5)
    assert volume(vertices, faces) == pytest.approx(16, rel=1e-5)


def test_instances_belong_to_what_makes_them(shapes, scene):
    library = bpy.data.collections.new("Library")
    add_cube(library, "Original").location = (1, 0, 0)
    empty = add_data(shapes, "Instance", None)
    empty.instance_type, empty.instance_collection, empty.scale = "COLLECTION", library, (1, 1, 2)
    empty.location = (0, 5, 0)
    found = read(shapes)
    assert set(found) == {"Cube 0", "Cube 1", "Instance"}
    np.testing.assert_allclose(np.ptp(found["Instance"][0], axis=0), (2, 2, 4), atol=1e-5)


def test_what_is_hidden_is_left_out(shapes):
    shapes.objects["Cube 0"].hide_set(True)
    assert list(read(shapes)) == ["Cube 1"]
    shapes.objects["Cube 1"].hide_viewport = True
    with pytest.raises(RequestError, match="“Shapes” shows no mesh"):
        read(shapes)


# What a folder holds.


def test_mesh_files_are_found(tmp_path):
    for name in ("b/x y.OBJ", "b/ü.ply", "a.glb", "notes.txt", ".hidden.obj", ".trash/c.stl", "b/._x.obj"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "folder.stl").mkdir()
    assert [mesh.name for mesh in scene_meshes.list_files(tmp_path)] == ["a.glb", "b/x y.OBJ", "b/ü.ply"]


def test_folders_that_cannot_be_meant(tmp_path, monkeypatch):
    with pytest.raises(RequestError, match="holds no meshes"):
        scene_meshes.list_files(tmp_path)
    with pytest.raises(RequestError, match="There is no folder"):
        scene_meshes.list_files(tmp_path / "nowhere")
    monkeypatch.setattr(scene_meshes, "MOST_ENTRIES", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("")
    with pytest.raises(RequestError, match="more than 3 files"):
        scene_meshes.list_files(tmp_path)


# The user's priors.


def put_prior(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    header = json.dumps({"__metadata__": {"name": name}}).encode()
    path = folder / f"{name}.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def test_own_priors_are_listed_after_the_built_in(stand_in, own_priors, scene):
    put_prior(own_priors, "ähm")
    (own_priors / "broken.safetensors").write_bytes(b"x")
    put_prior(own_priors, "Cone")
    assert [found.name for found in api.priors()] == ["cone", "Cone (own)", "ähm"]
    assert api.find_prior("Cone (own)").path.parent == own_priors and api.find_prior("cone").path.parent != own_priors
    assert api.find_prior("ähm").reference == "ähm"
    scene.dist.prior = "ähm"
    # A new one, in front of it, does not change what was chosen.
    put_prior(own_priors, "aaa")
    assert scene.dist.prior == "ähm"
    (own_priors / "aaa.safetensors").unlink()
    assert scene.dist.prior == "ähm"


def test_no_prior_is_chosen_by_default(stand_in, own_priors, scene):
    put_prior(own_priors, "mug")
    assert scene.dist.prior == "anything"
    # One that somebody put there by hand is told apart.
    put_prior(own_priors, "Anything")
    assert [found.name for found in api.priors()] == ["cone", "Anything (own)", "mug"]
    assert scene.dist.prior == "anything" and api.find_prior("Anything (own)").path.parent == own_priors
    (prior_files.FOLDER / "cone.safetensors").unlink()
    shutil.rmtree(own_priors)
    assert api.priors() == [] and scene.dist.prior == "anything"


@pytest.mark.parametrize("name", ["cone", "CONE", "mug"])
def test_a_taken_name_is_refused_before_work(stand_in, own_priors, shapes, scene, name):
    put_prior(own_priors, "mug")
    with pytest.raises(RequestError, match="already: choose another name"):
        api.train_prior(shapes, name)
    scene.dist.training.name = name
    with pytest.raises(RuntimeError, match="already"):
        bpy.ops.dist.train_prior()
    assert not any(stand_in.iterdir())


# The operators.


@pytest.mark.slow
def test_the_button_trains_in_background(stand_in, own_priors, shapes, scene, capfd):
    assert bpy.ops.dist.train_prior() == {"FINISHED"}
    assert [found.name for found in api.priors()] == ["cone", "mugs"]
    picture = bpy.data.images.load(str(api.priors()[1].picture))
    assert tuple(picture.size) == (128, 128) and abs(picture.pixels[0] - 200 / 255) < 0.01
    bpy.data.images.remove(picture)
    asked = json.loads((stand_in / "request.json").read_text())
    assert (asked["task"], asked["name"], asked["up"], asked["front"]) == ("train", "mugs", "+z", "-y")
    assert [entry[0] for entry in asked["arrays"]] == ["Cube 0", "Cube 1"]
    assert scene.dist.training.job == scene.dist.last_job == str(stand_in)
    assert "“flat” was left out" in capfd.readouterr().out
    # The job's result once more changes nothing.
    assert bpy.ops.dist.import_result(folder=str(stand_in)) == {"FINISHED"}
    assert [found.name for found in api.priors()] == ["cone", "mugs"]


@pytest.mark.slow
def test_the_button_trains_from_a_folder(stand_in, shapes, scene, tmp_path):
    for name in ("a.obj", "b c.stl"):
        (tmp_path / name).write_text("")
    chosen = scene.dist.training
    chosen.source, chosen.folder, chosen.up, chosen.front, chosen.size = "FOLDER", str(tmp_path), "-z", "+x", "official"
    chosen.licence = "CC-BY-4.0"
    assert bpy.ops.dist.train_prior() == {"FINISHED"}
    asked = json.loads((stand_in / "request.json").read_text())
    assert [name for name, _ in asked["files"]] == ["a.obj", "b c.stl"]
    assert (asked["up"], asked["front"], asked["size"], asked["licence"]) == ("-z", "+x", "official", "CC-BY-4.0")


def test_the_button_says_what_is_missing(shapes, scene, stand_in, monkeypatch):
    chosen = scene.dist.training
    chosen.name = ""
    for change, words in [
        ({}, "Give the prior a name first"),
        ({"collection": None}, "Choose a collection of meshes first"),
        ({"source": "FOLDER"}, "Choose a folder of meshes first"),
    ]:
        for name, value in change.items():
            setattr(chosen, name, value)
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.dist.train_prior()
    monkeypatch.setattr(running, "in_background", lambda: False)
    make_job_folder(stand_in, "wait")
    chosen.source, chosen.collection, chosen.name = "COLLECTION", shapes, "mugs"
    bpy.ops.dist.train_prior()
    with pytest.raises(RuntimeError, match="A training runs or waits"):
        bpy.ops.dist.train_prior()


def test_too_few_meshes_are_refused(shapes, stand_in):
    shapes.objects["Cube 0"].hide_set(True)
    with pytest.raises(RuntimeError, match="there are 1"):
        bpy.ops.dist.train_prior()


@pytest.mark.slow
def test_a_training_beside_the_window(stand_in, shapes, scene, own_priors, monkeypatch):
    monkeypatch.setattr(running, "in_background", lambda: False)
    monkeypatch.setattr(running, "PICTURE_INTERVAL", 0.0)
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene = bpy.context.scene
    area = bpy.data.window_managers[0].windows[0].screen.areas[0]
    area.type = "IMAGE_EDITOR"
    collection = bpy.data.collections.new("Shapes")
    scene.collection.children.link(collection)
    for number in range(2):
        add_cube(collection, str(number))
    scene.dist.training.collection, scene.dist.training.name = collection, "mugs"
    assert bpy.ops.dist.train_prior() == {"FINISHED"}
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert running.jobs.outcome.task == "train" and not running.jobs.outcome.failed
    assert (
        running.jobs.outcome.text == "“mugs” is among the shape priors now, made from 2 shapes.\n“flat” was left out."
    )
    image = bpy.data.images["DIST Training"]
    assert tuple(image.size) == (512, 128 + scene_training.HEIGHT) and area.spaces.active.image == image
    assert (stand_in / "training.png").is_file()
    # It is drawn anew where there is something new.
    assert not scene_training.is_behind(stand_in)
    later = (stand_in / "training.png").stat().st_mtime + 1
    os.utime(stand_in / "losses.npy", (later, later))
    assert scene_training.is_behind(stand_in)


@pytest.mark.parametrize("length", [0, 5, 40, 128, 149])
def test_what_is_being_written_is_not_drawn(tmp_path, length):
    np.save(tmp_path / "losses.npy", np.array([[1, 0.1], [50, 0.03], [100, 0.001]], np.float32))
    whole = (tmp_path / "losses.npy").read_bytes()
    (tmp_path / "losses.npy").write_bytes(whole[:length])
    with pytest.raises(RequestError, match=r"losses.npy cannot be read"):
        scene_training.show(tmp_path)


@pytest.mark.slow
def test_a_cancelled_training_is_gone_on_with(stand_in, shapes, scene, own_priors, monkeypatch):
    monkeypatch.setattr(running, "in_background", lambda: False)
    make_job_folder(stand_in, "wait")
    bpy.ops.dist.train_prior()
    assert not bpy.ops.dist.train_prior.poll()
    wait_until(lambda: running.jobs.tick() and (stand_in / "ready.txt").exists(), 20)
    (stand_in / "checkpoint.safetensors").write_bytes(b"so far")
    bpy.ops.dist.cancel()
    wait_until(lambda: running.jobs.tick() is None, 5)
    assert (
        "goes on where it stopped" in running.jobs.outcome.text
        and not running.jobs.outcome.failed
        and len(api.priors()) == 1
    )
    # Another job in between is not taken for it.
    scene.dist.last_job = "/elsewhere"
    starts = []
    real = common.start
    monkeypatch.setattr(common, "start", lambda *a, **o: starts.append(a[1]) or real(*a, **o))
    make_job_folder(stand_in, "result")
    bpy.ops.dist.train_prior()
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert starts == [str(stand_in)] and (stand_in / "checkpoint.safetensors").read_bytes() == b"so far"
    # What is done is not gone on with.
    scene.dist.training.name = "cups"
    bpy.ops.dist.train_prior()
    assert starts[1] is None


@pytest.mark.slow
def test_a_prior_needs_no_scene(stand_in, shapes, scene, own_priors, monkeypatch):
    monkeypatch.setattr(running, "in_background", lambda: False)
    bpy.ops.dist.train_prior()
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    wait_until(lambda: running.jobs.tick() is None, 20)
    assert "“mugs” is among the shape priors" in running.jobs.outcome.text and "mugs" in [p.name for p in api.priors()]


@pytest.mark.slow
def test_a_training_is_no_shape(stand_in, shapes, tmp_path):
    made = api.train_prior(shapes, "mugs")
    for wrong in (api.import_result, api.import_rendering):
        with pytest.raises(RequestError, match=r"holds (a rendering|a reconstruction|no|a prior)"):
            wrong(made.folder)


def test_the_panel_offers_what_is_needed(shapes, scene):
    drawn = []

    class Layout:
        def __getattr__(self, name):
            return lambda *a, **_o: drawn.append((name, a[-1] if a else "")) or self

    draw = panels.DIST_PT_train.draw
    holder = type("Holder", (), {"layout": Layout()})
    draw(holder, bpy.context)
    assert ("prop", "collection") in drawn and ("prop", "up") not in drawn
    scene.dist.training.source = "FOLDER"
    draw(holder, bpy.context)
    assert {("prop", "folder"), ("prop", "up"), ("prop", "front"), ("prop", "size")} <= set(drawn)
    assert ("operator", "dist.train_prior") in drawn


def test_the_loss_curve():
    steps = np.arange(1, 101.0)
    picture = scene_training.draw_losses(np.stack([steps, 10 ** (-1 - 2 * (steps - 1) / 99)], 1))
    curve = np.abs(picture - scene_training.CURVE).max(2) < 1e-6
    rows = np.array([np.flatnonzero(column).mean() for column in curve.T])
    # From a tenth, near the top, straight to a thousandth.
    height = scene_training.HEIGHT
    np.testing.assert_allclose(rows, np.linspace(rows[0], rows[-1], len(rows)), atol=2)
    assert rows[0] < 0.1 * height and rows[-1] > 0.9 * height
    lines = np.flatnonzero((np.abs(picture[:, 256] - scene_training.GRID).max(1) < 1e-6) | curve[:, 256])
    assert any(abs(line - height / 2) < 3 for line in lines)


# The command line.


@pytest.mark.slow
def test_the_command_line_trains(stand_in, shapes, own_priors, tmp_path, capfd):
    report = tmp_path / "report.json"
    arguments = [
        "train",
        "--collection",
        "Shapes",
        "--name",
        "mugs",
        "--steps",
        "7",
        "--seed",
        "3",
        "--json",
        str(report),
    ]
    assert cli.main(arguments) == 0
    assert json.loads(report.read_text())["shapes"] == ["a", "b"]
    shown = capfd.readouterr().err
    assert "mugs.safetensors" in shown and "Left out “flat”: It is flat." in shown
    asked = json.loads((stand_in / "request.json").read_text())
    assert (asked["steps"], asked["seed"], asked["size"]) == (7, 3, "small")
    # The name is taken now, but not elsewhere.
    assert cli.main(arguments) == 1
    assert cli.main([*arguments, "--out", str(tmp_path / "x" / "mine.safetensors")]) == 0
    assert api.find_prior(tmp_path / "x" / "mine.safetensors").metadata["name"] == "mugs"


def test_a_priors_file_is_added(scene, prior, own_priors, tmp_path, capfd):
    prior.with_suffix(".png").write_bytes(b"a picture")
    assert bpy.ops.dist.import_prior(filepath=str(prior), name="cone of ours") == {"FINISHED"}
    assert scene.dist.prior == "cone of ours"
    kept = api.find_prior("cone of ours")
    assert kept.path.parent == own_priors and kept.path.read_bytes() == prior.read_bytes()
    assert kept.picture.read_bytes() == b"a picture"
    damaged = tmp_path / "cut off.safetensors"
    damaged.write_bytes(prior.read_bytes()[:100])
    for path, words in (
        (damaged, "no safetensors file"),
        (tmp_path / "none.safetensors", "choose the file of a shape prior"),
    ):
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.dist.import_prior(filepath=str(path))
        assert cli.main(["import-prior", str(path)]) == 1
    assert cli.main(["import-prior", str(prior), "--name", "another"]) == 0
    elsewhere = [tmp_path / "x" / "one.safetensors", tmp_path / "told.json"]
    assert cli.main(["import-prior", str(prior), "--out", str(elsewhere[0]), "--json", str(elsewhere[1])]) == 0
    assert elsewhere[0].read_bytes() == prior.read_bytes() and json.loads(elsewhere[1].read_text())["name"] == "one"
    assert [found.name for found in api.priors() if found.path.parent == own_priors] == ["another", "cone of ours"]


def test_the_command_line_says_what_is_wrong(stand_in, shapes, tmp_path, capfd):
    name = ["--name", "mugs"]
    for arguments, words in [
        (["train", "--collection", "Nothing", *name], "no collection “Nothing”"),
        (["train", "--folder", str(tmp_path / "nowhere"), *name], "There is no folder"),
        (["train", "--collection", "Shapes", *name, "--out", "prior.pth"], "must end in .safetensors"),
        (["train", "--collection", "Shapes", "--name", "a/b"], "cannot be a prior's name"),
        (["import-prior", str(tmp_path)], "holds no specs.json"),
    ]:
        assert cli.main(arguments) == 1
        assert words in capfd.readouterr().err
    for arguments in (
        ["train", *name],
        ["train", "--collection", "Shapes"],
        ["train", "--collection", "a", "--folder", "b", *name],
    ):
        assert cli.main(arguments) == 2
    make_job_folder(stand_in, "error")
    assert cli.main(["train", "--collection", "Shapes", *name]) == 1


# The real worker.


@pytest.mark.slow
def test_a_prior_from_the_scene(shapes, own_priors, tmp_path):
    add_data(shapes, "Flat", bpy.data.meshes.new("Flat"))
    shapes.objects["Flat"].data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    made = api.train_prior(shapes, "böxes 1", steps=4, folder=tmp_path / "job")
    assert made.prior.path == own_priors / "böxes 1.safetensors" and api.find_prior("böxes 1").codes().shape == (2, 64)
    assert made.report["shapes"] == ["Cube 0", "Cube 1"] and list(made.report["left_out"]) == ["Flat"]
    assert made.prior.radius == pytest.approx(1 / 1.03)
    assert "DIST Training" in bpy.data.images


CHECKPOINT = """
import json, sys, torch
from pathlib import Path
folder = Path(sys.argv[1])
sizes = [8, 16, 16, 1]
for name in ("ModelParameters", "LatentCodes"):
    (folder / name).mkdir(parents=True)
network = {"dims": sizes[1:-1], "latent_in": [], "norm_layers": [], "weight_norm": False}
(folder / "specs.json").write_text(json.dumps({"CodeLength": 5, "NetworkSpecs": network}))
state = {}
for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
    state |= {f"lin{layer}.weight": torch.randn(fan_out, fan_in), f"lin{layer}.bias": torch.randn(fan_out)}
torch.save({"model_state_dict": state}, folder / "ModelParameters" / "latest.pth")
torch.save({"latent_codes": torch.ones(3, 5)}, folder / "LatentCodes" / "latest.pth")
"""


@pytest.mark.slow
def test_an_official_checkpoint_is_imported(scene, python, own_priors, tmp_path):
    subprocess.run([python, "-c", CHECKPOINT, str(tmp_path / "söfas")], check=True, cwd=ROOT)
    assert bpy.ops.dist.import_prior(directory=str(tmp_path / "söfas")) == {"FINISHED"}
    np.testing.assert_array_equal(api.find_prior("söfas").codes(), np.ones((3, 5)))
    with pytest.raises(RuntimeError, match="already"):
        bpy.ops.dist.import_prior(directory=str(tmp_path / "söfas"))
    assert cli.main(["import-prior", str(tmp_path / "söfas"), "--out", str(tmp_path / "one.safetensors")]) == 0
    assert [found.name for found in api.priors() if found.path.parent == own_priors] == ["söfas"]
