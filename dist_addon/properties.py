"""What a scene remembers: the inputs, the choices, and the folder of its last job."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

from . import api
from .worker.dist_engine.protocol import RequestError

# Blender keeps no reference to the strings of a dynamic enum.
_prior_items: list[tuple[str, str, str]] = []


def _list_priors(_self: Any, _context: Any) -> list[tuple[str, str, str]]:
    try:
        found = api.priors()
    except RequestError:
        found = []
    items = [(p.name, p.name.replace("_", " ").title(), p.metadata.get("description", "")) for p in found]
    items = items or [("none", "None", "No shape prior is built in")]
    if items != _prior_items:
        _prior_items[:] = items
    return _prior_items


def _is_empty(_self: Any, thing: bpy.types.Object) -> bool:
    return thing.type == "EMPTY"


class DIST_SceneProperties(bpy.types.PropertyGroup):
    """The add-on's settings in a scene."""

    cameras: PointerProperty(
        name="Cameras",
        description="A collection of perspective cameras, each with a background image whose alpha shows the thing",
        type=bpy.types.Collection,
    )
    bounds: PointerProperty(
        name="Bounds",
        description="An Empty whose box holds the thing: its Z is the thing's up, its -Y the thing's front",
        type=bpy.types.Object,
        poll=_is_empty,
    )
    prior: EnumProperty(name="Shape Prior", description="What kind of thing it is", items=_list_priors)
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
    refine_placement: BoolProperty(
        name="Refine Placement",
        description="Fit where the thing stands, how it is turned and how large it is, starting from the bounds",
        default=True,
    )
    render_code: IntProperty(
        name="Shape",
        description="Which of the shapes that the prior was trained on, by its number",
        min=0,
    )
    last_job: StringProperty(
        name="Last Job", description="The folder of the last job of this scene", subtype="DIR_PATH"
    )


CLASSES = (DIST_SceneProperties,)


def of(scene: bpy.types.Scene | None) -> DIST_SceneProperties:
    """Return what a scene remembers."""
    assert scene is not None
    return scene.dist  # type: ignore[attr-defined]


def attach() -> None:
    """Give every scene the properties, as ``scene.dist``."""
    bpy.types.Scene.dist = PointerProperty(type=DIST_SceneProperties)  # type: ignore[attr-defined]


def detach() -> None:
    """Take the properties away."""
    del bpy.types.Scene.dist  # type: ignore[attr-defined]
