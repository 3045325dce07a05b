"""Contact sheets: meshes side by side in one picture."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

TILE = 180
OVERSAMPLING = 2
AZIMUTH, ELEVATION = np.radians(30), np.radians(20)


def view_rotation() -> np.ndarray:
    """Return the rows (right, up, towards the viewer) of a 3/4 view from the -Y side."""
    towards = np.array(
        [
            np.sin(AZIMUTH) * np.cos(ELEVATION),
            -np.cos(AZIMUTH) * np.cos(ELEVATION),
            np.sin(ELEVATION),
        ]
    )
    right = np.array([np.cos(AZIMUTH), np.sin(AZIMUTH), 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def render(vertices: np.ndarray, faces: np.ndarray, tile: int = TILE) -> np.ndarray:
    """Render a mesh with flat shading in an orthographic 3/4 view.

    Parameters
    ----------
    vertices, faces
        The triangle mesh, +Z up and -Y front.
    tile
        Side of the square image in pixels.

    Returns
    -------
    np.ndarray
        Grey image of shape (tile, tile), uint8, on white.
    """
    return _shrink(_draw(vertices, faces, tile)[0]).astype(np.uint8)


def cut_out(vertices: np.ndarray, faces: np.ndarray, tile: int) -> Image.Image:
    """Render a mesh as `render` does, on a clear ground: grey with alpha."""
    image, drawn = _draw(vertices, faces, tile)
    alpha = _shrink(drawn)
    grey = _shrink(image * drawn) / np.maximum(alpha, 1e-9)
    return Image.merge("LA", [Image.fromarray(part.astype(np.uint8)) for part in (grey, 255 * alpha)])


def _shrink(image: np.ndarray) -> np.ndarray:
    tile = len(image) // OVERSAMPLING
    return image.reshape(tile, OVERSAMPLING, tile, OVERSAMPLING).mean((1, 3))


def _draw(vertices: np.ndarray, faces: np.ndarray, tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey values on white, and whether the mesh is there, each pixel `OVERSAMPLING` times as fine."""
    side = tile * OVERSAMPLING
    seen = (vertices - (vertices.min(0) + vertices.max(0)) / 2) @ view_rotation().T
    low, high = seen.min(0), seen.max(0)
    scale = 0.92 * side / (high - low)[:2].max()
    pixels = (seen - (low + high) / 2) * scale * [1, -1, 1] + [side / 2, side / 2, 0]
    normals = np.cross(seen[faces[:, 1]] - seen[faces[:, 0]], seen[faces[:, 2]] - seen[faces[:, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-30
    # Half of the light comes round corners, so that the shaded side shows its relief too.
    shades = 20 + 225 * (0.5 + 0.5 * normals @ [-0.35, 0.75, 0.56])
    image = np.full((side, side), 255.0)
    depth = np.full((side, side), -np.inf)
    for index in np.flatnonzero(normals[:, 2] > 1e-6):
        _fill(pixels[faces[index]], shades[index], image, depth)
    # Dark lines where the depth jumps: without them, a sunken window looks like the body around it.
    relief = np.pad(np.maximum(depth, pixels[:, 2].min() - side), 1, mode="edge")
    bends = [relief[:-2, 1:-1] + relief[2:, 1:-1], relief[1:-1, :-2] + relief[1:-1, 2:]] - 2 * relief[1:-1, 1:-1]
    image[np.abs(bends).max(0) > 0.006 * side] *= 0.5
    return image, np.isfinite(depth)


def _fill(corners: np.ndarray, shade: float, image: np.ndarray, depth: np.ndarray) -> None:
    (x0, y0), (x1, y1) = (
        np.ceil(corners[:, :2].min(0) - 0.5).astype(int),
        np.floor(corners[:, :2].max(0) - 0.5).astype(int) + 1,
    )
    if x0 >= x1 or y0 >= y1:
        return
    a, b, c = corners
    x, y = np.arange(x0, x1) + 0.5, (np.arange(y0, y1) + 0.5)[:, None]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if abs(area) < 1e-12:
        return
    u = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
    v = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
    z = a[2] + u * (b[2] - a[2]) + v * (c[2] - a[2])
    window = slice(y0, y1), slice(x0, x1)
    drawn = (u >= 0) & (v >= 0) & (u + v <= 1) & (z > depth[window])
    depth[window][drawn] = z[drawn]
    image[window][drawn] = shade


def contact_sheet(meshes: Iterable[tuple[np.ndarray, np.ndarray]]) -> Image.Image:
    """Render meshes side by side, row by row, as many columns as rows."""
    tiles = [render(*mesh) for mesh in meshes]
    columns = int(np.ceil(np.sqrt(len(tiles))))
    rows = int(np.ceil(len(tiles) / columns))
    sheet = np.full((rows * TILE, columns * TILE), 255, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = np.array(divmod(index, columns)) * TILE
        sheet[row : row + TILE, column : column + TILE] = tile
    return Image.fromarray(sheet)
