"""Pictures of a textured thing on a textured floor, rendered by Cycles: what a camera sees that is walked around it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from dist_engine.prior import Prior
from dist_engine.protocol import View
from mathutils import Matrix
from PIL import Image

from .feedforward import CACHE

VIDEOS = CACHE.with_name("videos")
SAMPLES = 16
# Of the textures, in the object's radius: blobs on the thing, and the floor's.
BLOB, FLOOR_BLOB = 0.25, 0.6
PAINTS = ((0.02, 0.05, 0.3), (0.8, 0.15, 0.05), (0.9, 0.85, 0.6), (0.05, 0.3, 0.1))
STONES = ((0.35, 0.3, 0.25), (0.1, 0.1, 0.12), (0.6, 0.55, 0.5))


def frames(
    name: str, prior: Prior, vertices: np.ndarray, faces: np.ndarray, views: list[View], size: int
) -> np.ndarray:
    """The pictures (V, size, size, 3), uint8, sRGB; kept in the cache under what they are made of.

    Parameters
    ----------
    vertices, faces : (N, 3) and (M, 3) arrays
        In the object frame of `prior`, which is the cameras' world.
    """
    made_of = [vertices.tobytes(), faces.tobytes(), str((size, SAMPLES, BLOB, FLOOR_BLOB, PAINTS, STONES)).encode()]
    made_of += [view.world_to_camera.tobytes() + view.K.tobytes() for view in views]
    file = VIDEOS / f"{name.replace(' ', '_')}_{hashlib.sha256(b''.join(made_of)).hexdigest()[:16]}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        pictures = _render(prior, vertices, faces, views, size)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".npz", delete=False) as beside:
            np.savez_compressed(beside, pictures=pictures)
        Path(beside.name).replace(file)
    return np.load(file)["pictures"]


def _render(prior: Prior, vertices: np.ndarray, faces: np.ndarray, views: list[View], size: int) -> np.ndarray:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples = "CPU", SAMPLES
    scene.cycles.use_denoising, scene.cycles.max_bounces = False, 2
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = "Standard"
    _surroundings(scene, prior, float((vertices @ prior.axes()[:, 2]).min()))
    mesh = bpy.data.meshes.new("Thing")
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    mesh.materials.append(_blobs("Thing", BLOB, PAINTS))
    scene.collection.objects.link(bpy.data.objects.new("Thing", mesh))
    pictures = []
    with tempfile.TemporaryDirectory() as folder:
        for view in views:
            scene.camera = _camera(scene, view, size)
            scene.render.filepath = str(Path(folder) / "frame.png")
            bpy.ops.render.render(write_still=True)
            with Image.open(scene.render.filepath) as picture:
                pictures.append(np.array(picture.convert("RGB")))
    return np.stack(pictures)


def _camera(scene: Any, view: View, size: int) -> bpy.types.Object:
    """A camera that sees as `view`, whose principal point is in the middle, does; Blender's y is up and its z back."""
    data = bpy.data.cameras.new(view.name)
    data.sensor_width, data.lens = 36.0, 36.0 * view.K[0, 0] / size
    camera = bpy.data.objects.new(view.name, data)
    to_camera = np.vstack([np.diag([1.0, -1.0, -1.0]) @ view.world_to_camera, [0, 0, 0, 1]])
    camera.matrix_world = Matrix(np.linalg.inv(to_camera).tolist())
    scene.collection.objects.link(camera)
    return camera


def _surroundings(scene: Any, prior: Prior, foot: float) -> None:
    """A sun, a sky with clouds, and a floor at `foot` along the thing's up."""
    right, back, up = prior.axes().T
    upright = Matrix(np.stack([right, back, up], 1).tolist()).to_4x4()
    lamp: Any = bpy.data.lights.new("Sun", "SUN")
    lamp.energy, lamp.angle = 2.5, 0.3
    sun = bpy.data.objects.new("Sun", lamp)
    sun.matrix_world = upright @ Matrix.Rotation(0.7, 4, "X") @ Matrix.Rotation(0.5, 4, "Y")
    scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("Sky")
    tree = scene.world.node_tree
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 6.0
    tree.links.new(noise.outputs["Color"], tree.nodes["Background"].inputs["Color"])
    floor = bpy.data.meshes.new("Floor")
    corners = [(x, y, foot - 0.01) for x, y in ((-6, -6), (6, -6), (6, 6), (-6, 6))]
    floor.from_pydata(corners, [], [(0, 1, 2, 3)])
    floor.materials.append(_blobs("Floor", FLOOR_BLOB, STONES))
    there = bpy.data.objects.new("Floor", floor)
    there.matrix_world = upright
    scene.collection.objects.link(there)


def _blobs(name: str, size: float, colours: tuple[tuple[float, float, float], ...]) -> bpy.types.Material:
    """A matt material of noise between colours."""
    material: Any = bpy.data.materials.new(name)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    where, noise, ramp = (nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "TexNoise", "ValToRGB"))
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 1 / size, 3.0
    steps = ramp.color_ramp.elements
    while len(steps) < len(colours):
        steps.new(0.5)
    for index, colour in enumerate(colours):
        steps[index].position = 0.3 + 0.4 * index / (len(colours) - 1)
        steps[index].color = (*colour, 1.0)
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = 0.9
    links.new(where.outputs["Object"], noise.inputs["Vector"])
    links.new(noise.outputs[0], ramp.inputs[0])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material
