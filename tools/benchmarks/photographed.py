"""Things before cameras all around: textured pictures that Blender renders, with alpha; kept in ``.cache``.

The thing is in the unit sphere, which fills `FILL` of each picture; cameras stand 4 radii off, in 24 directions that
are ordered so that the first are spread, whatever their number, and in 4 others that are held back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from dist_engine.protocol import View, covered
from dist_engine.training.sampling import normalisation
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]

from .things import CACHE, make

# Goes up when the pictures of a seed change.
VERSION = 1
SIZE, SAMPLES, FILL, DISTANCE = 256, 24, 0.92, 4.0
DIRECTIONS, HELD_BACK = 24, 4
NAMES = [f"view {n:02d}" for n in range(DIRECTIONS)] + [f"held back {n}" for n in range(HELD_BACK)]
COLOURS = ((0.02, 0.05, 0.3), (0.8, 0.15, 0.05), (0.9, 0.85, 0.6), (0.05, 0.3, 0.1))
# Triangles of these meet in edges that are meant.
FLAT = ("table",)
# Things that a built-in prior knows the like of.
PRIORS = {"table": "table"}


@dataclass(frozen=True)
class Photographs:
    """Pictures of a thing, in the order of their views.

    Attributes
    ----------
    views : list of View
        World to camera; the world is the thing's own frame.
    masks : (V, H, W) uint8 array
        0 or 255.
    pictures : (V, H, W, 3) uint8 array or None
        sRGB, not multiplied by alpha.
    """

    views: list[View]
    masks: np.ndarray
    pictures: np.ndarray | None

    def first(self, count: int) -> Photographs:
        """The first views."""
        pictures = None if self.pictures is None else self.pictures[:count]
        return Photographs(self.views[:count], self.masks[:count], pictures)


@dataclass(frozen=True)
class Scene:
    """A thing and its pictures.

    Attributes
    ----------
    name : str
    prior : str
        The built-in one that knows the like of it; "" where none does.
    vertices, faces : (N, 3) and (M, 3) arrays
        The truth, wound outwards, +Z up, -Y front; the farthest vertex is 1 from the origin.
    seen, held_back : Photographs
    """

    name: str
    prior: str
    vertices: np.ndarray
    faces: np.ndarray
    seen: Photographs
    held_back: Photographs


def photographed(name: str, seed: int = 0) -> Scene:
    """A thing of `things.THINGS` and its pictures: from the cache, where they have been made.

    Raises
    ------
    things.Unreachable
        Its package cannot be fetched.
    """
    path = CACHE / f"{name}-{seed}-{VERSION}.npz"
    if not path.is_file():
        _take(path, *make(name, seed), seed, smooth=name not in FLAT)
    return _read(path, name, PRIORS.get(name, ""))


def mesh_photographed(name: str, vertices: np.ndarray, faces: np.ndarray, prior: str) -> Scene:
    """The same of any mesh, +Z up, -Y front, whose triangles meet in edges; a prior knows the like of it."""
    vertices = normalisation(vertices, 1.0)(vertices)
    digest = hashlib.sha256(vertices.tobytes() + faces.tobytes()).hexdigest()[:12]
    path = CACHE / f"{name.replace(' ', '-')}-{digest}-{VERSION}.npz"
    if not path.is_file():
        _take(path, vertices, faces, seed=0, smooth=False)
    return _read(path, name, prior)


def _take(path: Path, vertices: np.ndarray, faces: np.ndarray, seed: int, smooth: bool) -> None:
    print(f"Pictures for {path.name} …", flush=True)
    rgba, views = _render(vertices, faces, seed, smooth)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{os.getpid()}.{path.name}")
    poses = np.stack([view.world_to_camera for view in views])
    np.savez_compressed(beside, vertices=vertices, faces=faces, rgba=rgba, poses=poses, K=views[0].K)
    beside.replace(path)


def _read(path: Path, name: str, prior: str) -> Scene:
    with np.load(path) as data:
        vertices, faces, rgba, poses, K = (data[key] for key in ("vertices", "faces", "rgba", "poses", "K"))
    views = [View(called, K, pose) for called, pose in zip(NAMES, poses, strict=True)]
    masks = covered(rgba[..., 3]).astype(np.uint8) * 255
    seen, held_back = (
        Photographs(views[some], masks[some], rgba[some][..., :3])
        for some in (slice(DIRECTIONS), slice(DIRECTIONS, None))
    )
    return Scene(name, prior, vertices, faces, seen, held_back)


def all_around(size: int = SIZE) -> list[View]:
    """The cameras, those held back last."""
    return [View(name, intrinsics(size), look_from(where)) for name, where in zip(NAMES, directions(), strict=True)]


def directions() -> np.ndarray:
    """Unit vectors (28, 3) to the cameras: those seen, each far from those before it, then those held back."""
    rest, order = fibonacci(DIRECTIONS), [0]
    while len(order) < DIRECTIONS:
        nearness = (rest @ rest[order].T).max(1)
        nearness[order] = np.inf
        order.append(int(nearness.argmin()))
    lean = np.array([[1, 0, 0], [0, np.cos(0.4), -np.sin(0.4)], [0, np.sin(0.4), np.cos(0.4)]])
    return np.concatenate([rest[order], fibonacci(HELD_BACK, 1.0) @ lean])


def fibonacci(count: int, turn: float = 0.0) -> np.ndarray:
    """Unit vectors (count, 3), evenly about the sphere."""
    number = np.arange(count) + 0.5
    height = 1 - 2 * number / count
    angle = number * np.pi * (3 - np.sqrt(5)) + turn
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(angle), across * np.sin(angle), height], 1)


def look_from(direction: np.ndarray) -> np.ndarray:
    """World to camera (3, 4) of a camera that looks at the origin from a unit vector."""
    up = np.array([0, 0, 1.0]) if abs(direction[2]) < 0.95 else np.array([0, 1.0, 0])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    return np.column_stack([np.stack([right, -np.cross(direction, right), -direction]), [0, 0, DISTANCE]])


def intrinsics(size: int = SIZE) -> np.ndarray:
    """K (3, 3): the unit sphere fills `FILL` of the picture."""
    focal = size / 2 * FILL * np.sqrt(DISTANCE**2 - 1)
    return np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])


def with_wrong_masks(given: Photographs, share: float, flipped: float, seed: int) -> Photographs:
    """Masks that are wrong: a blob of a share of the mask's area, added or cut out, and a share of the edge's pixels.

    A blob is round and lies on the mask's edge, where a mask goes wrong.
    """
    random, masks = np.random.default_rng(seed), []
    y, x = np.mgrid[: given.masks.shape[1], : given.masks.shape[2]]
    for mask in covered(given.masks):
        edge = np.argwhere(mask & ~ndimage.binary_erosion(mask))
        row, column = edge[random.integers(len(edge))]
        adds = bool(random.random() < 0.5)
        # As large as changes the wanted area.
        away = np.hypot(y - row, x - column)
        changed = np.sort(away[mask != adds])
        radius = changed[min(round(share * mask.sum()), len(changed) - 1)]
        wrong = np.where(away < radius, adds, mask) if share else mask.copy()
        rim = ndimage.binary_dilation(wrong) & ~ndimage.binary_erosion(wrong)
        masks.append(wrong ^ (rim & (random.random(mask.shape) < flipped)))
    return replace(given, masks=np.stack(masks).astype(np.uint8) * 255)


def with_turned_cameras(given: Photographs, pixels: float, seed: int) -> Photographs:
    """Cameras that are turned so that the middle of a picture moves by a normal deviation of `pixels` each way."""
    random, views = np.random.default_rng(seed), []
    for view in given.views:
        right, down, roll = random.normal(scale=pixels, size=3)
        # A roll moves what is at the edge as far.
        turn = rotation(np.array([-down / view.K[1, 1], right / view.K[0, 0], roll / view.K[1, 2]]))
        views.append(replace(view, world_to_camera=turn @ view.world_to_camera))
    return replace(given, views=views)


def rotation(vector: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) about a vector, by its length in radians."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def _render(vertices: np.ndarray, faces: np.ndarray, seed: int, smooth: bool) -> tuple[np.ndarray, list[View]]:
    """Pictures (28, SIZE, SIZE, 4) of a mesh by Blender, and their cameras."""
    import bpy
    from mathutils import Matrix

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    _settings(scene)
    _light(scene)
    mesh = bpy.data.meshes.new("Thing")
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    mesh.materials.append(_material(seed))
    if smooth:
        mesh.shade_smooth()
    scene.collection.objects.link(bpy.data.objects.new("Thing", mesh))
    views = all_around()
    K = views[0].K
    lens = bpy.data.cameras.new("Camera")
    lens.sensor_width, lens.lens = 36, 36 * K[0, 0] / SIZE
    camera = bpy.data.objects.new("Camera", lens)
    scene.collection.objects.link(camera)
    scene.camera = camera
    pictures = []
    with tempfile.TemporaryDirectory() as folder, _quiet():
        for view in views:
            # Blender's cameras have y up and look along -z.
            to_world = np.linalg.inv(np.vstack([np.diag([1, -1, -1]) @ view.world_to_camera, [0, 0, 0, 1]]))
            camera.matrix_world = Matrix(to_world.tolist())
            scene.render.filepath = str(Path(folder) / f"{view.name}.png")
            bpy.ops.render.render(write_still=True)
            with Image.open(scene.render.filepath) as image:
                pictures.append(np.array(image.convert("RGBA")))
    return np.stack(pictures), views


def _settings(scene: Any) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 3
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.film_transparent = True
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = "Standard"


def _light(scene: Any) -> None:
    import bpy

    sun: Any = bpy.data.lights.new("Sun", "SUN")
    sun.energy, sun.angle = 2.5, 0.4
    lamp = bpy.data.objects.new("Sun", sun)
    lamp.rotation_euler = (0.7, 0.3, 0.5)
    scene.collection.objects.link(lamp)
    scene.world = bpy.data.worlds.new("World")
    sky = scene.world.node_tree.nodes["Background"]
    sky.inputs["Color"].default_value, sky.inputs["Strength"].default_value = (0.8, 0.9, 1, 1), 0.8


def _material(seed: int) -> Any:
    """Four colours of noise in space, a place of it a seed."""
    import bpy

    material: Any = bpy.data.materials.new("Noise")
    nodes, links = material.node_tree.nodes, material.node_tree.links
    where, shift = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeMapping")
    shift.inputs["Location"].default_value = np.random.default_rng(seed).uniform(-20, 20, 3).tolist()
    noise, ramp = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeValToRGB")
    for name, value in (("Scale", 5.0), ("Detail", 6.0), ("Roughness", 0.65)):
        noise.inputs[name].default_value = value
    stops = ramp.color_ramp.elements
    while len(stops) < len(COLOURS):
        stops.new(0.5)
    for number, (stop, colour) in enumerate(zip(stops, COLOURS, strict=True)):
        stop.position, stop.color = 0.3 + 0.4 * number / (len(COLOURS) - 1), (*colour, 1)
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = 0.8
    links.new(where.outputs["Object"], shift.inputs["Vector"])
    links.new(shift.outputs["Vector"], noise.inputs["Vector"])
    links.new(noise.outputs[0], ramp.inputs[0])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Blender's C code prints a line a picture."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
