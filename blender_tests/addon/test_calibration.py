"""Imported cameras against Blender's own projections, and what an import does to a scene."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from blender_tests.support import camera_files
from blender_tests.support.camera_files import COLORS, POINTS, Truth, looking_at_origin
from blender_tests.support.stage import add_camera
from dist_addon import api, cli
from dist_addon.scene import cameras as scene_cameras
from dist_addon.scene import shots as scene_shots
from dist_addon.worker.dist_engine.protocol import RequestError


def y_up(points: np.ndarray) -> np.ndarray:
    return np.column_stack([points[:, 0], -points[:, 2], points[:, 1]])


def y_down(points: np.ndarray) -> np.ndarray:
    return np.column_stack([points[:, 0], points[:, 2], -points[:, 1]])


# How each is written, and where its points are when its usual up has become Z.
WRITERS = {
    "transforms": (camera_files.write_transforms, lambda points: points),
    "text": (camera_files.write_colmap_text, y_down),
    "binary": (camera_files.write_colmap_binary, y_down),
    "middlebury": (camera_files.write_middlebury, y_up),
}
CLOUD = np.random.default_rng(5).uniform(-1, 1, (30, 3))


def projections(scene, cameras, points) -> np.ndarray:
    """Pixels (cameras, N, 2) by Blender."""
    bpy.context.view_layer.update()
    width, height = scene.render.resolution_x, scene.render.resolution_y
    seen = np.array([[world_to_camera_view(scene, camera, Vector(point)) for point in points] for camera in cameras])
    return np.stack([seen[..., 0] * width, (1 - seen[..., 1]) * height], -1)


def export(scene, cameras) -> list[Truth]:
    """What Blender renders with, from its own matrices alone."""
    width, height = size = scene.render.resolution_x, scene.render.resolution_y
    aspect = {"scale_x": scene.render.pixel_aspect_x, "scale_y": scene.render.pixel_aspect_y}
    depsgraph = bpy.context.evaluated_depsgraph_get()
    found = []
    for number, camera in enumerate(cameras):
        P = np.array(camera.calc_matrix_camera(depsgraph, x=width, y=height, **aspect))
        K = np.array(
            [
                [P[0, 0] * width / 2, 0, width / 2 * (1 - P[0, 2])],
                [0, P[1, 1] * height / 2, height / 2 * (1 + P[1, 2])],
                [0, 0, 1],
            ]
        )
        matrix = np.array(camera.matrix_world)
        R = (matrix[:3, :3] * [1, -1, -1]).T
        found.append(Truth(f"shot{number}.png", K, R, -R @ matrix[:3, 3], size))
    return found


def of_another_scene(scene, kind: str, folder: Path, up: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Export cameras, import them into a new scene of another shape; return the projections before and after."""
    collection = bpy.data.collections.new("Own")
    scene.collection.children.link(collection)
    scene.render.resolution_x, scene.render.resolution_y = 640, 480
    cameras = [add_camera(collection, f"Own{n}", 1.3 * n, None) for n in range(4)]
    for n, camera in enumerate(cameras):
        camera.data.lens, camera.data.shift_x, camera.data.shift_y = 35 + 9 * n, 0.04 * n, -0.03
    bpy.context.view_layer.update()
    for n, camera in enumerate(cameras):
        camera.matrix_world @= Matrix.Rotation(0.8 * n, 4, "Z")
    before = projections(scene, cameras, CLOUD)
    truth = export(scene, cameras)
    write, turn = WRITERS[kind]
    write(folder, truth)
    camera_files.write_pictures(folder, truth)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.pixel_aspect_y = 300, 900, 1.5
    found = api.import_cameras(folder, up)
    return before, projections(scene, found.cameras, CLOUD if up else turn(CLOUD))


@pytest.mark.parametrize("aspect", [(1.0, 1.0), (1.0, 1.3), (1.0046, 1.0)])
@pytest.mark.parametrize("kind", WRITERS)
def test_cameras_go_out_and_come_back(scene, tmp_path, kind, aspect):
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    before, after = of_another_scene(scene, kind, tmp_path, "+z")
    assert np.abs(after - before).max() < 1e-3
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == (640, 480)
    assert (render.pixel_aspect_x, render.pixel_aspect_y) == pytest.approx(aspect, rel=1e-6)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_usual_up_becomes_z(scene, tmp_path, kind):
    before, after = of_another_scene(scene, kind, tmp_path, None)
    assert np.abs(after - before).max() < 1e-3


