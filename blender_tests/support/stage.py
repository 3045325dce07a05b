"""Cameras, pictures, a stand-in worker and child processes for the add-on's tests."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from dist_addon import prior_files

ROOT = Path(__file__).resolve().parents[2]

# A worker that speaks the protocol's lines without using our code for it. The job's folder says what it does.
FAKE_WORKER = """
import json, os, pathlib, sys, threading, time

# Without a folder it waits for one, as a spare worker.
folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else json.loads(sys.stdin.readline()))
mode = (folder / "mode.txt").read_text() if (folder / "mode.txt").exists() else "result"
cancelled, finished = threading.Event(), threading.Event()
# Whatever a test forgets, nothing stays behind.
last_resort = threading.Timer(60, os._exit, (1,))
last_resort.daemon = True
last_resort.start()

def say(event, **fields):
    sys.stdout.write(json.dumps({"v": 1, "event": event, **fields}) + "\\n")
    sys.stdout.flush()

def listen():
    for line in sys.stdin:
        order = line.strip()
        if order == "cancel" and mode != "deaf":
            cancelled.set()
        if order in ("pause", "resume"):
            say(order + "d")
        if order == "finish":
            finished.set()
    if mode != "deaf":
        os._exit(1)

threading.Thread(target=listen, daemon=True).start()
say("status", message="Loading")
for step in range(3):
    say("progress", stage="fit", step=step + 1, steps=3, loss=1.0 / (step + 1), seconds_left=2.0 - step)
if mode == "garbage":
    sys.stdout.write("hello from a library\\n[1, 2]\\n{\\"v\\": 99, \\"event\\": \\"done\\"}\\n\\xff\\n")
if mode == "traceback":
    raise KeyError("the cause")
if mode == "memory":
    raise MemoryError
if mode == "killed":
    os.kill(os.getpid(), 9)
if mode == "crash":
    os.kill(os.getpid(), 11)
if mode == "silent":
    sys.exit(0)
if mode == "error":
    say("error", message="The masks do not agree.")
    sys.exit(2)
if mode == "preview":
    import numpy as np
    for serial in range(2):
        shape = folder / "shapes" / str(serial)
        shape.mkdir(parents=True)
        corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1 + serial]], np.float32)
        np.save(shape / "vertices.npy", corners)
        np.save(shape / "vertex_normals.npy", corners)
        np.save(shape / "faces.npy", np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32))
        turn = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        (shape / "result.json").write_text(json.dumps(
            {"version": 1, "rotation": turn, "translation": [0.0, 0.0, 5.0], "report": {}, "has": []}))
        say("preview", serial=serial)
        # Until the test has seen it.
        while not (folder / f"seen{serial}.txt").exists() and not cancelled.is_set():
            time.sleep(0.02)
    while not (cancelled.is_set() or finished.is_set()):
        time.sleep(0.02)
    if finished.is_set():
        mode = "result"
if mode in ("wait", "deaf", "preview"):
    if mode == "deaf":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / "ready.txt").write_text(str(os.getpid()))
    while not cancelled.wait(0.02):
        pass
    say("cancelled")
    sys.exit(1)
