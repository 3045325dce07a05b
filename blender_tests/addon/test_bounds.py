"""Bounds that are made from masks and cameras, against things of known place and size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import bmesh
import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Vector
from mathutils.bvhtree import BVHTree

from blender_tests.support.stage import add_camera, make_picture
from dist_addon import api
from dist_addon.scene import bounds as scene_bounds
from dist_addon.scene import cameras as scene_cameras
from dist_addon.worker.dist_engine.protocol import RequestError, View

WIDTH, HEIGHT = 160, 120
CENTRE = np.array([0.2, -0.1, 0.3])
# Which of rays, from an origin (3,) along directions (..., 3), meet the thing.
Meets = Callable[[np.ndarray, np.ndarray], np.ndarray]


def sphere(radius: float = 0.5) -> Meets:
    def meets(origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        along = rays @ (CENTRE - origin) / np.linalg.norm(rays, axis=-1)
        return ((CENTRE - origin) ** 2).sum() - along**2 < radius**2

    return meets


def block(half: tuple[float, float, float], middle: np.ndarray = CENTRE, turn: np.ndarray | None = None) -> Meets:
    axes = np.eye(3) if turn is None else turn

    def meets(origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        rays, start = rays @ axes, (origin - middle) @ axes
        ends = np.stack([(-np.array(half) - start) / rays, (np.array(half) - start) / rays])
        return ends.min(axis=0).max(axis=-1) < ends.max(axis=0).min(axis=-1)

    return meets


def masks_of(camera: bpy.types.Object, meets: Meets) -> np.ndarray:
    """The pixels (H, W) through whose centres a thing is seen, by a camera of 50 mm before a sensor of 36 mm."""
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    focal = 50 / 36 * WIDTH
    rays = np.stack([(columns - WIDTH / 2) / focal, (HEIGHT / 2 - rows) / focal, -np.ones((HEIGHT, WIDTH))], axis=-1)
    matrix = np.array(camera.matrix_world)
    return meets(matrix[:3, 3], rays @ matrix[:3, :3].T)


@pytest.fixture
def take(scene):
    """Take pictures of a thing with cameras around the origin; returns their collection, chosen in the scene."""
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT

    def do(meets: Meets, count: int = 8, spoil: int = -1) -> bpy.types.Collection:
        collection = bpy.data.collections.new("Rig")
        scene.collection.children.link(collection)
        for number in range(count):
            camera = add_camera(collection, f"Cam{number}", 2 * math.pi * number / count, None)
            camera.location = (*camera.location.xy, 0.5 + 2.5 * (number % 2))
            camera.rotation_euler = (-Vector(camera.location)).to_track_quat("-Z", "Y").to_euler()
            bpy.context.view_layer.update()
            image = make_picture(f"Pic{number}", WIDTH, HEIGHT)
            shown = masks_of(camera, meets).astype(np.float32)
            if number == spoil:
                shown = np.roll(shown, 60, axis=1)
            pixels = np.ones((HEIGHT, WIDTH, 4), np.float32)
            pixels[..., 3] = shown
            image.pixels.foreach_set(pixels[::-1].ravel())
            camera.data.background_images.new().image = image
        scene.dist.cameras = collection
        return collection

    return do


def read(empty: bpy.types.Object):
    return scene_bounds.read_bounds(empty, api.evaluate(bpy.context.scene))


def check(found, half, slack: float) -> None:
    """It holds the thing, and by not much more."""
    grown = np.abs(found.center - CENTRE)
    assert (found.half_size - np.array(half) >= grown - 0.01).all(), (found.half_size, grown)
    assert (found.half_size < (1 + slack) * np.array(half)).all(), found.half_size


@pytest.mark.parametrize(("count", "slack"), [(4, 0.2), (8, 0.1), (24, 0.1)])
def test_a_ball_is_held_tightly(scene, take, count, slack):
    take(sphere(), count)
    began = time.monotonic()
    assert bpy.ops.dist.make_bounds() == {"FINISHED"}
    assert time.monotonic() - began < 3
    empty = scene.dist.bounds
    assert empty.name == "DIST Bounds" and empty.empty_display_type == "CUBE"
    assert bpy.context.view_layer.objects.active == empty and bpy.context.selected_objects == [empty]
    check(read(empty), (0.5, 0.5, 0.5), slack)


def solid(mesh: bmesh.types.BMesh) -> Meets:
    """What rays meet of a mesh, as Blender's own tree of it says."""
    tree = BVHTree.FromBMesh(mesh)

    def meets(origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        hits = [tree.ray_cast(Vector(origin), Vector(ray))[0] is not None for ray in rays.reshape(-1, 3)]
        return np.reshape(hits, rays.shape[:-1])

    return meets


@pytest.mark.parametrize("spoil", [-1, 3])
def test_a_monkey_is_held_tightly(scene, take, spoil):
    monkey = bmesh.new()
    bmesh.ops.create_monkey(monkey, matrix=Matrix.Translation(CENTRE) @ Matrix.Scale(0.6, 4))
    places = np.array([vertex.co for vertex in monkey.verts])
    low, high = places.min(axis=0), places.max(axis=0)
    take(solid(monkey), 8, spoil)
    found = read(api.make_bounds(scene.dist.cameras).object)
    # Half a pixel of these small pictures is .01.
    assert (found.center - found.half_size < low + 0.01).all() and (found.center + found.half_size > high - 0.01).all()
    assert (2 * found.half_size < (1.1 if spoil < 0 else 1.25) * (high - low)).all()


def test_what_masks_do_not_know_cuts_nothing_off(scene, take):
    """A ball whose upper half two masks of eight have erased; as far as they know, there is none."""
    cameras = take(sphere(), 8)
    depsgraph = api.evaluate(scene)
    views, masks, known = [], [], []
    for number, camera in enumerate(cameras.objects):
        K = scene_cameras.intrinsics(camera, (WIDTH, HEIGHT), scene, depsgraph)
        views.append(View(camera.name, K, scene_cameras.world_to_camera(camera, depsgraph)))
        mask = masks_of(camera, sphere())
        knows = np.ones_like(mask)
        if number in (0, 5):
            knows[: int(np.flatnonzero(mask.any(axis=1)).mean())] = False
        masks.append(255 * (mask & knows).astype(np.uint8))
        known.append(knows)
    lines = np.array(masks), np.eye(3)
    check(scene_bounds.around_masks(views, *lines, np.array(known)), (0.5, 0.5, 0.5), 0.25)
    cut = scene_bounds.around_masks(views, *lines)
    assert (cut.center + cut.half_size)[2] < CENTRE[2] + 0.45


def test_a_hull_that_nothing_narrows_stays_where_it_is():
    """All of a box, off the middle, is shown by both masks."""
    turn = np.array(Euler((0.3, -0.2, 1.0)).to_matrix())
    K = np.array([[100.0, 0, 80], [0, 100, 60], [0, 0, 1]])
    views = [View(f"{x}", K, np.column_stack([np.eye(3), [x, 0, 6]])) for x in (-0.1, 0.1)]
    shown = np.ones((HEIGHT, WIDTH), np.int32).cumsum(0).cumsum(1)
    sums = [np.pad(shown, ((1, 0), (1, 0)))] * 2
    low, high = np.array([-0.5, -0.1, 0.2]), np.array([0.3, 0.4, 0.9])
    found = scene_bounds._hull(views, sums, turn, low, high, misses=0)
    np.testing.assert_allclose(found[0], low, atol=1e-6)
    np.testing.assert_allclose(found[1], high, atol=1e-6)
    # Its cells' middles fill it evenly.
    np.testing.assert_allclose(found[2].mean(0), turn @ (low + high) / 2, atol=1e-6)


def test_a_thin_post_counts(scene, take):
    board, post = block((0.6, 0.4, 0.04)), block((0.01, 0.01, 0.4), CENTRE - [0, 0, 0.4])
    take(lambda origin, rays: board(origin, rays) | post(origin, rays))
    found = read(api.make_bounds(scene.dist.cameras).object)
    top, foot = found.center[2] + found.half_size[2], found.center[2] - found.half_size[2]
    assert CENTRE[2] + 0.03 < top < CENTRE[2] + 0.12 and CENTRE[2] - 0.9 < foot < CENTRE[2] - 0.79
    assert (found.half_size[:2] < [0.7, 0.5]).all() and (found.half_size[:2] > [0.59, 0.39]).all()


def test_a_chosen_empty_keeps_its_turn(scene, take):
    turn = Euler((0.0, 0.0, 0.6)).to_matrix()
    half = (0.6, 0.2, 0.3)
    take(block(half, turn=np.array(turn)), 24)
    empty = bpy.data.objects.new("Mine", None)
    empty.rotation_euler, empty.empty_display_size = (0, 0, 0.6), 2.0
    parent = bpy.data.objects.new("Parent", None)
    parent.location, parent.scale = (1, 2, 3), (2, 2, 2)
    empty.parent = parent
    for thing in (empty, parent):
        scene.collection.objects.link(thing)
    scene.dist.bounds = empty
    count = len(bpy.data.objects)
    assert bpy.ops.dist.make_bounds() == {"FINISHED"}
    assert scene.dist.bounds == empty and len(bpy.data.objects) == count
    found = read(empty)
    np.testing.assert_allclose(found.rotation, np.array(turn), atol=1e-5)
    check(found, half, 0.3)
    # Without its turn the box would be larger: 0.6 cos 0.6 + 0.2 sin 0.6.
    scene.dist.bounds = None
    bpy.ops.dist.make_bounds()
    assert read(scene.dist.bounds).half_size[1] > 0.5


def test_a_deleted_empty_is_replaced(scene, take):
    take(sphere())
    bpy.ops.dist.make_bounds()
    deleted = scene.dist.bounds
    scene.collection.objects.unlink(deleted)
    # Its property still has it.
    assert scene.dist.bounds == deleted
    with pytest.raises(RuntimeError, match=r"“DIST Bounds”, chosen as bounds, is not in the scene.*deleted"):
        bpy.ops.dist.reconstruct()
    assert bpy.ops.dist.make_bounds() == {"FINISHED"}
    assert scene.dist.bounds != deleted and scene.dist.bounds in list(scene.objects)
    check(read(scene.dist.bounds), (0.5, 0.5, 0.5), 0.1)


def test_one_wrong_mask_among_many_cuts_nothing_off(scene, take):
    take(sphere(), 12, spoil=5)
    check(read(api.make_bounds(scene.dist.cameras).object), (0.5, 0.5, 0.5), 0.3)


def test_what_a_frame_cuts_off_is_in_the_box(scene, take):
    cameras = take(block((0.3, 0.3, 1.2)), 8)
    images = [camera.data.background_images[0].image for camera in cameras.objects]
    shown = [np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, 4)[..., 3] for image in images]
    assert any(mask[0].any() or mask[-1].any() for mask in shown)
    found = read(api.make_bounds(cameras).object)
    check(found, (0.3, 0.3, 1.2), 0.5)


