"""Normals from files, against those that Blender renders and those that a turned ellipsoid has."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Vector

from blender_tests.support.stage import write_exr, write_picture
from dist_addon import api
from dist_addon.worker.dist_engine.protocol import Request, RequestError

SIZE = 48
CENTRE = np.array([1.0, 2.0, 0.5])
# To the world from the unit ball: an ellipsoid, lying askew.
TURNED = np.array(Euler((0.4, -0.7, 1.1)).to_matrix()) @ np.diag([0.7, 0.45, 0.3])


def surface(camera: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Where (SIZE, SIZE) a camera of 50 mm before a sensor of 36 mm sees the ellipsoid, and its normals there, in the
    world.
    """
    rows, columns = np.indices((SIZE, SIZE)) + 0.5
    pose = np.array(camera.matrix_world)
    flat = np.stack([columns - SIZE / 2, SIZE / 2 - rows], axis=-1) * 36 / 50 / SIZE
    rays = np.concatenate([flat, -np.ones((SIZE, SIZE, 1))], axis=-1) @ pose[:3, :3].T
    # Where rays meet the unit ball, once the ellipsoid is made one.
    undo = np.linalg.inv(TURNED)
    start, ahead = undo @ (pose[:3, 3] - CENTRE), rays @ undo.T
    a, b, c = (ahead**2).sum(-1), ahead @ start, start @ start - 1
    hit = b**2 > a * c
    along = (-b - np.sqrt(np.where(hit, b**2 - a * c, 0))) / a
    normals = (start + along[..., None] * ahead) @ undo
    return hit, normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def render_normals(scene: bpy.types.Scene, camera: bpy.types.Object, folder: Path) -> Path:
    """Blender's own Normal pass, by the compositor's File Output node, in the middles of pixels."""
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
    scene.view_layers[0].use_pass_normal = True
    if bpy.app.version >= (5, 0):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Passes", "CompositorNodeTree")
        end = tree.nodes.new("CompositorNodeOutputFile")
        end.directory, end.file_name = str(folder), "normals_"
        end.format.media_type = "IMAGE"
        end.file_output_items.new("VECTOR", camera.name)
        written = folder / f"normals_{camera.name}.exr"
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeOutputFile")
        end.base_path = str(folder)
        end.file_slots.clear()
        end.file_slots.new(f"normals_{camera.name}_")
        written = folder / f"normals_{camera.name}_{scene.frame_current:04d}.exr"
    end.format.file_format, end.format.color_depth = "OPEN_EXR", "32"
    source = tree.nodes.new("CompositorNodeRLayers")
    source.scene = scene
    tree.links.new(source.outputs["Normal"], end.inputs[0])
    bpy.ops.render.render()
    return written.rename(folder / f"normals_{camera.name}.exr")


@pytest.fixture
def views(scene, tmp_path):
    """A collection of two rolled cameras that see the ellipsoid, cut out; and its bounds."""
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    rig = bpy.data.collections.new("Rig")
    scene.collection.children.link(rig)
    for name, away, roll in (("Left", (-1.6, -1.2, 0.9), 0.5), ("Right", (1.5, -1.0, 1.4), -0.3)):
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        rig.objects.link(camera)
        turn = Vector(away).to_track_quat("Z", "Y").to_matrix() @ Matrix.Rotation(roll, 3, "Z")
        camera.matrix_world = Matrix.Translation((CENTRE + away).tolist()) @ turn.to_4x4()
        bpy.context.view_layer.update()
        pixels = np.ones((SIZE, SIZE, 4))
        pixels[..., 3] = surface(camera)[0]
        write_picture(tmp_path / f"{name}.png", pixels)
        camera.data.background_images.new().image = bpy.data.images.load(str(tmp_path / f"{name}.png"))
    box = bpy.data.objects.new("Box", None)
    box.location = CENTRE.tolist()
    scene.collection.objects.link(box)
    (tmp_path / "normals").mkdir()
    return list(rig.objects), box, tmp_path / "normals"


def in_camera(camera: bpy.types.Object, normals: np.ndarray) -> np.ndarray:
    """World space to Blender's camera space: x right, y up, z towards the camera."""
    return normals @ np.array(camera.matrix_world)[:3, :3]


def degrees(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((some * others).sum(-1), -1, 1)))


