"""Conjugate gradients against a dense solver."""

from __future__ import annotations

import pytest
import torch
from dist_engine.fitting.conjugate_gradients import solve
from torch import Tensor

SIZE = 40


def system(seed: int = 0) -> tuple[Tensor, Tensor]:
    """A symmetric, positive definite matrix whose own scales differ a lot, and a target."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    scale = torch.logspace(-2, 2, SIZE, dtype=torch.float64)
    matrix = scale[:, None] * (root @ root.T / SIZE + torch.eye(SIZE, dtype=torch.float64)) * scale
    return matrix, torch.randn(SIZE, generator=generator, dtype=torch.float64)


class Counted:
    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.count = matrix, 0

    def __call__(self, vector: Tensor) -> Tensor:
        self.count += 1
        return self.matrix @ vector


def test_it_finds_what_a_dense_solver_finds() -> None:
    matrix, target = system()
    diagonal = matrix.diagonal()
    found = solve(lambda v: matrix @ v, target, lambda r: r / diagonal, 200, 1e-26)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, target), rtol=1e-8, atol=1e-12)


def test_an_exact_inverse_takes_one_step() -> None:
    matrix, target = system()
    inverse, product = torch.linalg.inv(matrix), Counted(matrix)
    found = solve(product, target, lambda r: inverse @ r, 50, 1e-12)
    assert product.count == 1
    torch.testing.assert_close(found, torch.linalg.solve(matrix, target), rtol=1e-6, atol=1e-9)


def test_a_preconditioner_saves_steps() -> None:
    matrix, target = system()
    diagonal = matrix.diagonal()
    with_it, without = Counted(matrix), Counted(matrix)
    solve(with_it, target, lambda r: r / diagonal, 1000, 1e-10)
    solve(without, target, lambda r: r, 1000, 1e-10)
    assert with_it.count < 0.5 * without.count


@pytest.mark.parametrize("tolerance", [1e-1, 1e-4, 1e-8])
def test_it_ends_where_the_residual_is_small_enough(tolerance: float) -> None:
    matrix, target = system()
    diagonal, product = matrix.diagonal(), Counted(matrix)
    found = solve(product, target, lambda r: r / diagonal, 1000, tolerance)

    def size(x: Tensor) -> float:
        residual = target - matrix @ x
        return float(residual @ (residual / diagonal))

    none = torch.zeros(SIZE, dtype=torch.float64)
    assert size(found) <= tolerance * size(none) * (1 + 1e-6)
    # And not long after: a step before, it was not yet.
    fewer = solve(product, target, lambda r: r / diagonal, product.count - 1, 0.0)
    assert size(fewer) > tolerance * size(none)


def test_each_step_brings_it_nearer_and_no_more_are_taken_than_asked_for() -> None:
    matrix, target = system()
    diagonal, truth, before = matrix.diagonal(), torch.linalg.solve(matrix, target), float("inf")
    for steps in range(1, 12):
        product = Counted(matrix)
        found = solve(product, target, lambda r: r / diagonal, steps, 0.0)
        assert product.count == steps
        off = found - truth
        error = float(off @ matrix @ off)
        assert error < before
        before = error


def test_nothing_asked_for_is_nothing_done() -> None:
    matrix, target = system()
    product = Counted(matrix)
    assert solve(product, 0 * target, lambda r: r, 10, 1e-5).equal(0 * target)
    assert product.count == 0
