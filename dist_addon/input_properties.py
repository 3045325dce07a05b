"""Blender's properties, made of the inputs' declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from .inputs import INPUTS, PANEL, InputField

# A path may begin with “//”, for the blend file's folder; newer versions of Blender want to be told.
RELATIVE: Any = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()

T = TypeVar("T", bound=type)
# The property of each kind of field, and what else it is told. The items of priors are the scene's own.
KINDS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "flag": (BoolProperty, {}),
    "integer": (IntProperty, {}),
    "number": (FloatProperty, {}),
    "choice": (EnumProperty, {}),
    "prior": (EnumProperty, {}),
    "folder": (StringProperty, {"subtype": "DIR_PATH", "options": RELATIVE}),
    "collection": (PointerProperty, {"type": bpy.types.Collection}),
    "object": (PointerProperty, {"type": bpy.types.Object}),
    "movieclip": (PointerProperty, {"type": bpy.types.MovieClip}),
    "mask": (PointerProperty, {"type": bpy.types.Mask}),
}


def has_inputs(of_views: bool = False, **more: Mapping[str, Any]) -> Callable[[T], T]:
    """Give a group of properties those of the inputs: of the views, or all others.

    Parameters
    ----------
    of_views : bool
    **more : mappings
        What Blender is told of a field, by its name, beside what is declared.
    """

    def decorate(cls: T) -> T:
        for each in INPUTS:
            if PANEL in each.doors and each.of_views == of_views:
                for field in each.fields:
                    cls.__annotations__[field.name] = _property(field, more.get(field.name, {}))
        return cls

    return decorate


def _property(field: InputField, more: Mapping[str, Any]) -> Any:
    """What Blender makes a property of."""
    make, told = KINDS[field.kind]
    known = {
        "default": field.default,
        "items": [(choice.value, choice.label, choice.text) for choice in field.choices] or None,
        "min": field.minimum,
        "max": field.maximum,
        "soft_max": field.soft_maximum,
        "precision": field.digits,
        "subtype": "FACTOR" if field.factor else None,
    }
    told = {name: value for name, value in known.items() if value is not None} | told | dict(more)
    return make(name=field.label, description=field.text, **told)
