"""Cameras, and where things stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .files import RequestError


@dataclass(frozen=True)
class View:
    """One calibrated picture.

    Attributes
    ----------
    name : str
        What the user calls it (the camera's name in Blender).
    K : (3, 3) array, pixels
        Intrinsics.
    world_to_camera : (3, 4) array
        ``[R | t]``: world to camera, in Blender units.
    """

    name: str
    K: np.ndarray
    world_to_camera: np.ndarray

    def check(self) -> None:
        """Raise `RequestError` where the camera is none."""
        if self.K.shape != (3, 3) or self.world_to_camera.shape != (3, 4):
            raise RequestError(f"View “{self.name}”: K must be 3x3 and world_to_camera 3x4.")
        if not (np.isfinite(self.K).all() and np.isfinite(self.world_to_camera).all()):
            raise RequestError(f"View “{self.name}” has a number in its camera that is not finite.")

    def to_json(self) -> dict[str, Any]:
        """The view as ``request.json`` has it."""
        return {"name": self.name, "K": self.K.tolist(), "world_to_camera": self.world_to_camera.tolist()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> View:
        """Read what `to_json` made."""
        return View(data["name"], np.array(data["K"], float), np.array(data["world_to_camera"], float))


@dataclass(frozen=True)
class RefinedCamera:
    """A camera that a fit refined, as a report has it.

    Attributes
    ----------
    view : View
        As it is now.
    width, height : int
        Of its picture, pixels.
    turned, moved : float
        How far it was turned, in degrees, and moved, in Blender units.
    """

    view: View
    width: int
    height: int
    turned: float
    moved: float

    def to_json(self) -> dict[str, Any]:
        """The camera as ``result.json`` has it."""
        return self.view.to_json() | {name: getattr(self, name) for name in ("width", "height", "turned", "moved")}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> RefinedCamera:
        """Read what `to_json` made; raises `RequestError` where it is no camera."""
        try:
            size = int(data["width"]), int(data["height"])
            camera = RefinedCamera(View.from_json(data), *size, float(data["turned"]), float(data["moved"]))
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise RequestError(f"The report's camera lacks or misnames a field: {error}. Run the job again.") from error
        camera.view.check()
        return camera


@dataclass(frozen=True)
class Placement:
    """Where a thing stands: ``world = scale * rotation @ own + translation``, a Sim(3).

    Attributes
    ----------
    scale : float
        Blender units that the object frame's unit is long.
    rotation : (3, 3) array
        Columns: the thing's right, back and up as unit vectors in the world (a proper rotation).
    translation : (3,) array, world
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def check(self) -> None:
        """Raise `RequestError` where it is no Sim(3)."""
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise RequestError(f"The placement's scale is {self.scale}: it must be a number above 0.")
        if self.rotation.shape != (3, 3) or self.translation.shape != (3,):
            raise RequestError("The placement's rotation must be 3x3 and its translation 3 numbers.")
        proper = np.allclose(self.rotation.T @ self.rotation, np.eye(3), atol=1e-3) and np.linalg.det(self.rotation) > 0
        if not proper or not np.isfinite(self.translation).all():
            raise RequestError("The placement is mirrored, sheared or not finite: give a rotation and a translation.")

    def to_json(self) -> dict[str, Any]:
        """The placement as ``request.json`` has it."""
        return {name: np.asarray(value).tolist() for name, value in vars(self).items()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Placement:
        """Read what `to_json` made."""
        rotation, translation = (np.array(data[name], float) for name in ("rotation", "translation"))
        return Placement(float(data["scale"]), rotation, translation)


@dataclass(frozen=True)
class Bounds:
    """Roughly where the thing stands: a box with an up and a front.

    Attributes
    ----------
    center : (3,) array, world
    rotation : (3, 3) array
        Columns: the thing's right, back and up as unit vectors in the world (a proper rotation), so that its front
        looks along minus the second column, as Blender's front view shows it.
    half_size : (3,) array, Blender units
        Half the box's size along right, back and up.
    """

    center: np.ndarray
    rotation: np.ndarray
    half_size: np.ndarray


def where_lines_meet(poses: Sequence[np.ndarray], directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the place that is nearest to lines of sight.

    Parameters
    ----------
    poses : sequence of V (3, 4) arrays
        World to camera.
    directions : (V, 3) array
        In the cameras' frames.

    Returns
    -------
    center : (3,) array, world
    depths : (V,) array
        Of the place before each camera; NaN where the lines are all but parallel.
    """
    origins = np.array([-pose[:, :3].T @ pose[:, 3] for pose in poses])
    lines = np.array([pose[:, :3].T @ seen for pose, seen in zip(poses, directions, strict=True)])
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    # sum (I - a a^T) p = sum (I - a a^T) o.
    across = np.eye(3) - lines[:, :, None] * lines[:, None, :]
    normal = across.sum(axis=0)
    if np.linalg.eigvalsh(normal)[0] < 1e-3:
        return np.zeros(3), np.full(len(poses), np.nan)
    center = np.linalg.solve(normal, np.einsum("nij,nj->i", across, origins))
    return center, np.array([pose[2, :3] @ center + pose[2, 3] for pose in poses])
