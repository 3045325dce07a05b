"""From traced samples to derivatives: what rays see, with a graph to the code, the cameras and the object's place.

The tracer runs without a graph. Each quantity then gets the derivative of f at its own sample, held fixed on the ray:
exact to first order by the implicit function theorem for the depth and by the envelope theorem for the smallest |f|.
The decoder is asked in the backward pass, piece by piece, so that memory depends neither on the number of steps nor,
but for a few numbers a ray, on the size of the image.

`implicit` needs one differentiable query a surface pixel. `dist` is the paper's own gradient, for comparison: the
depth is the sum of its steps, of which only the `PAPER_SAMPLES` with the smallest |f| are differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder import DecoderField, Jacobian
from ..observations.surface import GRAZING, STENCIL
from ..rays import Rays
from ..tracing.march import march

METHODS = ("implicit", "dist")
# Points whose derivatives to the code are held at a time: 16 MB for the official decoder. Even: some come in pairs.
PIECE = 1 << 14
# The reference's samples a ray, and the factor on its steps.
PAPER_SAMPLES, PAPER_ALPHA = 5, 1.5
# A ray's nearest pass: first samples of it, and the width of the last bracket over the square root of the precision.
FAN, BRACKET = 9, 0.03
GOLDEN = (5**0.5 - 1) / 2


def surface_distance(
    field: DecoderField, code: Tensor, rays: Rays, distance: Tensor, method: str = "implicit"
) -> Tensor:
    """Distance (N,) to the surface, with its derivative.

    Parameters
    ----------
    field : DecoderField
        The shape at the current code.
    code : (latent,) tensor
        The code `field` was made of, with its graph.
    rays : Rays
        N rays that hit, with a graph where the object's place or a camera is an unknown. Depth along the camera's axis
        in world units is ``place.scale * distance * rays.cosine``.
    distance : (N,) tensor
        What a trace found.
    method : str
        One of `METHODS`.

    Raises
    ------
    ValueError
        There is no such method.
    """
    return _choose(method, _implicit_distance, _paper_distance)(field, code, rays, distance)


def smallest_value(
    field: DecoderField, code: Tensor, rays: Rays, distance: Tensor, value: Tensor, method: str = "implicit"
) -> Tensor:
    """Smallest f (N,) on rays that miss, with its derivative; the distance to the unit sphere for those beside it.

    Parameters
    ----------
    distance, value : (N,) tensors
        The sample of smallest |f| that a trace found on each ray, and f there.

    Others are those of `surface_distance`.
    """
    met = (rays.near < rays.far).nonzero()[:, 0]
    inner = _choose(method, _implicit_smallest, _paper_smallest)(field, code, rays[met], distance[met], value[met])
    return (rays.at(distance).norm(dim=1) - 1).index_copy(0, met, inner)


def normals(field: DecoderField, code: Tensor, points: Tensor) -> Tensor:
    """Unit normals (N, 3) by central differences of f over `STENCIL`, with a graph to the points and the code."""
    steps = STENCIL * torch.eye(3, device=points.device, dtype=points.dtype)
    ends = [_value_at(field, code, (points[:, None] + s * steps).reshape(-1, 3), "normal") for s in (1, -1)]
    return F.normalize((ends[0] - ends[1]).reshape(-1, 3), dim=1)


def _choose(method: str, implicit: Callable[..., Tensor], dist: Callable[..., Tensor]) -> Callable[..., Tensor]:
    if method not in METHODS:
        raise ValueError(f"There is no gradient “{method}”: choose from {', '.join(METHODS)}.")
    return implicit if method == "implicit" else dist


def _implicit_distance(field: DecoderField, code: Tensor, rays: Rays, distance: Tensor) -> Tensor:
    """``dt = -df / (grad f . v)``; grazing and outgoing rays get no derivative."""
    directions = rays.directions.detach()

    def factor(at: Jacobian, piece: slice) -> Tensor:
        slope = (at.d_point * directions[piece]).sum(1)
        return torch.where(slope < -GRAZING, -1 / slope.clamp(max=-GRAZING), 0.0)

    return _attach(distance, rays.at(distance), code, field, factor)


def _paper_distance(field: DecoderField, code: Tensor, rays: Rays, distance: Tensor) -> Tensor:
    """The sum of alpha f over the samples with the smallest |f|, each held fixed on the ray."""
    total = distance
    for sample in _smallest_samples(field, rays.detach()).T:
        there = sample.isfinite()
        points = torch.where(there[:, None], rays.at(sample.nan_to_num()), 0.0)
        total = total + _attach(
            torch.zeros_like(distance), points, code, field, partial(_constant, PAPER_ALPHA * there.to(distance))
        )
    return total


def _smallest_samples(field: DecoderField, rays: Rays) -> Tensor:
    """Where (N, PAPER_SAMPLES) the march of each ray had its smallest |f|; NaN where it took fewer steps."""
    shape = (len(rays), PAPER_SAMPLES + 1)
    places, sizes = rays.near.new_full(shape, float("nan")), rays.near.new_full(shape, float("inf"))

    def note(index: Tensor, distance: Tensor, value: Tensor) -> None:
        places[index, -1], sizes[index, -1] = distance, value.abs()
        order = sizes[index].argsort(1)
        places[index], sizes[index] = places[index].gather(1, order), sizes[index].gather(1, order)

    march(field, rays, rays.threshold(), relaxation=PAPER_ALPHA, watch=note)
    return places[:, :-1]


def _implicit_smallest(field: DecoderField, code: Tensor, rays: Rays, distance: Tensor, value: Tensor) -> Tensor:
    """The smallest f near the sample, exactly differentiated.

    f of a ReLU network is linear in pieces, and its minimum along a ray is a kink between a falling and a rising piece.
    As the pieces move, the kink moves too: the derivative is that mean of the two sides' in which the slopes cancel.
    """
    both = torch.stack(bracket_minimum(field, rays.detach(), distance, value), 1)
    directions = rays.directions.detach().repeat_interleave(2, 0)

    def factor(at: Jacobian, piece: slice) -> Tensor:
        slope = (at.d_point * directions[piece]).sum(1).reshape(-1, 2)
        falling, rising = (-slope[:, 0]).clamp(min=0), slope[:, 1].clamp(min=0)
        total = falling + rising
        share = torch.where(total > 0, rising / total.clamp(min=1e-12), 0.5)
        return torch.stack([share, 1 - share], 1).flatten()

    points = (rays.origins[:, None] + both[..., None] * rays.directions[:, None]).reshape(-1, 3)
    lower = field(points.detach(), "silhouette").reshape(-1, 2).amin(1, keepdim=True)
    return _attach((lower / 2).expand(-1, 2).flatten(), points, code, field, factor).reshape(-1, 2).sum(1)


def _paper_smallest(field: DecoderField, code: Tensor, rays: Rays, distance: Tensor, value: Tensor) -> Tensor:
    """f at the sample, held fixed on the ray."""  # noqa: D403
    return _value_at(field, code, rays.at(distance), "silhouette")


@torch.no_grad()
def bracket_minimum(field: DecoderField, rays: Rays, distance: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Narrow down the minimum of f near a sample of each ray to its two sides (N,) and (N,).

    The lowest of a fan of samples, then golden section beside it.
    """
    # A march's steps from the sample are no longer than this.
    reach = (PAPER_ALPHA * value.abs()).clamp(min=1e-3)
    fan = distance[:, None] + reach[:, None] * torch.linspace(-1, 1, FAN, device=reach.device, dtype=reach.dtype)
    fan = fan.maximum(rays.near[:, None]).minimum(rays.far[:, None])
    points = rays.origins[:, None] + fan[..., None] * rays.directions[:, None]
    lowest = field(points.reshape(-1, 3), "silhouette").reshape(fan.shape).argmin(1, keepdim=True)
    middle, spacing = fan.gather(1, lowest)[:, 0], 2 * reach / (FAN - 1)
    low, high = middle - spacing, middle + spacing
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    fa, fb = field(rays.at(a), "silhouette"), field(rays.at(b), "silhouette")
    while len(low) and float((high - low).max()) > BRACKET * torch.finfo(low.dtype).eps ** 0.5:
        left = fa < fb
        low, high = torch.where(left, low, a), torch.where(left, b, high)
        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        f = field(rays.at(torch.where(left, a, b)), "silhouette")
        fa, fb = torch.where(left, f, fb), torch.where(left, fa, f)
    return low, high


