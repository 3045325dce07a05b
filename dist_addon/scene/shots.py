"""Which pictures there are, and through which camera, at which frame, each was seen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..worker.dist_engine.protocol import RequestError
from . import cameras as scene_cameras
from .clips import clip_of, clip_picture
from .folders import Folder
from .images import Picture
from .lenses import Lens, lens_of
from .sequences import movie_frame, numbered_file

# A collection, or camera objects.
CameraSource = bpy.types.Collection | Iterable[bpy.types.Object]

MOST_FRAMES = 10_000


@dataclass(frozen=True)
class Shot:
    """A picture, and how it was seen.

    Attributes
    ----------
    camera : Object
    picture : Picture
    frame : int or None
        The scene's frame at which the camera saw it; None: the camera as it is now.
    number : int or None
        The picture's number in its sequence or movie.
    lens : Lens or None
        What bent the picture, and a mask that was made of it; it is taken out of them.
    """

    camera: bpy.types.Object
    picture: Picture
    frame: int | None = None
    number: int | None = None
    lens: Lens | None = None

    @property
    def name(self) -> str:
        """What the user calls the view: unlike any other's."""
        return self.camera.name if self.frame is None else f"{self.camera.name} frame {self.frame}"

    @property
    def who(self) -> str:
        """The picture, in messages."""
        return f"The picture “{self.picture.name}” of camera “{self.name}”"

    @property
    def names(self) -> list[str]:
        """What other files of this view, such as its mask, may be called."""
        own = [] if self.picture.frame is not None else _names(self.picture.name)
        return own if self.frame is not None else [self.camera.name, *own]


def is_animated(cameras: bpy.types.Collection | None, pictures: str = "") -> bool:
    """Whether a collection's only camera has a sequence, a movie or a folder of pictures: the frames are the views."""
    found = [] if cameras is None else [thing for thing in cameras.all_objects if thing.type == "CAMERA"]
    if len(found) != 1:
        return False
    background = _background(found[0])
    if pictures or background is None:
        return bool(pictures)
    return background.source == "MOVIE_CLIP" or background.image.source in {"SEQUENCE", "MOVIE"}


def list_shots(
    cameras: CameraSource | None,
    frames: Iterable[int] | None = None,
    pictures: str | os.PathLike[str] | None = None,
) -> list[Shot]:
    """Return what is seen: a picture a camera, or, of one animated camera, a picture a frame.

    Parameters
    ----------
    cameras : Collection or camera objects
    frames : ints, optional
        Of the scene. Without, the cameras are taken as they are now.
    pictures : path, optional
        A folder whose files are called as the cameras or their background images, or end in the frames' numbers.
        Without, the background images are taken.

    Raises
    ------
    RequestError
        A picture is missing, or moved within the camera's frame; or frames are asked of several cameras.
    """
    found = scene_cameras.list_cameras(cameras)
    folder = Folder(pictures, "picture") if pictures else None
    if frames is None:
        if folder is None:
            return [Shot(camera, picture_of(camera)) for camera in found]
        views = [(camera.name, [camera.name, *_picture_names(camera)], None) for camera in found]
        files = folder.find_all(views)
        return [Shot(camera, Picture(file.name, path=file)) for camera, file in zip(found, files, strict=True)]
    chosen = check_frames(frames)
    if len(found) > 1:
        raise RequestError(f"Frames are of one animated camera, but there are {len(found)} cameras: give one of them.")
    camera = found[0]
    if folder is None:
        return [_shot_at(camera, frame) for frame in chosen]
    files = folder.find_all((f"frame {frame}", [], frame) for frame in chosen)
    return [
        Shot(camera, Picture(file.name, path=file), frame, frame) for frame, file in zip(chosen, files, strict=True)
    ]


def _picture_names(camera: bpy.types.Object) -> list[str]:
    """What a file instead of a camera's background image may be called, as that is."""
    background = _background(camera)
    return _names(background.image.name) if background is not None and background.source == "IMAGE" else []


def _names(picture: str) -> list[str]:
    return [picture, Path(picture).stem]


