"""Marching cubes over a lattice that is asked only where the sign of f is in doubt.

A sample of f tells its sign at every node nearer to it than |f| / slope. So the lattice is filled from coarse to fine,
and only nodes that no sample decides are asked. The slope is measured along the edges of the cells on the way. Lastly
the surface is followed from cell to cell: where f was steeper than it seemed, no hole is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import torch
from torch import Tensor

from .cameras import Similarity
from .shapes.shape import Field, OnCells

# Cells along the cube's side whose corners are all asked: f is clamped, so that samples farther apart decide nothing.
COARSEST = 32
# How much steeper f may be between two nodes than along the edges seen there, or than a distance.
SAFETY = 1.3
# Pieces of less than this share of the surface's area are crumbs of f, not of the thing.
CRUMB = 1e-3

# A cell's 8 corners, in the order that marching cubes wants them.
CORNERS = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
# The 27 nodes of a cell that is cut in two along each axis, in half widths: its corners, then in `TURNS` the middles of
# its edges, of its faces, and its own; and the distances between them in widths.
NODES = torch.cartesian_prod(*[torch.arange(3)] * 3)
NODES = torch.cat([CORNERS * 2, *(NODES[(NODES % 2).sum(1) == odd] for odd in (1, 2, 3))])
TURNS = ((8, 20), (20, 26), (26, 27))
DISTANCES = torch.cdist(NODES.float(), NODES.float()) / 2
# Edges as pairs of corners (12, 2); faces as fours (6, 4), with the step (6, 3) to the cell on the other side.
EDGES = ((CORNERS[:, None] - CORNERS).abs().sum(2).triu() == 1).nonzero()
STEPS = torch.cat([torch.eye(3), -torch.eye(3)]).long()
FACES = torch.stack([(CORNERS @ step == step.sum().clamp(min=0)).nonzero()[:, 0] for step in STEPS])


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in the object frame: vertices and unit normals (N, 3), faces (M, 3) wound outwards."""

    vertices: Tensor
    faces: np.ndarray
    normals: Tensor

    def placed(self, place: Similarity, axes: np.ndarray) -> dict[str, np.ndarray]:
        """The mesh as `protocol.Result` has it.

        Parameters
        ----------
        place : Similarity
            Of the object.
        axes : (3, 3) array
            Columns: the thing's right, back and up in the object frame.

        Returns
        -------
        dict of str to array
            ``vertices``, ``faces``, ``vertex_normals``, ``rotation`` and ``translation``.
        """
        turn = torch.as_tensor(axes).to(self.vertices)
        return {
            "vertices": (place.scale * self.vertices @ turn).cpu().numpy(),
            "faces": self.faces,
            "vertex_normals": (self.normals @ turn).cpu().numpy(),
            "rotation": (place.rotation @ turn).cpu().double().numpy(),
            "translation": place.translation.cpu().double().numpy(),
        }


def extract_mesh(field: Field, resolution: int) -> Mesh:
    """The zero level of `field` inside the cube [-1, 1]^3, but for crumbs: pieces of less than `CRUMB` of its area.

    Parameters
    ----------
    field : Field
        Asked for purpose `mesh`.
    resolution : int
        Cells along the cube's side: `COARSEST` times a power of two. Takes 5 bytes of memory a node, 84 MB at 256. A
        field on cells has its own.

    Raises
    ------
    ValueError
        `resolution` is not such a number, or there is no surface.
    """
    if isinstance(field, OnCells):
        return _mesh_of_cells(field, field)
    vertices, faces = without_crumbs(*marching_cubes(SignLattice(field, resolution)))
    return polish(field, torch.as_tensor(vertices).to(field.device, field.dtype), faces, 2 / resolution)


