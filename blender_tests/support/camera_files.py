"""Writes cameras in the formats of others, after their documentation and independently of the readers."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Truth:
    """A camera: K in pixels from the outer corner of the top left pixel; x right, y down, z forward."""

    picture: str
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray
    size: tuple[int, int] = (64, 48)


def looking_at_origin(count: int, size: tuple[int, int] = (64, 48)) -> list[Truth]:
    """Cameras on a ring, each a bit higher, 5 units away, with K of their own but one pixel aspect."""
    made = []
    for n in range(count):
        angle = 2 * np.pi * n / count + 0.3
        place = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1 + 0.5 * n])
        forward = -place / np.linalg.norm(place)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])
        K = np.array([[70.0 + n, 0, 33.5], [0, 70.0 + n, 22.25 + n], [0, 0, 1]])
        made.append(Truth(f"pic{n}.png", K, R, -R @ place, size))
    return made


def quaternion(R: np.ndarray) -> np.ndarray:
    """Of a rotation, w first: the eigenvector of Bar-Itzhack's matrix."""
    (a, b, c), (d, e, f), (g, h, i) = R
    N = np.array(
        [
            [a - e - i, d + b, g + c, h - f],
            [d + b, e - a - i, h + f, c - g],
            [g + c, h + f, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    x, y, z, w = np.linalg.eigh(N)[1][:, -1]
    return np.array([w, x, y, z])


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """An 8-bit PNG of (H, W, 3 or 4) pixels."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">2I5B", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def write_pictures(folder: Path, cameras: list[Truth]) -> None:
    """Pictures that are clear but for a block in their upper left."""
    for camera in cameras:
        width, height = camera.size
        pixels = np.zeros((height, width, 4), np.uint8)
        pixels[: height // 2, : width // 2] = 255
        write_png(folder / camera.picture, pixels)


def write_transforms(folder: Path, cameras: list[Truth], **more: object) -> Path:
    """NeRF's and instant-ngp's: OpenGL's camera to world, the lens a frame."""
    frames = []
    for camera in cameras:
        matrix = np.eye(4)
        matrix[:3, :3] = camera.R.T * [1, -1, -1]
        matrix[:3, 3] = -camera.R.T @ camera.t
        frames.append(
            {
                "file_path": f"./{camera.picture}",
                "fl_x": camera.K[0, 0],
                "fl_y": camera.K[1, 1],
                "cx": camera.K[0, 2],
                "cy": camera.K[1, 2],
                "w": camera.size[0],
                "h": camera.size[1],
                "transform_matrix": matrix.tolist(),
            }
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "transforms.json"
    path.write_text(json.dumps({"k1": 0.0, "k2": 0, "aabb_scale": 16, **more, "frames": frames}))
    return path


POINTS = np.array([[0.5, -0.25, 1.0], [1.5, 2.0, -3.0], [0.0, 0.0, 0.125]])
COLORS = np.array([[255, 0, 128], [1, 2, 3], [90, 200, 10]])


def write_colmap_text(folder: Path, cameras: list[Truth]) -> Path:
    """A model as text; every other picture has no features, so an empty line."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, images = ["# Camera list", f"# Number of cameras: {len(cameras)}"], ["# Image list"]
    for n, camera in enumerate(cameras, 1):
        K = camera.K
        lens = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
        lines.append(" ".join(map(str, [10 + n, "PINHOLE", *camera.size, *map(float, lens)])))
        pose = [*quaternion(camera.R), *camera.t]
        images.append(" ".join(map(str, [n, *map(float, pose), 10 + n, camera.picture])))
        images.append("" if n % 2 else "1.5 2.5 -1 10.25 3 63")
    (folder / "cameras.txt").write_text("\n".join(lines) + "\n")
    (folder / "images.txt").write_text("\n".join(images) + "\n")
    rows = [
        f"{n} {' '.join(map(str, point))} {' '.join(map(str, color))} 0.5 1 0 2 1"
        for n, (point, color) in enumerate(zip(POINTS.tolist(), COLORS.tolist(), strict=True))
    ]
    (folder / "points3D.txt").write_text("# 3D point list\n" + "\n".join(rows) + "\n")
    return folder


def write_colmap_binary(folder: Path, cameras: list[Truth]) -> Path:
    """A model as COLMAP writes it by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    lenses, images, points = (struct.pack("<Q", count) for count in (len(cameras), len(cameras), len(POINTS)))
    # The last picture comes first: COLMAP has no order.
    for n, camera in reversed(list(enumerate(cameras, 1))):
        K = camera.K
        lenses += struct.pack("<IiQQ4d", 10 + n, 1, *camera.size, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        images += struct.pack("<I7dI", n, *quaternion(camera.R), *camera.t, 10 + n)
        images += camera.picture.encode() + b"\0" + struct.pack("<Q", n % 3)
        images += struct.pack("<2dq", 1.5, 2.5, -1) * (n % 3)
    for n, (point, color) in enumerate(zip(POINTS, COLORS.tolist(), strict=True)):
        points += struct.pack("<Q3d3BdQ", n, *point, *color, 0.5, n) + struct.pack("<2i", 1, 0) * n
    (folder / "cameras.bin").write_bytes(lenses)
    (folder / "images.bin").write_bytes(images)
    (folder / "points3D.bin").write_bytes(points)
    return folder


def write_middlebury(folder: Path, cameras: list[Truth]) -> Path:
    """A line a picture: K, R and t, row by row."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "thing_par.txt"
    rows = [
        " ".join([camera.picture, *(f"{value:.17g}" for value in [*camera.K.flat, *camera.R.flat, *camera.t])])
        for camera in cameras
    ]
    path.write_text("\n".join([str(len(cameras)), *rows]) + "\n")
    return path