@pytest.mark.slow
def test_blenders_pass_comes_into_the_request_in_the_cameras_frames(scene, views, tmp_path):
    cameras, box, folder = views
    bpy.ops.mesh.primitive_uv_sphere_add(segments=256, ring_count=128, radius=1)
    thing = bpy.context.object
    bpy.ops.object.shade_smooth()
    thing.matrix_world = Matrix.Translation(CENTRE.tolist()) @ Matrix(TURNED.tolist()).to_4x4()
    files = [render_normals(scene, camera, folder) for camera in cameras]
    request = api.gather(cameras, box, normals=api.Normals(folder))
    request.save(tmp_path)
    request = Request.load(tmp_path)
    assert request.normals.dtype == np.float32
    for camera, mask, found in zip(cameras, request.masks, request.normals, strict=True):
        hit, truth = surface(camera)
        np.testing.assert_array_equal(mask == 255, hit)
        known = np.isfinite(found).all(-1)
        # The mesh is a little smaller than the ellipsoid.
        assert not known[~hit].any() and 0.97 < known.sum() / hit.sum() <= 1 and hit.sum() > 250
        np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1, atol=1e-6)
        # In the protocol's frame: y down, z forward.
        off = degrees(found[known], (in_camera(camera, truth) * [1, -1, -1])[known])
        assert np.median(off) < 0.05 and off.max() < 1
        assert (found[known][:, 2] < 0).mean() > 0.95
    # The same numbers, turned to camera space by hand.
    by_hand = tmp_path / "by hand"
    by_hand.mkdir()
    for camera, file in zip(cameras, files, strict=True):
        image = bpy.data.images.load(str(file))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.array(image.pixels[:], np.float32).reshape(SIZE, SIZE, -1)[::-1, :, :3]
        write_exr(by_hand / file.name, in_camera(camera, pixels))
    again = api.gather(cameras, box, normals=api.Normals(by_hand, "camera"))
    np.testing.assert_allclose(again.normals, request.normals, atol=1e-5)
    # Each in the other's place.
    with pytest.raises(
        RequestError,
        match=r"“normals_Left.exr” of camera “Left” does not fit Camera Space: \d+% .* In World Space they do not",
    ):
        api.gather(cameras, box, normals=api.Normals(folder, "camera"))
    with pytest.raises(
        RequestError,
        match=r"“normals_Left.exr” of camera “Left” does not fit World Space: \d+% .* In Camera Space they do not",
    ):
        api.gather(cameras, box, normals=api.Normals(by_hand))


def test_only_what_is_known_of_the_thing_counts(views):
    cameras, box, folder = views
    hit, normals = surface(cameras[1])
    rows, columns = np.nonzero(hit)
    (shorter, nothing, missing, rounded), given = zip(rows[:4], columns[:4], strict=True), normals.copy()
    # A mean across an edge; where nothing is; and what a file with few bits makes of a normal.
    given[shorter] *= 0.8
    given[nothing] = 0
    given[missing] = np.nan
    given[rounded] *= 1.05
    write_exr(folder / "Right.exr", given)
    found = api.gather(cameras, box, normals=api.Normals(folder)).normals
    assert np.isnan(found[0]).all()
    known = hit.copy()
    known[shorter] = known[nothing] = known[missing] = False
    np.testing.assert_array_equal(np.isfinite(found[1]).all(-1), known)
    np.testing.assert_array_equal(np.isnan(found[1]).any(-1), ~known)
    np.testing.assert_allclose(found[1][known], (in_camera(cameras[1], normals) * [1, -1, -1])[known], atol=1e-5)
    # Half-covered pixels are of the thing and of what is behind it.
    pixels = np.ones((SIZE, SIZE, 4))
    pixels[..., 3] = hit
    pixels[rounded][3] = 0.7
    cameras[1].data.background_images[0].image = half = bpy.data.images.new("Half", SIZE, SIZE, alpha=True)
    half.pixels.foreach_set(pixels[::-1].astype(np.float32).ravel())
    known[rounded] = False
    found = api.gather(cameras, box, normals=api.Normals(folder)).normals
    np.testing.assert_array_equal(np.isfinite(found[1]).all(-1), known)


@pytest.mark.parametrize("space", ["world", "camera"])
def test_a_few_normals_may_face_away(views, space):
    cameras, box, folder = views
    hit, normals = surface(cameras[0])
    if space == "camera":
        normals = in_camera(cameras[0], normals)
    middle = np.argwhere(hit)[len(np.argwhere(hit)) // 4 :]
    for share, refused in ((0.02, False), (0.05, True)):
        given = normals.copy()
        for row, column in middle[: int(share * hit.sum())]:
            given[row, column] *= -1
        write_exr(folder / "Left.exr", given)
        if not refused:
            api.gather(cameras, box, normals=api.Normals(folder, space))
            continue
        with pytest.raises(RequestError, match=r"“Left.exr” .*: [45]% .* do so, too: .*x right, y up and z towards"):
            api.gather(cameras, box, normals=api.Normals(folder, space))


def test_normals_that_cannot_be_used(views):
    cameras, box, folder = views
    hit, normals = surface(cameras[0])

    def refused(words, *choice):
        with pytest.raises(RequestError, match=words):
            api.gather(cameras, box, normals=api.Normals(folder, *choice))

    write_exr(folder / "other.exr", normals)
    refused(r"normal folder .*no file for any of the 2 views")
    (folder / "other.exr").rename(folder / "Left.exr")
    refused(r"no space “tangent” of normals: choose one of world, camera", "tangent")
    write_exr(folder / "Left.exr", normals[:-1])
    refused(r"“Left.exr” of camera “Left” is 48 x 47, but the mask is 48 x 48")
    write_exr(folder / "Left.exr", (normals + 1) / 2)
    refused(r"“Left.exr” of camera “Left” holds colours, \(n \+ 1\) / 2, .*2 c - 1")
    write_exr(folder / "Left.exr", 3 * normals)
    refused(r"“Left.exr” of camera “Left” holds no normals: 100% of .*not of length 1")
    write_exr(folder / "Left.exr", np.where(hit[..., None], 0, normals))
    refused(r"normal folder .*hold no normal where the masks show the thing")
    write_exr(folder / "Left.exr", -normals)
    refused(
        r"“Left.exr” .*does not fit World Space: \d+% .*In Camera Space they do so, too: check that the file belongs"
    )
    (folder / "Left.exr").unlink()
    write_picture(folder / "Left.png", np.dstack([(normals + 1) / 2, np.ones((SIZE, SIZE))]))
    refused(r"“Left.png” of camera “Left” is no EXR")
