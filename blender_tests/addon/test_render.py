"""Rendering a prior's shape: what is asked of the worker, and what becomes of its answer."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree

from blender_tests.support.stage import ROOT, add_camera
from dist_addon import api
from dist_addon.scene import result as scene_result
from dist_addon.worker.dist_engine.protocol import RequestError, Result

CELL = 2 / 128


@pytest.fixture
def camera(scene) -> bpy.types.Object:
    """The scene's camera, at distance 5 from the origin."""
    scene.camera = add_camera(scene.collection, "Cam", 0.6, None)
    bpy.context.view_layer.update()
    return scene.camera


@pytest.fixture
def render(worker, prior, tmp_path):
    """`api.render_shape` with the stand-in worker; the request is read back beside the rendering."""

    def run(*arguments, **options):
        chosen = {"prior": prior, "code": 1, "worker_folder": worker, "folder": tmp_path / "job"} | options
        made = api.render_shape(*arguments, **chosen)
        return made, json.loads((made.folder / "request.json").read_text())

    return run


def make_result(code=(0.5, -0.5), scale=1.5, vertices=None, faces=None) -> bpy.types.Object:
    """An object as a reconstruction adds it, at a quarter turn about z."""
    vertices = np.eye(3) if vertices is None else vertices
    faces = np.array([[0, 1, 2]]) if faces is None else faces
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    report = {"code": list(code), "scale": scale, "prior": "cone"}
    result = Result(vertices, faces, np.zeros((0, 3)), quarter, np.array([1.0, 2.0, 3.0]), report)
    return scene_result.add_result(result, bpy.context.scene)


def read_pixels(image: bpy.types.Image) -> np.ndarray:
    """An image's numbers (H, W, 4), rows from top to bottom."""
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)[::-1]


# What is asked.


def test_the_scenes_camera_and_size_are_taken(scene, camera, render):
    scene.render.resolution_percentage = 50
    _, request = render(code=1)
    assert (request["width"], request["height"], request["view"]["name"]) == (16, 12, "Cam")
    assert request["code"] == [3, 6] and request["prior"].endswith("cone.safetensors")
    other = add_camera(scene.collection, "Other", 2.0, None)
    _, request = render(other, size=(40, 90))
    assert (request["width"], request["height"], request["view"]["name"]) == (40, 90, "Other")
    # As a render of that size has it: the sensor's width spans the longer side.
    assert request["view"]["K"][0][0] == pytest.approx(50 / 36 * 90)


@pytest.mark.parametrize(
    ("code", "numbers"), [(0, [1, 2]), (np.int64(1), [3, 6]), ("mean", [2, 4]), ((0.5, -3), [0.5, -3])]
)
def test_codes(camera, render, code, numbers):
    assert render(code=code)[1]["code"] == numbers


def test_a_shape_stands_at_the_origin_where_nothing_is_said(camera, render):
    found = render()[1]["placement"]
    assert found == {"scale": 1.0, "rotation": np.eye(3).tolist(), "translation": [0, 0, 0]}


