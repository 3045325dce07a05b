"""Which way the faces of a mesh look: joined, wound alike, closed, turned outwards.

Everything here is in the object frame: the mesh fits into the unit sphere.
"""

from __future__ import annotations

import igl
import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from .meshes import MeshError
from .triangles import areas, bisect, normals, volumes

WELD = 1e-6  # vertices nearer than this are one
GRID = 160  # cells along the unit sphere's diameter, for the flood fill


def weld(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join vertices (N, 3) that coincide, and leave out faces (M, 3) that lose a corner by that."""
    vertices, _, _, faces = igl.remove_duplicate_vertices(vertices, faces, WELD)
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    if not distinct.any():
        raise MeshError("All triangles of the mesh have no area.")
    return vertices, np.ascontiguousarray(faces[distinct])


def take_once(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces (M', 3) without repetitions, and which of them had a copy that looks the other way (M',)."""
    first = faces.argmin(1)[:, None]
    turned = np.take_along_axis(faces, (first + np.arange(3)) % 3, 1)
    even = turned[:, 1] < turned[:, 2]
    corners = np.sort(faces, axis=1)
    _, at, index = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    index = index.reshape(-1)
    looks = np.zeros((len(at), 2), bool)
    looks[index, even.astype(int)] = True
    order = np.argsort(at)
    return faces[at[order]], looks.all(1)[order]


def sound(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Those of faces (M, 3) that have an area."""
    return faces[areas(vertices[faces]) > 1e-14]


def same_way(faces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether faces (M, 3) and others (M, 3) with the same corners are wound alike (M,)."""
    first = (others == faces[:, :1]).argmax(1)[:, None]
    return np.take_along_axis(others, (first + 1) % 3, 1)[:, 0] == faces[:, 1]


def open_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges (E, 2) of faces (M, 3), and how many more faces run along each from its first end than to it (E,)."""
    halves = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    along = np.where(halves[:, 0] < halves[:, 1], 1, -1)
    count = int(halves.max()) + 1
    keys, index = np.unique(halves.min(1) * count + halves.max(1), return_inverse=True)
    excess = np.bincount(index.reshape(-1), along, len(keys)).astype(int)
    return np.stack([keys // count, keys % count], 1), excess


def connected_pieces(faces: np.ndarray) -> np.ndarray:
    """Which connected piece each of faces (M, 3) belongs to (M,), from 0."""
    count = int(faces.max()) + 1
    ends = faces[:, [0, 1, 1, 2]].reshape(-1, 2).T
    label = connected_components(coo_array((np.ones(ends.shape[1]), tuple(ends)), (count, count)), directed=False)[1]
    return np.unique(label[faces[:, 0]], return_inverse=True)[1]


def close(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lids over the open edges of faces (M, 3): a cone over each connected set of such edges.

    Returns
    -------
    vertices : (N', 3) array
        Those given and the cones' tips.
    lids : (L, 3) array
        With `faces`, they run along each edge as often one way as the other.
    """
    edges, excess = open_edges(faces)
    edges, excess = edges[excess != 0], excess[excess != 0]
    if not len(edges):
        return vertices, np.empty((0, 3), np.int64)
    edges = np.where(excess[:, None] > 0, edges[:, ::-1], edges)
    count = len(vertices)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, loop = np.unique(connected_components(graph, directed=False)[1][edges[:, 0]], return_inverse=True)
    ends = vertices[edges]
    weight = np.maximum(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), 1e-12)
    tips = np.stack([np.bincount(loop, weight * ends.mean(1)[:, axis]) for axis in range(3)], 1)
    tips = tips / np.bincount(loop, weight)[:, None]
    lids = np.column_stack([edges, count + loop]).repeat(np.abs(excess), 0)
    return np.concatenate([vertices, tips]), lids.astype(np.int64)


def winding_tree(vertices: np.ndarray, faces: np.ndarray) -> igl.FastWindingNumberBVH:
    """What tells winding numbers of points quickly, within 0.01."""
    tree = igl.FastWindingNumberBVH()
    tree.init(np.ascontiguousarray(vertices), np.ascontiguousarray(faces))
    return tree


def wind_alike(faces: np.ndarray) -> np.ndarray:
    """Faces (M, 3), neighbours wound alike; each patch the way most of its faces are."""
    if not len(faces):
        return faces
    wound, patch = igl.bfs_orient(faces)
    kept = np.bincount(patch, np.where(same_way(faces, wound), 1, -1))
    return np.where((kept < 0)[patch][:, None], wound[:, ::-1], wound)


def turn_pieces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Turn round those patches of faces (M, 3) whose front is inside, but not the walls of hollow spaces."""
    if not len(faces):
        return faces
    _, patch = igl.bfs_orient(faces)
    corners = vertices[faces]
    # Each patch closed by itself, its vertices being its own.
    own, index = np.unique(patch[:, None] * len(vertices) + faces, return_inverse=True)
    closed_vertices, lids = close(vertices[own % len(vertices)], index.reshape(-1, 3))
    both = np.concatenate([index.reshape(-1, 3), lids])
    owner = np.concatenate([patch, (own // len(vertices))[lids[:, 0]]])
    volume = np.bincount(owner, volumes(closed_vertices[both]))
    area = np.bincount(patch, areas(corners))
    told = np.abs(volume) > 1e-4 * area**1.5
    turn = np.full(len(volume), volume[told].sum() < 0)
    inward = told & (np.where(turn, -volume, volume) < 0)
    if inward.any():
        outward = told & ~inward
        there = np.flatnonzero(inward[patch])
        tree = winding_tree(closed_vertices, sound(closed_vertices, both[outward[owner]]))
        within = np.abs(tree.winding_number(corners[there].mean(1))) > 0.5
        share = np.bincount(patch[there], areas(corners[there]) * within, len(volume)) / np.maximum(area, 1e-300)
        # A patch that looks inwards, and lies in another all over, is the wall of a hollow space.
        turn ^= inward & (share < 0.99)
    return np.where(turn[patch][:, None], faces[:, ::-1], faces)


def flood_wound(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those of faces (M, 3) that bound something enclosed, wound with the outside before them, and which they are.

    Outside is what can be reached from far away through cells whose centres are no nearer than half a cell to a face:
    no way between two neighbours' centres leads through a face.
    """
    cell = 2 / GRID
    low, side = -1 - 3.5 * cell, GRID + 7
    triangles = bisect(vertices[sound(vertices, faces)], cell)
    cells = ((np.concatenate([triangles.reshape(-1, 3), triangles.mean(1)]) - low) / cell).astype(int)
    near = np.zeros((side,) * 3, bool)
    near[tuple(cells.T)] = True
    near = ndimage.binary_dilation(near, np.ones((3, 3, 3)))
    found = np.argwhere(near)
    squared = igl.point_mesh_squared_distance((found + 0.5) * cell + low, vertices, sound(vertices, faces))[0]
    blocked = np.zeros_like(near)
    blocked[tuple(found[squared <= (0.5001 * cell) ** 2].T)] = True
    label = ndimage.label(~blocked)[0]
    # 0: not known, 1: outside, 2: enclosed.
    state = np.where(blocked, 0, np.where(label == label[0, 0, 0], 1, 2)).astype(np.int8)

    faces = wind_alike(faces)
    _, patch = igl.bfs_orient(faces)
    corners = vertices[faces]
    centres, weight, owner = _spread_over(corners, patch, cell)
    normal = normals(corners)[owner]
    seen = []
    for way in (1, -1):
        here = np.zeros(len(centres), np.int8)
        for step in (1.2, 1.8, 2.4):
            at = ((centres + way * step * cell * normal - low) / cell).astype(int).clip(0, side - 1)
            here = np.where(here == 0, state[tuple(at.T)], here)
        seen.append(here)
    front, back = seen
    patches = int(patch.max()) + 1
    right, wrong, sheet = (
        np.bincount(patch[owner], weight * found, patches)
        for found in ((front == 1) & (back == 2), (front == 2) & (back == 1), (front == 1) & (back == 1))
    )
    turned = np.where((wrong > right)[patch][:, None], faces[:, ::-1], faces)
    used = np.flatnonzero((np.maximum(right, wrong) >= sheet)[patch])
    return turned[used], used


def _spread_over(corners: np.ndarray, patch: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points about a cell apart on triangles (M, 3, 3): where (P, 3), for how much area (P,), of which (P,)."""
    area = areas(corners)
    count = np.ceil(area / cell**2).astype(int).clip(1, 1000)
    owner = np.repeat(np.arange(len(corners)), count)
    weights = np.random.default_rng(0).dirichlet((1, 1, 1), len(owner))
    return np.einsum("nij,ni->nj", corners[owner], weights), (area / count)[owner], owner
