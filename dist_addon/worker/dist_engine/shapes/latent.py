"""A prior's code as a shape: its unknowns are the code in units of the training codes' spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from .. import decoder
from ..prior import Prior
from ..protocol import PRIOR_FILE, Request
from .shape import Dense, Linear, Springs

# How much the spread of the training codes holds the code: as so many rays that are one unit wrong, of each ray.
PRIOR_WEIGHT = 0.005
# What reports call this kind of shape.
KIND = "latent"


@dataclass(frozen=True)
class LatentShape:
    """One code of a prior.

    Attributes
    ----------
    kind : LatentKind
    whitened : (latent,) tensor
        The code in units of the training codes' spread, from their mean.
    """

    kind: LatentKind
    whitened: Tensor

    @property
    def code(self) -> Tensor:
        """The code (latent,)."""
        return self.kind.prior.mean + self.kind.spread @ self.whitened

    @property
    def size(self) -> int:
        """As `Shape.size`."""
        return len(self.whitened)

    def field(self, counter: Counter[str]) -> LatentField:
        """As `Shape.field`."""
        return LatentField(self, counter)

    def retract(self, step: Tensor) -> LatentShape:
        """As `Shape.retract`."""
        return LatentShape(self.kind, self.whitened + step)

    def own_term(self) -> Springs:
        """The codes' covariance: half the squared Mahalanobis distance from their mean, with `PRIOR_WEIGHT`."""
        return Springs(torch.full_like(self.whitened, PRIOR_WEIGHT / self.size), self.whitened)

    def tensors(self) -> dict[str, Tensor]:
        """As `Shape.tensors`."""
        return {"whitened": self.whitened}

    def describe(self) -> dict[str, Any]:
        """The prior, the code, and how far it is from the mean: 1 is as far as training codes are."""
        rms = float(self.whitened.square().mean().sqrt())
        return {"shape": KIND, "prior": self.kind.name, "code": self.code.tolist(), "whitened_rms": rms}


class LatentField(decoder.DecoderField):
    """The decoder's f of a code, with its derivative to the whitened code."""

    def __init__(self, shape: LatentShape, counter: Counter[str]) -> None:
        super().__init__(shape.kind.prior.decoder, shape.code, counter)
        self.spread = shape.kind.spread

    def linearise(self, points: Tensor, purpose: str) -> Linear:
        """As `Field.linearise`."""
        at = self.jacobian(points, purpose)
        return Linear(at.value, at.d_point, Dense(at.d_code @ self.spread))


@dataclass(frozen=True)
class LatentKind:
    """The shapes of a prior.

    Attributes
    ----------
    prior : Prior
    name : str
        What the user calls it.
    given : (latent,) tensor or None
        The code that a request starts from.
    """

    prior: Prior
    name: str = ""
    given: Tensor | None = None

    @staticmethod
    def load(request: Request, folder: Path, device: torch.device) -> LatentKind:
        """The prior in a job's folder; raises `PriorError`, or `RequestError` where the code is none of it."""
        prior = Prior.load(folder / PRIOR_FILE).to(device)
        return LatentKind(prior, request.prior, None if request.code is None else prior.as_code(request.code))

    @cached_property
    def spread(self) -> Tensor:
        """The matrix (latent, latent) from whitened codes to codes, about their mean."""
        spread: Tensor = torch.linalg.inv(self.prior.precision_root())
        return spread

    @property
    def radius(self) -> float:
        """As `ShapeKind.radius`."""
        return self.prior.radius

    @property
    def start(self) -> LatentShape | None:
        """As `ShapeKind.start`."""
        return None if self.given is None else self.of(self.given)

    @property
    def usual(self) -> LatentShape:
        """The training shape nearest to the mean, since the mean itself may be in pieces."""
        codes = self.prior.codes
        return self.of(codes[(codes - self.prior.mean).square().sum(1).argmin()])

    def of(self, code: Tensor) -> LatentShape:
        """The shape of a code (latent,)."""
        return LatentShape(self, torch.linalg.solve(self.spread, code - self.prior.mean))

    def axes(self) -> np.ndarray:
        """As `ShapeKind.axes`."""
        return self.prior.axes()

    def candidates(self) -> Members:
        """The mean and the training codes."""
        return Members(self)

    def restore(self, tensors: Mapping[str, Tensor]) -> LatentShape:
        """As `ShapeKind.restore`."""
        return LatentShape(self, tensors["whitened"].reshape(self.prior.mean.shape))


class Members(Sequence[LatentShape]):
    """The mean of a prior's codes, then its training codes, each made a shape when it is asked for."""

    def __init__(self, kind: LatentKind) -> None:
        self._kind = kind

    def __len__(self) -> int:
        return 1 + len(self._kind.prior.codes)

    @overload
    def __getitem__(self, index: int) -> LatentShape: ...

    @overload
    def __getitem__(self, index: slice) -> list[LatentShape]: ...

    def __getitem__(self, index: int | slice) -> LatentShape | list[LatentShape]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        prior, number = self._kind.prior, range(len(self))[index]
        return self._kind.of(prior.codes[number - 1] if number else prior.mean)
