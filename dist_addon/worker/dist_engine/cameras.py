"""Cameras and the object's place as tensors: which ray of the object frame each pixel is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .protocol import Placement, View
from .rays import Rays


@dataclass(frozen=True)
class Cameras:
    """V calibrated cameras in the world.

    Attributes
    ----------
    K : (V, 3, 3) tensor, pixels
    rotation : (V, 3, 3) tensor
        World to camera (x right, y down, z forward).
    translation : (V, 3) tensor, world units
    """

    K: Tensor
    rotation: Tensor
    translation: Tensor

    @staticmethod
    def from_views(views: Sequence[View], device: torch.device) -> Cameras:
        """Stack the cameras of `views` in single precision."""
        extrinsics = np.array([view.world_to_camera for view in views]).reshape(-1, 3, 4)
        parts = (np.array([view.K for view in views]).reshape(-1, 3, 3), extrinsics[:, :, :3], extrinsics[:, :, 3])
        return Cameras(*(torch.as_tensor(part, dtype=torch.float32, device=device) for part in parts))

    def to_views(self, names: Sequence[str]) -> list[View]:
        """The cameras as the protocol has them, with rotations that are exactly such."""
        left, _, right = np.linalg.svd(self.rotation.cpu().double().numpy())
        extrinsics = np.concatenate([left @ right, self.translation.cpu().double().numpy()[..., None]], 2)
        return [View(*parts) for parts in zip(names, self.K.cpu().double().numpy(), extrinsics, strict=True)]

    def enlarged(self, factor: int) -> Cameras:
        """The same cameras before pictures that are so many times as long."""
        return replace(self, K=self.K * self.K.new_tensor([factor, factor, 1])[:, None])

    def retract(self, pose: Tensor, log_focal: Tensor) -> Cameras:
        """Apply increments, with their graph.

        Parameters
        ----------
        pose : (V, 6) tensor
            Rotation vector (radians) and translation (world units) of each camera, in its own axes.
        log_focal : () tensor
            Change of the logarithm of all focal lengths.
        """
        turn = torch.linalg.matrix_exp(skew(pose[:, :3]))
        focal = torch.zeros(3, 3, dtype=torch.bool, device=self.K.device)
        focal[:2, :2] = True
        return Cameras(
            torch.where(focal, self.K * log_focal.exp(), self.K),
            turn @ self.rotation,
            (turn @ self.translation[..., None])[..., 0] + pose[:, 3:],
        )

    def turned_about(self, place: Similarity, steps: Tensor, log_focal: Tensor) -> Cameras:
        """Each camera as if the object had moved before it: about the object, not about itself.

        Parameters
        ----------
        place : Similarity
            Where the object stands.
        steps : (V, 6) tensor
            The object's motion before each camera: rotation vector (radians) and translation (in units of the place's
            scale), in the object's own axes.
        log_focal : () tensor
            Change of the logarithm of all focal lengths.
        """
        turn = place.rotation @ torch.linalg.matrix_exp(skew(steps[:, :3])) @ place.rotation.T
        centre = place.translation
        there = centre + place.scale * steps[:, 3:] @ place.rotation.T - turn @ centre
        K = self.K.clone()
        K[:, :2, :2] *= log_focal.exp()
        return Cameras(K, self.rotation @ turn, (self.rotation @ there[..., None])[..., 0] + self.translation)

    def to_camera(self, views: Tensor, points: Tensor) -> Tensor:
        """World points (N, 3) in the axes of the cameras (N,) that see them."""
        return torch.einsum("nij,nj->ni", self.rotation[views], points) + self.translation[views]

    def project(self, views: Tensor, points: Tensor) -> Tensor:
        """Pixels (N, 2) of points (N, 3) in the axes of the cameras (N,) that see them; of those behind, far away."""
        return (self.K[views] @ (points / points[:, 2:].clamp(min=1e-6))[..., None])[:, :2, 0]

    def rays(self, views: Tensor, pixels: Tensor, place: Similarity) -> Rays:
        """Rays of the object frame through pixel positions.

        Parameters
        ----------
        views : (N,) int tensor
            The camera of each ray.
        pixels : (N, 2) tensor
            x and y; pixel centres lie at half numbers.
        place : Similarity
            Object to world.

        Gradients flow to the place and to the cameras.
        """
        K, rotation, translation = self.K[views], self.rotation[views], self.translation[views]
        homogeneous = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)
        in_camera = torch.linalg.solve(K, homogeneous)
        cosine = 1 / in_camera.norm(dim=1)
        in_world = torch.einsum("nji,nj->ni", rotation, in_camera * cosine[:, None])
        centre = -torch.einsum("nji,nj->ni", rotation, translation)
        origins = place.to_object(centre)
        directions = in_world @ place.rotation
        return Rays.through_unit_sphere(origins, directions, cosine, 1 / K[:, 0, 0])


@dataclass(frozen=True)
class Similarity:
    """A Sim(3), object to world: ``world = scale * rotation @ object + translation``."""

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    @staticmethod
    def from_placement(placement: Placement, axes: np.ndarray, device: torch.device) -> Similarity:
        """Carry an object frame, with the thing's axes (3, 3) in it, to where a thing is placed."""
        parts = (np.array(placement.scale), placement.rotation @ axes.T, placement.translation)
        return Similarity(*(torch.as_tensor(part, dtype=torch.float32, device=device) for part in parts))

    def to_object(self, points: Tensor) -> Tensor:
        """Points (N, 3) of the world in the object frame."""
        return (points - self.translation) @ self.rotation / self.scale

    def retract(self, step: Tensor) -> Similarity:
        """Apply an increment (7,): log-scale, rotation vector (radians) and translation in units of the scale.

        Rotation and translation are taken in the object's own axes, so that a step means the same wherever the thing
        stands.
        """
        return Similarity(
            self.scale * torch.exp(step[0]),
            self.rotation @ torch.linalg.matrix_exp(skew(step[1:4])),
            self.translation + self.scale * (self.rotation @ step[4:7]),
        )

    def to_world(self, points: Tensor) -> Tensor:
        """Points (N, 3) of the object frame in the world."""
        return self.scale * points @ self.rotation.T + self.translation


def skew(vectors: Tensor) -> Tensor:
    """The matrices (..., 3, 3) of the cross product with vectors (..., 3)."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vectors.shape, 3)
