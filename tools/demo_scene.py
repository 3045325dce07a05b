"""The demo's Blender scene: an object, cameras around it, their pictures; then the object is taken out. Or photographs.

Runs in the tools' environment. The frame is Blender's world: Z up, Blender units.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from PIL import Image

from dist_addon import api
from tools.cut_out import from_dark_background

SIZE = 256  # of a picture, in pixels
SAMPLES = 16  # of Cycles, a pixel
LENGTH = 1.2  # of the object's longest side
LOCATION = (0.8, -0.5, 0.25)  # of the middle of its foot: not the origin,
YAW = math.radians(34)  # and not along the axes, so that placing is put to the test
FILL = 0.86  # how much of a picture the object may fill
LENSES = (35.0, 50.0, 70.0, 85.0)  # in millimetres, on a sensor 36 mm wide
SUN = "Sun"
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))

# Rows: what an axis that is up becomes X, Y and Z of, by a rotation.
UPRIGHT = {
    "+x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "+y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "+z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}


@dataclass(frozen=True)
class DemoScene:
    """What is in Blender, and the truth, which Blender no longer has.

    Attributes
    ----------
    pictures, held_back : Collection
        Cameras whose background images show the object.
    bounds : Object or None
        An Empty, roughly where the object stood.
    truth : pair of (N, 3) float64 and (M, 3) int32 arrays, or None
        The object, in the world: vertices and faces. Of a photographed one it is not known.
    masks : Path or None
        A folder of masks, called as the pictures, erased where they do not know; None: the pictures' alpha tells.
    """

    pictures: bpy.types.Collection
    held_back: bpy.types.Collection
    bounds: bpy.types.Object | None = None
    truth: tuple[np.ndarray, np.ndarray] | None = None
    masks: Path | None = None

    @property
    def cameras(self) -> list[bpy.types.Object]:
        """All of them: those fitted to, then those held back."""
        return [*self.pictures.objects, *self.held_back.objects]

    def cut_out(self, camera: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
        """A camera's picture (H, W, 4) uint8, its alpha from the mask, and where (H, W) that is known."""
        path = picture_of(camera)
        picture = read_picture(path)
        known = np.ones(picture.shape[:2], bool)
        if self.masks is not None:
            mask = read_picture(self.masks / f"{path.stem}.png")
            picture[..., 3] = mask[..., 0]
            known = mask[..., 3] > 0
        return picture, known


def build(
    vertices: np.ndarray,
    faces: np.ndarray,
    folder: Path,
    up: str = "+z",
    seed: int = 0,
    fitted: int = 12,
    held_back: int = 4,
) -> DemoScene:
    """Make the scene, from factory settings.

    Parameters
    ----------
    vertices, faces : (N, 3) and (M, 3) arrays
        The object in a frame of its own, of any size. Its front is a long side.
    folder : Path
        Where the pictures are written.
    up : str
        A key of `UPRIGHT`: which axis of its frame is up.
    seed : int
        Of the cameras' and the Empty's small irregularities.
    fitted, held_back : int
        How many cameras.
    """
    rng = np.random.default_rng(seed)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    _light(scene)
    _render_settings(scene)

    vertices = _place(vertices, up)
    thing = add_mesh("Object", vertices, faces, _wood())
    count = fitted + held_back
    # Spread over the sequence, the held back ones see from heights and sides of their own.
    apart = {round((i + 0.5) * count / held_back) for i in range(held_back)}
    collections = {name: bpy.data.collections.new(name) for name in ("Pictures", "Held back")}
    for collection in collections.values():
        scene.collection.children.link(collection)
    for index in range(count):
        collection = collections["Held back" if index in apart else "Pictures"]
        name = f"{'Held back' if index in apart else 'Camera'} {len(collection.objects) + 1:02d}"
        collection.objects.link(_add_camera(name, index, count, vertices, rng))
    pictures, others = collections.values()
    folder.mkdir(parents=True, exist_ok=True)
    for camera in (*pictures.objects, *others.objects):
        path = folder / f"{camera.name.lower().replace(' ', '_')}.png"
        render(camera, path)
        _set_picture(camera, path)
    scene.camera = pictures.objects[0]

    bpy.data.objects.remove(thing)
    bpy.data.orphans_purge()
    return DemoScene(pictures, others, _add_bounds(vertices, rng), (vertices, np.asarray(faces, np.int32)))


