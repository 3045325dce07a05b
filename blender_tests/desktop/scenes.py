"""Files as users have them, made headless: a thing's pictures, inputs chosen or still to import, the sidebar open."""

from __future__ import annotations

import json
from pathlib import Path

import bpy

import dist_addon
from tools import demo_scene
from tools.generators import tables

COUNT, SIZE = 8, 128
SEED = 10_002


def write(folder: Path) -> None:
    """Write ``cameras.blend``, of several cameras, ``shot.blend``, of one that moves, and ``anything/start.blend``, of
    none: beside it are the pictures of a thing of no class, and a file of their cameras.
    """
    demo_scene.SIZE = SIZE
    dist_addon.register()
    try:
        made = demo_scene.build(*tables.make_table(SEED), folder / "pictures", fitted=COUNT, held_back=1)
        demo_scene.choose_inputs(made, "table", "preview")
        for camera in list(made.held_back.objects):
            bpy.data.objects.remove(camera)
        bpy.data.collections.remove(made.held_back)
        _lay_out(made.bounds)
        bpy.context.scene.camera = made.pictures.objects[0]
        _save(folder / "cameras.blend")
        _save(folder / "priors.blend")
        _animate(made.pictures, folder / "pictures")
        _save(folder / "shot.blend")
        _write_anything(folder / "anything")
    finally:
        dist_addon.unregister()


def _write_anything(folder: Path) -> None:
    """Take pictures of Blender's monkey, and leave only them, their cameras in a file, and where to look."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    monkey = bpy.context.object
    monkey.modifiers.new("Smooth", "SUBSURF")
    bpy.ops.object.convert(target="MESH")
    made = demo_scene.build(*demo_scene.world_mesh(monkey), folder / "images", fitted=COUNT, held_back=1)
    (folder / "transforms.json").write_text(
        json.dumps({"frames": [_frame(camera) for camera in made.pictures.objects]}), encoding="utf-8"
    )
    for picture in (folder / "images").glob("held_back*"):
        picture.unlink()
    for camera in (*made.pictures.objects, *made.held_back.objects):
        bpy.data.objects.remove(camera)
    for collection in (made.pictures, made.held_back):
        bpy.data.collections.remove(collection)
    _lay_out(made.bounds)
    bpy.data.objects.remove(made.bounds)
    bpy.data.orphans_purge()
    bpy.context.scene.dist.quality = "preview"
    _save(folder / "start.blend")


def _frame(camera: bpy.types.Object) -> dict[str, object]:
    """A camera as a ``transforms.json`` has it: its axes are Blender's."""
    image = Path(camera.data.background_images[0].image.filepath).name
    focal = camera.data.lens / camera.data.sensor_width * SIZE
    pose = [list(row) for row in camera.matrix_world]
    return {"file_path": f"images/{image}", "fl_x": focal, "w": SIZE, "h": SIZE, "transform_matrix": pose}


def _lay_out(bounds: bpy.types.Object) -> None:
    """Open the sidebar, and turn the viewport to where the thing is to be."""
    screen = bpy.data.window_managers[0].windows[0].screen
    space = next(area for area in screen.areas if area.type == "VIEW_3D").spaces.active
    space.show_region_ui = True
    view = space.region_3d
    view.view_location = bounds.location
    view.view_distance = 6.5


def _animate(cameras: bpy.types.Collection, pictures: Path) -> None:
    """Replace the cameras by one that stands at frame n where the n-th stood, with the pictures as a sequence."""
    scene = bpy.context.scene
    data = bpy.data.cameras.new("Moving")
    moving = bpy.data.objects.new("Moving", data)
    for frame, camera in enumerate(sorted(cameras.objects, key=lambda camera: camera.name), 1):
        moving.matrix_world = camera.matrix_world
        data.lens, data.sensor_width = camera.data.lens, camera.data.sensor_width
        moving.keyframe_insert("location", frame=frame)
        moving.keyframe_insert("rotation_euler", frame=frame)
        data.keyframe_insert("lens", frame=frame)
        bpy.data.objects.remove(camera)
    cameras.objects.link(moving)
    image = bpy.data.images.load(str(pictures / "camera_01.png"))
    image.source = "SEQUENCE"
    data.show_background_images = True
    background = data.background_images.new()
    background.image = image
    background.image_user.frame_start, background.image_user.frame_duration = 1, COUNT
    scene.camera = moving
    scene.frame_start, scene.frame_end = 1, COUNT
    scene.frame_set(1)
    views = scene.dist.views
    views.frame_start, views.frame_end, views.frame_step = 1, COUNT, 1


def _save(path: Path) -> None:
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