def check_frames(frames: Iterable[int]) -> Sequence[int]:
    """Return frames in order, each once; raise `RequestError` where there are none or too many."""
    chosen = sorted(set(frames))
    if not 0 < len(chosen) <= MOST_FRAMES:
        raise RequestError(
            f"{len(chosen):,} frames were chosen: give between 1 and {MOST_FRAMES:,}, the first no later than the last."
        )
    return chosen


def picture_of(camera: bpy.types.Object) -> Picture:
    """Return the first enabled background image of a camera that stands still.

    Raises
    ------
    RequestError
        There is none, its file is missing, or it is moved within the camera's frame, or a sequence.
    """
    background = _need_background(camera)
    image = background.image
    if background.source == "MOVIE_CLIP" or image.source not in {"FILE", "GENERATED"}:
        kind = "a movie clip" if background.source == "MOVIE_CLIP" else f"of the kind {image.source}"
        raise RequestError(
            f"The picture of camera “{camera.name}” is {kind}: use a single image, or choose this camera alone, and "
            "its frames."
        )
    if image.source == "FILE" and not image.packed_file and not image.has_data:
        path = Path(bpy.path.abspath(image.filepath, library=image.library))
        if not path.is_file():
            raise RequestError(
                f"The picture “{image.name}” of camera “{camera.name}” is not on disk at {path}: find it with "
                "File > External Data > Find Missing Files."
            )
    return Picture(image.name, image=image)


def _shot_at(camera: bpy.types.Object, frame: int) -> Shot:
    """What an animated camera sees at a frame, as its background image shows it then."""
    background = _need_background(camera)
    if background.source == "MOVIE_CLIP":
        clip = clip_of(background, camera)
        picture, number = clip_picture(clip, frame)
        return Shot(camera, picture, frame, number, lens_of(clip))
    image, user = background.image, background.image_user
    if image.source not in {"SEQUENCE", "MOVIE"}:
        raise RequestError(
            f"The picture “{image.name}” of camera “{camera.name}” is a single image: choose an image sequence or a "
            "movie there, or a folder of pictures."
        )
    # As Blender counts: from 1 at the start frame, and on from the offset.
    place, count = frame - user.frame_start + 1, user.frame_duration
    if user.use_cyclic and count > 0:
        place = (place - 1) % count + 1
    if not 1 <= place <= count:
        last = user.frame_start + count - 1
        raise RequestError(
            f"Frame {frame} is outside “{image.name}”, which camera “{camera.name}” shows from frame "
            f"{user.frame_start} to {last}: choose frames in there, or mend start and length of the background image."
        )
    number = place + user.frame_offset
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    if image.source == "MOVIE":
        return Shot(camera, movie_frame(path, image.name, number, image.frame_duration), frame, number)
    return Shot(camera, numbered_file(path, number), frame, number)


def _need_background(camera: bpy.types.Object) -> Any:
    """The background image of a camera; `RequestError` where there is none, or it is moved within the frame."""
    background = _background(camera)
    if background is None:
        raise RequestError(
            f"Camera “{camera.name}” has no picture: add one under Background Images in the camera's properties, or "
            "take the camera out of the collection."
        )
    offset = background.offset
    moved = (offset[0], offset[1], background.rotation, background.scale - 1)
    if any(abs(value) > 1e-6 for value in moved) or background.use_flip_x or background.use_flip_y:
        name = background.image.name if background.source == "IMAGE" else clip_of(background, camera).name
        raise RequestError(
            f"The picture “{name}” of camera “{camera.name}” is moved, turned, scaled or flipped in the frame: "
            "reset it under Background Images, since the camera must see what the picture shows."
        )
    return background


def _background(camera: bpy.types.Object) -> Any:
    """The first background image of a camera that is shown, or None."""
    assert isinstance(camera.data, bpy.types.Camera)
    for background in camera.data.background_images:
        filled = background.image if background.source == "IMAGE" else background.clip or background.use_camera_clip
        if background.show_background_image and filled:
            return background
    return None
