"""Text of several lines in a panel: Blender would shorten what does not fit into one label."""

from __future__ import annotations

from typing import Any

import blf
import bpy

# Pixels beside a label in a box, at scale 1: margins, an icon, and the sidebar's tabs.
MARGINS = 96


def draw_text(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str) -> None:
    """Draw a text in a box, cut into lines that fit, with an icon before the first."""
    lines = layout.box().column(align=True)
    lines.scale_y = 0.8
    shown: Any = icon
    for paragraph in text.splitlines():
        for line in wrap(paragraph, context):
            lines.label(text=line, icon=shown)
            shown = "BLANK1"


def wrap(line: str, context: bpy.types.Context) -> list[str]:
    """Cut a line at spaces, where it fits into a box as wide as the context's region."""
    assert context.preferences is not None
    # In background mode the scale is 0.
    scale = context.preferences.system.ui_scale or 1.0
    width = max((context.region.width if context.region else 300) - MARGINS * scale, 60 * scale)
    blf.size(0, context.preferences.ui_styles[0].widget.points * scale)
    pieces = [""]
    for word in line.split():
        longer = f"{pieces[-1]} {word}".lstrip()
        if blf.dimensions(0, longer)[0] <= width:
            pieces[-1] = longer
            continue
        pieces += [""] if pieces[-1] else []
        # A word wider than the box, such as a path, is cut where it has to be.
        for letter in word:
            if pieces[-1] and blf.dimensions(0, pieces[-1] + letter)[0] > width:
                pieces.append("")
            pieces[-1] += letter
    return pieces
