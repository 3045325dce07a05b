"""A clip of a sphere on a floor, tracked and solved by Blender, for the tests of tracks."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from blender_tests.support.stage import write_picture
from tools.tracked_clip import make_clip

WIDTH, HEIGHT, FRAMES, FIRST = 160, 120, 12, 5
# In pixels.
FOCAL = 50 / 36 * WIDTH
CENTRE, RADIUS = np.array([1.0, 2.0, 0.5]), 0.5


def directions(count: int) -> np.ndarray:
    """Unit vectors (count, 3), evenly spread."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * np.pi * (3 - 5**0.5)
    return np.column_stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z])


def orbit(camera: bpy.types.Object, frame: int) -> None:
    """Put a camera where it is at a frame of the clip, counted from 0: on an arc around the sphere, and rising."""
    angle = -0.6 + 0.12 * frame
    away = np.array([np.sin(angle), -np.cos(angle), 0.35 + 0.03 * frame])
    camera.matrix_world = Matrix.Translation((CENTRE + 2.4 * away).tolist()) @ (
        Vector(away).to_track_quat("Z", "Y").to_matrix().to_4x4()
    )


def sphere_mask(camera: bpy.types.Object, k1: float = 0.0) -> np.ndarray:
    """The pixels (H, W) through whose centres the sphere is seen, by a camera of 50 mm before a sensor of 36 mm.

    With `k1` they are moved away from the middle by the factor 1 + k1 r^2.
    """
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    bent = np.stack([columns - WIDTH / 2, HEIGHT / 2 - rows], axis=-1) / FOCAL
    straight = bent
    for _ in range(100):
        straight = bent / (1 + k1 * (straight**2).sum(axis=-1, keepdims=True))
    rays = np.concatenate([straight, -np.ones((HEIGHT, WIDTH, 1))], axis=-1)
    rays = rays @ np.array(camera.matrix_world)[:3, :3].T
    to_centre = CENTRE - np.array(camera.matrix_world)[:3, 3]
    along = rays @ to_centre / np.linalg.norm(rays, axis=-1)
    return (to_centre @ to_centre - along**2 < RADIUS**2) & (along > 0)


def solved_clip(scene: bpy.types.Scene, folder: Path, k1: float = 0.0) -> tuple[bpy.types.Object, bpy.types.MovieClip]:
    """Make the pictures, track and solve them, and bring the solved camera where the pictures were taken.

    Returns
    -------
    camera : Object
        With a Camera Solver constraint, and the clip as background image.
    clip : MovieClip
        From frame `FIRST` on; tracks “s…” are on the sphere, “f…” on the floor.
    """
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    eye = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    scene.collection.objects.link(eye)
    on_sphere = CENTRE + RADIUS * directions(60)
    right, back = np.meshgrid(np.linspace(-0.2, 2.2, 5), np.linspace(1.2, 3.4, 5))
    on_floor = np.column_stack([right.ravel(), back.ravel(), np.zeros(25)])
    places = {f"s{i}": p for i, p in enumerate(on_sphere)} | {f"f{i}": p for i, p in enumerate(on_floor)}
    marks: dict[str, dict[int, tuple[float, float]]] = {name: {} for name in places}
    for frame in range(FRAMES):
        orbit(eye, frame)
        bpy.context.view_layer.update()
        mask = sphere_mask(eye, k1)
        pixels = np.ones((HEIGHT, WIDTH, 4))
        pixels[..., 3] = mask
        write_picture(folder / f"take{frame:03d}.png", pixels)
        where = np.array(eye.location)
        for name, place in places.items():
            seen = world_to_camera_view(scene, eye, Vector(place))
            flat = np.array([(seen.x - 0.5) * WIDTH, (seen.y - 0.5) * HEIGHT]) / FOCAL
            x, y = flat * (1 + k1 * (flat @ flat)) * FOCAL / [WIDTH, HEIGHT] + 0.5
            column, row = int(x * WIDTH), int((1 - y) * HEIGHT)
            if not (0 <= column < WIDTH and 0 <= row < HEIGHT):
                continue
            # The sphere hides its own back, and the floor behind it.
            shown = (place - CENTRE) @ (where - place) > 0 if name[0] == "s" else not mask[row, column]
            if shown:
                marks[name][frame + 1] = (x, y)
    camera, clip = make_clip(folder / "take000.png", places, marks, 50, k1)
    clip.frame_start = FIRST
    return camera, clip
