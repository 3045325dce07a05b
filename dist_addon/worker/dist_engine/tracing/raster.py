"""A whole image's rays, so that neighbours can help each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..cameras import Cameras, Similarity
from ..rays import Rays
from ..shapes.shape import Field
from .march import Trace


@dataclass(frozen=True)
class Raster:
    """What one of the cameras sees of the object.

    Attributes
    ----------
    cameras : Cameras
    view : int
        Which of them.
    place : Similarity
        Object to world.
    width, height : int
        Pixels.
    """

    cameras: Cameras
    view: int
    place: Similarity
    width: int
    height: int

    def shape(self, scale: int = 1) -> tuple[int, int]:
        """Rows and columns when one ray stands for `scale` x `scale` pixels."""
        return -(-self.height // scale), -(-self.width // scale)

    def rays(self, scale: int = 1) -> Rays:
        """Rays through the centres of blocks of `scale` x `scale` pixels, row by row."""
        rows, columns = self.shape(scale)
        device = self.cameras.K.device
        y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
        pixels = (torch.stack([x.flatten(), y.flatten()], 1).to(self.cameras.K) + 0.5) * scale
        return self.cameras.rays(torch.full((len(pixels),), self.view, device=device), pixels, self.place)


def hit_normals(field: Field, picture: Raster, trace: Trace) -> Tensor:
    """Unit normals (N, 3) in the object frame from f's gradient at the hits; NaN elsewhere."""
    found = torch.full((len(trace.hit), 3), float("nan"), device=trace.hit.device)
    points = picture.rays()[trace.hit].at(trace.distance[trace.hit])
    found[trace.hit] = normalize(field.slope(points, "normal")[1], dim=1)
    return found