def _mesh_of_cells(field: Field, cells: OnCells) -> Mesh:
    values, points, index = cells.surface_cells(CORNERS)
    if not len(index):
        raise ValueError("The shape has no surface: it is empty, or fills the whole cube.")
    vertices, faces = igl.marching_cubes(
        values.cpu().double().numpy(), points.cpu().double().numpy(), index.cpu().numpy(), 0.0
    )[:2]
    vertices, faces = without_crumbs(vertices, faces.astype(np.int32))
    found = torch.as_tensor(vertices).to(field.device, field.dtype)
    return Mesh(found, faces, torch.nn.functional.normalize(field.slope(found, "mesh")[1], dim=1))


def marching_cubes(lattice: SignLattice) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (M, 3), those that the dense lattice would give; ValueError if there are none."""
    corners = lattice.corners(lattice.surface(), 1)
    keys, index = torch.unique(corners, return_inverse=True)
    if len(keys) == 0:
        raise ValueError("The shape has no surface: it is empty, or fills the whole cube.")
    values, points = lattice.values[keys], lattice.points(keys)
    vertices, faces = igl.marching_cubes(
        values.cpu().double().numpy(), points.cpu().double().numpy(), index.cpu().numpy(), 0.0
    )[:2]
    return vertices, faces.astype(np.int32)


def without_crumbs(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (M, 3) of the connected pieces that have at least `CRUMB` of the area."""
    count, piece = igl.facet_components(faces.astype(np.int64))
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    areas = np.bincount(piece, np.linalg.norm(np.cross(b - a, c - a), axis=1), count)
    kept, faces = np.unique(faces[(areas >= CRUMB * areas.sum())[piece]], return_inverse=True)
    return vertices[kept], faces.reshape(-1, 3).astype(np.int32)


