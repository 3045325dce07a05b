"""The space of a prior's codes, as its training shapes fill it: their mean, main axes (PCA) and spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# An axis along which the codes spread less than this share of the widest one says nothing.
FLAT = 1e-5
# How far a draw is from the mean by default: as far as the training codes.
SPREAD = 1.0
# A draw is between a training code and one of so many nearest ones: between very different shapes, parts fall apart.
NEAREST = 8


@dataclass(frozen=True)
class CodeSpace:
    """The training codes and their Gaussian.

    Attributes
    ----------
    mean : (latent,) array
    axes : (K, latent) array
        Orthonormal rows, the widest first; each points to where its largest entry is positive.
    deviations : (K,) array
        Standard deviations along the axes. K is smaller than latent where the codes fill fewer dimensions.
    codes : (N, latent) array
    """

    mean: np.ndarray
    axes: np.ndarray
    deviations: np.ndarray
    codes: np.ndarray

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
        return CodeSpace(mean, axes, deviations, codes)

    def values(self, code: np.ndarray, count: int) -> np.ndarray:
        """Where a code is along the first `count` axes, in standard deviations; fewer where there are fewer."""
        return (code - self.mean) @ self.axes[:count].T / self.deviations[:count]

    def moved(self, code: np.ndarray, axis: int, value: float) -> np.ndarray:
        """The code with another value along one axis, and all else as it was."""
        step = value - self.values(code, axis + 1)[axis]
        return code + step * self.deviations[axis] * self.axes[axis]

    def sample(self, seed: int, spread: float = SPREAD) -> np.ndarray:
        """Draw a code (latent,): a blend of a training code with a near one, `spread` times as far from the mean."""
        random = np.random.default_rng(seed)
        one = self.codes[random.integers(len(self.codes))]
        distances = np.linalg.norm((self.codes - one) @ self.axes.T / self.deviations, axis=1)
        near = np.argsort(distances, kind="stable")[1 : NEAREST + 1]
        other = self.codes[random.choice(near)] if len(near) else one
        return self.mean + spread * (one + random.uniform(0, 0.3) * (other - one) - self.mean)
