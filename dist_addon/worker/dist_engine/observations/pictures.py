"""Pictures made comparable: what is left of their colours without exposure and contrast, from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

from ..cameras import Cameras, Similarity
from ..protocol import RequestError

# Pixels along the longer side of the finest level, at most; each of the others has half as many as the one before.
FINEST, LEVELS = 256, 3
# Standard deviation of the window whose mean and contrast are taken out, in a level's own pixels, and the contrast
# (of 1) below which nothing but noise is left to amplify.
WINDOW, FAINT = 2.0, 0.02
# Cameras that look at the thing from so far apart, in degrees, can be compared: the nearest few of each.
ANGLES = (2.0, 45.0)
NEIGHBOURS = 4


class PicturePyramid:
    """The pictures of V views, each level with its local mean taken out and its local contrast made one.

    An affine change of a picture's colours, as another exposure makes, is gone then.

    Parameters
    ----------
    pictures : (V, H, W, 3) uint8 array
    device : device
    """

    def __init__(self, pictures: np.ndarray, device: torch.device) -> None:
        self.size = pictures.shape[1:3]
        self.stride = -(-max(self.size) // FINEST)
        finest = [_shrunk(torch.as_tensor(p, device=device).permute(2, 0, 1) / 255, self.stride) for p in pictures]
        blurred = torch.stack(finest)
        self.levels: list[Tensor] = []
        for level in range(LEVELS):
            blurred = _shrunk(blurred, 2) if level else blurred
            mean = _blur(blurred)
            contrast = (_blur(blurred.square()) - mean.square()).clamp(min=0)
            self.levels.append((blurred - mean) / (contrast + FAINT**2).sqrt())

    def at(self, level: int, views: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Values (N, 3) at pixels (N, 2) of the views (N,), and their derivatives (N, 3, 2) to the pixels.

        Bilinear; beyond the picture, its edge.
        """
        picture, stride = self.levels[level], self.stride * 2**level
        place = pixels / stride - 0.5
        last = place.new_tensor([picture.shape[3] - 1, picture.shape[2] - 1])
        place = place.clamp(min=0).minimum(last)
        low = place.floor().minimum((last - 1).clamp(min=0))
        (x, y), (right, down) = low.long().T, (place - low).T[..., None]
        x1, y1 = (x + 1).clamp(max=picture.shape[3] - 1), (y + 1).clamp(max=picture.shape[2] - 1)
        a, b, c, d = (picture[views, :, j, i] for j, i in ((y, x), (y, x1), (y1, x), (y1, x1)))
        upper, lower = a + right * (b - a), c + right * (d - c)
        slopes = torch.stack([(1 - down) * (b - a) + down * (d - c), lower - upper], 2)
        return upper + down * (lower - upper), slopes / stride

    def inside(self, pixels: Tensor) -> Tensor:
        """Which pixels (N, 2) are in a picture (N,)."""
        height, width = self.size
        return ((pixels > 0) & (pixels < pixels.new_tensor([width, height]))).all(1)

    @cached_property
    def centres(self) -> Tensor:
        """Middles (h w, 2) of the finest level's pixels, in the picture's."""
        _, _, height, width = self.levels[0].shape
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        return ((torch.stack([x, y], 2).reshape(-1, 2) + 0.5) * self.stride).to(self.levels[0])


def neighbours(cameras: Cameras, centre: Tensor) -> Tensor:
    """The views (V, NEIGHBOURS) that look at `centre` (3,) from nearest to each view; -1 for a view that has none.

    Where a view has fewer, they are repeated.
    """
    positions = -torch.einsum("nji,nj->ni", cameras.rotation, cameras.translation)
    towards = torch.nn.functional.normalize(positions - centre, dim=1)
    angle = torch.rad2deg((towards @ towards.T).clamp(-1, 1).acos())
    angle = torch.where((angle >= ANGLES[0]) & (angle <= ANGLES[1]), angle, float("inf"))
    sizes, order = angle.sort(1)
    count = sizes[:, :NEIGHBOURS].isfinite().sum(1, keepdim=True)
    turn = torch.arange(NEIGHBOURS, device=order.device) % count.clamp(min=1)
    found = torch.where(count > 0, order.gather(1, turn), -1)
    if (found < 0).all():
        raise RequestError(
            f"No two cameras look at the thing from {ANGLES[0]:g} to {ANGLES[1]:g} degrees apart, so their colours "
            "cannot be compared: add cameras between them, or leave the colours out."
        )
    return found


def pixels_on_object(
    pictures: PicturePyramid, cameras: Cameras, places: Sequence[Similarity], masks: Tensor, masked: Tensor
) -> tuple[Tensor, Tensor]:
    """Views (N,) and middles (N, 2) of the finest level's pixels that may show a thing at one of the places.

    Those whose rays meet its unit sphere; where a view has a mask (V, H, W), those inside it.
    """
    views, pixels = [], []
    x, y = pictures.centres.long().T
    x, y = x.clamp(max=masks.shape[2] - 1), y.clamp(max=masks.shape[1] - 1)
    for view in range(len(cameras.K)):
        own = torch.full_like(x, view)
        rays = [cameras.rays(own, pictures.centres, place) for place in places]
        may = torch.stack([there.near < there.far for there in rays]).any(0)
        if masked[view]:
            may &= masks[view, y, x]
        views.append(own[may])
        pixels.append(pictures.centres[may])
    return torch.cat(views), torch.cat(pixels)


def _shrunk(pictures: Tensor, stride: int) -> Tensor:
    """Means over blocks."""
    return avg_pool2d(pictures, stride, ceil_mode=True, count_include_pad=False)


def _blur(pictures: Tensor) -> Tensor:
    """Pictures (V, 3, h, w) under a window of the width `WINDOW`."""
    radius = round(3 * WINDOW)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1).to(pictures) / WINDOW).square())
    kernel = (kernel / kernel.sum()).repeat(3, 1, 1, 1)
    padded = pad(pictures, (radius,) * 4, mode="replicate")
    return conv2d(conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)
