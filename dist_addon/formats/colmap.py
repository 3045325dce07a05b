"""COLMAP's sparse models: ``cameras``, ``images`` and ``points3D``, each ``.bin`` or ``.txt``.

https://colmap.github.io/format.html. Images have world-to-camera rotations (quaternions, w first) and translations, x
right, y down, z forward; the origin of pixels is the outer corner of the top left one.
"""

from __future__ import annotations

import math
import mmap
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..worker.dist_engine.protocol import RequestError
from .calibration import ROUNDING, UNDISTORT, CalibratedPicture, Calibration, combine
from .files import exists, numbers, read_lines

FILES = ("cameras", "images", "points3D")
# COLMAP itself takes the binary files where both are there.
SUFFIXES = (".bin", ".txt")
# A model's world is that of its first picture, as a rule: y points down.
UP = "-y"
# Names and numbers of parameters, in the order of the binary files' numbers.
MODELS = {
    "SIMPLE_PINHOLE": 3,
    "PINHOLE": 4,
    "SIMPLE_RADIAL": 4,
    "RADIAL": 5,
    "OPENCV": 8,
    "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12,
    "FOV": 5,
    "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5,
    "THIN_PRISM_FISHEYE": 12,
}
# They are pinholes where their coefficients are 0: how many focal lengths come before the centre and these.
FOCALS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2}
# More is of no use to a fit: of a larger cloud, every n-th point is taken.
MOST_POINTS = 1_000_000
# Folders that say nothing of what they hold.
PLAIN = ("sparse", "dense", "colmap", "colmap_sparse", "colmap_text", "model")


@dataclass(frozen=True)
class _Camera:
    where: str
    model: str
    size: tuple[int, int]
    parameters: list[float]

    def intrinsics(self) -> np.ndarray:
        count = FOCALS.get(self.model)
        if count is None:
            raise RequestError(f"{self.where}: the lens is of the kind {self.model:.40}. {UNDISTORT}")
        values = self.parameters
        if any(values[count + 2 :]):
            shown = ", ".join(f"{value:g}" for value in values[count + 2 :])
            raise RequestError(f"{self.where}: the lens is distorted ({self.model}: {shown}). {UNDISTORT}")
        return np.array([[values[0], 0, values[count]], [0, values[count - 1], values[count + 1]], [0, 0, 1]])


@dataclass(frozen=True)
class _Image:
    where: str
    pose: list[float]  # qw qx qy qz tx ty tz
    camera: int
    name: str


def find_suffix(folder: Path) -> str | None:
    """Return the ending, one of `SUFFIXES`, of the model that a folder holds; None where it holds none."""
    complete = (s for s in SUFFIXES if all((folder / f"{name}{s}").is_file() for name in FILES[:2]))
    return next(complete, None)


def read(folder: Path, suffix: str) -> Calibration:
    """Read the model in a folder, sorted by the pictures' names; with its points, where there are some.

    Parameters
    ----------
    folder : Path
    suffix : str
        One of `SUFFIXES`.

    Raises
    ------
    RequestError
        A file is missing or damaged, or Blender has no such camera.
    """
    cameras_file, images_file, points_file = (folder / f"{name}{suffix}" for name in FILES)
    for path in (cameras_file, images_file):
        if not path.is_file():
            raise RequestError(f"The COLMAP model in {folder} lacks {path.name}: choose a folder that holds it.")
    binary = suffix == ".bin"
    cameras = dict((_binary_cameras if binary else _text_cameras)(cameras_file))
    images = sorted((_binary_images if binary else _text_images)(images_file), key=lambda image: image.name)
    pictures = _find_pictures(folder, [image.name for image in images])
    shots = []
    for image, picture in zip(images, pictures, strict=True):
        camera = cameras.get(image.camera)
        if camera is None:
            raise RequestError(f"{image.where}: there is no camera {image.camera} in {cameras_file.name}.")
        shots.append(
            CalibratedPicture(image.where, picture.stem, picture, camera.size, camera.intrinsics(), _pose(image))
        )
    points = colors = None
    if points_file.is_file():
        rows = np.array((_binary_points if binary else _text_points)(points_file)).reshape(-1, 6)
        if len(rows):
            points, colors = rows[:, :3].copy(), np.clip(rows[:, 3:], 0, 255).astype(np.uint8)
    return combine(_name(folder), shots, UP, points, colors)


def _pose(image: _Image) -> np.ndarray:
    quaternion, translation = np.array(image.pose[:4]), np.array(image.pose[4:])
    length = np.linalg.norm(quaternion)
    if not abs(length - 1) < ROUNDING:
        raise RequestError(f"{image.where}: the rotation's quaternion has the length {length:g}, not 1: it is damaged.")
    w, x, y, z = quaternion / length
    rotation = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.column_stack([rotation, translation])


def _find_pictures(folder: Path, names: list[str]) -> list[Path]:
    """Where a model's pictures are: in ``images``, beside the model or one or two folders above, as COLMAP has them."""
    above = folder.absolute().parents
    places = [folder / "images", folder, *(place / "images" for place in above[:2]), *above[:2]]
    for place in places:
        if any(exists(place / name) for name in names):
            return [place / name for name in names]
    # Where COLMAP's own scripts would have them.
    root = above[1] if folder.parent.name == "sparse" and len(above) > 1 else above[0] if above else folder
    return [root / "images" / name for name in names]


def _name(folder: Path) -> str:
    """The nearest folder's name that says something."""
    found = [place.name for place in (folder.absolute(), *folder.absolute().parents)]
    return next((name for name in found if name and not name.isdecimal() and name not in PLAIN), "COLMAP")


# Text: a line an entry, and "#" before comments. A file may hold more in a line than is wanted here.


