"""Movie clips: their pictures, and which of their numbers belong to which frame of the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..worker.dist_engine.protocol import RequestError
from .images import Picture
from .sequences import first_number, movie_frame, numbered_file


def clip_of(background: bpy.types.CameraBackgroundImage, camera: bpy.types.Object) -> bpy.types.MovieClip:
    """Return the movie clip of a background image: its own, or the one that the camera was solved from.

    Raises
    ------
    RequestError
        There is none.
    """
    clip = background.clip
    if background.use_camera_clip:
        solvers: list[Any] = [constraint for constraint in camera.constraints if constraint.type == "CAMERA_SOLVER"]
        scene: Any = bpy.context.scene
        clip = next((c.clip for c in solvers if c.clip and not c.use_active_clip), scene.active_clip)
    if clip is None:
        raise RequestError(
            f"The background image of camera “{camera.name}” has no movie clip: choose one there, or, in the scene's "
            "properties, the Active Clip."
        )
    return clip


def clip_frame(clip: bpy.types.MovieClip, frame: int) -> int:
    """Return which of its frames, from 1, a clip shows at a frame of the scene.

    Raises
    ------
    RequestError
        None.
    """
    own = frame - clip.frame_start + 1
    if not 1 <= own <= clip.frame_duration:
        last = clip.frame_start + clip.frame_duration - 1
        raise RequestError(
            f"Frame {frame} is outside the clip “{clip.name}”, which runs from frame {clip.frame_start} to {last}: "
            "choose frames in there."
        )
    return own


def clip_picture(clip: bpy.types.MovieClip, frame: int) -> tuple[Picture, int]:
    """Return what a clip shows at a frame of the scene, and its number in the sequence or movie.

    Raises
    ------
    RequestError
        It is not there.
    """
    own = clip_frame(clip, frame) + clip.frame_offset
    path = Path(bpy.path.abspath(clip.filepath, library=clip.library))
    if clip.source == "MOVIE":
        return movie_frame(path, clip.name, own, clip.frame_duration), own
    number = first_number(path) + own - 1
    return numbered_file(path, number), number
