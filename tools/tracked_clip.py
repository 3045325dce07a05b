"""A movie clip with known tracks, solved by Blender's motion tracking without a window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

# A track that is seen less often is left out.
FEWEST_MARKERS = 6
SENSOR = 36.0


def make_clip(
    picture: Path,
    places: Mapping[str, np.ndarray],
    marks: Mapping[str, Mapping[int, tuple[float, float]]],
    lens: float,
    k1: float = 0.0,
) -> tuple[bpy.types.Object, bpy.types.MovieClip]:
    """Load an image sequence as a clip, set its tracks, solve it, and bring the solved camera where it was.

    Parameters
    ----------
    picture : Path
        The first of the sequence.
    places : mapping of names to (3,) arrays
        Where in the world the tracked points are.
    marks : mapping of names to mappings
        Where each is seen at frames of the clip, from 1: x and y as shares of the picture, y up.
    lens : float
        Millimetres, before a sensor `SENSOR` wide.
    k1 : float
        Of the lens's distortion, in Blender's polynomial model.

    Returns
    -------
    camera : Object
        In the current scene, with a Camera Solver constraint, and the clip as background image.
    clip : MovieClip
    """
    clip = bpy.data.movieclips.load(str(picture))
    clip.tracking.camera.sensor_width, clip.tracking.camera.focal_length = SENSOR, lens
    clip.tracking.camera.k1 = k1
    for name, own in marks.items():
        if len(own) >= FEWEST_MARKERS:
            track = clip.tracking.tracks.new(name=name, frame=min(own))
            for frame, place in own.items():
                track.markers.insert_frame(frame, co=place)
    solve(clip)
    data = bpy.data.cameras.new("Solved")
    data.lens, data.sensor_width = lens, SENSOR
    camera = bpy.data.objects.new("Solved", data)
    bpy.context.scene.collection.objects.link(camera)
    constraint = camera.constraints.new("CAMERA_SOLVER")
    constraint.use_active_clip, constraint.clip = False, clip
    background = data.background_images.new()
    background.source, background.clip = "MOVIE_CLIP", clip
    # What an artist does with Set Origin, Set Scale and so on: the solve is known only up to these.
    tracked = [track for track in clip.tracking.tracks if track.has_bundle]
    bundles = np.array([track.bundle[:] for track in tracked])
    camera.matrix_world = Matrix(similarity(bundles, np.array([places[track.name] for track in tracked])).tolist())
    return camera, clip


def solve(clip: bpy.types.MovieClip) -> None:
    """Press Solve Camera Motion in a clip editor."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    space = area.spaces.active
    space.clip = clip
    clip.tracking.settings.use_keyframe_selection = True
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region, space_data=space):
        bpy.ops.clip.solve_camera()


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity (4, 4) that brings points (N, 3) nearest to others (Umeyama 1991)."""
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    left, stretch, right = np.linalg.svd((target - goal).T @ (source - middle))
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    scale = (stretch * sign).sum() / ((source - middle) ** 2).sum()
    matrix = np.eye(4)
    matrix[:3, :3] = scale * (left * sign) @ right
    matrix[:3, 3] = goal - matrix[:3, :3] @ middle
    return matrix
