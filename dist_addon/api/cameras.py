"""Bring in calibrated cameras with their pictures."""

from __future__ import annotations

import os
from pathlib import Path

import bpy

from .. import formats
from ..scene.calibration import ImportedCameras, add_calibration
from . import common


def import_cameras(
    path: str | os.PathLike[str], up: str | None = None, scene: bpy.types.Scene | None = None
) -> ImportedCameras:
    """Add the cameras of a file to the scene, each with its picture as background image, and the file's points.

    The scene's resolution and pixel aspect become those of the pictures.

    Parameters
    ----------
    path : path
        ``transforms.json`` (NeRF, instant-ngp), a COLMAP model's folder or one of its files, or Middlebury's
        ``*_par.txt``; or a folder that holds one of them.
    up : str, optional
        Which axis of the file's world points up, such as ``-y``; it becomes +Z. By default as such files usually have
        it: ``+z`` in transforms.json, ``-y`` in COLMAP's, ``+y`` in Middlebury's. With ``+z``, all numbers stay.
    scene : Scene, optional
        The current one by default.

    Raises
    ------
    RequestError
        The file is damaged, or Blender has no such cameras; nothing was added.
    """
    calibration = formats.read(Path(path))
    return add_calibration(calibration.upright(up or calibration.up), common.or_current(scene))
