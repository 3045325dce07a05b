"""Calibrated cameras of a file, put into a scene with their pictures and points."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..formats import Calibration
from ..formats.files import exists
from . import cameras as scene_cameras


@dataclass(frozen=True)
class ImportedCameras:
    """What came into the scene.

    Attributes
    ----------
    collection : Collection
        A new one, which holds all of it.
    cameras : list of Object
    points : Object or None
        A mesh of vertices alone, with their colours as the attribute ``Color``; None where the file has no points.
    missing : list of Path
        The pictures that are not on disk; their cameras have them all the same.
    notes : list of str
        What the user should know, a sentence or two each.
    """

    collection: bpy.types.Collection
    cameras: list[bpy.types.Object]
    points: bpy.types.Object | None = None
    missing: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def add_calibration(calibration: Calibration, scene: bpy.types.Scene) -> ImportedCameras:
    """Add cameras in a collection of their own, and give the scene's renders the pictures' shape.

    Parameters
    ----------
    calibration : Calibration
        Its Z is up: see `Calibration.upright`.
    scene : Scene
        Its resolution and pixel aspect become the pictures', since Blender's cameras depend on them.
    """
    collection = bpy.data.collections.new(calibration.name)
    scene.collection.children.link(collection)
    centers = np.array([-view.world_to_camera[:, :3].T @ view.world_to_camera[:, 3] for view in calibration.views])
    # How far apart the cameras are tells the file's unit.
    spread = float(np.linalg.norm(centers - centers.mean(0), axis=1).max()) or 1.0
    cameras = []
    for view, picture in zip(calibration.views, calibration.pictures, strict=True):
        camera = scene_cameras.add_camera(view, calibration.size, None, collection)
        data: Any = camera.data
        data.display_size = 0.05 * spread
        data.clip_start, data.clip_end = min(0.1, 0.01 * spread), max(1000.0, 100 * spread)
        data.show_background_images = True
        data.background_images.new().image = _image(picture)
        cameras.append(camera)
    missing = [picture for picture in calibration.pictures if not exists(picture)]
    notes = [f"Added {len(cameras)} cameras in “{collection.name}”."]
    if missing:
        notes.append(
            f"{len(missing)} of their pictures are not on disk, such as {missing[0]}: find them with File > External "
            "Data > Find Missing Files."
        )
    points = None
    if calibration.points is not None:
        points = _add_points(calibration, collection)
        notes.append(
            f"Added {len(calibration.points):,} points, “{points.name}”: delete those that are not on the thing, or "
            "choose no points."
        )
    return ImportedCameras(collection, cameras, points, missing, notes + _set_frame(calibration, scene))


def _image(path: Path) -> bpy.types.Image:
    """The image of a file, which Blender reads when it is shown; of one that is missing, a place for it."""
    if exists(path):
        return bpy.data.images.load(str(path), check_existing=True)
    image = bpy.data.images.new(path.name, 1, 1)
    image.source, image.filepath = "FILE", str(path)
    return image


def _add_points(calibration: Calibration, collection: bpy.types.Collection) -> bpy.types.Object:
    assert calibration.points is not None
    mesh = bpy.data.meshes.new(f"{calibration.name} points")
    mesh.vertices.add(len(calibration.points))
    mesh.vertices.foreach_set("co", calibration.points.astype(np.float32).ravel())
    if calibration.colors is not None:
        colors = np.ones((len(calibration.points), 4), np.float32)
        colors[:, :3] = calibration.colors / 255
        attribute: Any = mesh.color_attributes.new("Color", "BYTE_COLOR", "POINT")
        attribute.data.foreach_set("color_srgb", colors.ravel())
    mesh.update()
    points = bpy.data.objects.new(mesh.name, mesh)
    collection.objects.link(points)
    return points


def _set_frame(calibration: Calibration, scene: bpy.types.Scene) -> list[str]:
    """Give the scene's renders the pictures' shape; return what to say of it."""
    render, aspect = scene.render, calibration.aspect
    before = render.resolution_x, render.resolution_y, render.pixel_aspect_x, render.pixel_aspect_y
    render.resolution_x, render.resolution_y = calibration.size
    # Blender takes nothing below 1.
    render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, 1 / aspect), max(1.0, aspect)
    after = render.resolution_x, render.resolution_y, render.pixel_aspect_x, render.pixel_aspect_y
    if before == after:
        return []
    pixels = "" if after[2:] == (1, 1) else f", its pixels {after[2]:.5f} wide by {after[3]:.5f} high"
    return [f"The scene renders {after[0]} x {after[1]} now, as the pictures are{pixels}."]
