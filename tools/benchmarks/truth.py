"""What every ray really sees: the first change of sign of f along it, found by brute force and kept on disk.

Cells of a 256^3 lattice that can hold the surface are found from the decoder's value at their centres, level by level,
with |grad f| taken to be at most `LIPSCHITZ` near the surface; rays are sampled in single precision `SAMPLES` times a
cell width inside those cells only, and the first change of sign is refined by bisection and a secant in double
precision. Nothing here is shared with the strategies that it judges.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from dist_engine.decoder import Decoder
from dist_engine.rays import Rays
from torch import Tensor

VERSION = 1
LIPSCHITZ = 1.6
SIDE = 256
SAMPLES = 4


def truth(decoder: Decoder, code: Tensor, rays: Rays, cache: Path) -> Tensor:
    """Distances (N,) to the first surface along the rays, float64; NaN where there is none."""
    digest = hashlib.sha256(repr((VERSION, LIPSCHITZ, SIDE, SAMPLES, decoder.architecture)).encode())
    for tensor in (*decoder.state_dict().values(), code, rays.origins, rays.directions):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    file = cache / f"{digest.hexdigest()[:24]}.pt"
    if file.is_file():
        return torch.load(file, weights_only=True)
    found = brute_force(decoder, code, rays)
    cache.mkdir(parents=True, exist_ok=True)
    torch.save(found, file.with_suffix(".part"))
    file.with_suffix(".part").replace(file)
    return found


@torch.no_grad()
def brute_force(decoder: Decoder, code: Tensor, rays: Rays) -> Tensor:
    """The first change of sign along each ray, without the cache."""
    field = decoder.field(code)
    occupied = _occupied(field)
    result = torch.full((len(rays),), float("nan"), dtype=torch.float64)
    step = 2 / SIDE / SAMPLES
    front, back, chosen = [], [], []
    for piece in (rays.near < rays.far).nonzero()[:, 0].split(4096):
        hits, a, b = _first_change(field, occupied, rays[piece], step)
        chosen.append(piece[hits])
        front.append(a)
        back.append(b)
    index = torch.cat(chosen)
    double = Decoder(decoder.architecture).double()
    double.load_state_dict(decoder.state_dict())
    field64 = double.field(code.double())
    origins, directions = rays.origins[index].double(), rays.directions[index].double()
    a, b = torch.cat(front).double(), torch.cat(back).double()
    fa, fb = (field64(origins + t[:, None] * directions, "truth") for t in (a, b))
    # Near a root the two precisions may disagree about a sign: keep the end that is nearer then.
    certain = (fa > 0) & (fb < 0)
    for turn in range(5):
        middle = (a + b) / 2 if turn == 0 else a + (b - a) * (fa / (fa - fb)).clamp(0.02, 0.98)
        f = field64(origins + middle[:, None] * directions, "truth")
        outside = f > 0
        fa, a, fb, b = (
            torch.where(outside, f, fa / (1 if turn == 0 else 2)),
            torch.where(outside, middle, a),
            torch.where(outside, fb / (1 if turn == 0 else 2), f),
            torch.where(outside, b, middle),
        )
    root = a + (b - a) * (fa / (fa - fb)).clamp(0, 1)
    result[index] = torch.where(certain, root, torch.where(fa.abs() < fb.abs(), a, b))
    return result


def _occupied(field) -> Tensor:  # type: ignore[no-untyped-def]
    """Cells (SIDE, SIDE, SIDE) that can hold a part of the surface."""
    side = 32
    axis = torch.arange(side)
    cells = torch.cartesian_prod(axis, axis, axis)
    children = torch.cartesian_prod(*[torch.arange(2)] * 3)
    while True:
        size = 2 / side
        centres = (cells + 0.5) * size - 1
        reach = size * 3**0.5 / 2
        cells, centres = (part[centres.norm(dim=1) < 1 + reach] for part in (cells, centres))
        cells = cells[field(centres, "truth").abs() < LIPSCHITZ * reach]
        if side == SIDE:
            break
        cells = (cells[:, None] * 2 + children).reshape(-1, 3)
        side *= 2
    mask = torch.zeros([side] * 3, dtype=torch.bool)
    mask[cells[:, 0], cells[:, 1], cells[:, 2]] = True
    return mask


def _first_change(field, occupied: Tensor, rays: Rays, step: float) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[no-untyped-def]
    """Which rays change sign, and the samples before and after."""
    count = int(((rays.far - rays.near).max() / step).ceil()) + 1
    index = torch.arange(count)
    t = rays.near[:, None] + step * index
    points = rays.origins[:, None] + t[..., None] * rays.directions[:, None]
    cell = ((points + 1) * (SIDE / 2)).long().clamp_(0, SIDE - 1)
    wanted = occupied[cell[..., 0], cell[..., 1], cell[..., 2]] & (t < rays.far[:, None])
    # Unoccupied stretches keep the sign of what came before.
    done = torch.zeros(len(rays), dtype=torch.bool)
    front, back = torch.full_like(rays.near, float("nan")), torch.full_like(rays.near, float("nan"))
    rank = wanted.cumsum(1)
    asked = 0
    while True:
        now = wanted & (rank > asked) & (rank <= asked + 6) & ~done[:, None]
        if not now.any():
            return done, front[done], back[done]
        where = now.nonzero()
        f = torch.ones_like(t)
        f[now] = field(points[where[:, 0], where[:, 1]], "truth")
        negative = f < 0
        hit = negative.any(1) & ~done
        first = negative[hit].int().argmax(1)
        back[hit] = t[hit, first]
        front[hit] = t[hit, (first - 1).clamp(min=0)]
        done |= hit
        asked += 6
