"""A free shape that comes near the edge of its grid's cube."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from dist_engine.meshing import extract_mesh
from dist_engine.shapes.free.distance import redistanced
from dist_engine.shapes.free.grid import Grid
from dist_engine.shapes.free.shape import FreeShape


@pytest.mark.parametrize(("radius", "cells"), [(0.8, 32), (0.95, 32), (0.95, 64), (1.0, 64), (1.02, 64)])
def test_a_ball_is_round_up_to_the_edge_of_the_cube(radius: float, cells: int) -> None:
    grid = redistanced(Grid.of(lambda points: points.norm(dim=1) - radius, cells, torch.device("cpu")))
    mesh = extract_mesh(FreeShape(grid).field(Counter()), cells)
    away = mesh.vertices.norm(dim=1)
    assert float((away - radius).abs().max()) < 0.05 * grid.width
    # On all sides alike, the far ones included.
    assert torch.allclose(mesh.vertices.amin(0), -mesh.vertices.amax(0), atol=0.05 * grid.width)
