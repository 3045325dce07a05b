"""Cameras on a circle, what they see of a shape, and the request that it makes; for the engine's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.decoder import DecoderField
from dist_engine.prior import Prior
from dist_engine.protocol import Bounds, Request, Settings, View
from dist_engine.tracing.march import march

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / "dist_addon" / "worker"
PRIOR = ROOT / "dist_addon" / "priors" / "table.safetensors"
# Of the pictures, in pixels.
SIZE = 48


def orbit(count: int) -> list[View]:
    """Cameras on a circle, looking at the origin from 3 units away, Z up."""
    K = np.array([[55.0, 0, SIZE / 2], [0, 55.0, SIZE / 2], [0, 0, 1]])
    views = []
    for index in range(count):
        azimuth, elevation = 2 * np.pi * index / count, 0.2 + 0.25 * (index % 3)
        back = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
        rotation = np.stack([right, -np.cross(back, right), -back])
        views.append(View(f"camera {index}", K, np.column_stack([rotation, -rotation @ (3 * back)])))
    return views


def silhouettes(code: torch.Tensor, views: list[View], place: Similarity, steps: int = 100) -> np.ndarray:
    """Masks of a member of the prior, by plain sphere tracing."""
    prior = Prior.load(PRIOR)
    field = prior.decoder.field(code)
    cameras = Cameras.from_views(views, torch.device("cpu"))
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    pixels = torch.stack([x.flatten(), y.flatten()], 1) + 0.5
    masks = []
    for index in range(len(views)):
        rays = cameras.rays(torch.full((len(pixels),), index), pixels, place)
        masks.append(march(field, rays, rays.threshold(), steps=steps, relaxation=1.0).hit.reshape(SIZE, SIZE))
    return torch.stack(masks).numpy().astype(np.uint8) * 255


def request(masks: np.ndarray, views: list[View], **settings: object) -> Request:
    bounds = Bounds(np.array([0.03, -0.02, 0.02]), np.eye(3), np.array([0.57, 0.57, 0.57]))
    chosen = {"iterations": 30, "rays": 1000, "mesh_resolution": 64, "device": "cpu", "threads": 2} | settings
    return Request(views=views, masks=masks, bounds=bounds, settings=Settings(**chosen), prior="my table")


def visible_points(field: DecoderField, cameras: Cameras, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the surface that a camera sees, which one, and the same as pictures of depth (V, SIZE, SIZE)."""
    place = Similarity(torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    generator = torch.Generator().manual_seed(0)
    views = torch.randint(len(cameras.K), (40 * count,), generator=generator)
    pixels = torch.randint(SIZE, (40 * count, 2), generator=generator)
    rays = cameras.rays(views, pixels + 0.5, place)
    trace = march(field, rays, torch.full_like(rays.near, 1e-4), relaxation=1.0)
    some = trace.hit.nonzero()[:count, 0]
    seen = torch.zeros(len(some), len(cameras.K), dtype=torch.bool)
    seen[torch.arange(len(some)), views[some]] = True
    depths = torch.full((len(cameras.K), SIZE, SIZE), float("nan"))
    depths[views[some], pixels[some, 1], pixels[some, 0]] = (trace.distance * rays.cosine)[some]
    return rays.at(trace.distance)[some].double().numpy(), seen.numpy(), depths.numpy()


class Quiet:
    """A reporter that nobody listens to."""

    stopping = False

    def progress(self, *_arguments: object) -> None:
        pass