class SignLattice:
    """The signs of f at (resolution + 1)^3 nodes of the cube [-1, 1]^3, and f itself beside the surface.

    A node's key is its place in the flattened lattice; a cell's key is that of its first corner.

    Attributes
    ----------
    values : ((resolution + 1)^3,) tensor
        f where `asked`. Elsewhere a bound: f has the same sign and is at least as far from zero; 0 says nothing.
    asked : bool tensor of the same shape
    """

    def __init__(self, field: Field, resolution: int) -> None:
        levels = resolution / COARSEST
        if levels < 1 or not np.log2(levels).is_integer():
            raise ValueError(f"Mesh resolution {resolution}: expected {COARSEST} times a power of two.")
        self.field, self.resolution = field, resolution
        self.values = torch.zeros((resolution + 1) ** 3, device=field.device, dtype=field.dtype)
        self.asked = torch.zeros_like(self.values, dtype=torch.bool)
        self.strides = torch.tensor([(resolution + 1) ** 2, resolution + 1, 1], device=self.values.device)

    def keys(self, places: Tensor) -> Tensor:
        """Keys (...) of places (..., 3) in whole numbers from 0 to `resolution`."""
        return (places * self.strides).sum(-1)

    def points(self, keys: Tensor) -> Tensor:
        """Positions (N, 3) in the object frame."""
        return self.places(keys).to(self.values) * (2 / self.resolution) - 1

    def places(self, keys: Tensor) -> Tensor:
        """The inverse of `keys`: (N, 3)."""
        return keys[:, None] // self.strides % (self.resolution + 1)

    def corners(self, cells: Tensor, width: int) -> Tensor:
        """Keys (C, 8) of the corners of cells that are `width` nodes wide."""
        return cells[:, None] + self.keys(CORNERS.to(cells) * width)

    def ask(self, keys: Tensor) -> None:
        """Ask for f at those nodes that have not been asked for."""
        keys = torch.unique(keys[~self.asked[keys]])
        self.values[keys] = self.field(self.points(keys), "mesh")
        self.asked[keys] = True

    def surface(self) -> Tensor:
        """Keys (C,) of all cells that the surface passes; f is known at the ends of every edge that it crosses."""
        width = self.resolution // COARSEST
        axis = torch.arange(0, self.resolution, width, device=self.values.device)
        cells = self.keys(torch.cartesian_prod(axis, axis, axis))
        self.ask(self.corners(cells, width).flatten())
        slopes = torch.ones_like(cells, dtype=self.values.dtype)
        while width > 1:
            cells, slopes = self._halve(cells, width, slopes)
            width //= 2
        outside = self.values[self.corners(cells, 1)] > 0
        return self._follow(cells[outside.any(1) & ~outside.all(1)])

    def _halve(self, cells: Tensor, width: int, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """The halves of the cells that leave a sign in doubt; each with the steepest slope seen there so far."""
        corners = self.corners(cells, width)
        ends = corners[:, EDGES.to(cells)]
        slope = self.values[ends].diff(dim=2)[..., 0].abs() * (self.resolution / 2 / width)
        slopes = slopes.maximum((slope * self.asked[ends].all(2)).amax(1))
        rise = slopes * (SAFETY * 2 / self.resolution * width)
        bound = _bound(self.values[corners], rise, DISTANCES[:8])
        # Every finer node is at most a quarter of the cell's diagonal away from one of these 27.
        margin = rise[:, None] * (3**0.5 / 4 if width > 2 else 0.0)
        doubtful = ~((bound > margin).all(1) | (bound < -margin).all(1))
        cells, slopes, rise = cells[doubtful], slopes[doubtful], rise[doubtful]
        nodes = cells[:, None] + self.keys(NODES.to(cells) * (width // 2))
        for first, last in TURNS:
            new = nodes[:, first:last].flatten()
            bound = _bound(self.values[nodes[:, :first]], rise, DISTANCES[:first, first:last]).flatten()
            self.values.scatter_reduce_(0, new, bound.clamp(min=0), "amax")
            left = self.values[new] <= 0
            self.values.scatter_reduce_(0, new[left], bound[left].clamp(max=0), "amin")
            self.ask(new[self.values[new] == 0])
        return self.corners(cells, width // 2).flatten(), slopes.repeat_interleave(8)

    def _follow(self, cells: Tensor) -> Tensor:
        """Add what the surface goes on to from `cells`, and ask where it crosses an edge."""
        edges, faces, steps = EDGES.to(cells), FACES.to(cells), STEPS.to(cells)
        while True:
            corners = self.corners(cells, 1)
            self.ask(corners[self.values[corners] == 0])
            outside = self.values[corners] > 0
            crossed = outside[:, edges[:, 0]] != outside[:, edges[:, 1]]
            self.ask(corners[:, edges][crossed].flatten())
            found = self.values[corners] > 0
            through = found[:, faces].any(2) & ~found[:, faces].all(2)
            beyond = self.places(cells)[:, None] + steps
            through &= ((beyond >= 0) & (beyond < self.resolution)).all(2)
            more = torch.unique(torch.cat([cells, self.keys(beyond)[through]]))
            if len(more) == len(cells) and torch.equal(found, outside):
                return cells[found.any(1) & ~found.all(1)]
            cells = more


def _bound(values: Tensor, rise: Tensor, distances: Tensor) -> Tensor:
    """What samples (C, S) tell of f at T nodes of their cells, (C, T): see `SignLattice.values`.

    f rises or falls by at most `rise` (C,) over the unit of `distances` (S, T).
    """
    best = values.new_zeros(len(values), distances.shape[1])
    for value, distance in zip(values.T[..., None], distances.to(values), strict=True):
        reach = value.abs() - rise[:, None] * distance
        best = torch.where(reach > best.abs(), reach * value.sign(), best)
    return best


def polish(field: Field, vertices: Tensor, faces: np.ndarray, cell: float) -> Mesh:
    """Put vertices (N, 3) onto f's zero by one Newton step of at most half a `cell`.

    Normals are f's gradient.
    """
    value, slope = field.slope(vertices, "mesh")
    squared = slope.square().sum(1, keepdim=True).clamp(min=1e-12)
    step = value[:, None] * slope / squared
    length = step.norm(dim=1, keepdim=True).clamp(min=1e-12)
    vertices = vertices - step * (0.5 * cell / length).clamp(max=1)
    return Mesh(vertices, faces, slope / squared.sqrt())
