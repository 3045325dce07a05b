"""What a scene remembers: the inputs, the choices, and the folder of its last job; and the sliders of a shape."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import api, live, thumbnails, view_properties
from .scene import axes
from .scene.points import KINDS
from .scene.result import is_result
from .worker.dist_engine.protocol import AXES

DEFAULT_PRIOR = "table"
# Blender keeps no reference to the strings of a dynamic enum.
_prior_items: list[tuple[str, str, str, str | int, int]] = []
# Of a prior without a picture.
PRIOR_ICON = "SHAPEKEY_DATA"


def _number(name: str) -> int:
    """The number that a file keeps for a prior: its own, so that a new one does not change what was chosen.

    The popup of pictures hands it on as a float, which holds 24 bits.
    """
    return zlib.crc32(name.encode()) & 0xFFFFFF


def _list_priors(_self: Any, _context: Any) -> list[tuple[str, str, str, str | int, int]]:
    found: list[tuple[str, str, str, str | int]] = [
        (
            prior.name,
            prior.name.replace("_", " ").title(),
            prior.metadata.get("description", ""),
            thumbnails.priors.of_file(prior.picture) or PRIOR_ICON,
        )
        for prior in api.priors()
    ]
    found = found or [("none", "None", "There is no shape prior", "NONE")]
    # What is shown where nothing was chosen yet.
    first = DEFAULT_PRIOR if any(name == DEFAULT_PRIOR for name, *_ in found) else found[0][0]
    items = [(*words, _number(DEFAULT_PRIOR if words[0] == first else words[0])) for words in found]
    if items != _prior_items:
        _prior_items[:] = items
    return _prior_items


def _has_points(_self: Any, thing: bpy.types.Object) -> bool:
    return thing.type in KINDS


def _is_shape(_self: Any, thing: bpy.types.Object) -> bool:
    return is_result(thing)


def _is_empty(_self: Any, thing: bpy.types.Object) -> bool:
    return thing.type == "EMPTY"


class DIST_TrainingProperties(bpy.types.PropertyGroup):
    """What to train a prior from, and how."""

    source: EnumProperty(
        name="From",
        description="Where the meshes are",
        items=(
            ("COLLECTION", "Collection", "Meshes in this file, with their modifiers"),
            ("FOLDER", "Folder", "Mesh files: .obj, .off, .ply, .stl and .glb"),
        ),
    )
    collection: PointerProperty(
        name="Collection",
        description=(
            "Each visible object in it is a shape, and so is each collection in it, with all that it holds. "
            "Z is up, and the front looks along -Y"
        ),
        type=bpy.types.Collection,
    )
    folder: StringProperty(
        name="Folder",
        description="Its mesh files, also those in folders within it",
        subtype="DIR_PATH",
        options=view_properties.RELATIVE,
    )
    up: EnumProperty(
        name="Up",
        description="Which axis of the meshes points up",
        items=[(a, a.upper(), "") for a in AXES],
        default="+y",
    )
    front: EnumProperty(
        name="Front",
        description="Along which axis the front of the shapes looks",
        items=[(a, a.upper(), "") for a in AXES],
        default="+z",
    )
    name: StringProperty(name="Name", description="What the prior is to be called", maxlen=63)
    size: EnumProperty(
        name="Size",
        description="How large a network is trained",
        items=(
            ("small", "Small", "6 layers of 192, as the built-in priors: minutes on a CPU for a dozen shapes"),
            ("official", "Official", "8 layers of 512, as DeepSDF: finer, slower to trace with, and it wants a GPU"),
        ),
    )
    licence: StringProperty(
        name="Licence", description="Of the meshes, and so of the prior; kept in its file", maxlen=200
    )
    job: StringProperty(
        name="Job",
        description="The folder of the last training, which another goes on from",
    )


class DIST_ShapeProperties(bpy.types.PropertyGroup):
    """Which shapes to make without pictures."""

    seed: IntProperty(
        name="Seed",
        description="Which member of the prior: the same number gives the same shape. The next one is taken next",
        min=0,
    )
    spread: FloatProperty(
        name="Spread",
        description="How far the shape is from the mean shape: 1 is as far as those that the prior was trained on are",
        min=0.0,
        max=2.0,
        default=api.SPREAD,
        subtype="FACTOR",
    )
    factor: FloatProperty(
        name="Factor",
        description="Where the new shape is between the two: 0 is the other selected one, 1 the active one",
        min=0.0,
        max=1.0,
        default=0.5,
        subtype="FACTOR",
    )
    count: IntProperty(
        name="Count",
        description="How many: one at the factor, or several at even steps between the two",
        min=1,
        max=16,
        default=1,
    )


def _get_axes(self: Any) -> list[float]:
    return axes.values(self.id_data)


def _set_axes(self: Any, values: Sequence[float]) -> None:
    axes.move(self.id_data, values)
    live.meshes.follow(self.id_data)


class DIST_ObjectProperties(bpy.types.PropertyGroup):
    """What can be changed of a shape of a prior. Nothing is kept here: the object's code says it all."""

    axes: FloatVectorProperty(
        name="Main Axes",
        description=(
            "The shape along the axes in which the prior's training shapes differ most, in standard deviations. "
            "The mesh follows"
        ),
        size=axes.COUNT,
        soft_min=-3.0,
        soft_max=3.0,
        min=-10.0,
        max=10.0,
        options=set(),
        get=_get_axes,
        set=_set_axes,
    )


