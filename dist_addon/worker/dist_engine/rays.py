"""Rays of the object frame and where they meet the unit sphere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rays:
    """N rays of the object frame.

    Attributes
    ----------
    origins, directions : (N, 3) tensors
        Directions have unit length, so that positions along a ray are distances.
    near, far : (N,) tensors
        Entry into and exit from the unit sphere; ``near >= far`` where the ray misses it.
    cosine : (N,) tensor
        Of the angle to the camera's axis: depth along the axis is distance along the ray times this.
    pixel : (N,) tensor
        Width of a pixel at depth 1, that is 1 / focal length in pixels.
    """

    origins: Tensor
    directions: Tensor
    near: Tensor
    far: Tensor
    cosine: Tensor
    pixel: Tensor

    @staticmethod
    def through_unit_sphere(origins: Tensor, directions: Tensor, cosine: Tensor, pixel: Tensor) -> Rays:
        """Find entry and exit; a ray that starts inside begins at its origin."""
        with torch.no_grad():
            along = -(origins * directions).sum(1)
            closest = origins + along[:, None] * directions
            half = (1 - closest.square().sum(1)).clamp(min=0).sqrt()
            near, far = (along - half).clamp(min=0), along + half
        return Rays(origins, directions, near, far, cosine, pixel)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: Tensor | slice) -> Rays:
        return Rays(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def at(self, distance: Tensor) -> Tensor:
        """Points (N, 3) at `distance` (N,) along the rays."""
        return self.origins + distance[:, None] * self.directions

    def detach(self) -> Rays:
        """The same rays without a graph."""
        return Rays(*(getattr(self, name).detach() for name in self.__dataclass_fields__))

    def threshold(self) -> Tensor:
        """Largest |f| (N,) that counts as the surface, so that the error is no larger than the pixel's footprint.

        The poster's criterion, ``eps = d_min S cos^2(theta) / (2 f R)``: d_min is the depth at which the ray enters the
        sphere, and ``S / (f R)`` is `pixel`. Larger values dilate the silhouette, smaller ones erode it.
        """
        depth = self.near.clamp(min=1e-3) * self.cosine
        return 0.5 * depth * self.cosine.square() * self.pixel
