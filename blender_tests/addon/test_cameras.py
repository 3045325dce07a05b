"""Our K and [R | t] against Blender's own projections."""

from __future__ import annotations

import itertools

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from dist_addon import api
from dist_addon.scene import cameras as scene_cameras
from dist_addon.scene.result import add_cameras
from dist_addon.worker.dist_engine.protocol import RequestError, Result, View

# Width, height, percentage, pixel aspect; percentages leave whole pixels, as world_to_camera_view ignores them.
FRAMES = [
    (640, 480, 100, (1.0, 1.0)),
    (480, 640, 50, (1.0, 1.0)),
    (1920, 1080, 25, (1.0, 1.0)),
    (300, 300, 100, (1.0, 1.0)),
    (640, 480, 100, (2.0, 1.0)),
    (480, 640, 100, (1.0, 1.7)),
    (500, 480, 100, (1.0, 1.3)),
]
LENSES = [(50.0, 36.0, 24.0, 0.0, 0.0), (21.0, 30.0, 33.0, 0.2, -0.35)]


def make_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    """A camera, turned and scaled by a parent that is turned and scaled too."""
    parent = bpy.data.objects.new("Parent", None)
    parent.rotation_euler, parent.location, parent.scale = (0.4, -0.9, 2.1), (3, -2, 1), (2, 2, 2)
    camera = bpy.data.objects.new("Cam", bpy.data.cameras.new("Cam"))
    camera.parent, camera.scale = parent, (1.5, 1.5, 1.5)
    camera.location, camera.rotation_euler = (0.3, 0.1, 2.0), (-0.2, 0.5, 0.7)
    scene.collection.objects.link(parent)
    scene.collection.objects.link(camera)
    return camera


def set_frame(scene, camera, frame, fit, lens):
    wide, high, percentage, aspect = frame
    scene.render.resolution_x, scene.render.resolution_y = wide, high
    scene.render.resolution_percentage = percentage
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    data = camera.data
    data.sensor_fit = fit
    data.lens, data.sensor_width, data.sensor_height, data.shift_x, data.shift_y = lens
    return wide * percentage // 100, high * percentage // 100


def project(K, pose, points):
    seen = points @ pose[:, :3].T + pose[:, 3]
    return (seen @ K.T)[:, :2] / seen[:, 2:], seen[:, 2]


@pytest.mark.parametrize(
    ("frame", "fit", "lens"),
    list(itertools.product(FRAMES, ["AUTO", "HORIZONTAL", "VERTICAL"], LENSES)),
)
def test_projects_as_blender_does(scene, frame, fit, lens):
    camera = make_camera(scene)
    width, height = set_frame(scene, camera, frame, fit, lens)
    depsgraph = api.evaluate(scene)
    assert scene_cameras.render_size(scene) == (width, height)

    local = np.random.default_rng(3).uniform((-2, -2, -9), (2, 2, -3), (40, 3))
    matrix = camera.matrix_world.normalized()
    points = np.array([matrix @ Vector(point) for point in local])

    K = scene_cameras.intrinsics(camera, (width, height), scene, depsgraph)
    ours, depth = project(K, scene_cameras.world_to_camera(camera, depsgraph), points)

    blenders = np.array([world_to_camera_view(scene, camera, Vector(point)) for point in points])
    expected = np.column_stack([blenders[:, 0] * width, (1 - blenders[:, 1]) * height])
    # Some points lie far outside the frame, where single precision is as coarse as this.
    assert np.abs(ours - expected).max() < 1e-3
    np.testing.assert_allclose(depth, blenders[:, 2], atol=1e-5)


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("size", [(633, 356), (211, 475)])
def test_projects_as_a_render_of_odd_size_does(scene, fit, size):
    """Against the matrix that Blender renders with, for sizes that a percentage rounded."""
    camera = make_camera(scene)
    set_frame(scene, camera, (1920, 1080, 33, (1.0, 1.2)), fit, LENSES[1])
    depsgraph = api.evaluate(scene)
    matrix = camera.calc_matrix_camera(
        depsgraph, x=size[0], y=size[1], scale_x=scene.render.pixel_aspect_x, scale_y=scene.render.pixel_aspect_y
    )
    point = camera.matrix_world.normalized() @ Vector((0.4, -0.3, -4.0))
    clip = matrix @ Vector((0.4, -0.3, -4.0, 1.0))
    expected = ((clip.x / clip.w + 1) / 2 * size[0], (1 - clip.y / clip.w) / 2 * size[1])
    K = scene_cameras.intrinsics(camera, size, scene, depsgraph)
    ours, _ = project(K, scene_cameras.world_to_camera(camera, depsgraph), np.array([point]))
    np.testing.assert_allclose(ours[0], expected, atol=1e-3)


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("frame", FRAMES[3:])
@pytest.mark.parametrize("copied", [True, False])
def test_an_added_camera_sees_what_the_view_says(scene, frame, fit, copied):
    camera = make_camera(scene)
    size = set_frame(scene, camera, frame, fit, LENSES[1])
    depsgraph = api.evaluate(scene)
    K, pose = scene_cameras.intrinsics(camera, size, scene, depsgraph), scene_cameras.world_to_camera(camera, depsgraph)
    K[[0, 1], [0, 1]] *= 1.1
    view = View("Cam refined", K, pose)
    before = camera.matrix_world.copy(), camera.data.lens
    made = scene_cameras.add_camera(view, size, camera if copied else None, scene.collection)
    depsgraph = api.evaluate(scene)
    assert made.name == "Cam refined" and made.data != camera.data
    assert (camera.matrix_world, camera.data.lens) == before
    np.testing.assert_allclose(scene_cameras.intrinsics(made, size, scene, depsgraph), K, rtol=1e-5)
    np.testing.assert_allclose(scene_cameras.world_to_camera(made, depsgraph), pose, atol=1e-5)