def test_without_masks_the_bounds_are_where_the_cameras_look(scene, rig, capfd):
    for camera in rig.objects:
        camera.data.background_images.clear()
    scene.dist.bounds = None
    assert bpy.ops.dist.make_bounds() == {"FINISHED"}
    assert "only where the cameras look: Camera “Cam0” has no picture" in capfd.readouterr().out
    found = read(scene.dist.bounds)
    np.testing.assert_allclose(found.center, [0, 0, 0], atol=1e-5)
    # Frame height at the distance, for a 36 mm sensor over 32 pixels, 50 mm lens, 24 pixels high.
    half = math.sqrt(26) * (36 * 24 / 32 / 2) / 50
    assert (0.4 * half < found.half_size).all() and (found.half_size < half).all()


def test_pictures_that_tell_nothing_are_no_masks(scene, rig):
    for camera in rig.objects:
        camera.data.background_images[0].image = make_picture("Opaque", alpha=1.0)
    assert "no alpha" in api.make_bounds(rig).problem


def test_bounds_need_lines_that_meet(scene, rig):
    others = bpy.data.collections.new("Parallel")
    scene.collection.children.link(others)
    for number in range(2):
        add_camera(others, f"P{number}", 0.0, make_picture(f"P{number}")).location.y += number
    count = len(bpy.data.objects)
    with pytest.raises(RequestError, match=r"masks do not meet.*Without masks: The axes of the cameras do not meet"):
        api.make_bounds(others)
    assert len(bpy.data.objects) == count


def test_masks_that_contradict_each_other_are_told(scene, take):
    cameras = take(sphere(0.1), 4)
    for number, camera in enumerate(cameras.objects):
        image = camera.data.background_images[0].image
        pixels = np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, 4)
        image.pixels.foreach_set(np.roll(pixels, 40 * (-1) ** (number // 2), axis=0).astype(np.float32).ravel())
    made = api.make_bounds(cameras)
    assert "No place is within all masks" in made.problem
    np.testing.assert_allclose(read(made.object).center, [0, 0, 0], atol=1e-4)
