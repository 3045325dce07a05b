"""What one frame leaves to the next: the lattice's samples, and where each ray met the surface."""

from __future__ import annotations

import torch
from torch import Tensor

from ..decoder import DecoderField
from ..rays import Rays
from .lattice import Lattice
from .march import Probe, Trace
from .models import Models
from .raster import Raster
from .samples import NodeSamples

# The error (of depth) that a pixel's model may gather before the pixel is asked anew.
ERROR = 2.5e-5
# Longest way (in the sphere's units) that one Newton step may go.
STEP = 3e-3
# A ray that falls more slowly than this through the surface is not followed.
GRAZING = 0.1


class Memory:
    """Keeps what was learnt of a decoder's codes and views; give the same one to each `trace_picture` of a sequence.

    The code and the cameras may change in any way between two frames: what can be used of the last is found out.
    """

    def __init__(self) -> None:
        self.samples = NodeSamples()
        self.views: dict[int, Frame] = {}

    def lattice(self, field: DecoderField) -> Lattice:
        """The lattice of this field; its samples are asked for only where none are known."""
        self.samples.follow(field)
        return Lattice(self.samples, field.code.device)

    def view(self, picture: Raster, rays: Rays, field: DecoderField) -> Frame:
        """What is known of these rays' hits; nothing if the camera has moved."""
        view = self.views.get(picture.view)
        if view is None or not view.sees(rays):
            view = self.views[picture.view] = Frame(rays)
        view.follow(field)
        return view


class Frame:
    """Where rays hit: for each that was asked, a model of its depth, first order in the code.

    At a hit ``f(c + t v, z) = 0``, so ``dt/dz = -(df/dz) / (grad f . v)``: one query gives a Newton step and the model.

    Parameters
    ----------
    rays : Rays

    Attributes
    ----------
    distance : (N,) tensor
        Where each ray should hit by the last frame's word; NaN if it did not.
    """

    def __init__(self, rays: Rays) -> None:
        self.rays = rays
        self.models = Models(ERROR)
        self.row = torch.full((len(rays),), -1, dtype=torch.long, device=rays.near.device)
        self.pixel = self.row[:0]
        self.distance = torch.full_like(rays.near, float("nan"))
        # From the interpolant's root to the hit, when the ray was asked.
        self.gap = self.distance.clone()

    def sees(self, rays: Rays) -> bool:
        """Whether these are the same rays."""
        return torch.equal(self.rays.origins, rays.origins) and torch.equal(self.rays.directions, rays.directions)

    def follow(self, field: DecoderField) -> None:
        """Move `distance` along to `field`."""
        self.field = field
        self.models.follow(field.code)
        self.distance[self.pixel] = self.models.values(torch.arange(len(self.pixel), device=self.row.device))

    def check(self, rays: Tensor, root: Tensor, tolerance: Tensor, probe: Probe) -> None:
        """Correct `distance` of those of the `rays` (N,) that have a model, asking as many as the code's step needs.

        Also asked are those whose model and the interpolant's `root` (N,) have since parted by more than `tolerance`:
        another face has moved into such a ray. `distance` is NaN where a ray grazes the surface or hits elsewhere.
        """
        parted = ~((self.distance - root - self.gap).abs() < tolerance)
        row = self.row[rays & ~parted]
        self.models.refresh(row[row >= 0], lambda row: self._ask(row, probe))
        row = self.row[rays & parted]
        self.models.forget(row[row >= 0])
        self._ask(row[row >= 0], probe)
        self._mark(root)

    def ask(self, rays: Tensor, root: Tensor, probe: Probe) -> None:
        """Ask on those `rays` (N,) that have no model yet, where they last hit."""
        new = (rays & (self.row < 0)).nonzero()[:, 0]
        self.row[new] = self.models.add(len(new))
        self.pixel = torch.cat([self.pixel, new])
        self._ask(self.row[new], probe)
        self._mark(root)

    def _mark(self, root: Tensor) -> None:
        now = self.pixel[self.models.asked == self.models.turn]
        self.gap[now] = (self.distance - root)[now]

    def keep(self, trace: Trace, followed: Tensor) -> None:
        """Remember a finished trace and the models of the pixels (N,) that were `followed`."""
        self.distance = torch.where(trace.hit, trace.distance, float("nan"))
        keep = followed[self.pixel]
        self.models.keep(keep)
        self.pixel = self.pixel[keep]
        self.row.fill_(-1)
        self.row[self.pixel] = torch.arange(len(self.pixel), device=self.row.device)

    def _ask(self, row: Tensor, probe: Probe) -> None:
        pixels = self.pixel[row]
        t = self.distance[pixels]
        probe.queries[pixels] += 1
        found = self.field.jacobian(self.rays[pixels].at(t), "refine")
        slope = (found.d_point * self.rays.directions[pixels]).sum(1).clamp(max=-1e-3)
        depth = t - found.value / slope
        self.models.learn(row, depth, -found.d_code / slope[:, None])
        good = (slope < -GRAZING) & ((depth - t).abs() < STEP)
        self.distance[pixels] = torch.where(good, depth, float("nan"))