def test_the_pictures_come_as_masks(scene, tmp_path):
    cameras = looking_at_origin(3)
    camera_files.write_transforms(tmp_path / "Set", cameras)
    camera_files.write_pictures(tmp_path / "Set", cameras)
    # So Blender's file browser calls a folder, with the name of the open file, which may be there.
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "Set" / "untitled.blend"))
    assert bpy.ops.dist.import_cameras(filepath=str(tmp_path / "Set" / "untitled.blend")) == {"FINISHED"}
    assert set(bpy.context.selected_objects) == set(scene.dist.cameras.objects)
    chosen = scene.dist.cameras
    assert chosen.name == "Set" and scene.dist.points is None
    assert [camera.name for camera in chosen.objects] == ["pic0", "pic1", "pic2"]
    for camera, truth in zip(chosen.objects, cameras, strict=True):
        assert camera.data.show_background_images
        (background,) = camera.data.background_images
        assert Path(background.image.filepath) == tmp_path / "Set" / truth.picture
        # Read when it is needed, not before.
        assert not background.image.has_data
    request = api.gather(chosen, None)
    for view, mask, truth in zip(request.views, request.masks, cameras, strict=True):
        np.testing.assert_allclose(view.K, truth.K, atol=1e-4)
        np.testing.assert_allclose(view.world_to_camera, np.column_stack([truth.R, truth.t]), atol=1e-5)
        assert (mask[:24, :32] == 255).all() and mask.sum() == 255 * 24 * 32


def test_a_cloud_comes_as_points(scene, tmp_path):
    camera_files.write_colmap_binary(tmp_path, looking_at_origin(2))
    found = api.import_cameras(tmp_path, "+z")
    mesh = found.points.data
    assert np.allclose([tuple(vertex.co) for vertex in mesh.vertices], POINTS) and not len(mesh.polygons)
    colors = np.array([tuple(entry.color_srgb) for entry in mesh.color_attributes["Color"].data])
    np.testing.assert_allclose(colors[:, :3] * 255, COLORS, atol=0.5)
    # Of the scene's two choices, only the empty one is made.
    other = bpy.data.objects.new("Scan", bpy.data.meshes.new("Scan"))
    scene.dist.points = other
    bpy.ops.dist.import_cameras(filepath=str(tmp_path / "cameras.bin"))
    assert scene.dist.points == other and scene.dist.cameras not in (None, found.collection)
    scene.dist.points = None
    bpy.ops.dist.import_cameras(filepath=str(tmp_path / "cameras.bin"), up="-z")
    np.testing.assert_allclose(scene.dist.points.data.vertices[0].co, [0.5, 0.25, -1.0])


def box_picture(truth: Truth, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """White where a pixel's ray meets a box, by its slabs."""
    width, height = truth.size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(truth.K).T @ truth.R
    place = -truth.R.T @ truth.t
    near, far = np.sort([(low - place) / rays, (high - place) / rays], axis=0)
    met = near.max(-1) < far.min(-1)
    return np.repeat(met[..., None] * 255, 3, -1)


def test_a_box_is_where_middleburys_pictures_show_it(scene, tmp_path):
    """A set like the benchmark's: tiny, cameras that lie on their side, pixels that are not square, opaque pictures."""
    low, high = np.array([-0.062, -0.019, -0.058]), np.array([0.011, 0.068, 0.0155])
    roll = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    cameras = looking_at_origin(6, (320, 240))
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    masks = []
    for camera in cameras:
        # From y up, and about the box; the longer side of the picture along the world's up.
        R = camera.R @ np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
        camera.R, camera.t = roll @ R, roll @ (0.13 * camera.t - R @ (low + high) / 2)
        camera.K = np.array([[1300, 0, 158.4], [0, 1306, 100.3], [0, 0, 1]])
        masks.append(box_picture(camera, low, high))
        camera_files.write_png(tmp_path / camera.picture, masks[-1])
    camera_files.write_middlebury(tmp_path, cameras)
    found = api.import_cameras(tmp_path)
    for mask, pixels in zip(masks, projections(scene, found.cameras, y_up(corners)), strict=True):
        rows, columns = np.nonzero(mask[..., 0])
        shown = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]])
        expected = np.clip([pixels.min(0), pixels.max(0)], 0, (320, 240))
        assert np.abs(shown - expected).max() < 1.01
    # In the up-right world the cameras stand around, and the picture's right is up.
    for camera in found.cameras:
        assert camera.matrix_world.col[0].z > 0.5
        assert camera.data.clip_start < 0.05 and 0.001 < camera.data.display_size < 0.1


