"""Marching cubes over the cells that can hold the surface, found coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import torch
from torch import Tensor

from .decoder import Field

COARSEST = 32
# f may change faster than distance does where the decoder is rough: keep cells this much farther than exactness asks.
SAFETY = 1.3


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in the object frame: vertices and unit normals (N, 3), faces (M, 3) wound outwards."""

    vertices: Tensor
    faces: np.ndarray
    normals: Tensor


def extract_mesh(field: Field, resolution: int) -> Mesh:
    """The zero level of `field` inside the cube [-1, 1]^3.

    Parameters
    ----------
    field : Field
    resolution : int
        Cells along the cube's side: `COARSEST` times a power of two.

    Raises
    ------
    ValueError
        `resolution` is not such a number, or there is no surface.
    """
    cells = surface_cells(field, resolution)
    corner_offsets = torch.tensor(
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    )
    corners = cells[:, None] + corner_offsets.to(cells)
    side = resolution + 1
    keys, index = torch.unique((corners[..., 0] * side + corners[..., 1]) * side + corners[..., 2], return_inverse=True)
    lattice = torch.stack([keys // side**2, keys // side % side, keys % side], 1)
    points = lattice.to(field.code) * (2 / resolution) - 1
    values = field(points, "mesh")
    vertices, faces = igl.marching_cubes(
        values.double().cpu().numpy(), points.double().cpu().numpy(), index.cpu().numpy(), 0.0
    )[:2]
    if len(faces) == 0:
        raise ValueError("The fitted code has no surface.")
    return polish(field, torch.as_tensor(vertices).to(field.code), np.asarray(faces, np.int32), 2 / resolution)


def surface_cells(field: Field, resolution: int) -> Tensor:
    """Cells (C, 3) of the finest lattice whose centre is near enough to the surface to hold a part of it."""
    side = COARSEST
    while side < resolution:
        side *= 2
    if side != resolution:
        raise ValueError(f"Mesh resolution {resolution}: expected {COARSEST} times a power of two.")
    device = field.code.device
    axis = torch.arange(COARSEST, device=device)
    cells = torch.cartesian_prod(axis, axis, axis)
    children = torch.cartesian_prod(*[torch.arange(2, device=device)] * 3)
    side = COARSEST
    while True:
        size = 2 / side
        value = field((cells + 0.5) * size - 1, "mesh")
        cells = cells[value.abs() < SAFETY * size * 3**0.5 / 2]
        if side == resolution:
            return cells
        cells = (cells[:, None] * 2 + children).reshape(-1, 3)
        side *= 2


def polish(field: Field, vertices: Tensor, faces: np.ndarray, cell: float) -> Mesh:
    """Put vertices onto the decoder's zero by one Newton step of at most half a cell; normals are its gradient."""
    at = field.jacobian(vertices, "mesh", with_code=False)
    squared = at.d_point.square().sum(1, keepdim=True).clamp(min=1e-12)
    step = at.value[:, None] * at.d_point / squared
    length = step.norm(dim=1, keepdim=True).clamp(min=1e-12)
    vertices = vertices - step * (0.5 * cell / length).clamp(max=1)
    return Mesh(vertices, faces, at.d_point / squared.sqrt())
