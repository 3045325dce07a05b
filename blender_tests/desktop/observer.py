"""Runs in Blender's window: tells in a file, again and again, what there is. It changes nothing and presses nothing.

Each line of ``ticks.txt`` is a tick of a 20 ms timer: when it came (seconds since 1970), how long after the last, how
much of that the add-on's Python was at work in Blender's main thread, to some milliseconds, and how many regions of the
viewport Blender has drawn, which takes a good part of a second each without a graphics card. In the lines of
``slow.txt`` is what it was at where that took long.
"""

import collections
import json
import sys
import threading
import time
from pathlib import Path

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
TICK, INTERVAL = 0.02, 0.2

MAIN = threading.get_ident()

ended = time.perf_counter()
written = 0.0
told = 0
ticks = []
slow = []
copied = []
# Seconds since the last tick in which the add-on was at work, by the lines of its code.
work = collections.Counter()
# Regions drawn since the last tick.
drawn = 0


def sample():
    """Look again and again at what the main thread does."""
    last = time.perf_counter()
    while True:
        time.sleep(0.004)
        frame = sys._current_frames().get(MAIN)
        now = time.perf_counter()
        lines = []
        while frame is not None:
            if "dist_addon" in frame.f_code.co_filename:
                lines.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}:{frame.f_lineno}")
            frame = frame.f_back
        if lines:
            work[" < ".join(lines)] += now - last
        last = now


threading.Thread(target=sample, daemon=True).start()


def draw():
    global drawn
    drawn += 1


for region in ("WINDOW", "UI"):
    bpy.types.SpaceView3D.draw_handler_add(draw, (), region, "POST_PIXEL")


def tick():
    global ended, written, drawn
    now = time.perf_counter()
    busy = sum(work.values())
    ticks.append(f"{time.time():.4f} {now - ended:.4f} {busy:.4f} {drawn}\n")
    drawn = 0
    if busy > 0.05:
        slow.append(f"{time.time():.2f} " + "; ".join(f"{t:.3f} {line}" for line, t in work.most_common(6)) + "\n")
    work.clear()
    if now - written > INTERVAL:
        written = now
        tell()
    # What this file itself takes is nobody's stall.
    ended = time.perf_counter()
    return TICK


def tell():
    global told
    told += 1
    manager = bpy.context.window_manager
    if manager.clipboard:
        # Emptied, so that the same text is seen again when it is copied again.
        copied.append(manager.clipboard)
        manager.clipboard = ""
    window = manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    regions = {r.type: [r.x, window.height - r.y - r.height, r.width, r.height] for r in area.regions}
    sidebar = next(r for r in area.regions if r.type == "UI")
    colours = bpy.context.preferences.themes[0].user_interface.wcol_tool
    state = {
        "told": told,
        "copied": copied,
        "regions": regions,  # x, y from the top, width, height
        "tab": sidebar.active_panel_category,
        "button": [round(255 * part) for part in colours.inner],
        "accent": [round(255 * part) for part in colours.inner_sel],
        "file": bpy.data.filepath,
        "frame": window.scene.frame_current,
        "objects": {thing.name: about(thing) for thing in window.scene.objects},
        "prior": window.scene.dist.prior,
        "job": window.scene.dist.last_job,
        "picture": picture(area),
    }
    with (FOLDER / "ticks.txt").open("a") as stream:
        stream.writelines(ticks)
    ticks.clear()
    with (FOLDER / "slow.txt").open("a") as stream:
        stream.writelines(slow)
    slow.clear()
    part = FOLDER / "state.part"
    part.write_text(json.dumps(state))
    part.replace(FOLDER / "state.json")


def picture(area):
    """The corners of what the viewport's camera sees, from the window's top left; none in other views."""
    space = area.spaces.active
    if space.region_3d.view_perspective != "CAMERA":
        return []
    camera = space.camera if space.use_local_camera else bpy.context.scene.camera
    region = next(r for r in area.regions if r.type == "WINDOW")
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=bpy.context.scene)]
    places = [location_3d_to_region_2d(region, space.region_3d, corner) for corner in corners]
    return [[region.x + x, bpy.context.window_manager.windows[0].height - region.y - y] for x, y in places]


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
