"""What a scene remembers: the inputs, the choices, and the folder of its last job; and the sliders of a shape."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import bpy
from bpy.props import (
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import api, live, prior_files, thumbnails
from .input_properties import RELATIVE, has_inputs
from .inputs import INPUTS, PANEL, find
from .scene import axes, shots
from .scene.points import KINDS
from .worker.dist_engine.protocol import ANYTHING, AXES

# Blender keeps no reference to the strings of a dynamic enum.
_prior_items: list[tuple[str, str, str, str | int, int]] = []
# Of a prior without a picture.
PRIOR_ICON = "SHAPEKEY_DATA"
# Beside the built-in priors' own.
ANYTHING_PICTURE = prior_files.FOLDER / f"{ANYTHING}.png"


def _number(name: str) -> int:
    """The number that a file keeps for a prior: its own, so that a new one does not change what was chosen.

    The popup of pictures hands it on as a float, which holds 24 bits.
    """
    return zlib.crc32(name.encode()) & 0xFFFFFF


def _list_priors(_self: Any, _context: Any) -> list[tuple[str, str, str, str | int, int]]:
    anything = thumbnails.priors.of_file(ANYTHING_PICTURE) or "MESH_MONKEY"
    items: list[tuple[str, str, str, str | int, int]] = [
        (ANYTHING, "Anything", "A thing of no class: the pictures alone tell its shape", anything, _number(ANYTHING))
    ]
    for prior in api.priors():
        label, text = prior.name.replace("_", " ").title(), prior.metadata.get("description", "")
        icon = thumbnails.priors.of_file(prior.picture) or PRIOR_ICON
        items.append((prior.name, label, text, icon, _number(prior.name)))
    if items != _prior_items:
        _prior_items[:] = items
    return _prior_items


def _has_points(_self: Any, thing: bpy.types.Object) -> bool:
    return thing.type in KINDS


def _is_mesh(_self: Any, thing: bpy.types.Object) -> bool:
    return thing.type == "MESH"


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
        options=RELATIVE,
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


@has_inputs(of_views=True)
class DIST_ViewProperties(bpy.types.PropertyGroup):
    """Which pictures there are, and what in them is the thing."""


@has_inputs(
    points={"poll": _has_points},
    bounds={"poll": _is_empty},
    start={"poll": _is_mesh},
    prior={"items": _list_priors, "default": _number(ANYTHING)},
)
class DIST_SceneProperties(bpy.types.PropertyGroup):
    """The add-on's settings in a scene."""

    render_code: IntProperty(
        name="Shape",
        description="Which of the shapes that the prior was trained on, by its number",
        min=0,
    )
    last_job: StringProperty(name="Last Job", description="The folder of the last job of this scene")
    views: PointerProperty(type=DIST_ViewProperties)
    training: PointerProperty(type=DIST_TrainingProperties)
    shapes: PointerProperty(type=DIST_ShapeProperties)


CLASSES = (
    DIST_ViewProperties,
    DIST_TrainingProperties,
    DIST_ShapeProperties,
    DIST_ObjectProperties,
    DIST_SceneProperties,
)


def of(scene: bpy.types.Scene | None) -> Any:
    """Return what a scene remembers, its `DIST_SceneProperties`."""
    assert scene is not None
    return scene.dist  # type: ignore[attr-defined]


def shows(chosen: Any, name: str) -> bool:
    """Whether the sidebar shows an input, by what a scene has chosen."""
    return _holds(find(name).when, _values(chosen))


def _values(chosen: Any) -> dict[str, Any]:
    """The fields of a scene's inputs, by their names."""
    return {
        field.name: getattr(chosen.views if each.of_views else chosen, field.name)
        for each in INPUTS
        if PANEL in each.doors
        for field in each.fields
    }


def _holds(condition: str, values: Mapping[str, Any]) -> bool:
    """Whether what an input's `when` asks for is so, by the values of a scene's fields."""
    of_class = values["prior"] != ANYTHING
    starts = values["start"] is not None
    return {
        "": True,
        "animated": shots.is_animated(values["cameras"], values["pictures"]),
        "of_class": of_class,
        "starts": of_class and starts,
        "held": of_class or starts,
    }[condition]


def inputs(scene: bpy.types.Scene, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what a scene has chosen for a reconstruction: the arguments of `api.reconstruct`.

    Parameters
    ----------
    scene : Scene
    given : mapping of str to values
        Fields of inputs, by their names, instead of those that the scene has chosen.

    Raises
    ------
    RequestError
        A choice is incomplete.
    """
    given = given or {}
    values = {**_values(of(scene)), **given}
    made = {"scene": scene}
    for each in INPUTS:
        if PANEL not in each.doors:
            continue
        # What the sidebar does not show does not count.
        counts = _holds(each.when, values) or any(field.name in given for field in each.fields)
        made[each.name] = each.take(values) if counts else each.without
    return made


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
