"""Runs in Blender's window: tells in a file, again and again, what there is. It changes nothing and presses nothing.

Each line of ``ticks.txt`` is a tick of a 20 ms timer: when it came (seconds since 1970), and how long after the last.
"""

import json
import sys
import time
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
TICK, INTERVAL = 0.02, 0.2

ended = time.perf_counter()
written = 0.0
ticks = []
copied = []


def tick():
    global ended, written
    now = time.perf_counter()
    ticks.append(f"{time.time():.4f} {now - ended:.4f}\n")
    if now - written > INTERVAL:
        written = now
        tell()
    # What this file itself takes is nobody's stall.
    ended = time.perf_counter()
    return TICK


def tell():
    manager = bpy.context.window_manager
    if manager.clipboard:
        # Emptied, so that the same text is seen again when it is copied again.
        copied.append(manager.clipboard)
        manager.clipboard = ""
    window = manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    regions = {r.type: [r.x, window.height - r.y - r.height, r.width, r.height] for r in area.regions}
    sidebar = next(r for r in area.regions if r.type == "UI")
    colour = bpy.context.preferences.themes[0].user_interface.wcol_tool.inner
    state = {
        "copied": copied,
        "regions": regions,  # x, y from the top, width, height
        "tab": sidebar.active_panel_category,
        "button": [round(255 * part) for part in colour],
        "file": bpy.data.filepath,
        "frame": window.scene.frame_current,
        "objects": {thing.name: about(thing) for thing in window.scene.objects},
        "job": window.scene.dist.last_job,
    }
    with (FOLDER / "ticks.txt").open("a") as stream:
        stream.writelines(ticks)
    ticks.clear()
    part = FOLDER / "state.part"
    part.write_text(json.dumps(state))
    part.replace(FOLDER / "state.json")


def about(thing):
    numbers = {name: value for name, value in thing.items() if isinstance(value, (int, float))}
    return {
        "type": thing.type,
        "collections": [collection.name for collection in thing.users_collection],
        "faces": len(thing.data.polygons) if thing.type == "MESH" else 0,
        "place": list(thing.matrix_world.translation),
        "numbers": numbers,
    }


bpy.app.timers.register(tick, first_interval=1.0, persistent=True)
