"""Shapes that a decoder confuses are given codes, and the decoder the means, to tell them apart.

Where most shapes are symmetric, a decoder becomes exactly so, and sofas with one wing get a second. That is a saddle: a
unit that would tell left from right needs codes that do, and the codes need such units. Neither more steps nor a
greater weight of what is wrong leave it; both at once do.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..decoder import Decoder
from .auto_decoder import taught

# Cells along each axis, in which a shape's errors are averaged, and how many main components of these count.
CELLS, COMPONENTS = 6, 8
# The last samples of each shape, which lie anywhere: near the surface, a second wing is no error.
ANYWHERE = 1200
# Octaves of the coordinates' sines that are shaken, beside the coordinates themselves.
OCTAVES = 2
# A shape that is so many times as wrong as the middle one counts no more than that.
FAVOUR = 8.0


def separate_confused(
    decoder: Decoder, codes: Tensor, points: Tensor, distances: Tensor, generator: torch.Generator
) -> tuple[Decoder, Tensor, Tensor]:
    """Move codes by the main components of what is wrong, and shake the weights that see where left and right are.

    Parameters
    ----------
    decoder : Decoder
        As trained; it is not changed.
    codes : (N, latent) tensor
    points, distances : (N, M, 3) and (N, M) tensors
        What both were trained on: samples of N shapes, the last of each anywhere in the unit ball.
    generator : Generator
        Of the shaking.

    Returns
    -------
    decoder : Decoder
    codes : (N, latent) tensor
    blame : (N,) tensor
        From 1 on: how often each shape should be looked at, to learn it.
    """
    errors, blame = torch.zeros(len(codes), CELLS**3), torch.zeros(len(codes))
    for index, code in enumerate(codes):
        where = points[index, -ANYWHERE:]
        error = taught(distances[index, -ANYWHERE:]) - decoder.field(code)(where, "apart")
        cell = ((where + 1) / 2 * CELLS).long().clamp(0, CELLS - 1) @ torch.tensor([CELLS**2, CELLS, 1])
        total = torch.bincount(cell, weights=error, minlength=CELLS**3)
        errors[index] = total / torch.bincount(cell, minlength=CELLS**3).clamp(min=1)
        blame[index] = error.abs().mean()
    shares, sizes, _ = torch.linalg.svd(errors - errors.mean(0), full_matrices=False)
    wrong = (shares * sizes)[:, :COMPONENTS]
    _, spread, directions = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)
    # As far as the codes spread at all, along the directions in which they do least.
    far = spread[0] / len(codes) ** 0.5 / wrong[:, 0].std()
    moved = codes + far * wrong @ directions[-COMPONENTS:]
    shaken = copy.deepcopy(decoder)
    columns = 3 + 3 * min(OCTAVES, decoder.architecture.octaves)
    with torch.no_grad():
        for layer in shaken.parts():
            if "point" in layer:
                seen = layer["point"][:, :columns]
                seen += torch.randn(seen.shape, generator=generator) * (2 / layer["point"].shape[1]) ** 0.5
    return shaken, moved, (blame / blame.median()).clamp(1, FAVOUR)
