"""A finished job's result as a mesh object, and the code of its shape."""

from __future__ import annotations

import statistics
import zlib
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..prior_files import PriorFile, find_prior
from ..worker.dist_engine.protocol import RefinedCamera, RequestError, Result
from . import cameras as scene_cameras

COLLECTION = "DIST Reconstructions"
# The start of the custom property with the overlap (IoU) in a view; its name follows.
IOU = "dist_iou_"
# A fit whose outlines overlap the pictures' by less, in the median, shows something else.
POOR = 0.85
# Custom properties of a result's object: its shape's code, if it has one, the code's prior (as `prior_files.find_prior`
# takes it), how many of the object's units the shape's unit is long, and how fine its mesh is to be. A mesh has `CODE`
# and `RESOLUTION`, too: those that it was made with.
CODE, PRIOR, SCALE, RESOLUTION = "dist_code", "dist_prior", "dist_scale", "dist_resolution"
# And of what kind it is: of a free surface no code says all, though it has that of a prior's shape that it has left.
KIND, FREE = "dist_shape", "free"
# Of a mesh: how many vertices it was made with, and where, in the object's frame as it was then, some of them were, so
# that it shows where Object > Apply has brought them since.
MADE = "dist_made"
MARKS = 12
# The code that the object had before `set_code` first changed it, and its mesh, with colours and what was made of it.
FIRST_CODE, FIRST_MESH = "dist_first_code", "dist_first_mesh"
# A mesh's attribute: how sure the surface is, in Blender units; and from sure to unsure in linear colours (viridis).
UNCERTAINTY = "uncertainty"
# And how far it has left what it started from, outwards, in Blender units; the largest is a custom property, too.
DEPARTURE, LARGEST = "departure", "dist_departure_largest"
# And the pictures' colours; their material has the second as a custom property.
COLOURS, PAINTED = "Color", "dist_painted"
RAMP = ((0.06, 0.0, 0.09, 1), (0.04, 0.08, 0.26, 1), (0.01, 0.28, 0.26, 1), (0.11, 0.58, 0.13, 1), (0.98, 0.8, 0.02, 1))
# Of results that do not say.
USUAL_RESOLUTION = 128
# Vertices up to which Blender before 5.0 gets custom normals: more take it long, and finer meshes need them less.
MOST_NORMALS = 10_000


def add_result(result: Result, scene: bpy.types.Scene, name: str = "DIST Shape") -> bpy.types.Object:
    """Add a result to a scene, in the collection "DIST Reconstructions".

    Parameters
    ----------
    result : Result
    scene : Scene
    name : str
        Of the object and its mesh.

    Returns
    -------
    Object
        At scale 1, its matrix the result's rotation and translation; the report's numbers are custom properties.

    Raises
    ------
    RequestError
        The result is empty or not a mesh.
    """
    check(result)
    mesh = bpy.data.meshes.new(name)
    fill_mesh(mesh, result)
    thing = bpy.data.objects.new(name, mesh)
    thing.matrix_world = matrix(result)
    for key, value in result.report.items():
        _set_property(thing, f"dist_{key}", value)
    collection(scene).objects.link(thing)
    return thing