def test_jpegs_say_their_size(scene, tmp_path):
    cameras = looking_at_origin(2)
    for camera in cameras:
        camera.picture = camera.picture.replace("png", "jpg")
        image = bpy.data.images.new("Made", 70, 50)
        image.filepath_raw, image.file_format = str(tmp_path / camera.picture), "JPEG"
        image.save()
    camera_files.write_middlebury(tmp_path, cameras)
    api.import_cameras(tmp_path)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (70, 50)


def test_an_import_is_one_undo_step(scene, tmp_path):
    camera_files.write_colmap_text(tmp_path, looking_at_origin(2))
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="Before")
    # Called from Python, an operator makes no undo step of its own unless asked to.
    assert bpy.ops.dist.import_cameras("EXEC_DEFAULT", True, filepath=str(tmp_path)) == {"FINISHED"}
    assert len(bpy.data.cameras) == 2 and scene.render.resolution_x == 64
    bpy.ops.ed.undo()
    scene = bpy.context.scene
    assert not bpy.data.objects and not bpy.data.collections
    assert (scene.render.resolution_x, scene.dist.cameras, scene.dist.points) == (32, None, None)


def test_a_saved_scene_keeps_what_came(scene, tmp_path):
    cameras = looking_at_origin(2)
    camera_files.write_transforms(tmp_path, cameras)
    camera_files.write_pictures(tmp_path, cameras)
    code = cli.main(
        ["import-cameras", str(tmp_path), "--out", str(tmp_path / "a.blend"), "--json", str(tmp_path / "a.json")]
    )
    assert code == 0
    report = json.loads((tmp_path / "a.json").read_text())
    assert report == {"collection": tmp_path.name, "cameras": ["pic0", "pic1"], "points": None, "missing": []}
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (64, 48)
    request = api.gather(scene.dist.cameras, None)
    np.testing.assert_allclose([view.K for view in request.views], [camera.K for camera in cameras], atol=1e-4)


def test_missing_pictures_are_told_and_can_be_found(scene, tmp_path, capfd):
    cameras = looking_at_origin(3)
    camera_files.write_transforms(tmp_path, cameras)
    camera_files.write_pictures(tmp_path, cameras[:1])
    found = api.import_cameras(tmp_path)
    assert [path.name for path in found.missing] == ["pic1.png", "pic2.png"]
    assert any("2 of their pictures" in note and "pic1.png" in note for note in found.notes)
    with pytest.raises(RequestError, match=r"“pic1\.png” of camera “pic1” is not on disk.*Find Missing Files"):
        scene_shots.picture_of(found.cameras[1])
    camera_files.write_pictures(tmp_path / "moved", cameras[1:])
    bpy.ops.file.find_missing_files(directory=str(tmp_path / "moved"))
    assert api.gather(found.collection, None).masks.shape == (3, 48, 64)


def test_a_refused_file_changes_nothing(scene, rig, tmp_path):
    camera_files.write_transforms(tmp_path, looking_at_origin(2), k1=0.1)
    before = {name: len(getattr(bpy.data, name)) for name in ("objects", "cameras", "images", "collections", "meshes")}
    with pytest.raises(RuntimeError, match=r"transforms\.json, frame 0: the lens is distorted"):
        bpy.ops.dist.import_cameras(filepath=str(tmp_path))
    assert cli.main(["import-cameras", str(tmp_path)]) == 1
    assert cli.main(["import-cameras", str(tmp_path), "--up=top"]) == 2
    assert before == {name: len(getattr(bpy.data, name)) for name in before}
    assert (scene.render.resolution_x, scene.dist.cameras) == (32, rig)


def test_a_picture_that_is_open_already_is_shared(scene, tmp_path):
    cameras = looking_at_origin(1)
    camera_files.write_transforms(tmp_path, cameras)
    camera_files.write_pictures(tmp_path, cameras)
    image = bpy.data.images.load(str(tmp_path / "pic0.png"))
    (camera,) = api.import_cameras(tmp_path).cameras
    assert camera.data.background_images[0].image == image
    # Its K is that of the file, through the add-on's own eyes too.
    K = scene_cameras.intrinsics(camera, (64, 48), scene, api.evaluate(scene))
    np.testing.assert_allclose(K, cameras[0].K, atol=1e-4)


def test_a_linked_scene_gets_no_cameras(scene, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (there, here):
        here.scenes = there.scenes[:1]
    assert bpy.ops.dist.import_cameras.poll()
    with bpy.context.temp_override(scene=here.scenes[0]):
        assert not bpy.ops.dist.import_cameras.poll()
