"""Balls and boxes on grids, and masks of them, by their closed forms; for the tests of free shapes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from dist_engine.protocol import Bounds, Request, Settings, View
from dist_engine.shapes.free.distance import redistanced
from dist_engine.shapes.free.grid import REACH, Grid
from torch import Tensor

CPU = torch.device("cpu")
Distance = Callable[[Tensor], Tensor]


def ball(radius: float, *centre: float) -> Distance:
    """The distance from a ball, in double precision."""
    middle = torch.tensor(centre or (0.0, 0.0, 0.0), dtype=torch.float64)
    return lambda points: (points.double() - middle).norm(dim=1) - radius


def box(half: tuple[float, float, float], *centre: float) -> Distance:
    """The distance from a box, in double precision."""
    middle = torch.tensor(centre or (0.0, 0.0, 0.0), dtype=torch.float64)

    def distance(points: Tensor) -> Tensor:
        beyond = (points.double() - middle).abs() - middle.new_tensor(half)
        return beyond.clamp(min=0).norm(dim=1) + beyond.amax(1).clamp(max=0)

    return distance


def either(*parts: Distance) -> Distance:
    """The union of some things."""
    return lambda points: torch.stack([part(points) for part in parts]).amin(0)


def grid_of(distance: Distance, cells: int) -> Grid:
    """A grid as free shapes have it."""
    return redistanced(Grid.of(distance, cells, CPU))


def anywhere(count: int, reach: float = REACH) -> Tensor:
    """The same points (count, 3) of a cube in every run, in double precision."""
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1) * reach


def around(count: int, focal: float, size: int, away: float = 3.0) -> list[View]:
    """Cameras all about the origin, looking at it, in evenly spread directions; Z up."""
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    views = []
    for index in range(count):
        height = 0.9 * (1 - (2 * index + 1) / count)
        turn = index * np.pi * (3 - 5**0.5)
        flat = (1 - height**2) ** 0.5
        back = np.array([np.cos(turn) * flat, np.sin(turn) * flat, height])
        right = np.array([-np.sin(turn), np.cos(turn), 0])
        rotation = np.stack([right, -np.cross(back, right), -back])
        views.append(View(f"camera {index}", K, np.column_stack([rotation, -rotation @ (away * back)])))
    return views


def sight(view: View, size: int, finer: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A camera's place (3,), and unit ways (n, n, 3) through samples of its picture, `finer` along each pixel."""
    middles = (np.arange(size * finer) + 0.5) / finer
    x, y = np.meshgrid(middles, middles)
    turn = view.world_to_camera[:, :3]
    ways = np.stack([x, y, np.ones_like(x)], 2) @ np.linalg.inv(view.K).T @ turn
    return -turn.T @ view.world_to_camera[:, 3], ways / np.linalg.norm(ways, axis=2, keepdims=True)


def ball_masks(views: list[View], size: int, radius: float, centre: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    """Coverage (V, size, size) uint8 of a ball: a ray meets it that passes its middle nearer than by its radius."""

    def of(origin: np.ndarray, ways: np.ndarray) -> np.ndarray:
        away = np.array(centre) - origin
        return away @ away - (ways @ away) ** 2 < radius**2

    return masks(views, size, of)


def box_masks(
    views: list[View], size: int, half: tuple[float, float, float], centre: tuple[float, ...] = (0, 0, 0)
) -> np.ndarray:
    """Coverage (V, size, size) uint8 of a box, by slabs."""

    def of(origin: np.ndarray, ways: np.ndarray) -> np.ndarray:
        one, two = ((np.array(centre) + sign * np.array(half) - origin) / ways for sign in (-1, 1))
        return np.minimum(one, two).max(2) < np.maximum(one, two).min(2)

    return masks(views, size, of)


def masks(views: list[View], size: int, of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Coverage (V, size, size) uint8 of what rays meet, by 8 by 8 samples a pixel."""
    found = []
    for view in views:
        inside = of(*sight(view, size, 8)).reshape(size, 8, size, 8).mean((1, 3))
        found.append(np.rint(255 * inside).astype(np.uint8))
    return np.stack(found)


def request(masks: np.ndarray, views: list[View], **settings: object) -> Request:
    """A job of no class, within bounds of which the unit sphere is the world's."""
    chosen = {"mesh_resolution": 64, "device": "cpu", "threads": 1} | settings
    bounds = Bounds(np.zeros(3), np.eye(3), np.full(3, 3**-0.5))
    return Request(views=views, masks=masks, bounds=bounds, settings=Settings(**chosen))