def test_a_render_cropped_to_its_region_is_a_part_of_the_frame(scene, tmp_path):
    """Against Blender's own cropped render of a ball."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, radius=0.4, location=(0.3, 0.2, -5))
    data = bpy.data.cameras.new("Cam")
    data.shift_x, data.shift_y = 0.05, -0.1
    scene.camera = bpy.data.objects.new("Cam", data)
    scene.collection.objects.link(scene.camera)
    render = scene.render
    render.engine, scene.cycles.samples, scene.cycles.pixel_filter_type = "CYCLES", 1, "BOX"
    render.film_transparent, render.image_settings.color_mode = True, "RGBA"
    render.resolution_x, render.resolution_y, render.resolution_percentage = 203, 151, 100
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.33, 0.77, 0.41, 0.93
    render.filepath = str(tmp_path / "part.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(render.filepath)
    background = data.background_images.new()
    background.image = image
    request = api.gather([scene.camera], points=np.array([[0.3, 0.2, -4.6]]))
    (view,), (mask,) = request.views, request.masks >= 128
    assert mask.shape == tuple(image.size)[::-1] and max(image.size) < 100
    rows, columns = np.indices(mask.shape) + 0.5
    rays = np.stack([columns, rows, np.ones(mask.shape)], -1) @ np.linalg.inv(view.K).T
    middle = view.world_to_camera @ [0.3, 0.2, -5, 1]
    along = rays @ middle / np.linalg.norm(rays, axis=-1)
    expected = middle @ middle - along**2 < 0.4**2
    assert (mask & expected).sum() / (mask | expected).sum() > 0.98
    # A refined camera sees the whole frame, as the others do.
    refined = view.to_json() | {"width": image.size[0], "height": image.size[1], "turned": 0.0, "moved": 0.0}
    report = {"cameras": [refined], "iou": {}}
    shape = Result(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)), np.eye(3), np.zeros(3), report)
    (camera,) = add_cameras(shape, scene)
    assert (camera.data.lens, camera.data.shift_x) == pytest.approx((50, 0.05), rel=1e-5)
    assert camera.data.shift_y == pytest.approx(-0.1, rel=1e-5)
    # Any other size is of the whole frame.
    whole = scene_cameras.intrinsics(scene.camera, (203, 151), scene, api.evaluate(scene))
    assert whole[0, 2] - view.K[0, 2] == int(0.33 * 203) and whole[1, 2] - view.K[1, 2] == 151 - int(0.93 * 151)


def test_field_of_view_unit_and_animation(scene):
    camera = make_camera(scene)
    camera.data.lens_unit = "FOV"
    camera.data.angle = np.pi / 2
    camera.data.keyframe_insert("lens", frame=1)
    camera.data.lens = 100.0
    camera.data.keyframe_insert("lens", frame=11)
    scene.frame_set(1)
    K = scene_cameras.intrinsics(camera, (32, 24), scene, api.evaluate(scene))
    np.testing.assert_allclose(K, [[16, 0, 16], [0, 16, 12], [0, 0, 1]], atol=1e-4)
    scene.frame_set(11)
    K = scene_cameras.intrinsics(camera, (32, 24), scene, api.evaluate(scene))
    assert K[0, 0] == pytest.approx(100 / 36 * 32, rel=1e-5)


def test_a_moved_parent_counts_without_an_update(scene):
    camera = make_camera(scene)
    camera.parent.matrix_world = Matrix.Translation((7, 0, 0))
    camera.matrix_basis = Matrix.Identity(4)
    pose = scene_cameras.world_to_camera(camera, api.evaluate(scene))
    np.testing.assert_allclose(pose[:, :3], np.diag([1, -1, -1]), atol=1e-6)
    np.testing.assert_allclose(pose[:, 3], [-7, 0, 0], atol=1e-6)


@pytest.mark.parametrize(("kind", "word"), [("ORTHO", "orthographic"), ("PANO", "pano")])
def test_other_lenses_are_refused(scene, kind, word):
    camera = make_camera(scene)
    camera.data.type = kind
    with pytest.raises(RequestError, match=f"“Cam” is {word}.*Perspective"):
        scene_cameras.intrinsics(camera, (32, 24), scene, api.evaluate(scene))


def test_a_mirrored_camera_is_refused(scene):
    camera = make_camera(scene)
    camera.scale = (-1, 1, 1)
    with pytest.raises(RequestError, match="“Cam” is mirrored"):
        scene_cameras.world_to_camera(camera, api.evaluate(scene))


def test_pictures_must_have_the_shape_of_the_render(scene):
    camera = make_camera(scene)
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    for size in [(1920, 1080), (633, 356), (3840, 2160), (100, 56), (100, 57)]:
        scene_cameras.check_aspect(camera, "Pic", size, scene)
    for size in [(1080, 1920), (640, 480), (1920, 1076)]:
        with pytest.raises(RequestError, match=f"“Pic” of camera “Cam” is {size[0]} x {size[1]}.*1920 x 1080"):
            scene_cameras.check_aspect(camera, "Pic", size, scene)