def test_a_shape_stands_in_its_bounds(scene, camera, render):
    empty = bpy.data.objects.new("Box", None)
    scene.collection.objects.link(empty)
    empty.location, empty.rotation_euler, empty.scale = (1, 2, 3), (0, 0, math.pi / 2), (1, 2, 2)
    found = render(placement=empty)[1]["placement"]
    # The box's half diagonal is 3; shapes of this prior reach to 0.5.
    assert found["scale"] == pytest.approx(6)
    np.testing.assert_allclose(found["rotation"], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(found["translation"], [1, 2, 3])


def test_a_shape_stands_where_a_matrix_says(camera, render):
    matrix = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(math.pi / 2, 4, "X") @ Matrix.Scale(2, 4)
    found = render(placement=matrix)[1]["placement"]
    assert found["scale"] == pytest.approx(2)
    np.testing.assert_allclose(found["rotation"], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(found["translation"], [1, 2, 3])


def test_a_reconstruction_is_rendered_where_it_stands_now(camera, render):
    thing = make_result()
    thing.scale = (2, 2, 2)
    thing.location = (4, 5, 6)
    request = render(code=thing)[1]
    assert request["code"] == [0.5, -0.5]
    assert request["placement"]["scale"] == pytest.approx(3)
    np.testing.assert_allclose(request["placement"]["rotation"], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(request["placement"]["translation"], [4, 5, 6])
    # Another shape in its place.
    assert render(code=0, placement=thing)[1]["placement"] == request["placement"]


@pytest.mark.slow
def test_a_reconstruction_knows_its_prior(scene, rig, camera, worker, prior, tmp_path, render, monkeypatch):
    made = api.reconstruct(
        rig, bpy.data.objects["Box"], prior=prior, worker_folder=worker, folder=tmp_path / "reconstruction"
    )
    # The worker repeats what it was told.
    assert json.loads((made.folder / "request.json").read_text())["prior"] == str(prior)
    made.object["dist_prior"] = str(prior)
    assert render(code=made.object, prior=None)[1]["prior"] == str(prior)
    assert (tmp_path / "job" / "prior.safetensors").read_bytes() == prior.read_bytes()


def no_camera(scene):
    scene.camera = None
    return {}


def orthographic(scene):
    scene.camera.data.type = "ORTHO"
    return {}


def uneven(scene):
    thing = make_result()
    thing.scale = (1, 2, 1)
    return {"code": thing}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_camera, "no camera: add one"),
        (orthographic, "“Cam” is orthographic"),
        (lambda scene: {"prior": "spoon"}, "no shape prior “spoon”"),
        (lambda scene: {"code": [1.0, 2.0, 3.0]}, "code has 3 numbers, but the prior “cone” takes 2"),
        (lambda scene: {"code": [1.0, math.nan]}, "finite"),
        (lambda scene: {"code": [1.0, "much"]}, "list of numbers"),
        (lambda scene: {"code": 2}, "no shape 2: the prior “cone” has the shapes 0 to 1"),
        (lambda scene: {"code": "median"}, "no code “median”"),
        (lambda scene: {"code": scene.camera}, "“Cam” is no shape of a prior.*as any other mesh"),
        (uneven, "“DIST Shape” is sheared, mirrored, or not scaled evenly"),
        (lambda scene: {"placement": np.diag([1, 1, -1, 1])}, "placement is sheared, mirrored"),
        (lambda scene: {"placement": np.zeros((4, 4))}, "placement is sheared, mirrored"),
        (lambda scene: {"placement": np.eye(3)}, "4x4"),
        (lambda scene: {"placement": scene.camera}, "“Cam” are no Empty"),
        (lambda scene: {"size": (0, 24)}, "0 x 24 pixels"),
        (lambda scene: {"size": (100_000, 100_000)}, "100000 x 100000 pixels"),
    ],
)
def test_what_cannot_be_rendered_is_refused_before_work(scene, camera, render, tmp_path, spoil, words):
    options = spoil(scene)
    with pytest.raises(RequestError, match=words):
        render(**options)
    assert not (tmp_path / "job").exists()


# What becomes of the answer: the stand-in worker's picture of 3 x 2 pixels.


def test_the_files_hold_the_workers_numbers(camera, render):
    made, _ = render()
    assert made.report["queries"] == {"grid": 7} and made.depth.shape == (2, 3)
    depth = read_pixels(bpy.data.images.load(str(made.files["depth"])))
    assert depth[0, 2, 0] == np.float32(7.1234567)
    np.testing.assert_array_equal(depth[..., :3], np.repeat(made.depth[..., None], 3, axis=2))
    assert np.isinf(depth[..., 0]).sum() == 5
    normal = read_pixels(bpy.data.images.load(str(made.files["normal"])))
    np.testing.assert_array_equal(normal[..., :3], made.normal)
    np.testing.assert_array_equal(normal[0, 2], np.float32([0.6, -0.8, 0.0, 1.0]))
    silhouette = read_pixels(bpy.data.images.load(str(made.files["silhouette"])))
    np.testing.assert_array_equal(silhouette, np.repeat(made.silhouette[..., None], 4, axis=2))
    preview = read_pixels(bpy.data.images.load(str(made.files["preview"])))
    np.testing.assert_allclose(preview[0, 2], [0.8, 0.1, 0.5, 1.0], atol=1 / 255)
    assert sorted(path.name for path in made.files.values()) == [
        "depth.exr",
        "normal.exr",
        "normal.png",
        "silhouette.png",
    ]


