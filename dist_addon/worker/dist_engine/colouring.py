"""The colours of a mesh's vertices, from the pictures that see them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import grid_sample

from .cameras import Cameras

# What is farther than the nearest surface by more than this share of the thing's size is hidden.
BEHIND = 0.02
# Vertices to a cell of the depth map, at least: fewer would leave holes to look through.
PER_CELL = 6
# Views that see a vertex at a slant blur it: weights fall with this power of the cosine.
SLANT = 4


def vertex_colours(
    vertices: Tensor, normals: Tensor, cameras: Cameras, pictures: np.ndarray, masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean colour that the pictures show at each vertex, the more a picture looks straight at it.

    Parameters
    ----------
    vertices, normals : (N, 3) tensors
        In the world.
    cameras : Cameras
    pictures : (V, H, W, 3) uint8 array
    masks : (V, H, W) bool array
        Where the thing is: what shows something else there does not colour it.

    Returns
    -------
    colours : (N, 3) uint8 array
        What no picture sees takes the colour of the nearest vertex that one sees; grey where none sees any.
    seen : (N,) bool array
    """
    total, weights = vertices.new_zeros(len(vertices), 3), vertices.new_zeros(len(vertices))
    size = float((vertices.amax(0) - vertices.amin(0)).max())
    for view in range(len(pictures)):
        height, width = pictures.shape[1:3]
        views = torch.full((len(vertices),), view, device=vertices.device)
        there = cameras.to_camera(views, vertices)
        pixels = cameras.project(views, there)
        facing = -(normals @ cameras.rotation[view].T * there).sum(1) / there.norm(dim=1)
        within = (there[:, 2] > 0) & ((pixels > 0) & (pixels < pixels.new_tensor([width, height]))).all(1)
        seen = within & (facing > 0.1)
        least, cell = nearest_depth(pixels, there[:, 2], within)
        # Within a cell of the depth map, a slanted surface is at many depths.
        slope = (1 - facing**2).clamp(min=0).sqrt() / facing.clamp(min=0.1)
        seen &= there[:, 2] < least + BEHIND * size + 1.5 * slope * there[:, 2] * cell / cameras.K[view, 0, 0]
        # The coordinates of pixels' corners from -1 to 1, as `grid_sample` counts.
        at = 2 * pixels[None, None] / pixels.new_tensor([width, height]) - 1
        layers = np.concatenate([pictures[view], 255 * masks[view][..., None].astype(np.uint8)], 2)
        image = torch.as_tensor(layers, device=vertices.device).permute(2, 0, 1)[None].to(vertices)
        shown = grid_sample(image, at, align_corners=False, padding_mode="border")[0, :, 0].T
        weight = seen * (shown[:, 3] > 254) * facing.clamp(min=0) ** SLANT
        total += weight[:, None] * shown[:, :3]
        weights += weight
    found = (weights > 0).cpu().numpy()
    colours = (total / weights.clamp(min=1e-9)[:, None]).cpu().numpy()
    if found.any() and not found.all():
        points = vertices.cpu().double().numpy()
        nearest = KDTree(points[found]).query(points[~found])[1]
        colours[~found] = colours[found][nearest]
    elif not found.any():
        colours[:] = 128
    return (colours + 0.5).astype(np.uint8), found


def nearest_depth(pixels: Tensor, depths: Tensor, within: Tensor) -> tuple[Tensor, float]:
    """The least depth (N,) among the vertices in the same cell of the picture, and the cells' side in pixels.

    The cells are so large that each holds some vertices of whatever surface it shows.
    """
    if not within.any():
        return depths, 0.0
    low, high = pixels[within].amin(0), pixels[within].amax(0)
    cell = float(((high - low).prod() * PER_CELL / within.sum()) ** 0.5) + 1e-9
    cells = ((pixels - low) / cell).long()
    columns, rows = (int(n) + 1 for n in cells[within].amax(0))
    flat = (cells[:, 1] * columns + cells[:, 0])[within]
    grid = depths.new_full((rows * columns,), torch.inf).scatter_reduce(0, flat, depths[within], "amin")
    least = torch.full_like(depths, torch.inf)
    least[within] = grid[flat]
    return least, cell
