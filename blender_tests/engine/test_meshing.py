from collections import Counter
from pathlib import Path

import igl
import numpy as np
import pytest
import torch
from dist_engine import meshing
from dist_engine.meshing import SignLattice, extract_mesh, marching_cubes
from dist_engine.prior import Prior
from generators import GENERATORS
from torch import Tensor

from blender_tests.support.closed_forms import Box, ClosedForm, PlateAndBall, Sphere


class Rough(ClosedForm):
    """A ball with dents, so that f is up to twice as steep as a distance, clamped; the code (1,) is its radius."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        dents = 0.04 * (25 * points).sin().prod(-1)
        return (points.norm(dim=-1) - code[..., 0] + dents).clamp(-0.1, 0.1)


class Squares(ClosedForm):
    """A ball with a level set function that is no distance; the code (1,) is its radius."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        return points.square().sum(-1) - code[..., 0] ** 2


class TwoBalls(ClosedForm):
    """A ball of radius 0.6 and a smaller one beside it; the code (1,) is that one's radius."""

    def distance(self, points: Tensor, code: Tensor) -> Tensor:
        beside = torch.tensor([0.8, 0.0, 0.0]).to(points)
        return torch.minimum(points.norm(dim=-1) - 0.6, (points - beside).norm(dim=-1) - code[..., 0])


def dense(shape: ClosedForm, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Marching cubes over every cell of the cube."""
    axis = torch.arange(side + 1)
    lattice = torch.cartesian_prod(axis, axis, axis) * (2 / side) - 1
    x, y, z = torch.cartesian_prod(*[torch.arange(side)] * 3).T
    offsets = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    index = torch.stack([((x + i) * (side + 1) + y + j) * (side + 1) + z + k for i, j, k in offsets], 1)
    values = shape(lattice, "dense").double().numpy()
    return igl.marching_cubes(values, lattice.double().numpy(), index.numpy(), 0.0)[:2]


def triangles(vertices: np.ndarray, faces: np.ndarray, side: int) -> np.ndarray:
    """Sorted triangles (M, 3) by the lattice's edges that their corners lie on, the least one first."""
    places = (vertices + 1) * (side / 2)
    edges = np.column_stack([np.floor(places), (places % 1).argmax(1)]).astype(int)
    names = (edges @ [(side + 1) ** 2 * 3, (side + 1) * 3, 3, 1])[faces]
    names = np.stack([np.roll(name, -name.argmin()) for name in names])
    return names[np.lexsort(names.T)]


def ball_mesh_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    corners = vertices[faces]
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def test_a_sphere_comes_out_round_closed_and_wound_outwards() -> None:
    mesh = extract_mesh(Sphere(torch.tensor([0.6])), 64)
    assert torch.allclose(mesh.normals, mesh.vertices / mesh.vertices.norm(dim=1, keepdim=True), atol=1e-4)
    edges = Counter((int(a), int(b)) for face in mesh.faces for a, b in zip(face, np.roll(face, 1), strict=True))
    assert all(count == edges[b, a] == 1 for (a, b), count in edges.items())
    assert ball_mesh_volume(mesh.vertices.numpy(), mesh.faces) == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.01)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Sphere(torch.tensor([0.6])), id="ball"),
        pytest.param(Sphere(torch.tensor([0.02])), id="ball smaller than a cell"),
        pytest.param(Sphere(torch.tensor([1.2])), id="ball cut by the cube"),
        pytest.param(Box(torch.tensor([0.5, 0.02, 0.3])), id="plate through the lattice's nodes"),
        pytest.param(Box(torch.tensor([0.513, 0.217, 0.309])), id="box"),
        pytest.param(PlateAndBall(torch.tensor([0.017])), id="thin plate and ball"),
        pytest.param(Rough(torch.tensor([0.6])), id="steep and clamped"),
        pytest.param(Squares(torch.tensor([0.6])), id="no distance"),
    ],
)
def test_the_triangles_are_the_dense_lattices(shape: ClosedForm) -> None:
    wanted = triangles(*dense(shape, 64), 64)
    assert len(wanted)
    assert np.array_equal(triangles(*marching_cubes(SignLattice(shape, 64)), 64), wanted)


def test_few_nodes_are_asked_and_each_once() -> None:
    asked = []

    class Watched(Sphere):
        def distance(self, points: Tensor, code: Tensor) -> Tensor:
            asked.append(points)
            return super().distance(points, code)

    shape = Watched(torch.tensor([0.8]))
    marching_cubes(SignLattice(shape, 128))
    assert shape.counter["mesh"] <= 0.06 * 128**3
    nodes = torch.cat(asked)
    assert len(nodes) == shape.counter["mesh"]
    keys = ((nodes + 1) * 64).long() @ torch.tensor([129**2, 129, 1])
    assert len(keys.unique()) == len(keys)


def test_a_surface_that_was_met_is_followed_where_the_bounds_trusted_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshing, "SAFETY", 0.6)
    shape = Box(torch.tensor([0.513, 0.217, 0.309]))
    followed, unfollowed = SignLattice(shape, 64), SignLattice(shape, 64)
    monkeypatch.setattr(unfollowed, "_follow", lambda cells: cells)
    wanted = triangles(*dense(shape, 64), 64)
    assert not np.array_equal(triangles(*marching_cubes(unfollowed), 64), wanted)
    assert np.array_equal(triangles(*marching_cubes(followed), 64), wanted)


@pytest.mark.slow
@pytest.mark.parametrize(("radius", "pieces"), [(0.01, 1), (0.03, 2)])
def test_crumbs_of_less_than_a_thousandth_of_the_area_are_left_out(radius: float, pieces: int) -> None:
    shape = TwoBalls(torch.tensor([radius]))
    assert igl.facet_components(marching_cubes(SignLattice(shape, 256))[1].astype(np.int64))[0] == 2
    mesh = extract_mesh(shape, 256)
    assert igl.facet_components(mesh.faces.astype(np.int64))[0] == pieces
    assert len(np.unique(mesh.faces)) == len(mesh.vertices)
    assert (float(mesh.vertices[:, 0].max()) > 0.7) == (pieces == 2)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [Sphere(torch.tensor([0.6])), Squares(torch.tensor([0.6]))])
def test_the_newton_step_puts_vertices_onto_the_zero(shape: ClosedForm) -> None:
    before = np.abs(np.linalg.norm(marching_cubes(SignLattice(shape, 64))[0], axis=1) - 0.6).max()
    after = (extract_mesh(shape, 64).vertices.norm(dim=1) - 0.6).abs().max()
    assert before > 1e-4
    assert after < 1e-6


@pytest.mark.parametrize("resolution", [-32, 0, 16, 48, 100])
def test_a_resolution_that_is_no_power_is_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"{resolution}.*32 times"):
        extract_mesh(Sphere(torch.tensor([0.6])), resolution)


@pytest.mark.parametrize("radius", [-1.0, 2.0])
def test_a_shape_without_a_surface_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="no surface"):
        extract_mesh(Sphere(torch.tensor([radius])), 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_built_in_shapes_have_a_slope_at_their_surface(name: str) -> None:
    prior = Prior.load(Path(__file__).resolve().parents[2] / "dist_addon" / "priors" / f"{name}.safetensors")
    for code in prior.codes[:3]:
        field = prior.decoder.field(code)
        slopes = field.jacobian(extract_mesh(field, 64).vertices.float(), "test").d_point.norm(dim=1)
        assert (slopes > 0.01).float().mean() > 0.98
