"""Shapes from a moving camera's masks, without and with the tracks that Blender solved it from.

A shape on a floor is seen on an arc. Points of both are tracked, to a tenth of a pixel, and Blender solves the camera
from them. The add-on reads the clip as it reads a user's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from dist_engine.prior import Prior
from dist_engine.protocol import Settings, View
from dist_engine.training.sampling import normalisation, sample_surface
from generators import GENERATORS
from PIL import Image

from . import scenes
from .scenes import FOCAL, SIZE, Row, Scene

# The clip: its frames, those that are looked at, and the arc.
FRAMES, STEP, ARC = 24, 4, np.radians(60)
# Of a marker, in pixels; and how far behind what is seen a point is hidden.
NOISE, HIDDEN = 0.1, 0.02
FLOOR_TRACKS = 40


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    scenes.add_arguments(parser, ("chair", "table", "sofa"), 3)
    parser.add_argument("--counts", default="20,100", help="how many points of the thing are tracked")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    rows = scenes.measured(options, measure)
    print("\nMedian Chamfer distance x 1000\n    tracks      masks  and tracks")
    for count in sorted({row["tracks"] for row in rows}):
        cells = [
            np.median([row["chamfer_x1000"] for row in rows if row["tracks"] == count and row["method"] == method])
            for method in ("masks", "masks and tracks")
        ]
        print(f"{count:10}" + "".join(f"{cell:11.3f}" for cell in cells))
    scenes.write(options, rows)


def measure(options: argparse.Namespace, prior: Prior, seed: int) -> Iterator[Row]:
    """Fit to clips of one shape with each number of tracks."""
    for count in options.counts.split(","):
        with tempfile.TemporaryDirectory() as folder:
            yield from clip_of(prior, seed, int(count), Path(folder))


def clip_of(prior: Prior, seed: int, count: int, folder: Path) -> list[Row]:
    """Fit to a clip's masks, and to its masks and tracks."""
    import bpy

    from dist_addon import api
    from tools import tracked_clip

    random = np.random.default_rng(seed)
    vertices, faces = GENERATORS[prior.name](seed)
    # Upright, as Blender's world is.
    vertices = normalisation(vertices, prior.radius)(vertices) @ prior.axes()
    views = [arc(prior, seed, frame) for frame in range(FRAMES)]
    depths = [scenes.cast(vertices, faces, view, SIZE) for view in views]
    for frame, depth in enumerate(depths):
        picture = np.full((SIZE, SIZE, 4), 255, np.uint8)
        picture[..., 3] = np.isfinite(depth) * 255
        Image.fromarray(picture).save(folder / f"take{frame:03d}.png")
    places = {f"thing {i}": place for i, place in enumerate(visible(vertices, faces, views, depths, count, random))}
    floor = np.column_stack([random.uniform(-1.5, 1.5, (FLOOR_TRACKS, 2)), np.full(FLOOR_TRACKS, vertices[:, 2].min())])
    places |= {f"floor {i}": place for i, place in enumerate(floor)}
    bpy.ops.wm.read_factory_settings(use_empty=True)
    stage: Any = bpy.context.scene
    stage.render.resolution_x = stage.render.resolution_y = SIZE
    stage.render.resolution_percentage = 100
    marks = {name: track(place, views, depths, random) for name, place in places.items()}
    camera, clip = tracked_clip.make_clip(folder / "take000.png", places, marks, FOCAL * tracked_clip.SENSOR)
    box = bpy.data.objects.new("Bounds", None)
    box.location, box.scale = (vertices.max(0) + vertices.min(0)) / 2, (vertices.max(0) - vertices.min(0)) / 2
    stage.collection.objects.link(box)
    request = api.gather(
        [camera],
        box,
        frames=range(1, FRAMES + 1, STEP),
        tracks=clip,
        prior=prior.name,
        settings=Settings(iterations=60, device="cpu"),
    )
    masks = np.stack([np.isfinite(depth) * np.uint8(255) for depth in depths])
    scene = Scene(f"{prior.name} {seed}", prior, vertices, faces, views, masks, np.stack(depths))
    rows = []
    given = {"masks": replace(request, points=None, visibility=None), "masks and tracks": request}
    for method, asked in given.items():
        found, cost = scenes.run_fit(scene, asked)
        row = {"name": scene.name, "tracks": count, "read": 0 if asked.points is None else len(asked.points)}
        error = scenes.chamfer(scene, scenes.surface(scene, found.shape, found.place))
        rows.append(row | {"method": method, "chamfer_x1000": error} | cost)
    return rows


def arc(prior: Prior, seed: int, frame: int) -> View:
    """The camera at a frame of the clip, from 0, as the upright thing sees it."""
    begin = np.random.default_rng(seed).uniform(0.2, 0.8)
    view = scenes.look(prior, f"frame {frame}", begin + ARC * frame / FRAMES, 0.3 + 0.2 * frame / FRAMES, SIZE)
    rotation, translation = view.world_to_camera[:, :3] @ prior.axes(), view.world_to_camera[:, 3:]
    return replace(view, world_to_camera=np.hstack([rotation, translation]))


def visible(
    vertices: np.ndarray,
    faces: np.ndarray,
    views: list[View],
    depths: list[np.ndarray],
    count: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Points (count, 3) of a surface that most of the views see."""
    places = sample_surface(vertices, faces, 50 * count, random)
    often = [len(track(place, views, depths, random)) > FRAMES / 2 for place in places]
    return places[often][:count]


def track(
    place: np.ndarray, views: list[View], depths: list[np.ndarray], random: np.random.Generator
) -> dict[int, tuple[float, float]]:
    """Where a point is seen, by the clip's frame from 1, as shares of the picture, y up."""
    marks = {}
    for frame, (view, depth) in enumerate(zip(views, depths, strict=True), 1):
        x, y, z = view.K @ view.world_to_camera @ [*place, 1.0]
        x, y = np.array([x, y]) / z
        if not (0 <= x < SIZE and 0 <= y < SIZE) or z > depth[int(y), int(x)] + HIDDEN:
            continue
        x, y = (x, y) + NOISE * random.normal(size=2)
        marks[frame] = (x / SIZE, 1 - y / SIZE)
    return marks