def add_cameras(result: Result, scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Add the cameras that a fit refined, beside those that it began with, which stay as they are.

    Returns
    -------
    list of Object
        Each with the overlap of its outline (IoU), and how far it was turned (degrees) and moved (Blender units) as
        custom properties; empty where no camera was refined.
    """
    added = []
    for data in result.report.get("cameras", []):
        found = RefinedCamera.from_json(data)
        view = found.view
        named: bpy.types.Object | None = bpy.data.objects.get(view.name)
        old = named if named is not None and named.type == "CAMERA" else None
        size, (left, top) = scene_cameras.whole_frame((found.width, found.height), scene)
        K = np.add(view.K, [[0, 0, left], [0, 0, top], [0, 0, 0]])
        refined = replace(view, name=f"{view.name} refined", K=K)
        camera = scene_cameras.add_camera(refined, size, old, collection(scene))
        if view.name in result.report["iou"]:
            camera["dist_iou"] = result.report["iou"][view.name]
        camera["dist_turned"], camera["dist_moved"] = found.turned, found.moved
        added.append(camera)
    return added


def is_result(thing: bpy.types.Object | None) -> bool:
    """Whether an object is a reconstruction or another shape of a prior."""
    return thing is not None and thing.get(SCALE) is not None


def has_code(thing: bpy.types.Object | None) -> bool:
    """Whether an object's shape is that of a code."""
    return thing is not None and not why_no_code(thing)


def why_no_code(thing: bpy.types.Object) -> str:
    """Why no code says what an object's shape is, as a sentence; empty where one does."""
    if not is_result(thing):
        return f"The object “{thing.name}” is no shape of a prior: it has no code."
    if thing.get(CODE) is None:
        return f"“{thing.name}” is of no class: it has no prior and no code, only its mesh."
    if thing.get(KIND) == FREE:
        return f"“{thing.name}” has left its prior's shape, so no code says what it is: it is only its mesh."
    return ""


def read_code(thing: bpy.types.Object | None, or_left: bool = False) -> tuple[PriorFile, np.ndarray]:
    """Return the prior and the code (latent,) of a result's object.

    Parameters
    ----------
    thing : Object or None
    or_left : bool
        Whether the code will do of the shape that a freed surface has left.

    Raises
    ------
    RequestError
        It is no result, no code says what it is, its prior is not found, or the code is another prior's.
    """
    if thing is None:
        raise RequestError("No object was chosen: choose a reconstruction, or press Sample Shape.")
    if (why := why_no_code(thing)) and not (or_left and thing.get(CODE) is not None):
        raise RequestError(why)
    if not thing.get(PRIOR):
        raise RequestError(f"The object “{thing.name}” is no shape of a prior: it has no code.")
    prior = find_prior(str(thing[PRIOR]))
    return prior, prior.code(thing[CODE])


def set_code(thing: bpy.types.Object, code: np.ndarray) -> None:
    """Give a result's object another code; `FIRST_CODE` and `FIRST_MESH` keep what it had at first. The mesh stays."""
    if list(thing[CODE]) != code.tolist():
        mesh: Any = thing.data
        # Earlier versions' meshes do not say it: an undo would not know which of them are behind.
        if isinstance(mesh, bpy.types.Mesh) and mesh.get(CODE) is None:
            mesh[CODE], mesh[RESOLUTION] = list(thing[CODE]), resolution(thing)
        if thing.get(FIRST_CODE) is None:
            thing[FIRST_CODE] = list(thing[CODE])
            if isinstance(mesh, bpy.types.Mesh):
                # A user more: the next mesh gets a datablock of its own.
                thing[FIRST_MESH] = mesh
        thing[CODE] = code.tolist()


def reset_code(thing: bpy.types.Object) -> None:
    """Give a result's object the code and the mesh back that it had before `set_code`."""
    thing[CODE] = list(thing[FIRST_CODE])
    first: Any = thing.get(FIRST_MESH)
    mesh: Any = thing.data
    del thing[FIRST_CODE]
    if first is not None:
        del thing[FIRST_MESH]
    if first is None or first == mesh:
        return
    # Object > Apply may have moved the other one meanwhile.
    moved = applied(mesh) @ np.linalg.inv(applied(first))
    if not np.allclose(moved, np.eye(4), atol=1e-5):
        first = first.copy() if first.users - first.use_fake_user > 0 else first
        first.transform(Matrix(moved.tolist()))
    thing.data = first
    if mesh.users == 0:
        bpy.data.meshes.remove(mesh)


def why_fixed(thing: bpy.types.Object) -> str:
    """Why a result's mesh cannot be replaced, as a sentence; empty where it can."""
    mesh = thing.data
    if thing.library or thing.override_library or not isinstance(mesh, bpy.types.Mesh) or mesh.library:
        return f"“{thing.name}” is linked, or has no mesh of its own: make it local first."
    if thing.mode != "OBJECT":
        return f"“{thing.name}” is being edited: go back to Object Mode first."
    if mesh.shape_keys:
        return f"“{thing.name}” has shape keys: remove them first."
    return ""


def resolution(thing: bpy.types.Object) -> int:
    """How fine a result's mesh is to be."""
    return int(thing.get(RESOLUTION) or USUAL_RESOLUTION)


def is_current(thing: bpy.types.Object, fineness: int) -> bool:
    """Whether a result's mesh was made with the object's code, and as fine."""
    mesh: Any = thing.data
    made_with = mesh.get(CODE)
    return made_with is not None and list(made_with) == list(thing[CODE]) and mesh.get(RESOLUTION, 0) >= fineness


def is_behind(thing: bpy.types.Object) -> bool:
    """Whether a result's mesh is known to be of another code than the object's, or coarser than it is to be."""
    mesh: Any = thing.data
    known = not why_fixed(thing) and mesh.get(CODE) is not None
    return known and not is_current(thing, resolution(thing))


def applied(mesh: bpy.types.Mesh) -> np.ndarray:
    """Return what Object > Apply did to a result's mesh: (4, 4), from where its vertices were made to where they are.

    The identity where nothing was applied, and where it cannot be told: the mesh was edited, or made by an earlier
    version.
    """
    made = np.array(mesh.get(MADE, []), dtype=np.float64)
    if len(made) < 13 or int(made[0]) != len(mesh.vertices):
        return np.eye(4)
    before = np.column_stack([made[1:].reshape(-1, 3), np.ones(len(made[1:]) // 3)])
    now = np.array([mesh.vertices[int(index)].co for index in _marks(len(mesh.vertices))], dtype=np.float64)
    solution, _, rank, _ = np.linalg.lstsq(before, now, rcond=None)
    off = np.abs(before @ solution - now).max()
    if rank < 4 or off > 1e-4 * np.ptp(now, axis=0).max():
        return np.eye(4)
    return np.vstack([solution.T, [0, 0, 0, 1]])


def _marks(count: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(MARKS, count)).astype(int)


def replace_mesh(thing: bpy.types.Object, result: Result) -> None:
    """Put a result's geometry into an object; its name, place, materials and modifiers stay, and so do other objects.

    Raises
    ------
    RequestError
        The result is empty or not a mesh, or the object's mesh cannot be replaced.
    """
    if why := why_fixed(thing):
        raise RequestError(why)
    check(result)
    # Another object with the same mesh has a code of its own.
    mesh: Any = thing.data
    if mesh.users - mesh.use_fake_user > 1:
        thing.data = mesh = mesh.copy()
    moved = applied(mesh)
    mesh.clear_geometry()
    # Its colours are gone with the vertices.
    for index in reversed([i for i, material in enumerate(mesh.materials) if material and material.get(PAINTED)]):
        mesh.materials.pop(index=index)
    fill_mesh(mesh, result)
    if not np.allclose(moved, np.eye(4), atol=1e-5):
        mesh.transform(Matrix(moved.tolist()))


def matrix(result: Result) -> Matrix:
    """Where a result stands in the world."""
    rows = zip(result.rotation.tolist(), result.translation.tolist(), strict=True)
    return Matrix([[*row, shift] for row, shift in rows] + [[0.0, 0.0, 0.0, 1.0]])


def check(result: Result) -> None:
    """Raise `RequestError` where a result is no mesh."""
    vertices, faces = np.asarray(result.vertices), np.asarray(result.faces)
    if len(vertices) == 0 or len(faces) == 0:
        raise RequestError(
            "The result holds no surface: the fit found no shape. Check that the bounds hold the thing, and the masks."
        )
    if not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
        raise RequestError("The result's mesh is damaged: run the job again.")


def fill_mesh(mesh: bpy.types.Mesh, result: Result) -> None:
    """Put a result's smooth triangles into an empty mesh, and say what it was made with.

    Its normals are kept as custom normals where the mesh needed no repair, and where that is quick.
    """
    vertices, normals = (np.asarray(part, np.float32) for part in (result.vertices, result.vertex_normals))
    faces = np.asarray(result.faces, np.int32)
    # Attributes take whole arrays, where the vertices and loops themselves take one number after another.
    mesh.vertices.add(len(vertices))
    attributes: Any = mesh.attributes
    attributes["position"].data.foreach_set("vector", vertices.ravel())
    mesh.loops.add(faces.size)
    attributes[".corner_vert"].data.foreach_set("value", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    # Blender's own check takes longer than all the rest.
    flat = (faces == np.roll(faces, 1, axis=1)).any()
    repaired = flat and mesh.validate()
    mesh.shade_smooth()
    if not repaired:
        if normals.shape == vertices.shape and np.isfinite(normals).all():
            if bpy.app.version >= (5, 0):
                attributes.new("custom_normal", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", normals.ravel())
            elif len(vertices) <= MOST_NORMALS:
                mesh.normals_split_custom_set_from_vertices(normals.tolist())
        if result.uncertainty is not None:
            _show_uncertainty(mesh, np.asarray(result.uncertainty, np.float32))
        if result.departure is not None:
            _keep_numbers(mesh, DEPARTURE, np.asarray(result.departure, np.float32))
        if result.colours is not None:
            _paint(mesh, np.asarray(result.colours))
    mesh.update()
    mesh[MADE] = [float(len(vertices)), *vertices[_marks(len(vertices))].astype(float).ravel()]
    for key, name in ((CODE, "code"), (RESOLUTION, "resolution")):
        if name in result.report:
            _set_property(mesh, key, result.report[name])


def _keep_numbers(mesh: bpy.types.Mesh, name: str, numbers: np.ndarray) -> bool:
    """Keep numbers (N,) float32 of a mesh's vertices as an attribute; whether they are such."""
    if numbers.shape != (len(mesh.vertices),) or not np.isfinite(numbers).all():
        return False
    values: Any = mesh.attributes.new(name, "FLOAT", "POINT")
    values.data.foreach_set("value", numbers)
    return True


def _show_uncertainty(mesh: bpy.types.Mesh, deviations: np.ndarray) -> None:
    """Keep deviations (N,) as an attribute, and as colours that the viewport shows: Shading > Color > Attribute."""
    if not _keep_numbers(mesh, UNCERTAINTY, deviations):
        return
    # From the surest to all but the least sure twentieth.
    low, high = np.quantile(deviations, [0.0, 0.95])
    share = np.clip((deviations - low) / max(high - low, 1e-12), 0, 1)
    stops = np.linspace(0, 1, len(RAMP))
    colours = np.stack([np.interp(share, stops, np.array(RAMP)[:, channel]) for channel in range(4)], 1)
    shown: Any = mesh.color_attributes.new(f"{UNCERTAINTY}_color", "FLOAT_COLOR", "POINT")
    shown.data.foreach_set("color", colours.astype(np.float32).ravel())


def _paint(mesh: bpy.types.Mesh, colours: np.ndarray) -> None:
    """Give a mesh colours (N, 3) uint8, sRGB, as its active colour attribute and in a material of its own."""
    if colours.shape != (len(mesh.vertices), 3) or colours.dtype != np.uint8:
        return
    shown: Any = mesh.color_attributes.new(COLOURS, "BYTE_COLOR", "POINT")
    opaque = np.column_stack([colours / np.float32(255), np.ones(len(colours), np.float32)])
    shown.data.foreach_set("color_srgb", opaque.astype(np.float32).ravel())
    attributes: Any = mesh.color_attributes
    attributes.active_color = shown
    attributes.render_color_index = list(attributes).index(shown)
    material = bpy.data.materials.new(f"{mesh.name} Colours")
    material[PAINTED] = True
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    tree: Any = material.node_tree
    colour = tree.nodes.new("ShaderNodeVertexColor")
    colour.layer_name, colour.location = COLOURS, (-300, 200)
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Roughness"].default_value = 0.8
    tree.links.new(colour.outputs["Color"], surface.inputs["Base Color"])
    mesh.materials.append(material)


def collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """The collection of a scene's results, made where it is missing."""
    if found := _collection(scene):
        return found
    collection = bpy.data.collections.new(COLLECTION)
    scene.collection.children.link(collection)
    return collection


def _collection(scene: bpy.types.Scene) -> bpy.types.Collection | None:
    own = (child for child in scene.collection.children if child.name.startswith(COLLECTION) and child.library is None)
    return next(own, None)


def overlap(scene: bpy.types.Scene, view: str) -> tuple[str, float] | None:
    """The newest of a scene's results that was fitted to a view: its name, and the overlap (IoU) there; else None.

    One whose shape was changed since does not count.
    """
    found = _collection(scene)
    for thing in reversed(found.objects if found else ()):
        if (iou := thing.get(_property_name(IOU + view))) is not None and not _is_changed(thing):
            return thing.name, iou
    return None


def _is_changed(thing: bpy.types.Object) -> bool:
    """Whether a result has another code than it was imported with."""
    first = thing.get(FIRST_CODE)
    return first is not None and list(first) != list(thing[CODE])


def how_well(thing: bpy.types.Object) -> tuple[str, bool]:
    """How well a result fits its pictures, in sentences, and whether that is poor.

    There are none where the shape was changed since. One wrong mask among several does not make a result poor: it is
    told on its own.
    """
    if _is_changed(thing):
        return "", False
    told, poor = [], False
    if found := [value for name, value in thing.items() if name.startswith(IOU)]:
        usual = statistics.median(found)
        poor = usual < POOR
        text = f"Its outlines overlap the pictures' by {'only ' * poor}{usual:.0%} (IoU)"
        if poor:
            kind = "the thing is of another kind than the shape prior, or " if thing.get(PRIOR) else ""
            text += f": {kind}masks, cameras or bounds are wrong"
        told.append(f"{text}.")
        if odd := thing.get("dist_disagree"):
            told.append(f"Far less than the others: {odd}. Check the mask and the camera there.")
    if (most := thing.get(LARGEST)) is not None:
        left = "the prior's shape" if thing.get(PRIOR) else "the mesh that it started from"
        told.append(f"Its surface has left {left} by up to {_length(most)}.")
    return " ".join(told), poor


def _length(value: float) -> str:
    """A length in Blender units, as the current scene shows such."""
    assert bpy.context.scene is not None
    units = bpy.context.scene.unit_settings
    if units.system == "NONE":
        return f"{value:.3g}"
    return bpy.utils.units.to_string(
        units.system, "LENGTH", value * units.scale_length, precision=3, compatible_unit=True
    )


def _property_name(name: str) -> str:
    """A custom property's name; of a longer one than Blender allows, the start, and what tells it from others."""
    data = name.encode()
    return name if len(data) <= 63 else data[:54].decode(errors="ignore") + f"_{zlib.crc32(data):08x}"


def _set_property(thing: bpy.types.ID, name: str, value: Any) -> None:
    """Keep numbers, texts and lists of them; a dictionary becomes one property an entry."""
    name = _property_name(name)
    if isinstance(value, dict):
        for key, entry in value.items():
            _set_property(thing, f"{name}_{key}", entry)
    elif isinstance(value, (bool, int, float, str)):
        # Blender's integers have 32 bits.
        thing[name] = float(value) if type(value) is int and abs(value) > 2**31 - 1 else value
    elif isinstance(value, list) and value and all(isinstance(entry, (int, float)) for entry in value):
        thing[name] = [float(entry) for entry in value]
    elif isinstance(value, list) and value and all(isinstance(entry, str) for entry in value):
        thing[name] = ", ".join(value)
