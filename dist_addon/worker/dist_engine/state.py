"""Where a fit stands, which of that is unknown, and how residuals depend on all of it but the shape.

A step (n,) holds the shape's unknowns, then the place's 7, each camera's 6, and the focal lengths' one, as far as they
are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from .cameras import Cameras, Similarity
from .shapes.shape import Linear, Shape

# A unit of the place's and the cameras' unknowns: 5 % in size or focal length, 0.05 radians, 5 % of the radius.
UNIT = 0.05


@dataclass(frozen=True)
class State:
    """Where a fit stands.

    Attributes
    ----------
    shape : Shape
    place : Similarity
        Of the object.
    cameras : Cameras
    pose_offset : (6 V + 1,) tensor
        How far poses and focal length are from where they were given, in units of `UNIT`: the sum of all steps.
    """

    shape: Shape
    place: Similarity
    cameras: Cameras
    pose_offset: Tensor

    @staticmethod
    def start(shape: Shape, place: Similarity, cameras: Cameras) -> State:
        """The state of a shape at a place, before the cameras as they are given."""
        return State(shape, place, cameras, cameras.K.new_zeros(6 * len(cameras.K) + 1))


@dataclass(frozen=True)
class Unknowns:
    """What a fit may change.

    Attributes
    ----------
    shape, place : bool
        The shape, and the object's Sim(3).
    cameras, focal : bool
        Each camera's pose, and one factor for all focal lengths.
    """

    shape: bool = True
    place: bool = True
    cameras: bool = False
    focal: bool = False

    @property
    def object_known(self) -> bool:
        """Whether the thing and its place are known: nothing can make up for a camera then, which may come from far."""
        return not (self.shape or self.place)

    def parts(self, state: State) -> dict[str, slice]:
        """The share of ``shape``, ``place``, ``cameras`` and ``focal`` in a step (n,)."""
        sizes = {
            "shape": state.shape.size * self.shape,
            "place": 7 * self.place,
            "cameras": 6 * len(state.cameras.K) * self.cameras,
            "focal": int(self.focal),
        }
        ends = accumulate(sizes.values())
        return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}

    def count(self, state: State) -> int:
        """How many there are: n."""
        return int(self.parts(state)["focal"].stop)

    def retract(self, state: State, step: Tensor) -> State:
        """The state after a step (n,)."""
        own, place, poses, focal = (step[part] for part in self.parts(state).values())
        shape, there, cameras, offset = state.shape, state.place, state.cameras, state.pose_offset
        if self.cameras or self.focal:
            poses = poses if self.cameras else offset.new_zeros(len(offset) - 1)
            focal = focal if self.focal else offset.new_zeros(1)
            offset = offset + torch.cat([poses, focal])
            cameras = cameras.turned_about(there, UNIT * poses.reshape(-1, 6), UNIT * focal[0])
        if self.shape:
            shape = shape.retract(own)
        if self.place:
            there = there.retract(UNIT * place)
        return State(shape, there, cameras, offset)

    def columns(
        self,
        state: State,
        at: Linear,
        points: Tensor,
        views: Tensor | None = None,
        fixed: Tensor | None = None,
        through: Tensor | None = None,
    ) -> Tensor:
        """Derivatives (M, p) of f at points (M, 3) to all that is unknown but the shape.

        Parameters
        ----------
        state : State
        at : Linear
            f at the points.
        points : (M, 3) tensor
            In the object frame.
        views : (M,) int tensor or None
            The camera that each point is before, and moves with. None: they stay where they are in the world.
        fixed : (M, 3) tensor, optional
            The points keep their offset, in the object's units, to these, which are fixed in the world or before the
            camera; the points themselves by default.
        through : (M, 3) tensor, optional
            A longer focal length moves the points as it does these, which the pixels' rays pass at fixed depths; the
            points themselves by default.
        """
        fixed, through = points if fixed is None else fixed, points if through is None else through
        columns = [points.new_zeros(len(points), 0)]
        if self.place:
            columns += [-(at.d_point * fixed).sum(1, keepdim=True) * UNIT, rigid_columns(at.d_point, points)]
        if views is None:
            cameras = 6 * len(state.cameras.K) * self.cameras + int(self.focal)
            return torch.cat([*columns, points.new_zeros(len(points), cameras)], 1)
        if self.cameras:
            own = points.new_zeros(len(points), len(state.cameras.K), 6)
            own[torch.arange(len(points), device=points.device), views] = rigid_columns(at.d_point, points)
            columns.append(own.flatten(1))
        if self.focal:
            # At a fixed depth, a longer focal length draws a pixel's point towards the camera's axis.
            place = state.place
            aside = state.cameras.to_camera(views, place.to_world(through)) * points.new_tensor([1, 1, 0])
            slope = torch.einsum("nij,nj->ni", state.cameras.rotation[views], at.d_point @ place.rotation.T)
            columns.append(-(slope * aside).sum(1, keepdim=True) * UNIT / place.scale)
        return torch.cat(columns, 1)

    def column_parts(self, state: State) -> dict[str, slice]:
        """The share of each part in the `columns`, which lack the shape's."""
        parts = self.parts(state)
        skipped = parts.pop("shape").stop
        return {name: slice(part.start - skipped, part.stop - skipped) for name, part in parts.items()}


def rigid_columns(d_point: Tensor, points: Tensor) -> Tensor:
    """Derivatives (M, 6) to the object's rotation and translation, in units of `UNIT`, from those to points (M, 3).

    Moving the object by (rotation, translation) moves a fixed point p of the world, as the object sees it, by (p x w,
    -t); by the logarithm of its scale, by -p.
    """
    return torch.cat([torch.linalg.cross(d_point, points), -d_point], 1) * UNIT