def of_photographs(folder: Path, masks: Path, up: str | None = None) -> DemoScene:
    """Make the scene from photographs and a file of their cameras, from factory settings; every fourth is held back.

    Parameters
    ----------
    folder : Path
        As `api.import_cameras` takes it.
    masks : Path
        Where masks are written of photographs that are not cut out.
    up : str, optional
        Which axis of the file's world is up; by default as such files usually have it.

    Raises
    ------
    ValueError
        Cameras or pictures cannot be read, or nothing tells the thing from its surroundings.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    _light(scene)
    _render_settings(scene)
    found = api.import_cameras(folder, up)
    if found.missing:
        raise ValueError(f"The picture {found.missing[0]} is not there.")
    found.collection.name = "Pictures"
    held_back = bpy.data.collections.new("Held back")
    scene.collection.children.link(held_back)
    for camera in found.cameras[3::4]:
        found.collection.objects.unlink(camera)
        held_back.objects.link(camera)
    made = DemoScene(found.collection, held_back)
    if all(read_picture(picture_of(camera))[..., 3].min() < 255 for camera in found.cameras):
        return made
    shutil.rmtree(masks, ignore_errors=True)
    masks.mkdir(parents=True)
    for camera in found.cameras:
        path = picture_of(camera)
        thing, known = from_dark_background(read_picture(path)[..., :3])
        if np.concatenate([thing[0], thing[-1], thing[:, 0], thing[:, -1]]).mean() > 0.5:
            raise ValueError(f"The background of {path} is not dark: cut the thing out, so that alpha tells it.")
        grey = np.where(thing, 255, 0).astype(np.uint8)
        # Erased where it does not know.
        Image.fromarray(np.dstack([grey, grey, grey, np.where(known, 255, 0).astype(np.uint8)])).save(
            masks / f"{path.stem}.png"
        )
    return replace(made, masks=masks)


def monkey() -> tuple[np.ndarray, np.ndarray]:
    """Blender's monkey, smooth and closed: a thing of no class, as vertices (N, 3) and triangles (M, 3)."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    # Turned to where more of the cameras see its face.
    bpy.ops.mesh.primitive_monkey_add(rotation=(0, 0, math.radians(145)))
    thing = bpy.context.object
    thing.modifiers.new("Smooth", "SUBSURF").levels = 2
    thing.modifiers.new("Closed", "REMESH").voxel_size = 0.02
    bpy.ops.object.convert(target="MESH")
    return world_mesh(thing)


def without_bounds(scene: DemoScene) -> DemoScene:
    """Take the Empty out: a thing of no class needs none."""
    if scene.bounds is not None:
        bpy.data.objects.remove(scene.bounds)
    return replace(scene, bounds=None)


def render(camera: bpy.types.Object, path: Path, samples: int = SAMPLES) -> np.ndarray:
    """Render what a camera sees.

    Parameters
    ----------
    camera : Object
    path : Path
        The PNG to write.
    samples : int
        Of Cycles, a pixel.

    Returns
    -------
    (H, W, 4) uint8 array
        RGBA, not premultiplied, rows from top to bottom.
    """
    scene = bpy.context.scene
    scene.camera = camera
    scene.cycles.samples = samples
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    scene.render.filepath = "//"
    return read_picture(path)


def rake(camera: bpy.types.Object) -> None:
    """Have the sun shine from a camera's left, nearly across what it sees, so that what is uneven casts a shade."""
    towards = camera.matrix_world.to_3x3() @ Vector((-0.85, 0.35, 0.4))
    bpy.data.objects[SUN].rotation_euler = towards.to_track_quat("Z", "Y").to_euler()


