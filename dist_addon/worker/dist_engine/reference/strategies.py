"""The poster's ways to trace a picture of a shape, and ours beside them, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder import DecoderField
from ..tracing.guided import trace_guided
from ..tracing.march import March, Trace
from ..tracing.memory import Memory
from ..tracing.raster import Raster

# The reference's pyramid: pixels along a side for one ray, and steps at that size; the rest at full size.
PYRAMID = ((4, 3), (2, 3))
ALPHA = 1.5


@torch.no_grad()
def trace_picture(
    field: DecoderField,
    picture: Raster,
    strategy: str = "grid",
    *,
    threshold: float | None = None,
    steps: int = 50,
    memory: Memory | None = None,
) -> Trace:
    """Trace every pixel of a picture.

    Parameters
    ----------
    field : DecoderField
    picture : Raster
    strategy : str
        One of `STRATEGIES`, the poster's rows in their order, then ours.
    threshold : float, optional
        Largest |f| that counts as the surface; by default each pixel's own (`Rays.threshold`).
    steps : int
        Most steps a ray.
    memory : Memory, optional
        For `grid`: what earlier frames of this decoder found; it takes what this one finds.

    Returns
    -------
    Trace
        Row by row; distances along the rays in the object frame's units.

    Raises
    ------
    ValueError
        There is no such strategy.
    """
    if strategy == "grid":
        return trace_guided(field, picture, _thresholds(picture, threshold), memory)
    if strategy not in STRATEGIES:
        raise ValueError(f"There is no tracing strategy “{strategy}”: choose from {', '.join(STRATEGIES)}.")
    return _MARCHES[strategy](field, picture, _thresholds(picture, threshold), steps)


def _thresholds(picture: Raster, threshold: float | None) -> Tensor:
    own = picture.rays().threshold()
    return own if threshold is None else torch.full_like(own, threshold)


def _naive(field: DecoderField, picture: Raster, threshold: Tensor, steps: int) -> Trace:
    """A ray at a time."""
    rays = picture.rays()
    parts = []
    for i in range(len(rays)):
        one = torch.tensor([i], device=threshold.device)
        way = March(field, rays[one], threshold[one], relaxation=1.0)
        way.advance(steps, drop=False)
        parts.append(way.trace())
    return Trace(*(torch.cat([getattr(part, name) for part in parts]) for name in Trace.__dataclass_fields__))


def _parallel(field: DecoderField, picture: Raster, threshold: Tensor, steps: int) -> Trace:
    """All rays together, all the same number of steps."""
    way = March(field, picture.rays(), threshold, relaxation=1.0)
    way.advance(steps, drop=False)
    return way.trace()


def _dynamic(field: DecoderField, picture: Raster, threshold: Tensor, steps: int, relaxation: float = 1.0) -> Trace:
    """Finished rays are dropped."""
    way = March(field, picture.rays(), threshold, relaxation=relaxation)
    way.advance(steps)
    return way.trace()


def _aggressive(field: DecoderField, picture: Raster, threshold: Tensor, steps: int) -> Trace:
    """And steps are longer than the distance."""
    return _dynamic(field, picture, threshold, steps, ALPHA)


def _coarse_to_fine(field: DecoderField, picture: Raster, threshold: Tensor, steps: int) -> Trace:
    """And the first steps are taken by one ray for 4 x 4 pixels, then 2 x 2; the finest ray's samples alone count."""
    rays = picture.rays()
    asked, start, shape = torch.zeros_like(rays.near), None, (0, 0)
    for scale, share in PYRAMID:
        coarse = picture.rays(scale)
        if start is not None:
            start = _split(start, shape, picture.shape(scale))
        # A coarse ray goes where any of its pixels meets the sphere, though it may miss the sphere itself.
        wanted = _any_below((rays.near < rays.far), picture, scale)
        coarse.near[~wanted], coarse.far[~wanted] = 1.0, 0.0
        grazing = wanted & (coarse.near >= coarse.far)
        coarse.far[grazing] = coarse.near[grazing] + 1e-3
        way = March(field, coarse, threshold.new_zeros(len(coarse)), relaxation=ALPHA, start=start)
        way.advance(share, drop=False)
        start, shape = way.distance, picture.shape(scale)
        below = torch.zeros_like(way.probe.queries)
        below.index_add_(0, _parents(picture, scale), (rays.near < rays.far).to(below))
        asked += (way.probe.queries / below.clamp(min=1))[_parents(picture, scale)] * (rays.near < rays.far)
    assert start is not None
    way = March(field, rays, threshold, relaxation=ALPHA, start=_split(start, shape, picture.shape()))
    way.advance(steps - sum(share for _, share in PYRAMID))
    trace = way.trace()
    return Trace(trace.hit, trace.distance, trace.value, trace.queries + asked)


def _parents(picture: Raster, scale: int) -> Tensor:
    """The coarse ray (N,) above each pixel."""
    rows, columns = picture.shape()
    index = torch.arange(picture.shape(scale)[0] * picture.shape(scale)[1], device=picture.cameras.K.device)
    return _split(index, picture.shape(scale), (rows, columns))


def _split(coarse: Tensor, shape: tuple[int, int], finer: tuple[int, int]) -> Tensor:
    """Hand each coarse ray's number to the finer rays under it."""
    factor = -(-finer[0] // shape[0])
    image = coarse.reshape(shape).repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    return image[: finer[0], : finer[1]].flatten()


def _any_below(mask: Tensor, picture: Raster, scale: int) -> Tensor:
    """Whether `mask` holds for any pixel under each coarse ray."""
    image = mask.reshape(1, 1, picture.height, picture.width).float()
    return F.max_pool2d(image, scale, ceil_mode=True).flatten() > 0


_MARCHES: dict[str, Callable[[DecoderField, Raster, Tensor, int], Trace]] = {
    "naive": _naive,
    "parallel": _parallel,
    "dynamic": _dynamic,
    "aggressive": _aggressive,
    "coarse_to_fine": _coarse_to_fine,
}
STRATEGIES = (*_MARCHES, "grid")
