"""Shapes that a fit can change: `shape` says what one is, and each kind has a file of its own."""

from __future__ import annotations

from pathlib import Path

import torch

from ..protocol import PRIOR_FILE, Request
from .free.kind import FreeKind
from .latent import LatentKind
from .shape import ShapeKind


def load_kind(request: Request, folder: Path, device: torch.device) -> ShapeKind | FreeKind:
    """A prior's, where the request names one or one is in the job's folder, or the kind of no class.

    Raises
    ------
    RequestError, PriorError
        What it takes is not in the job's folder, or cannot be used.
    """
    # A prior that is named and not there must be missed, not made up for by a shape of no class.
    if not request.prior and not (folder / PRIOR_FILE).exists():
        request.settings.check_without_prior(starts=request.start_vertices is not None)
        return FreeKind()
    return LatentKind.load(request, folder, device)