def picture_of(camera: bpy.types.Object) -> Path:
    """The file of a camera's background image."""
    return Path(bpy.path.abspath(camera.data.background_images[0].image.filepath))


def read_picture(path: Path) -> np.ndarray:
    """Read a PNG as an (H, W, 4) uint8 array of RGBA."""
    with Image.open(path) as image:
        return np.array(image.convert("RGBA"))


def add_mesh(name: str, vertices: np.ndarray, faces: np.ndarray, material: bpy.types.Material) -> bpy.types.Object:
    """Add triangles, in the world, to the scene."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    mesh.validate()
    mesh.materials.append(material)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def world_mesh(thing: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Return a mesh object's vertices (N, 3) in the world and its triangles (M, 3)."""
    mesh = thing.data
    assert isinstance(mesh, bpy.types.Mesh)
    mesh.calc_loop_triangles()
    vertices = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", vertices)
    faces = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    mesh.loop_triangles.foreach_get("vertices", faces)
    matrix = np.array(thing.matrix_world)
    return vertices.reshape(-1, 3).astype(float) @ matrix[:3, :3].T + matrix[:3, 3], faces.reshape(-1, 3)


def clay() -> bpy.types.Material:
    """Return a new matt, light material for the result."""
    material = bpy.data.materials.new("Clay")
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (0.18, 0.32, 0.54, 1)
    shader.inputs["Roughness"].default_value = 0.6
    return material


def choose_inputs(scene: DemoScene, prior: str, quality: str, freedom: str = "some", *, colours: bool = False) -> None:
    """Fill in the add-on's panel (the add-on is registered), so that the saved file is ready for Reconstruct."""
    chosen = bpy.context.scene.dist
    chosen.cameras, chosen.bounds, chosen.quality = scene.pictures, scene.bounds, quality
    chosen.freedom, chosen.use_colours = freedom, colours
    if scene.masks is not None:
        chosen.mask_source, chosen.mask_folder = "FOLDER", str(scene.masks)
    # A prior that is a file is none of the sidebar's choices.
    with contextlib.suppress(TypeError):
        chosen.prior = prior


def save(path: Path, scene: DemoScene) -> None:
    """Save the .blend file so that it opens anywhere: rendered pictures are in it; photographs stay where they are."""
    for camera in scene.cameras if scene.truth is not None else ():
        image = camera.data.background_images[0].image
        image.pack()
        image.filepath_raw = f"//pictures/{Path(image.filepath).name}"
    bpy.context.scene.camera = scene.pictures.objects[0]
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)


def _place(vertices: np.ndarray, up: str) -> np.ndarray:
    """Stand the object upright at `LOCATION`, turned by `YAW`, `LENGTH` long."""
    vertices = np.asarray(vertices, np.float64) @ np.array(UPRIGHT[up], float).T
    low, high = vertices.min(0), vertices.max(0)
    extent = high - low
    if not np.isfinite(extent).all() or extent.max() <= 0:
        raise ValueError("The mesh has no size, or a vertex that is not finite: choose another one.")
    vertices = (vertices - [*(low + high)[:2] / 2, low[2]]) * (LENGTH / extent.max())
    if extent[1] > extent[0]:  # the front, -Y, is a long side
        vertices = vertices @ np.array(Matrix.Rotation(math.pi / 2, 3, "Z")).T
    return vertices @ np.array(Matrix.Rotation(YAW, 3, "Z")).T + LOCATION