def _value_at(field: DecoderField, code: Tensor, points: Tensor, purpose: str) -> Tensor:
    """Values of f (N,) at points (N, 3) with a graph to them and to the code."""
    value = field(points.detach(), purpose)
    return _attach(value, points, code, field, partial(_constant, torch.ones_like(value)))


def _constant(factor: Tensor, _: Jacobian, piece: slice) -> Tensor:
    return factor[piece]


def _attach(
    value: Tensor, points: Tensor, code: Tensor, field: DecoderField, factor: Callable[[Jacobian, slice], Tensor]
) -> Tensor:
    """`value` (N,) with the derivative ``factor * df`` at points (N, 3); the factor may depend on f's derivatives."""
    attached: Tensor = _Attached.apply(value.detach(), points, code, field, factor)  # type: ignore[no-untyped-call]
    return attached


class _Attached(torch.autograd.Function):
    """Asks the decoder in the backward pass only, a piece at a time."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, points: Tensor, code: Tensor, field: DecoderField, factor: Any) -> Tensor:
        ctx.save_for_backward(points)
        ctx.field, ctx.factor, ctx.code = field, factor, code.detach()
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (points,) = ctx.saved_tensors
        to_points, to_code = torch.zeros_like(points), torch.zeros_like(ctx.code)
        for start in range(0, len(points), PIECE):
            piece = slice(start, start + PIECE)
            at = ctx.field.jacobian(points[piece], "gradient", with_code=ctx.needs_input_grad[2])
            weight = gradients[0][piece] * ctx.factor(at, piece)
            to_points[piece] = weight[:, None] * at.d_point
            if ctx.needs_input_grad[2]:
                to_code += weight @ at.d_code
        return None, to_points, to_code, None, None