request = folder / "request.json"
asked = json.loads(request.read_text()) if request.exists() else {"task": ""}
if mode == "result" and asked["task"] in ("train", "import"):
    import numpy as np
    if asked["task"] == "train":
        np.save(folder / "losses.npy", np.array([[1, 0.1], [50, 0.03], [100, 0.001]], np.float32))
        np.save(folder / "previews.npy", np.full((128, 256, 3), 200, np.uint8))
        say("warning", message="“flat” was left out.")
    header = json.dumps({"__metadata__": {"name": asked["name"]}}).encode()
    (folder / "prior.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    report = {"name": asked["name"], "shapes": ["a", "b"], "left_out": {"flat": "It is flat."}}
    (folder / "result.json").write_text(json.dumps({"version": 1, "report": report}))
    say("done")
elif mode == "result" and asked["task"] == "render":
    import numpy as np
    # Two rows of three pixels: the shape is in the upper right one.
    depth = np.full((2, 3), np.inf, np.float32)
    normal, silhouette = np.zeros((2, 3, 3), np.float32), np.zeros((2, 3), np.uint8)
    depth[0, 2], normal[0, 2], silhouette[0, 2] = 7.1234567, (0.6, -0.8, 0.0), 1
    np.save(folder / "depth.npy", depth)
    np.save(folder / "normal.npy", normal)
    np.save(folder / "silhouette.npy", silhouette)
    report = {"prior": "cone", "queries": {"grid": 7}, "seconds": {"render": 0.5}, "device": "cpu"}
    (folder / "result.json").write_text(json.dumps({"version": 1, "report": report}))
    say("done")
elif mode in ("result", "garbage"):
    import numpy as np
    corners = [[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]]
    np.save(folder / "vertices.npy", np.array(corners, np.float32))
    np.save(folder / "faces.npy", np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32))
    normals = np.array([[-1, -1, -1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    np.save(folder / "uncertainty.npy", np.array([0.01, 0.02, 0.03, 0.04], np.float32))
    np.save(folder / "colours.npy", np.array([[255, 0, 0], [0, 128, 0], [0, 0, 255], [9, 9, 9]], np.uint8))
    np.save(folder / "vertex_normals.npy", normals / np.linalg.norm(normals, axis=1, keepdims=True))
    quarter = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    report = {"prior": "cone", "scale": 1.5, "iou": {"Cam0": 0.9, "Cam1": 0.8}, "disagree": ["Cam1"], "loss": 0.25,
              "device": "cpu", "queries": {"march": 5000000000, "grid": 7}, "code": [0.5, -0.5]}
    (folder / "result.json").write_text(json.dumps(
        {"version": 1, "rotation": quarter, "translation": [10.0, 20.0, 30.0], "report": report,
         "has": ["uncertainty", "colours"]}))
    say("warning", message="A view is of little use.")
    say("done")
"""


def make_job_folder(folder: Path, mode: str) -> Path:
    """The folder of a job, an earlier one where there is none yet, in which the stand-in worker finds what to do."""
    folder.mkdir(exist_ok=True)
    if not (folder / "request.json").exists():
        (folder / "request.json").write_text(json.dumps({"version": 1, "task": "render"}))
    (folder / "mode.txt").write_text(mode)
    return folder


def make_picture(name: str, width: int = 32, height: int = 24, alpha: float | None = None) -> bpy.types.Image:
    """A generated picture: clear but for a block in its upper left, or with one alpha throughout."""
    image = bpy.data.images.new(name, width, height, alpha=True)
    pixels = np.ones((height, width, 4), np.float32)
    if alpha is None:
        pixels[..., 3] = 0.0
        pixels[height - 6 :, :10, 3] = 1.0
    else:
        pixels[..., 3] = alpha
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    return image


def add_camera(
    collection: bpy.types.Collection, name: str, angle: float, image: bpy.types.Image | None
) -> bpy.types.Object:
    """A camera at distance 5 that looks at the origin."""
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location = (5 * math.cos(angle), 5 * math.sin(angle), 1.0)
    camera.rotation_euler = (-Vector(camera.location)).to_track_quat("-Z", "Y").to_euler()
    collection.objects.link(camera)
    if image is not None:
        background = camera.data.background_images.new()
        background.image = image
    return camera


def some_shape(prior: str = "table") -> bpy.types.Object:
    """A shape of a prior, as a reconstruction leaves it: training code 3, twice as large as it was made."""
    found = prior_files.find_prior(prior)
    thing = bpy.data.objects.new("Shape", bpy.data.meshes.new("Shape"))
    bpy.context.scene.collection.objects.link(thing)
    thing["dist_code"], thing["dist_prior"], thing["dist_scale"] = found.code(3).tolist(), found.reference, 0.5
    thing.location, thing.scale = (1, 2, 3), (2, 2, 2)
    return thing


def run_blender(
    code: str, *arguments: str, env: dict[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.Popen[str]:
    """Run code in a Blender of its own (the interpreter that runs bpy), from the repository's root."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended, but that nobody has asked after, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def wait_until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition; return how long it took, or fail."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write pixels (H, W, 4), rows from top to bottom, from 0 to 1, as a PNG."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(path.stem, width, height, alpha=True)
    image.pixels.foreach_set(pixels[::-1].astype(np.float32).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def write_exr(path: Path, numbers: np.ndarray) -> None:
    """Write numbers (H, W), or up to four a pixel (H, W, C), rows from top to bottom, as an EXR."""
    height, width = numbers.shape[:2]
    image = bpy.data.images.new(path.stem, width, height, alpha=True, float_buffer=True, is_data=True)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., : 3 if numbers.ndim == 2 else numbers.shape[2]] = numbers.reshape(height, width, -1)
    image.pixels.foreach_set(pixels[::-1].ravel())
    image.filepath_raw, image.file_format = str(path), "OPEN_EXR"
    image.save()
    bpy.data.images.remove(image)