def _add_camera(name: str, index: int, count: int, vertices: np.ndarray, rng: np.random.Generator) -> bpy.types.Object:
    """Add a camera on a spiral about the object, as near as lets it see the whole of it with a margin."""
    azimuth = index * GOLDEN_ANGLE
    lowest, highest = math.sin(math.radians(-4)), math.sin(math.radians(58))
    elevation = math.asin(lowest + (highest - lowest) * (index + 0.5) / count)
    back = np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    roll = math.radians(rng.uniform(-4, 4))  # nobody holds a camera quite level
    above = np.cross(back, right)
    right, above = (
        math.cos(roll) * right + math.sin(roll) * above,
        math.cos(roll) * above - math.sin(roll) * right,
    )
    lens = LENSES[index % len(LENSES)]
    target = (vertices.min(0) + vertices.max(0)) / 2 + rng.uniform(-0.03, 0.03, 3) * LENGTH
    x, y, z = ((vertices - target) @ np.stack([right, above, back], axis=1)).T
    # Seen from `distance`, a vertex lies at lens * x / (distance - z) on the sensor.
    distance = (z + np.maximum(abs(x), abs(y)) * lens / (FILL * 18)).max()

    data = bpy.data.cameras.new(name)
    data.lens = lens
    data.sensor_width = 36
    data.display_size = 0.15
    camera = bpy.data.objects.new(name, data)
    position = target + distance * back
    camera.matrix_world = Matrix(np.column_stack([right, above, back, position]).tolist()).to_4x4()
    return camera


def _set_picture(camera: bpy.types.Object, path: Path) -> None:
    assert isinstance(camera.data, bpy.types.Camera)
    camera.data.show_background_images = True
    background = camera.data.background_images.new()
    background.image = bpy.data.images.load(str(path))
    background.alpha = 1.0


def _add_bounds(vertices: np.ndarray, rng: np.random.Generator) -> bpy.types.Object:
    """Add the Empty as a person would: a little too large, a little off, well turned."""
    turn = np.array(Matrix.Rotation(YAW, 3, "Z"))
    own = vertices @ turn
    low, high = own.min(0), own.max(0)
    empty = bpy.data.objects.new("Bounds", None)
    empty.empty_display_type = "CUBE"
    empty.empty_display_size = 1.0
    empty.scale = (high - low) / 2 * rng.uniform(1.05, 1.10, 3)
    empty.rotation_euler = (0, 0, YAW)
    empty.location = turn @ ((low + high) / 2 + rng.uniform(-0.03, 0.03, 3) * (high - low))
    bpy.context.scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    return empty


def _light(scene: bpy.types.Scene) -> None:
    scene.world = bpy.data.worlds.new("World")
    background = scene.world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.75, 0.85, 1.0, 1)
    background.inputs["Strength"].default_value = 0.7
    sun = bpy.data.lights.new("Sun", "SUN")
    sun.energy = 3.5
    sun.angle = math.radians(10)
    sun.color = (1.0, 0.95, 0.87)
    lamp = bpy.data.objects.new(SUN, sun)
    lamp.rotation_euler = (math.radians(48), 0, math.radians(70))
    lamp.location = (0, 0, 3)
    scene.collection.objects.link(lamp)


def _render_settings(scene: bpy.types.Scene) -> None:
    scene.render.engine = "CYCLES"  # type: ignore[assignment]
    scene.cycles.device = "CPU"
    scene.cycles.use_denoising = False  # takes longer than the picture
    scene.cycles.max_bounces = 4
    scene.render.film_transparent = True
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.use_persistent_data = True


def _wood() -> bpy.types.Material:
    """Return a material of stretched noise between two browns."""
    material = bpy.data.materials.new("Wood")
    nodes, links = material.node_tree.nodes, material.node_tree.links
    where = nodes.new("ShaderNodeTexCoord")
    stretch = nodes.new("ShaderNodeMapping")
    stretch.vector_type = "TEXTURE"
    stretch.inputs["Rotation"].default_value = (0, 0, YAW)
    stretch.inputs["Scale"].default_value = (0.5, 0.045, 0.11)
    noise = nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 1.6
    noise.inputs["Detail"].default_value = 5
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.3, 0.75
    ramp.color_ramp.elements[0].color = (0.13, 0.05, 0.018, 1)
    ramp.color_ramp.elements[1].color = (0.50, 0.24, 0.09, 1)
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = 0.45
    links.new(where.outputs["Object"], stretch.inputs["Vector"])
    links.new(stretch.outputs["Vector"], noise.inputs["Vector"])
    links.new(noise.outputs[0], ramp.inputs[0])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material
