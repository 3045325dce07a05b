"""What is read from a scene, and what is refused before any work."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import bmesh
import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector

from blender_tests.support.stage import make_picture, some_shape
from dist_addon import api, prior_files
from dist_addon.scene import bounds as scene_bounds
from dist_addon.worker.dist_engine.protocol import Request, RequestError


def box() -> bpy.types.Object:
    return bpy.data.objects["Box"]


def test_a_good_scene_becomes_a_request(scene, rig, tmp_path):
    asked = {"refine_placement": False, "refine_cameras": True, "seed": 4}
    request = api.gather(rig, box(), prior="table", quality="preview", **asked)
    assert [view.name for view in request.views] == ["Cam0", "Cam1", "Cam2"]
    assert request.settings.refine_placement is False and request.settings.seed == 4
    assert request.settings.refine_cameras is True and request.settings.refine_focal_length is False
    assert request.settings.iterations == api.QUALITIES["preview"].iterations
    expected = np.zeros((24, 32), np.uint8)
    expected[:6, :10] = 255
    for mask in request.masks:
        np.testing.assert_array_equal(mask, expected)
    for view, angle in zip(request.views, [0.0, 2.0, 4.0], strict=True):
        origin = -view.world_to_camera[:, :3].T @ view.world_to_camera[:, 3]
        np.testing.assert_allclose(origin, [5 * math.cos(angle), 5 * math.sin(angle), 1], atol=1e-5)
    request.save(tmp_path)
    again = Request.load(tmp_path)
    np.testing.assert_array_equal(again.masks, request.masks)
    np.testing.assert_allclose(again.views[2].K, request.views[2].K)


def test_a_list_of_cameras_will_do(scene, rig):
    chosen = [rig.objects["Cam2"], rig.objects["Cam0"]]
    assert [view.name for view in api.gather(chosen, box()).views] == ["Cam2", "Cam0"]


def some_points(count: int = 4) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("Markers")
    mesh.from_pydata([(0.1 * i, 0.2, 0.3) for i in range(count)], [], [])
    thing = bpy.data.objects.new("Markers", mesh)
    bpy.context.scene.collection.objects.link(thing)
    thing.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(math.pi / 2, 4, "Z")
    return thing


def test_points_come_with_cameras_or_alone(scene, rig, tmp_path):
    expected = [(0.8, 2 + 0.1 * i, 3.3) for i in range(4)]
    both = api.gather(rig, None, points=some_points())
    np.testing.assert_allclose(both.points, expected, atol=1e-6)
    assert len(both.views) == 3
    alone = api.gather(None, None, points=np.array(expected))
    alone.save(tmp_path)
    again = Request.load(tmp_path)
    np.testing.assert_allclose(again.points, expected)
    assert again.views == [] and again.masks.shape == (0, 1, 1)


def test_points_of_a_mesh_that_is_edited_are_as_they_are_shown(scene, rig):
    thing = some_points()
    bpy.context.view_layer.objects.active = thing
    bpy.ops.object.mode_set(mode="EDIT")
    edited = bmesh.from_edit_mesh(thing.data)
    for vertex in edited.verts:
        vertex.co.z += 0.1
    bmesh.update_edit_mesh(thing.data)
    expected = [(0.8, 2 + 0.1 * i, 3.4) for i in range(4)]
    np.testing.assert_allclose(api.gather(rig, None, points=thing).points, expected, atol=1e-6)
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.skipif(bpy.app.version < (4, 5), reason="Blender 4.2 lets nobody make a point cloud")
def test_a_point_cloud_is_read_where_it_stands(scene, rig):
    thing = some_points()
    bpy.context.view_layer.objects.active = thing
    thing.select_set(True)
    bpy.ops.object.convert(target="POINTCLOUD")
    cloud = bpy.context.view_layer.objects.active
    assert cloud.type == "POINTCLOUD"
    bpy.context.scene.dist.points = cloud
    expected = [(0.8, 2 + 0.1 * i, 3.3) for i in range(4)]
    np.testing.assert_allclose(api.gather(rig, None, points=cloud).points, expected, atol=1e-6)


def test_points_beside_the_bounds_are_left_out(scene, rig):
    empty = box()
    empty.empty_display_size = 1.0
    empty.matrix_world = Matrix.Translation((5, 0, 0)) @ Matrix.Rotation(math.pi / 4, 4, "Z")
    # Turned, the box reaches to 1.41 along x, and to 1.69 with room for its being rough.
    points = np.array([(5, 0, 0), (6.6, 0, 0), (6.8, 0, 0), (5.9, 0.9, 0), (5, 0, 1.1), (5, 0, 1.3)])
    request = api.gather(rig, empty, points=points)
    np.testing.assert_allclose(request.points, points[[0, 1, 4]])
    with pytest.raises(RequestError, match="outside the bounds"):
        api.gather(rig, empty, points=points[[2, 5]])


def test_points_within_a_long_turned_box_are_kept(scene, rig):
    empty = box()
    empty.empty_display_size = 1.0
    empty.matrix_world = Matrix.Rotation(math.radians(30), 4, "Z") @ Matrix.Diagonal((2, 0.2, 0.2, 1))
    # Along its length, and as far the other way from the x axis.
    along = np.array([1.5 * math.cos(math.radians(30)), 1.5 * math.sin(math.radians(30)), 0])
    points = np.array([along, along * [1, -1, 1]])
    np.testing.assert_allclose(api.gather(rig, empty, points=points).points, points[:1])


def test_a_fit_can_start_from_a_shape(scene, rig, tmp_path):
    request = api.gather(rig, None, prior="table", start=some_shape(), refine_shape=False, refine_cameras=True)
    request.save(tmp_path)
    again = Request.load(tmp_path)
    np.testing.assert_allclose(again.code, prior_files.find_prior("table").code(3))
    assert again.settings.refine_shape is False
    assert again.placement.scale == pytest.approx(1.0)
    np.testing.assert_allclose(again.placement.translation, [1, 2, 3])
    assert again.bounds is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"points": np.zeros((3, 2))}, "rows"),
        ({"points": np.zeros((0, 3))}, "between 1 and"),
        ({"points": np.full((3, 3), np.nan)}, "not finite"),
        ({"points": "Markers"}, "point cloud"),
        ({"refine_shape": False}, "none is given"),
    ],
)
def test_points_and_starts_that_cannot_be_used(scene, rig, given, words):
    with pytest.raises(RequestError, match=words):
        api.gather(rig, box(), **given)


def test_points_that_are_no_mesh_and_shapes_of_another_prior(scene, rig):
    with pytest.raises(RequestError, match=r"Box.*neither a mesh"):
        api.gather(rig, box(), points=box())
    with pytest.raises(RequestError, match=r"Box.*no shape.*or choose Anything"):
        api.gather(rig, box(), prior="table", start=box())
    shape = some_shape()
    with pytest.raises(RequestError, match=r"prior “table”, not “chair”.*or Anything, which starts from any mesh"):
        api.gather(rig, box(), prior="chair", start=shape)
    shape["dist_prior"] = "nothing"
    with pytest.raises(RequestError, match="nothing"):
        api.gather(rig, box(), prior="table", start=shape)


def solid(name: str, build: Callable[[bmesh.types.BMesh], object]) -> bpy.types.Object:
    """A mesh that bmesh builds, turned, stretched and mirrored beside the origin."""
    made = bmesh.new()
    build(made)
    thing = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    made.to_mesh(thing.data)
    made.free()
    bpy.context.scene.collection.objects.link(thing)
    turn = Matrix.Rotation(0.7, 4, "X") @ Matrix.Rotation(0.3, 4, "Z")
    thing.matrix_world = Matrix.Translation((1, 2, 3)) @ turn @ Matrix.Diagonal((-1, 2, 0.5, 1))
    return thing


def volume(request: Request) -> float:
    """What is within the mesh to start from, by the divergence theorem: positive where it looks outwards."""
    a, b, c = np.moveaxis(request.start_vertices[request.start_faces], 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def cube(made: bmesh.types.BMesh) -> None:
    bmesh.ops.create_cube(made, size=2)


def test_a_fit_can_start_from_any_mesh(scene, rig, tmp_path):
    thing = solid("Blockout", cube)
    request = api.gather(rig, start=thing)
    assert request.prior == "" and request.code is None and request.placement is None
    request.save(tmp_path)
    again = Request.load(tmp_path)
    expected = [thing.matrix_world @ Vector(corner) for corner in itertools.product((-1, 1), repeat=3)]
    found = again.start_vertices[np.lexsort(again.start_vertices.T)]
    np.testing.assert_allclose(found, np.array(expected)[np.lexsort(np.array(expected, np.float32).T)], atol=1e-5)
    assert again.start_faces.shape == (12, 3) and volume(again) == pytest.approx(8)
    # It tells where the thing is, so one view will do.
    assert len(api.gather([rig.objects[0]], start=thing).views) == 1
    # As modifiers leave it, and the right way out.
    thing.modifiers.new("Round", "SUBSURF")
    thing.data.flip_normals()
    assert len(api.gather(rig, start=thing).start_faces) > 12
    thing.modifiers.clear()
    assert volume(api.gather(rig, start=thing)) == pytest.approx(8)
    # A box without a lid has an inside.
    lid = solid("Open", lambda made: (cube(made), made.faces.ensure_lookup_table(), made.faces.remove(made.faces[0])))
    assert len(api.gather(rig, start=lid).start_faces) == 10


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda made: made.verts.new((1, 2, 3)), "“Start”, has no faces: give it some"),
        (
            lambda made: bmesh.ops.create_grid(made, x_segments=3, y_segments=3, size=1),
            "“Start”, has no inside.*Remesh",
        ),
        # Half a ball: nowhere are most directions blocked beside its middle.
        (
            lambda made: bmesh.ops.bisect_plane(
                made,
                geom=[*bmesh.ops.create_icosphere(made, subdivisions=3, radius=1)["verts"], *made.edges, *made.faces],
                plane_co=(0, 0, 0.3),
                plane_no=(0, 0, 1),
                clear_inner=True,
            ),
            "“Start”, has no inside",
        ),
    ],
    ids=["points", "flat", "bowl"],
)
def test_a_mesh_without_an_inside_is_no_start(scene, rig, build, words):
    with pytest.raises(RequestError, match=words):
        api.gather(rig, start=solid("Start", build))


def test_what_cannot_be_started_from_is_told(scene, rig):
    with pytest.raises(RequestError, match=r"“Box”, chosen to start from, is no mesh"):
        api.gather(rig, start=box())
    with pytest.raises(RequestError, match="nothing is left to fit"):
        api.gather(rig, start=solid("Still", cube), freedom="none")
    for flag in ("refine_cameras", "refine_focal_length"):
        with pytest.raises(RequestError, match="with a shape prior only"):
            api.gather(rig, **{flag: True})
    with pytest.raises(RequestError, match=r"“Kept” is to stay as it is, but only a prior's shape can"):
        api.gather(rig, start=solid("Kept", cube), refine_shape=False)


def test_a_picture_on_disk_is_read_and_freed(scene, rig, tmp_path):
    source = make_picture("Source")
    source.filepath_raw, source.file_format = str(tmp_path / "disk.png"), "PNG"
    source.save()
    image = bpy.data.images.load(str(tmp_path / "disk.png"))
    before = (image.colorspace_settings.name, image.alpha_mode, image.has_data)
    rig.objects["Cam1"].data.background_images[0].image = image
    masks = api.gather(rig, box()).masks
    np.testing.assert_array_equal(masks[1], masks[0])
    assert before == (image.colorspace_settings.name, image.alpha_mode, image.has_data)
    assert not image.has_data
    image.pack()
    (tmp_path / "disk.png").unlink()
    np.testing.assert_array_equal(api.gather(rig, box()).masks[1], masks[0])


def test_half_covered_pixels_keep_their_share(scene, rig):
    image = bpy.data.images["Pic0"]
    pixels = np.array(image.pixels[:]).reshape(24, 32, 4)
    pixels[0, 0, 3] = 0.5
    image.pixels.foreach_set(pixels.astype(np.float32).ravel())
    assert abs(int(api.gather(rig, box()).masks[0, 23, 0]) - 128) <= 1


def test_an_enabled_picture_is_taken(scene, rig):
    backgrounds = rig.objects["Cam1"].data.background_images
    backgrounds[0].image = make_picture("Unused", alpha=1.0)
    backgrounds[0].show_background_image = False
    backgrounds.new().image = bpy.data.images["Pic1"]
    assert api.gather(rig, box()).masks[1].sum() == 60 * 255


def no_picture(rig):
    rig.objects["Cam1"].data.background_images.clear()


def missing_file(rig):
    image = bpy.data.images.new("Lost", 1, 1)
    image.source, image.filepath = "FILE", "//nowhere/lost.png"
    rig.objects["Cam1"].data.background_images[0].image = image


def unreadable_file(rig):
    image = bpy.data.images.new("Broken", 1, 1)
    image.source, image.filepath = "FILE", __file__
    rig.objects["Cam1"].data.background_images[0].image = image


def opaque(rig):
    rig.objects["Cam1"].data.background_images[0].image = make_picture("Solid", alpha=1.0)


def empty(rig):
    rig.objects["Cam1"].data.background_images[0].image = make_picture("Clear", alpha=0.0)


def other_size(rig):
    rig.objects["Cam1"].data.background_images[0].image = make_picture("Large", 64, 48)


def other_shape(rig):
    for camera in rig.objects:
        camera.data.background_images[0].image = make_picture("Square", 24, 24)


def moved(rig):
    rig.objects["Cam1"].data.background_images[0].offset = (0.1, 0.0)


def orthographic(rig):
    rig.objects["Cam1"].data.type = "ORTHO"


def emptied(rig):
    for camera in list(rig.objects):
        rig.objects.unlink(camera)


@pytest.mark.parametrize(
    ("spoil", "names", "remedy"),
    [
        (no_picture, ["Cam1"], "Background Images"),
        (missing_file, ["Cam1", "Lost", "lost.png"], "Find Missing Files"),
        (unreadable_file, ["Cam1", "Broken"], "replace it"),
        (opaque, ["Cam1", "Solid"], "transparent background"),
        (empty, ["Cam1", "Clear"], "out of the collection"),
        (other_size, ["Cam0", "Pic0", "32 x 24", "Cam1", "Large", "64 x 48"], "to one size"),
        (other_shape, ["Cam0", "Square", "24 x 24", "32 x 24"], "Output properties"),
        (moved, ["Cam1", "Pic1"], "reset it"),
        (orthographic, ["Cam1"], "Lens Type to Perspective"),
        (emptied, ["Rig"], "put the cameras into it"),
    ],
)
def test_an_unfit_scene_is_refused(scene, rig, spoil, names, remedy):
    spoil(rig)
    with pytest.raises(RequestError) as caught:
        api.gather(rig, box())
    for word in [*names, remedy]:
        assert word in str(caught.value)


def test_nothing_chosen_is_refused(scene, rig):
    with pytest.raises(RequestError, match="collection of cameras"):
        api.gather(None, box())
    assert api.gather(rig, None).bounds is None
    with pytest.raises(RequestError, match=r"One view alone.*add bounds"):
        api.gather([rig.objects["Cam0"]], None)
    with pytest.raises(RequestError, match="“Cam0” are no Empty"):
        api.gather(rig, rig.objects["Cam0"])
    with pytest.raises(RequestError, match="“Box” is no camera"):
        api.gather([box()], box())
    with pytest.raises(RequestError, match=r"quality “best”.*preview"):
        api.gather(rig, box(), quality="best")


def test_a_missing_prior_is_named(scene, rig, prior, tmp_path):
    with pytest.raises(RequestError, match="no shape prior “spoon”"):
        api.start_reconstruction(rig, box(), prior="spoon", folder=tmp_path / "job")
    assert not (tmp_path / "job").exists()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\xff" * 64)
    with pytest.raises(RequestError, match=r"broken\.safetensors is no safetensors"):
        api.find_prior(broken)
    assert api.find_prior(prior).metadata["description"] == "Cones"


def write_header(path: Path, header: str, data: bytes = b"") -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + data)
    return path


def test_prior_files_of_other_kinds_are_refused(scene, tmp_path, own_priors):
    own_priors.mkdir()
    deep = write_header(own_priors / "deep.safetensors", "[" * 100_000)
    os.mkfifo(own_priors / "pipe.safetensors")
    (own_priors / "folder.safetensors").mkdir()
    (own_priors / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    write_header(own_priors / "list.safetensors", "[1, 2]")
    for path in (deep, own_priors / "pipe.safetensors", own_priors / "folder.safetensors"):
        with pytest.raises(RequestError, match=rf"{path.name} is no safetensors file: choose another one"):
            api.find_prior(path)
    assert not [found for found in api.priors() if found.path.parent == own_priors]


@pytest.mark.parametrize(
    "spoiled",
    [
        {"shape": [10**12, 64]},
        {"shape": [-1, -2]},
        {"shape": [1, 2, 3]},
        {"shape": [1e400, 1]},
        {"shape": "ab"},
        {"data_offsets": [9, 17]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": []},
        {"dtype": "F64"},
    ],
)
def test_codes_that_are_not_in_the_file_are_refused(scene, tmp_path, spoiled):
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | spoiled
    path = write_header(tmp_path / "odd.safetensors", json.dumps({"codes": entry}), bytes(16))
    with pytest.raises(RequestError, match=r"codes of the shape prior .*odd\.safetensors cannot be read: choose"):
        api.find_prior(path).codes()


def test_codes_that_are_not_finite_are_refused(scene, tmp_path):
    entry = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
    data = np.array([1, np.nan], "<f4").tobytes()
    path = write_header(tmp_path / "odd.safetensors", json.dumps({"codes": entry}), data)
    with pytest.raises(RequestError, match="cannot be read"):
        api.find_prior(path).code("mean")


def test_built_in_priors_are_listed(monkeypatch, prior):
    monkeypatch.setattr(prior_files, "FOLDER", prior.parent)
    assert [found.name for found in api.priors()] == ["cone"]
    assert api.find_prior("cone").path == prior


# Bounds: half sizes and axes worked out by hand.


def read(empty: bpy.types.Object):
    return scene_bounds.read_bounds(empty, api.evaluate(bpy.context.scene))


def test_bounds_with_parent_and_scale(scene, rig):
    parent = bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    parent.location, parent.scale = (1, 2, 3), (2, 2, 2)
    parent.rotation_euler = (0, 0, math.pi / 2)
    empty = box()
    empty.parent, empty.location, empty.scale = parent, (1, 0, 0), (0.5, 1.0, 3.0)
    empty.empty_display_size = 0.25
    found = read(empty)
    np.testing.assert_allclose(found.center, [1, 4, 3], atol=1e-6)
    np.testing.assert_allclose(found.half_size, [0.25, 0.5, 1.5], atol=1e-6)
    np.testing.assert_allclose(found.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6)


@pytest.mark.parametrize("axis", range(3))
def test_mirrored_bounds_keep_up_and_front(scene, rig, axis):
    scale = [1.0, 2.0, 3.0]
    scale[axis] *= -1
    box().scale = scale
    found = read(box())
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    np.testing.assert_allclose(found.half_size, [1, 2, 3], atol=1e-6)
    matrix = np.array(box().matrix_world)[:3, :3]
    np.testing.assert_allclose(found.rotation[:, 1:], (matrix / [1, 2, 3])[:, 1:], atol=1e-6)


def test_unfit_bounds_are_refused(scene, rig):
    box().scale = (1, 0, 1)
    with pytest.raises(RequestError, match=r"“Box” have no size.*scale the Empty"):
        read(box())
    box().scale = (1, 1, 1)
    box().empty_display_size = 0.0001
    box().scale = (1e-4, 1e-4, 1e-4)
    with pytest.raises(RequestError, match="“Box” have no size"):
        read(box())
    box().matrix_world = Matrix.Identity(4)
    parent = bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    parent.scale = (3, 1, 1)
    box().parent, box().rotation_euler = parent, (0, 0, 0.7)
    box().empty_display_size = 1
    with pytest.raises(RequestError, match="“Box” are sheared"):
        read(box())
