"""What the panels and the preferences draw, without a window."""

from __future__ import annotations

from types import SimpleNamespace

import bpy

from dist_addon import (
    panels,
    preferences,
)


class Layout:
    """Takes what a panel draws, and checks that what it names is there."""

    def __init__(self, drawn=None):
        self.drawn = [] if drawn is None else drawn

    def column(self, **_options):
        return Layout(self.drawn)

    def template_icon(self, icon_value, scale):
        self.drawn.append(("icon", icon_value))

    box = row = column

    def template_icon_view(self, data, name, **_options):
        self.prop(data, name)

    def prop(self, data, name, **_options):
        assert name in data.bl_rna.properties, name
        self.drawn.append(("prop", name))

    def operator(self, name, **_options):
        module, action = name.split(".")
        rna = getattr(getattr(bpy.ops, module), action).get_rna_type()
        self.drawn.append(("operator", name))
        return SimpleNamespace(**{key: None for key in list(rna.properties.keys())})

    def template_list(self, kind, name, data, items, active_data, active, **_options):
        assert getattr(bpy.types, kind).is_registered
        assert items in data.bl_rna.properties and active in active_data.bl_rna.properties
        for item in getattr(data, items):
            panels.DIST_UL_jobs.draw_item(None, bpy.context, self, data, item, 0, active_data, active)

    def label(self, text="", icon="NONE"):
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.drawn.append(("label", text))

    def progress(self, text="", factor=0.0, type="BAR"):
        assert type in bpy.types.UILayout.bl_rna.functions["progress"].parameters["type"].enum_items
        assert 0 <= factor <= 1
        self.drawn.append(("progress", text, factor))


def draw() -> list[tuple]:
    layout = Layout()
    for panel in panels.CLASSES:
        if issubclass(panel, bpy.types.Panel) and (not hasattr(panel, "poll") or panel.poll(bpy.context)):
            panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout.drawn


def draw_preferences(python: str = "") -> list[tuple]:
    layout = Layout()
    own = SimpleNamespace(layout=layout, python=python, bl_rna=preferences.DIST_AddonPreferences.bl_rna)
    preferences.DIST_AddonPreferences.draw(own, bpy.context)
    return layout.drawn