def _text_cameras(path: Path) -> Iterator[tuple[int, _Camera]]:
    for number, line in read_lines(path):
        if not line or line.startswith("#"):
            continue
        where, words = f"{path.name}, line {number}", line.split()
        wanted = MODELS.get(words[1]) if len(words) > 1 else None
        if len(words) < 5 or (wanted is not None and len(words) != 4 + wanted):
            raise RequestError(f"{where}: “{line:.60}” is no camera: CAMERA_ID MODEL WIDTH HEIGHT PARAMETERS.")
        key, width, height = (_whole(word, where) for word in (words[0], *words[2:4]))
        yield key, _Camera(where, words[1], (width, height), numbers(words[4:], where))


def _text_images(path: Path) -> Iterator[_Image]:
    lines = read_lines(path)
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        where, words = f"{path.name}, line {number}", line.split(None, 9)
        if len(words) != 10:
            raise RequestError(f"{where}: “{line:.60}” is no image: IMAGE_ID, 4 + 3 numbers, CAMERA_ID NAME.")
        yield _Image(where, numbers(words[1:8], where), _whole(words[8], where), words[9])
        # Its features, which may be none; a file that leaves the line out would lose every other image here.
        number, features = next(lines, (number, ""))
        if len(features.split()) % 3:
            raise RequestError(
                f"{path.name}, line {number}: each image is followed by a line of its points, which may be empty; "
                f"“{features:.40}” is none. Write the file with COLMAP's “model_converter”."
            )


def _text_points(path: Path) -> array[float]:
    rows = array("d")
    for number, line in read_lines(path):
        if not line or line.startswith("#"):
            continue
        where, words = f"{path.name}, line {number}", line.split(None, 8)
        if len(words) < 8:
            raise RequestError(f"{where}: “{line:.60}” is no point: POINT3D_ID X Y Z R G B ERROR TRACK.")
        rows.extend(numbers(words[1:7], where))
    count = len(rows) // 6
    step = -(-count // MOST_POINTS)
    return rows if step <= 1 else array("d", np.array(rows).reshape(-1, 6)[::step].ravel())


def _whole(word: str, where: str) -> int:
    if not word.isdecimal() or len(word) > 12:
        raise RequestError(f"{where}: “{word:.40}” is no whole number: write the file again.")
    return int(word)


# Binary: a count, and that many entries, little-endian.


class _Binary:
    """A file's bytes, taken one entry after another; what would go past its end is refused."""

    def __init__(self, path: Path, kind: str, smallest: int) -> None:
        """Map the file and take the count; `kind` names its entries, each of at least `smallest` bytes."""
        self.path, self.kind, self.entry, self.offset = path, kind, 0, 0
        try:
            with path.open("rb") as stream:
                self.data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise RequestError(f"{path} cannot be read: {error}. Choose another model.") from error
        (self.count,) = self.take("Q")
        if self.count * smallest > len(self.data):
            raise self.damaged(f"it says that it has {self.count:,} {kind}s, in {len(self.data):,} bytes")

    def __iter__(self) -> Iterator[str]:
        """Yield the entries' places, for messages; then the file is closed."""
        for number in range(1, self.count + 1):
            self.entry = number
            yield f"{self.path.name}, {self.kind} {number} of {self.count}"
        self.data.close()

    def take(self, layout: str) -> tuple[Any, ...]:
        try:
            found = struct.unpack_from(f"<{layout}", self.data, self.offset)
        except struct.error as error:
            raise self.damaged(f"it ends within {self.kind} {self.entry}") from error
        self.offset += struct.calcsize(f"<{layout}")
        return found

    def skip(self, count: int, size: int) -> None:
        self.offset += count * size
        if self.offset > len(self.data):
            raise self.damaged(f"it ends within {self.kind} {self.entry}")

    def text(self) -> str:
        end = self.data.find(b"\0", self.offset)
        if end < 0:
            raise self.damaged(f"the name of {self.kind} {self.entry} has no end")
        found = self.data[self.offset : end].decode(errors="replace")
        self.offset = end + 1
        return found

    def damaged(self, why: str) -> RequestError:
        return RequestError(f"{self.path} is damaged: {why}. Write the model again, or choose another one.")


def _binary_cameras(path: Path) -> Iterator[tuple[int, _Camera]]:
    file = _Binary(path, "camera", 24)
    for where in file:
        key, model, width, height = file.take("IiQQ")
        if not 0 <= model < len(MODELS):
            raise RequestError(f"{where}: the lens is of kind {model}, which is no pinhole. {UNDISTORT}")
        name = list(MODELS)[model]
        yield key, _Camera(where, name, (width, height), _finite(file.take(f"{MODELS[name]}d"), where))


def _binary_images(path: Path) -> Iterator[_Image]:
    file = _Binary(path, "image", 73)
    for where in file:
        _, *pose, camera = file.take("I7dI")
        name = file.text()
        yield _Image(where, _finite(pose, where), camera, name)
        file.skip(file.take("Q")[0], 24)


def _binary_points(path: Path) -> array[float]:
    rows = array("d")
    file = _Binary(path, "point", 51)
    step = max(-(-file.count // MOST_POINTS), 1)
    for where in file:
        _, x, y, z, red, green, blue, _, track = file.take("Q3d3BdQ")
        file.skip(track, 8)
        if file.entry % step == 0:
            rows.extend(_finite((x, y, z, red, green, blue), where))
    return rows


def _finite(values: tuple[float, ...] | list[float], where: str) -> list[float]:
    if not all(map(math.isfinite, values)):
        raise RequestError(f"{where}: a number is not finite: calibrate again without this entry.")
    return list(values)
