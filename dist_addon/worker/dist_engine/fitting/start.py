"""Where a fit starts: the thing's place from its bounds, and the training code that explains the masks best."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from ..cameras import Similarity
from ..prior import Prior
from ..protocol import Bounds
from ..tracing.march import march
from .observations import Observations

CANDIDATES = 48
RAYS = 1200


def start_place(bounds: Bounds, prior: Prior, device: torch.device) -> Similarity:
    """Carry the prior's frame onto the bounds: its up and front to the box's, its unit sphere around the box."""
    reach = float((torch.as_tensor(bounds.half_size) ** 2).sum().sqrt())
    rotation = torch.as_tensor(bounds.rotation @ prior.axes().T)
    parts = (torch.as_tensor(reach / prior.radius), rotation, torch.as_tensor(bounds.center))
    return Similarity(*(part.to(device=device, dtype=torch.float32) for part in parts))


def start_code(prior: Prior, observations: Observations, place: Similarity, counter: Counter[str]) -> Tensor:
    """The code (latent,) among the mean and some training codes whose silhouettes agree best with the masks."""
    stride = max(1, len(prior.codes) // CANDIDATES)
    candidates = torch.cat([prior.mean[None], prior.codes[::stride]])
    sample = observations.sample(observations.draw(RAYS), place)
    threshold = sample.rays.threshold()
    wrong = []
    for code in candidates:
        trace = march(prior.decoder.field(code, counter), sample.rays, threshold)
        wrong.append(int((trace.hit != sample.inside).sum()))
    return candidates[min(range(len(wrong)), key=wrong.__getitem__)]
