"""The pictures as the fit uses them: which rays to ask, and what each should see."""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from ..cameras import Cameras, Similarity
from ..protocol import Request
from ..tracing.rays import Rays

# Half of the rays go to the outline, where nearly all of a silhouette's information is.
SHARES = {"outline": 0.5, "inside": 0.25, "outside": 0.25}
OUTLINE_WIDTH = 0.012


@dataclass(frozen=True)
class Sample:
    """N rays and what the pictures say of them.

    Attributes
    ----------
    rays : Rays
    views : (N,) int tensor
        The camera of each.
    inside : (N,) bool tensor
        The mask shows the thing there.
    outside_by : (N,) tensor
        Distance in the picture to the nearest pixel of the mask, in pixels; 0 where `inside`.
    depth : (N,) tensor
        Distance along the ray in world units; NaN where unknown.
    """

    rays: Rays
    views: Tensor
    inside: Tensor
    outside_by: Tensor
    depth: Tensor


class Observations:
    """All pictures of a request on the worker's device."""

    def __init__(self, request: Request, device: torch.device, generator: torch.Generator) -> None:
        self.cameras = Cameras.from_views(request.views, device)
        self.masks = torch.as_tensor(request.masks, device=device) >= 128
        self.depths = None if request.depths is None else torch.as_tensor(request.depths, device=device)
        self.generator = generator
        self.outside_by = distance_to_masks(request.masks >= 128).to(device)
        self.pools = self._pools()

    def _pools(self) -> dict[str, Tensor]:
        """Flat pixel indices by kind, over all views."""
        masks = self.masks[:, None].float()
        radius = max(1, round(OUTLINE_WIDTH * max(self.masks.shape[1:])))
        grown = max_pool2d(masks, 2 * radius + 1, 1, radius)[:, 0] > 0
        shrunk = -max_pool2d(-masks, 2 * radius + 1, 1, radius)[:, 0] > 0
        kinds = {"outline": grown & ~shrunk, "inside": shrunk, "outside": ~grown}
        return {name: kind.flatten().nonzero()[:, 0] for name, kind in kinds.items()}

    def draw(self, count: int) -> Tensor:
        """About `count` pixel indices, spread over the kinds by `SHARES`."""
        picks = []
        for name, share in SHARES.items():
            pool = self.pools[name]
            if len(pool):
                chosen = torch.randint(len(pool), (int(share * count),), generator=self.generator)
                picks.append(pool[chosen.to(pool.device)])
        return torch.cat(picks)

    def lattice(self, count: int) -> Tensor:
        """At most about `count` pixel indices on a regular grid over all views."""
        views, height, width = self.masks.shape
        stride = max(1, int((self.masks.numel() / count) ** 0.5))
        grid = torch.arange(views * height * width, device=self.masks.device).reshape(views, height, width)
        return grid[:, stride // 2 :: stride, stride // 2 :: stride].flatten()

    def view_of(self, pixels: Tensor) -> Tensor:
        """The view (N,) of each flat pixel index."""
        return pixels // (self.masks.shape[1] * self.masks.shape[2])

    def sample(self, pixels: Tensor, cameras: Cameras, place: Similarity) -> Sample:
        """Rays through the centres of the pixels with these flat indices, and what the pictures show there."""
        width = self.masks.shape[2]
        inside_view = pixels % (self.masks.shape[1] * width)
        centres = torch.stack([inside_view % width, inside_view // width], 1) + 0.5
        views = self.view_of(pixels)
        rays = cameras.rays(views, centres, place)
        if self.depths is None:
            depth = torch.full_like(rays.near, float("nan"))
        else:
            # The pictures hold depth along the camera's axis; rays measure along themselves.
            depth = self.depths.flatten()[pixels] / rays.cosine
        return Sample(rays, views, self.masks.flatten()[pixels], self.outside_by.flatten()[pixels], depth)


def distance_to_masks(masks: np.ndarray) -> Tensor:
    """Distance (V, H, W) of every pixel to the nearest pixel of its view's mask (V, H, W), in pixels."""
    far = float(sum(masks.shape[1:]))
    inside, outside = (np.argwhere(kind) * [far, 1.0, 1.0] for kind in (masks, ~masks))
    # libigl's tree takes simplices of any kind: here, points, with the views far apart.
    each = np.arange(len(inside), dtype=np.int64)[:, None]
    distances = torch.zeros(masks.shape)
    distances[torch.as_tensor(~masks)] = torch.as_tensor(
        igl.point_mesh_squared_distance(outside, inside, each)[0] ** 0.5, dtype=torch.float32
    )
    return distances
