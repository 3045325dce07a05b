"""``transforms.json`` as NeRF, instant-ngp and nerfstudio have it.

``frames`` hold ``file_path`` and a camera-to-world ``transform_matrix`` in OpenGL's convention (x right, y up, z back).
The lens is said once for all, or by a frame: ``fl_x fl_y cx cy`` in pixels, or ``camera_angle_x`` in radians; ``w h``
may be missing, and are those of the pictures then.
"""

from __future__ import annotations

import json
import math
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..worker.dist_engine.protocol import RequestError
from .calibration import MOST_VIEWS, UNDISTORT, CalibratedPicture, Calibration, combine
from .files import check_size, exists, sizes_of

# The world of NeRF's files, and what instant-ngp and nerfstudio make of COLMAP's.
UP = "+z"
# Nothing but zeros in these is a pinhole.
DISTORTION = (*(f"k{n}" for n in range(1, 7)), "p1", "p2", *(f"s{n}" for n in range(1, 5)), "distortion_params")
# They are pinholes where their coefficients are 0; a fisheye is none.
MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
# Appended to paths without an ending, as NeRF's own files have them.
ENDINGS = (".png", ".jpg", ".jpeg", ".JPG", ".PNG")


def read(path: Path) -> Calibration:
    """Read a ``transforms.json``.

    Raises
    ------
    RequestError
        It is no JSON or of another kind, an entry is missing or no number, or Blender has no such camera.
    """
    data = _load(path)
    entries = data.get("frames")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise RequestError(f"{path.name} has no list of “frames”: choose a transforms.json of NeRF or instant-ngp.")
    if len(entries) > MOST_VIEWS:
        raise RequestError(f"{path.name} has {len(entries):,} frames, more than {MOST_VIEWS:,}: take some out.")
    places = [f"{path.name}, frame {number}" for number in range(len(entries))]
    frames = [ChainMap(entry, data) for entry in entries]
    pictures = [_picture(path.parent, entry, where) for entry, where in zip(entries, places, strict=True)]
    for frame, where in zip(frames, places, strict=True):
        _refuse_distortion(frame, where)
    if all("w" in frame and "h" in frame for frame in frames):
        sizes = [
            (round(_number(frame, "w", where)), round(_number(frame, "h", where)))
            for frame, where in zip(frames, places, strict=True)
        ]
    else:
        sizes = sizes_of(pictures, path.name)
    shots = []
    for frame, where, picture, size in zip(frames, places, pictures, sizes, strict=True):
        shots.append(
            CalibratedPicture(where, picture.stem, picture, size, _intrinsics(frame, size, where), _pose(frame, where))
        )
    name = path.parent.absolute().name or path.stem
    return combine(name, shots, UP)


def _load(path: Path) -> dict[str, Any]:
    check_size(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{path} cannot be read: {error}. Choose another file, or write it again.") from error
    if not isinstance(data, dict):
        raise RequestError(f"{path} is no transforms.json: it holds no names. Choose another file.")
    return data


def _picture(folder: Path, entry: Mapping[str, Any], where: str) -> Path:
    name = entry.get("file_path")
    if not isinstance(name, str) or not name:
        raise RequestError(f"{where}: “file_path”, the picture, is missing: write the file again.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{where}: the name of the picture is damaged: {error}. Write the file again.") from error
    # Files that were written on Windows.
    path = folder / name.replace("\\", "/")
    if exists(path) or not path.name:
        return path
    return next((found for end in ENDINGS if exists(found := path.with_name(path.name + end))), path)


def _number(frame: Mapping[str, Any], key: str, where: str) -> float:
    value = frame[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e18:
        raise RequestError(f"{where}: “{key}” is {value!a:.40}, not a number: write the file again.")
    return float(value)


def _refuse_distortion(frame: Mapping[str, Any], where: str) -> None:
    model = frame.get("camera_model") or "PINHOLE"
    if model not in MODELS or frame.get("is_fisheye"):
        kind = "FISHEYE" if model in MODELS else f"{model!a:.40}"
        raise RequestError(f"{where}: the lens is of the kind {kind}. {UNDISTORT}")
    for key in DISTORTION:
        values = frame.get(key) or 0
        if any(value != 0 for value in (values if isinstance(values, list) else [values])):
            raise RequestError(f"{where}: the lens is distorted ({key} = {values!a:.40}). {UNDISTORT}")


def _intrinsics(frame: ChainMap[str, Any], size: tuple[int, int], where: str) -> np.ndarray:
    width, height = size
    focal = _focal(frame, "x", width, where)
    if focal is None:
        raise RequestError(f"{where}: neither “fl_x” nor “camera_angle_x” says the focal length: add one of them.")
    other = _focal(frame, "y", height, where)
    x = _number(frame, "cx", where) if "cx" in frame else width / 2
    y = _number(frame, "cy", where) if "cy" in frame else height / 2
    return np.array([[focal, 0, x], [0, focal if other is None else other, y], [0, 0, 1]])


def _focal(frame: ChainMap[str, Any], axis: str, pixels: int, where: str) -> float | None:
    """The focal length along an axis in pixels: the frame's own, else the file's; None where neither says it."""
    for level in frame.maps:
        if f"fl_{axis}" in level:
            return _number(level, f"fl_{axis}", where)
        if f"camera_angle_{axis}" in level:
            angle = _number(level, f"camera_angle_{axis}", where)
            if not 0 < angle < math.pi:
                raise RequestError(f"{where}: “camera_angle_{axis}” is {angle:g}: it must be between 0 and pi radians.")
            return pixels / 2 / math.tan(angle / 2)
    return None


def _pose(frame: Mapping[str, Any], where: str) -> np.ndarray:
    """World to camera (3, 4), x right, y down, z forward; an even scale of the camera does not matter."""
    rows = frame.get("transform_matrix")
    shaped = isinstance(rows, list) and len(rows) in (3, 4) and all(isinstance(r, list) and len(r) == 4 for r in rows)
    values = [value for row in rows for value in row] if shaped else []  # type: ignore[union-attr]
    if not values or not all(type(value) in (int, float) and abs(value) < 1e18 for value in values):
        raise RequestError(f"{where}: “transform_matrix” is not there, or not 4 x 4 finite numbers: write it again.")
    matrix = np.array(rows, float)
    scale = np.linalg.norm(matrix[:3, :3], axis=0).mean()
    if scale == 0:
        raise RequestError(f"{where}: “transform_matrix” is of zero size: write the file again.")
    rotation = (matrix[:3, :3] / scale @ np.diag([1.0, -1.0, -1.0])).T
    return np.column_stack([rotation, -rotation @ matrix[:3, 3]])
