"""Cameras of any format in the protocol's convention, checked for what Blender can represent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..worker.dist_engine.protocol import AXES, RequestError, View

MOST_VIEWS = 20_000
MOST_PIXELS = 1 << 16
LARGEST, SMALLEST = 1e9, 1e-3
# Files round their numbers.
ROUNDING = 1e-3
# What may go lost where Blender can't represent a camera exactly, in pixels: less than a calibration is good for.
TOLERANCE = 0.5
UNDISTORT = (
    "Blender's cameras have no lens distortion: undistort the pictures first (COLMAP's “image_undistorter”), and "
    "import the cameras that come with the undistorted ones."
)


@dataclass(frozen=True)
class CalibratedPicture:
    """A picture and its camera, as a file says it.

    Attributes
    ----------
    where : str
        File and entry, for messages.
    name : str
    picture : Path
        Where it should be; it may be missing.
    size : (width, height), pixels
    K : (3, 3) array, pixels
        Origin at the outer corner of the top left pixel, x right, y down.
    world_to_camera : (3, 4) array
        Camera: x right, y down, z forward.
    """

    where: str
    name: str
    picture: Path
    size: tuple[int, int]
    K: np.ndarray
    world_to_camera: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Cameras that see one scene, and perhaps points of it.

    Attributes
    ----------
    name : str
        What to call them together.
    size : (width, height), pixels
        Of all pictures.
    aspect : float
        A pixel's height by its width, of all pictures: ``K[0, 0] / K[1, 1]``.
    views : list of View
        In the world and the unit of the file.
    pictures : list of Path
        Of the views; they may be missing.
    up : str
        Which axis of the world points up as a rule in such files: one of `AXES`.
    points : (N, 3) array or None
    colors : (N, 3) uint8 array or None
        Of the points, sRGB.
    """

    name: str
    size: tuple[int, int]
    aspect: float
    views: list[View]
    pictures: list[Path]
    up: str
    points: np.ndarray | None = None
    colors: np.ndarray | None = None

    def upright(self, up: str) -> Calibration:
        """The same, turned about the origin so that an axis of the file's world, one of `AXES`, becomes +Z."""
        rotation = rotation_to_z(up)
        views = []
        for view in self.views:
            pose = view.world_to_camera.copy()
            pose[:, :3] = pose[:, :3] @ rotation.T
            views.append(replace(view, world_to_camera=pose))
        return replace(self, views=views, points=None if self.points is None else self.points @ rotation.T)


def rotation_to_z(up: str) -> np.ndarray:
    """The (3, 3) rotation by the smallest angle that carries an axis, one of `AXES`, to +Z."""
    if up not in AXES:
        raise RequestError(f"There is no axis “{up}”: choose one of {', '.join(AXES)}.")
    if up == "-z":
        return np.diag([1.0, -1.0, -1.0])
    axis = np.eye(3)["xyz".index(up[1])] * (1 if up[0] == "+" else -1)
    z = np.array([0.0, 0.0, 1.0])
    # Rodrigues' formula for a quarter turn, or none.
    x, y, _ = turn = np.cross(axis, z)
    cross = np.array([[0, 0, y], [0, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross if turn.any() else np.eye(3)


def combine(
    name: str,
    shots: Sequence[CalibratedPicture],
    up: str,
    points: np.ndarray | None = None,
    colors: np.ndarray | None = None,
) -> Calibration:
    """Check shots, and bring them to what Blender's cameras share: one size and one pixel aspect.

    Raises
    ------
    RequestError
        A camera is none, or they cannot be in one scene of Blender; the message names file and entry.
    """
    if not shots:
        raise RequestError(f"“{name}” holds no cameras: choose another file.")
    if len(shots) > MOST_VIEWS:
        raise RequestError(f"“{name}” holds {len(shots):,} cameras, more than {MOST_VIEWS:,}: take some out.")
    shots = [_check(shot) for shot in shots]
    first = shots[0]
    for shot in shots:
        if shot.size != first.size:
            (wide, high), (width, height) = first.size, shot.size
            raise RequestError(
                f"{shot.where}: the picture is {width} x {height} pixels, but that of “{first.name}” is {wide} x "
                f"{high}, and a scene of Blender renders one size. Import the cameras of one size alone, or bring the "
                "pictures to one size before they are calibrated."
            )
    ratios = np.array([shot.K[0, 0] / shot.K[1, 1] for shot in shots])
    aspect = float(np.median(ratios))
    for shot, ratio in zip(shots, ratios, strict=True):
        # How far the pixels at the picture's upper or lower edge move with the common aspect.
        reach = max(abs(shot.K[1, 2]), abs(shot.size[1] - shot.K[1, 2]))
        if abs(ratio / aspect - 1) * reach > TOLERANCE:
            raise RequestError(
                f"{shot.where}: the focal lengths across and along the picture have the ratio {ratio:.5f}, those of "
                f"most cameras {aspect:.5f}, and a scene of Blender has one pixel aspect. Calibrate with one camera "
                "for all pictures (COLMAP: --ImageReader.single_camera 1), or with one focal length (SIMPLE_PINHOLE)."
            )
        shot.K[1, 1] = shot.K[0, 0] / aspect
    views = [View(shot.name, shot.K, shot.world_to_camera) for shot in shots]
    return Calibration(name, first.size, aspect, views, [shot.picture for shot in shots], up, points, colors)


def _check(shot: CalibratedPicture) -> CalibratedPicture:
    """A shot with a clean camera of its own; raises `RequestError` for what is no camera."""
    K, pose, (width, height) = np.array(shot.K, float), np.array(shot.world_to_camera, float), shot.size
    if not shot.name or "\0" in shot.name or "\0" in str(shot.picture):
        raise RequestError(f"{shot.where}: the picture's name is damaged: write the file again.")
    # Blender's single precision has no use for larger ones.
    if not ((np.abs(K) < LARGEST).all() and (np.abs(pose) < LARGEST).all()):
        raise RequestError(f"{shot.where}: a number of the camera is larger than {LARGEST:g}: calibrate it again.")
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise RequestError(f"{shot.where}: the picture is {width} x {height} pixels: between 1 and {MOST_PIXELS} fit.")
    if min(K[0, 0], K[1, 1]) < SMALLEST:
        raise RequestError(f"{shot.where}: the focal length is {K[0, 0]:g}, {K[1, 1]:g} pixels: it must be above 0.")
    if abs(K[0, 1]) / K[1, 1] * max(abs(K[1, 2]), abs(height - K[1, 2])) > TOLERANCE:
        raise RequestError(f"{shot.where}: the camera's pixels are skewed (K12 = {K[0, 1]:g}). {UNDISTORT}")
    K[0, 1] = 0.0
    rotation = pose[:, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=ROUNDING) or np.linalg.det(rotation) < 0:
        raise RequestError(
            f"{shot.where}: the camera's rotation is mirrored, sheared or scaled, so it is no rotation: write the file "
            "again, with rotations only."
        )
    left, _, right = np.linalg.svd(rotation)
    pose[:, :3] = left @ right
    return replace(shot, K=K, world_to_camera=pose)
