"""The space of a prior's codes, as its training shapes fill it: their mean, main axes (PCA) and spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# An axis along which the codes spread less than this share of the widest one says nothing.
FLAT = 1e-5
# How far a draw is from the mean by default: with all of the training codes' spread, thin parts break more often.
SPREAD = 0.75


@dataclass(frozen=True)
class CodeSpace:
    """The Gaussian of the training codes.

    Attributes
    ----------
    mean : (latent,) array
    axes : (K, latent) array
        Orthonormal rows, the widest first; each points to where its largest entry is positive.
    deviations : (K,) array
        Standard deviations along the axes. K is smaller than latent where the codes fill fewer dimensions.
    reach : float
        The median of the training codes' distances to their mean, in standard deviations (Mahalanobis).
    """

    mean: np.ndarray
    axes: np.ndarray
    deviations: np.ndarray
    reach: float

    @staticmethod
    def of(codes: np.ndarray) -> CodeSpace:
        """Measure codes (N, latent)."""
        mean = codes.mean(axis=0)
        centred = codes - mean
        variances, columns = np.linalg.eigh(centred.T @ centred / max(len(codes) - 1, 1))
        deviations, axes = np.sqrt(variances.clip(min=0))[::-1], columns.T[::-1]
        # Rounding leaves noise where N codes span fewer than N dimensions.
        kept = np.flatnonzero(deviations > FLAT * max(deviations[0], 1e-12))[: len(codes) - 1]
        deviations, axes = deviations[kept], axes[kept]
        # An axis' direction is arbitrary: the same on every machine.
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
        axes = axes * np.sign(largest)
        lengths = np.linalg.norm(centred @ axes.T / deviations, axis=1)
        return CodeSpace(mean, axes, deviations, float(np.median(lengths)))

    def values(self, code: np.ndarray, count: int) -> np.ndarray:
        """Where a code is along the first `count` axes, in standard deviations; fewer where there are fewer."""
        return (code - self.mean) @ self.axes[:count].T / self.deviations[:count]

    def moved(self, code: np.ndarray, axis: int, value: float) -> np.ndarray:
        """The code with another value along one axis, and all else as it was."""
        step = value - self.values(code, axis + 1)[axis]
        return code + step * self.deviations[axis] * self.axes[axis]

    def sample(self, seed: int, spread: float = SPREAD) -> np.ndarray:
        """Draw a code (latent,) from the Gaussian, with `spread` times its deviations.

        A draw is as far from the mean as half of the training codes are, at most: farther out, shapes fall apart.
        """
        draw = np.random.default_rng(seed).standard_normal(len(self.deviations))
        draw *= spread * min(1.0, self.reach / max(float(np.linalg.norm(draw)), 1e-12))
        return self.mean + draw * self.deviations @ self.axes
