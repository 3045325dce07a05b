from collections import Counter

import igl
import numpy as np
import pytest
import torch
from dist_engine.meshing import extract_mesh, surface_cells

from blender_tests.engine.closed_forms import Box, Sphere


def test_a_sphere_comes_out_round_and_closed() -> None:
    mesh = extract_mesh(Sphere(torch.tensor([0.6])), 64)
    assert (mesh.vertices.norm(dim=1) - 0.6).abs().max() < 1e-4
    assert torch.allclose(mesh.normals, mesh.vertices / mesh.vertices.norm(dim=1, keepdim=True), atol=1e-4)
    edges = Counter(tuple(sorted(edge)) for face in mesh.faces for edge in zip(face, np.roll(face, 1), strict=True))
    assert set(edges.values()) == {2}
    corners = mesh.vertices.numpy()[mesh.faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.01)


@pytest.mark.parametrize("shape", [Sphere(torch.tensor([0.6])), Box(torch.tensor([0.5, 0.02, 0.3]))])
def test_sparse_cells_give_the_dense_lattices_triangles(shape: Sphere) -> None:
    side = 64
    axis = torch.arange(side + 1)
    lattice = torch.cartesian_prod(axis, axis, axis) * (2 / side) - 1
    x, y, z = torch.cartesian_prod(*[torch.arange(side)] * 3).T
    offsets = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    index = torch.stack([((x + i) * (side + 1) + y + j) * (side + 1) + z + k for i, j, k in offsets], 1)
    values = shape(lattice, "mesh").double().numpy()
    dense = igl.marching_cubes(values, lattice.double().numpy(), index.numpy(), 0.0)[1]
    before = shape.counter["mesh"]
    sparse = extract_mesh(shape, side)
    assert len(sparse.faces) == len(dense)
    # The coarsest lattice alone is an eighth of the dense one here; finer lattices save more.
    assert shape.counter["mesh"] - before < 0.5 * (side + 1) ** 3


def test_a_resolution_that_is_no_power_is_refused() -> None:
    with pytest.raises(ValueError, match="100"):
        surface_cells(Sphere(torch.tensor([0.6])), 100)


def test_a_shape_without_a_surface_is_refused() -> None:
    with pytest.raises(ValueError, match="no surface"):
        extract_mesh(Sphere(torch.tensor([-1.0])), 32)