@pytest.mark.slow
def test_the_images_are_made_once_and_follow(camera, render, tmp_path):
    first, _ = render()
    assert {image.name for image in first.images.values()} == {"DIST Depth", "DIST Normal", "DIST Silhouette"}
    assert len(bpy.data.images) == 3 and first.images["depth"].is_float
    assert read_pixels(first.images["depth"])[0, 2, 0] == np.float32(7.1234567)
    second, _ = render(folder=tmp_path / "larger")
    larger = np.full((4, 5), 2.5, np.float32)
    for name, array in (("depth", larger), ("normal", np.zeros((4, 5, 3), np.float32))):
        np.save(second.folder / f"{name}.npy", array)
    np.save(second.folder / "silhouette.npy", np.ones((4, 5), np.uint8))
    again = api.import_rendering(second.folder)
    assert again.images == first.images and len(bpy.data.images) == 3
    assert tuple(again.images["depth"].size) == (5, 4)
    assert (read_pixels(again.images["depth"])[..., 0] == 2.5).all()
    assert Path(again.images["depth"].filepath).parent == second.folder


@pytest.mark.slow
def test_damaged_renderings_are_refused(camera, render, rig, worker, prior, tmp_path):
    folder = render()[0].folder
    with pytest.raises(RequestError, match="holds a rendering, no shape"):
        api.import_result(folder)
    np.save(folder / "normal.npy", np.zeros((2, 2, 3), np.float32))
    with pytest.raises(RequestError, match="differ in size"):
        api.import_rendering(folder)
    (folder / "result.json").unlink()
    with pytest.raises(RequestError, match="holds no result"):
        api.import_rendering(folder)
    made = api.reconstruct(rig, bpy.data.objects["Box"], prior=prior, worker_folder=worker, folder=tmp_path / "shape")
    with pytest.raises(RequestError, match="holds a reconstruction"):
        api.import_rendering(made.folder)


# The real worker, against rays that Blender casts on a mesh of the same code.


@pytest.fixture(scope="session")
def table(python, tmp_path_factory) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """A training shape of the built-in tables: vertices and faces in the prior's frame, and its code."""
    folder = tmp_path_factory.mktemp("table")
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from dist_engine.meshing import extract_mesh; from dist_engine.prior import Prior\n"
        "prior = Prior.load(Path(sys.argv[1])); mesh = extract_mesh(prior.decoder.field(prior.codes[5]), 256)\n"
        "np.savez(sys.argv[2], vertices=mesh.vertices.numpy(), faces=mesh.faces, code=prior.codes[5].numpy())\n"
    )
    path = ROOT / "dist_addon" / "priors" / "table.safetensors"
    command = [python, "-c", code, str(path), str(folder / "mesh.npz")]
    subprocess.run(command, check=True, cwd=ROOT / "dist_addon" / "worker")
    with np.load(folder / "mesh.npz") as found:
        return found["vertices"], found["faces"], found["code"].tolist()


def cast(scene, vertices, faces) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) and normals (H, W, 3) by rays through the frame that Blender draws for the scene's camera."""
    camera = scene.camera
    width, height = scene.render.resolution_x, scene.render.resolution_y
    right_top, _, left_bottom, left_top = camera.data.view_frame(scene=scene)
    tree = BVHTree.FromPolygons(vertices.tolist(), faces.tolist())
    matrix = camera.matrix_world.normalized()
    forward = -matrix.col[2].to_3d()
    depth, normals = np.full((height, width), np.inf), np.zeros((height, width, 3))
    for row in range(height):
        for column in range(width):
            across = (column + 0.5) / width * (right_top - left_top)
            corner = left_top + across + (row + 0.5) / height * (left_bottom - left_top)
            where, normal, _, _ = tree.ray_cast(matrix.translation, matrix.to_3x3() @ corner)
            if where is not None:
                depth[row, column] = (where - matrix.translation).dot(forward)
                normals[row, column] = normal
    return depth, normals