class DIST_SceneProperties(bpy.types.PropertyGroup):
    """The add-on's settings in a scene."""

    cameras: PointerProperty(
        name="Cameras",
        description=(
            "A collection of perspective cameras, each with a background image that shows the thing; or of one "
            "animated camera, whose background image is an image sequence or a movie clip"
        ),
        type=bpy.types.Collection,
    )
    points: PointerProperty(
        name="Points",
        description=(
            "A mesh or a point cloud whose points lie on the thing's surface, such as tracked markers turned into a "
            "mesh, or a scan; with cameras, or alone"
        ),
        type=bpy.types.Object,
        poll=_has_points,
    )
    bounds: PointerProperty(
        name="Bounds",
        description=(
            "An Empty whose box holds the thing: its Z is the thing's up, its -Y the thing's front. Without, the masks "
            "or the points tell where it stands, upright, and its front is sought"
        ),
        type=bpy.types.Object,
        poll=_is_empty,
    )
    prior: EnumProperty(
        name="Shape Prior",
        description="What kind of thing it is",
        items=_list_priors,
        default=_number(DEFAULT_PRIOR),
    )
    quality: EnumProperty(
        name="Quality",
        description="How much work to spend",
        items=(
            ("preview", "Preview", "A quick look"),
            ("normal", "Normal", "Good for most things"),
            ("fine", "Fine", "More steps, more rays and a finer mesh"),
        ),
        default="normal",
    )
    start: PointerProperty(
        name="Start From",
        description="A shape of the prior, such as a reconstruction: the fit starts from it, where it stands",
        type=bpy.types.Object,
        poll=_is_shape,
    )
    refine_shape: BoolProperty(
        name="Shape",
        description="Fit the shape. Without, the one to start from stays as it is, and only the rest is fitted",
        default=True,
    )
    refine_placement: BoolProperty(
        name="Placement",
        description="Fit where the thing stands, how it is turned and how large it is, starting from the bounds",
        default=True,
    )
    refine_cameras: BoolProperty(
        name="Cameras",
        description="Fit each camera's place and direction, starting from where it is; refined copies are added",
    )
    refine_focal_length: BoolProperty(
        name="Focal Length",
        description="Fit one factor for the focal lengths of all cameras; refined copies are added",
    )
    render_code: IntProperty(
        name="Shape",
        description="Which of the shapes that the prior was trained on, by its number",
        min=0,
    )
    last_job: StringProperty(name="Last Job", description="The folder of the last job of this scene")
    views: PointerProperty(type=view_properties.DIST_ViewProperties)
    training: PointerProperty(type=DIST_TrainingProperties)
    shapes: PointerProperty(type=DIST_ShapeProperties)


CLASSES = (
    view_properties.DIST_ViewProperties,
    DIST_TrainingProperties,
    DIST_ShapeProperties,
    DIST_ObjectProperties,
    DIST_SceneProperties,
)


def of(scene: bpy.types.Scene | None) -> DIST_SceneProperties:
    """Return what a scene remembers."""
    assert scene is not None
    return scene.dist  # type: ignore[attr-defined]


def inputs(scene: bpy.types.Scene, cameras: bpy.types.Collection | None = None) -> dict[str, Any]:
    """Return what a scene has chosen for a reconstruction: the arguments of `api.reconstruct`.

    Parameters
    ----------
    scene : Scene
    cameras : Collection, optional
        Instead of those that the scene has chosen.

    Raises
    ------
    RequestError
        A choice is incomplete.
    """
    chosen = of(scene)
    cameras = cameras or chosen.cameras
    names = [
        *("bounds", "points", "prior", "start", "quality"),
        *("refine_placement", "refine_cameras", "refine_focal_length"),
    ]
    keeps_shape = chosen.start is not None and not chosen.refine_shape
    return {
        "cameras": cameras,
        **view_properties.inputs(chosen.views, cameras),
        **{name: getattr(chosen, name) for name in names},
        "refine_shape": not keeps_shape,
        "scene": scene,
    }


def choose(scene: bpy.types.Scene, imported: api.ImportedCameras) -> None:
    """Make imported cameras the scene's inputs, and points that came with them, where it has none."""
    chosen = of(scene)
    chosen.cameras = imported.collection
    chosen.points = chosen.points or imported.points


def attach() -> None:
    """Give every scene and every object the properties, as ``scene.dist`` and ``object.dist``."""
    bpy.types.Scene.dist = PointerProperty(type=DIST_SceneProperties)  # type: ignore[attr-defined]
    bpy.types.Object.dist = PointerProperty(type=DIST_ObjectProperties)  # type: ignore[attr-defined]


def detach() -> None:
    """Take the properties away."""
    del bpy.types.Scene.dist, bpy.types.Object.dist  # type: ignore[attr-defined]
