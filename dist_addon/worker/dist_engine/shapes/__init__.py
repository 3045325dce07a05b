"""Shapes that a fit can change: `shape` says what one is, and each kind has a file of its own."""

from __future__ import annotations

from pathlib import Path

import torch

from ..protocol import Request
from .latent import LatentKind
from .shape import ShapeKind


def load_kind(request: Request, folder: Path, device: torch.device) -> ShapeKind:
    """What kind of shape a request asks for.

    Raises
    ------
    RequestError, PriorError
        What it takes is not in the job's folder, or cannot be used.
    """
    return LatentKind.load(request, folder, device)