def compare(made, scene, vertices, faces, unit) -> None:
    """Judge a rendering by a mesh in the world; `unit` is the length of the prior's unit there."""
    depth, normals = cast(scene, vertices, faces)
    hit, expected = made.silhouette == 1, np.isfinite(depth)
    assert expected.sum() > 200, "the camera sees too little to judge by"
    np.testing.assert_array_equal(hit, np.isfinite(made.depth))
    both = hit & expected
    assert both.sum() / (hit | expected).sum() >= 0.97
    close = np.abs(made.depth[both] - depth[both]) < CELL * unit
    assert close.mean() >= 0.97
    np.testing.assert_allclose(np.linalg.norm(made.normal[hit], axis=1), 1, atol=1e-5)
    assert (made.normal[~hit] == 0).all()
    cosine = (made.normal[both] * normals[both]).sum(axis=1).clip(-1, 1)
    assert np.degrees(np.arccos(cosine)).mean() < 5


@pytest.mark.slow
def test_a_reconstruction_looks_as_its_mesh_does(scene, camera, table, tmp_path):
    vertices, faces, code = table
    scene.render.resolution_x, scene.render.resolution_y = 96, 64
    camera.data.shift_x, camera.data.shift_y, camera.data.lens = 0.15, -0.1, 70
    thing = make_result(code, 1.5, 1.5 * vertices, faces)
    thing.location, thing.rotation_euler, thing.scale = (0.3, -0.1, 0.25), (-0.4, 0.6, 0.9), (0.8, 0.8, 0.8)
    made = api.render_shape(code=thing, prior="table", folder=tmp_path / "job")
    # The tables' frame is the thing's own: x right, y back, z up.
    world = np.array([thing.matrix_world @ vertex.co for vertex in thing.data.vertices])
    compare(made, scene, world, faces, 1.2)
    assert made.report["prior"] == "table" and made.report["queries"]["grid"] > 0


@pytest.mark.slow
def test_a_shape_of_a_prior_with_other_axes_in_an_upright_picture(scene, camera, table, python, tmp_path):
    vertices, faces, _ = table
    scene.render.resolution_x, scene.render.resolution_y = 56, 80
    scene.render.pixel_aspect_y = 1.25
    camera.data.sensor_fit, camera.data.sensor_height, camera.data.lens = "HORIZONTAL", 20, 72
    # The same prior with another up and front.
    path = tmp_path / "lying.safetensors"
    code = (
        "import sys; from pathlib import Path; from dist_engine.prior import Prior\n"
        "prior = Prior.load(Path(sys.argv[1])); prior.up, prior.front = '+y', '+x'; prior.save(Path(sys.argv[2]))\n"
    )
    command = [python, "-c", code, str(ROOT / "dist_addon" / "priors" / "table.safetensors"), str(path)]
    subprocess.run(command, check=True, cwd=ROOT / "dist_addon" / "worker")
    empty = bpy.data.objects.new("Box", None)
    scene.collection.objects.link(empty)
    empty.location, empty.rotation_euler, empty.scale = (0.2, 0.1, -0.3), (0.2, 0.1, 0.5), (0.8, 0.6, 0.5)
    bpy.context.view_layer.update()
    made = api.render_shape(prior=path, code=5, placement=empty, folder=tmp_path / "job")
    # Up is y, back is -x, so right is -z.
    own = np.stack([-vertices[:, 2], -vertices[:, 0], vertices[:, 1]], axis=1)
    # A box with these half sizes has a half diagonal of this; shapes reach to 1 / 1.03.
    unit = math.sqrt(0.8**2 + 0.6**2 + 0.5**2) * 1.03
    turned = empty.matrix_world.normalized()
    world = np.array([turned @ Vector(point) for point in (unit * own).tolist()])
    compare(made, scene, world, faces, unit)
    # The truth itself is what Blender's camera sees.
    point = Vector(world[0])
    seen = world_to_camera_view(scene, camera, point)
    assert 0 < seen.x < 1 and 0 < seen.y < 1
