"""The whole way in a fresh headless Blender: install the zip, render pictures, press the button, look at the mesh."""

from __future__ import annotations

from pathlib import Path

import pytest

from blender_tests.support.stage import run_blender

WHOLE_WAY = """
import math, sys
import bpy, numpy as np
from mathutils import Matrix, Vector

bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.film_transparent = True
scene.render.resolution_x = scene.render.resolution_y = 96
scene.render.image_settings.color_mode = "RGBA"
scene.view_settings.view_transform = "Standard"


def glowing(name, colour):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    material.node_tree.nodes.clear()
    light, out = (material.node_tree.nodes.new(f"ShaderNode{kind}") for kind in ("Emission", "OutputMaterial"))
    light.inputs["Color"].default_value = (*colour, 1)
    material.node_tree.links.new(light.outputs[0], out.inputs["Surface"])
    return material


# A table of five boxes, away from the origin: where each stands, and half its size.
middle = Vector((2.0, 1.0, 0.5))
boxes = [((0, 0, 0.32), (0.6, 0.4, 0.05))]
boxes += [((x, y, -0.05), (0.05, 0.05, 0.33)) for x in (-0.5, 0.5) for y in (-0.3, 0.3)]
parts = []
red, blue = glowing("Red", (0.8, 0, 0)), glowing("Blue", (0, 0, 0.8))
for where, half in boxes:
    bpy.ops.mesh.primitive_cube_add(size=2, location=middle + Vector(where), scale=half)
    bpy.context.object.data.materials.append(blue if parts else red)
    parts.append(bpy.context.object)
low, high = Vector((-0.6, -0.4, -0.38)), Vector((0.6, 0.4, 0.37))

pictures = bpy.data.collections.new("Pictures")
scene.collection.children.link(pictures)
for index in range(8):
    azimuth, elevation = index * math.pi / 4 + 0.2, (0.15, 0.6)[index % 2]
    flat = math.cos(elevation)
    away = Vector((math.cos(azimuth) * flat, math.sin(azimuth) * flat, math.sin(elevation)))
    camera = bpy.data.objects.new(f"Camera {index}", bpy.data.cameras.new("Camera"))
    pictures.objects.link(camera)
    camera.matrix_world = Matrix.Translation(middle + 3.2 * away) @ away.to_track_quat("Z", "Y").to_matrix().to_4x4()
    scene.camera = camera
    scene.render.filepath = f"{sys.argv[2]}/{index}.png"
    bpy.ops.render.render(write_still=True)
    background = camera.data.background_images.new()
    background.image = bpy.data.images.load(scene.render.filepath)
for part in parts:
    bpy.data.objects.remove(part)

bounds = bpy.data.objects.new("Bounds", None)
bounds.location, bounds.scale = middle + Vector((0.02, -0.02, 0.01)), (0.64, 0.43, 0.4)
scene.collection.objects.link(bounds)
bpy.context.view_layer.update()
scene.dist.cameras, scene.dist.bounds = pictures, bounds
scene.dist.prior, scene.dist.quality = "table", "preview"
before = {o.name: [v for row in o.matrix_world for v in row] for o in scene.objects}
assert bpy.ops.dist.reconstruct() == {"FINISHED"}

(made,) = set(scene.objects) - {scene.objects[name] for name in before}
bpy.context.view_layer.update()
points = np.array([made.matrix_world @ v.co for v in made.data.vertices]) - np.array(middle)
print("extent", points.min(0), points.max(0))
assert np.abs(points.min(0) - low).max() < 0.08 and np.abs(points.max(0) - high).max() < 0.08
# A red top on blue legs.
colours = np.array([point.color_srgb[:3] for point in made.data.color_attributes["Color"].data])
redder = colours[:, 0] > colours[:, 2] + 0.3
print("red", redder[points[:, 2] > 0.3].mean(), redder[points[:, 2] < 0.1].mean())
assert redder[points[:, 2] > 0.3].mean() > 0.9 and redder[points[:, 2] < 0.1].mean() < 0.1
assert {o.name: [v for row in o.matrix_world for v in row] for o in scene.objects if o != made} == before
assert "torch" not in sys.modules
print("ALL WELL")
"""


@pytest.mark.slow
def test_a_table_stands_where_its_pictures_say(zip_path: Path, tmp_path: Path) -> None:
    resources = tmp_path / "resources"
    resources.mkdir()
    environment = {"BLENDER_USER_RESOURCES": str(resources), "PYTHONPATH": ""}
    child = run_blender(WHOLE_WAY, str(zip_path), str(tmp_path), env=environment, cwd=tmp_path)
    shown, _ = child.communicate(timeout=300)
    assert child.returncode == 0 and "ALL WELL" in shown, shown
