"""The learnt signed distance function f(p; z), and the counting of every query to it.

One form holds every DeepSDF decoder (Park et al., CVPR 2019): a stack of layers, each of which may see the hidden
state, the latent code and the point again. The official network sees code and point in layers 0 and 4; the built-in
priors see the code in every layer, which costs nothing once a code is fixed, and waves of the coordinates beside the
point (Tancik et al., NeurIPS 2020), with which they learn thin parts sooner.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

# Larger batches fall out of the CPU's second-level cache: 16384 rows of a 6x192 network run 1.5 times slower.
CPU_CHUNK = 2048
GPU_CHUNK = 1 << 18
# What f is where all units of the last hidden layer are off. Were it 0, they would be off at the surface, and f flat.
ALL_OFF = -0.02
# Far more than any DeepSDF network has: a file that asks for more is damaged.
MOST_LAYERS = 64
WIDEST = 4096
# The shortest waves are a 2000th of the unit sphere's diameter then.
MOST_OCTAVES = 12


@dataclass(frozen=True)
class Architecture:
    """Shape of a decoder.

    Attributes
    ----------
    latent : int
        Length of the code.
    widths : tuple of int
        Outputs of each hidden layer.
    code_layers, point_layers : tuple of int
        The layers that see the code and the point; the last layer is ``len(widths)``. Layer 0 always sees both.
    tanh : int
        How often tanh is applied to the output (official DeepSDF: 1, with ``use_tanh`` 2; 0 for a linear output).
    octaves : int
        The layers that see the point also see the sine and cosine of each coordinate at so many wavelengths, of which
        the longest is 2 and each of the others half of the one before; official DeepSDF: 0.
    """

    latent: int
    widths: tuple[int, ...]
    code_layers: tuple[int, ...] = (0,)
    point_layers: tuple[int, ...] = (0,)
    tanh: int = 0
    octaves: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data for a file's metadata."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Architecture:
        """Read what `to_json` wrote; raises ValueError for anything that is no such decoder."""
        names = {"latent", "widths", "code_layers", "point_layers", "tanh", "octaves"}
        if not isinstance(data, dict) or data.keys() != names:
            raise ValueError(f"the architecture does not say {', '.join(sorted(names))}, and these only")
        latent, tanh, widths = data["latent"], data["tanh"], _whole_numbers(data["widths"], 1, WIDEST)
        _whole_numbers([latent], 1, WIDEST)
        _whole_numbers([tanh], 0, 2)
        _whole_numbers([data["octaves"]], 0, MOST_OCTAVES)
        code_layers, point_layers = (_whole_numbers(data[n], 0, len(widths)) for n in ("code_layers", "point_layers"))
        if not all(0 in layers and len({*layers}) == len(layers) for layers in (code_layers, point_layers)):
            raise ValueError("the architecture's first layer must see the code and the point, and no layer twice")
        return Architecture(latent, widths, code_layers, point_layers, tanh, data["octaves"])

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight, as `Decoder.state_dict` has them."""
        found: dict[str, tuple[int, ...]] = {}
        for index, width in enumerate((*self.widths, 1)):
            if index > 0:
                found[f"layers.{index}.hidden"] = (width, self.widths[index - 1])
            if index in self.code_layers:
                found[f"layers.{index}.code"] = (width, self.latent)
            if index in self.point_layers:
                found[f"layers.{index}.point"] = (width, 3 + 6 * self.octaves)
            found[f"layers.{index}.bias"] = (width,)
        return found

    def waves(self, points: Tensor) -> Tensor:
        """What the layers see of points (..., 3): the points, the sines and the cosines, (..., 3 + 6 octaves)."""
        if self.octaves == 0:
            return points
        angles = (points[..., None, :] * self._rates(points)).flatten(-2)
        return torch.cat([points, angles.sin(), angles.cos()], -1)

    def waves_backward(self, waves: Tensor, slope: Tensor) -> Tensor:
        """Derivative (N, 3) to the points, from that to their `waves`, both (N, 3 + 6 octaves)."""
        if self.octaves == 0:
            return slope
        points, sines, cosines = slope.split_with_sizes([3, 3 * self.octaves, 3 * self.octaves], 1)
        turned = sines * waves[:, 3 + 3 * self.octaves :] - cosines * waves[:, 3 : 3 + 3 * self.octaves]
        turned = turned.reshape(-1, self.octaves, 3)
        return points + torch.sum(turned * self._rates(points), 1)

    def _rates(self, like: Tensor) -> Tensor:
        """Radians a unit of each octave (octaves, 1)."""
        return math.pi * 2.0 ** torch.arange(self.octaves, dtype=like.dtype, device=like.device)[:, None]


def _whole_numbers(values: Any, least: int, most: int) -> tuple[int, ...]:
    """Values of a short list of whole numbers from `least` to `most`; raises ValueError for anything else."""
    if not isinstance(values, (list, tuple)) or not 1 <= len(values) <= MOST_LAYERS:
        raise ValueError(f"the architecture needs 1 to {MOST_LAYERS} layers")
    if not all(type(value) is int and least <= value <= most for value in values):
        raise ValueError(f"the architecture needs whole numbers from {least} to {most}")
    return tuple(values)


class Decoder(nn.Module):
    """A DeepSDF network; `field` gives the signed distance function of one code."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.layers = nn.ModuleList(nn.ParameterDict() for _ in range(len(architecture.widths) + 1))
        for name, shape in architecture.shapes().items():
            _, index, part = name.split(".")
            self.parts()[int(index)][part] = nn.Parameter(torch.zeros(shape))

    def parts(self) -> list[nn.ParameterDict]:
        """Each layer's weights: some of ``hidden``, ``code`` and ``point``, and always ``bias``."""
        return cast("list[nn.ParameterDict]", list(self.layers))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw He-normal weights, each input with a scale of its own.

        Taken together, the 3 coordinates would drown among the hidden units, and training would stand still for long.
        """
        for layer in self.parts():
            for part in ("hidden", "code", "point"):
                if part in layer:
                    nn.init.normal_(layer[part], std=(2.0 / layer[part].shape[1]) ** 0.5, generator=generator)
            nn.init.normal_(layer["bias"], std=0.3, generator=generator)
        # Distances are short: start with small ones.
        for weight in self.parts()[-1].values():
            weight.data.mul_(0.1)
        self.parts()[-1]["bias"].data.fill_(ALL_OFF)

    def fold(self, code: Tensor) -> list[Tensor]:
        """Biases of all layers with the code's share added: from (latent,) to (width,), or batched (S, width)."""
        return [layer["bias"] + code @ layer["code"].T if "code" in layer else layer["bias"] for layer in self.parts()]

    def forward(self, points: Tensor, codes: Tensor) -> Tensor:
        """Signed distances of points (S, M, 3) to the shapes of codes (S, latent): (S, M). For training."""
        hidden = points = self.architecture.waves(points)
        for index, (layer, bias) in enumerate(zip(self.parts(), self.fold(codes), strict=True)):
            total = bias[:, None] if bias.dim() == 2 else bias
            if "point" in layer:
                total = total + points @ layer["point"].T
            if "hidden" in layer:
                total = total + hidden @ layer["hidden"].T
            hidden = torch.relu(total) if index + 1 < len(self.layers) else total
        return self.squash(hidden[..., 0])

    def squash(self, value: Tensor) -> Tensor:
        """Apply the output's tanh as often as the architecture says."""
        for _ in range(self.architecture.tanh):
            value = torch.tanh(value)
        return value

    def field(self, code: Tensor, counter: Counter[str] | None = None) -> DecoderField:
        """The signed distance function of `code` (latent,); `counter` takes its queries."""
        return DecoderField(self, code, counter if counter is not None else Counter())


@dataclass(frozen=True)
class Jacobian:
    """First-order model of f at N points: value (N,), d_point (N, 3) and d_code (N, latent)."""

    value: Tensor
    d_point: Tensor
    d_code: Tensor


class DecoderField:
    """The signed distance function of one code, with the code folded into the biases.

    Parameters
    ----------
    decoder : Decoder
    code : (latent,) tensor
    counter : Counter
        Every query is added to it under its purpose.
    """

    def __init__(self, decoder: Decoder, code: Tensor, counter: Counter[str]) -> None:
        self.decoder = decoder
        self.code = code.detach()
        self.counter = counter
        with torch.no_grad():
            self.biases = [bias.detach() for bias in decoder.fold(self.code)]
        self.weights = [{part: weight.detach() for part, weight in layer.items()} for layer in decoder.parts()]
        self.chunk = CPU_CHUNK if code.device.type == "cpu" else GPU_CHUNK

    @property
    def device(self) -> torch.device:
        """Of the decoder, points and answers."""
        return self.code.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the decoder, points and answers."""
        return self.code.dtype

    @torch.no_grad()
    def __call__(self, points: Tensor, purpose: str) -> Tensor:
        """Signed distances (N,) at points (N, 3) in the object frame."""
        self.counter[purpose] += len(points)
        out = points.new_empty(len(points))
        for start in range(0, len(points), self.chunk):
            hidden = piece = self.decoder.architecture.waves(points[start : start + self.chunk])
            for index in range(len(self.weights)):
                hidden = self._layer(index, hidden, piece)
                if index + 1 < len(self.weights):
                    hidden.relu_()
            out[start : start + self.chunk] = hidden[:, 0]
        return self.decoder.squash(out)

    @torch.no_grad()
    def jacobian(self, points: Tensor, purpose: str, with_code: bool = True) -> Jacobian:
        """Value and exact derivatives at points (N, 3): one forward and one backward pass, written out.

        A ReLU network's derivative is a product of its weights with the unused rows struck out, so each point gets its
        own derivative to the code for the price of one gradient. `d_code` is (N, 0) without `with_code`.
        """
        self.counter[purpose] += len(points)
        parts = [
            self._jacobian_chunk(points[start : start + self.chunk], with_code)
            for start in range(0, max(len(points), 1), self.chunk)
        ]
        return Jacobian(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def slope(self, points: Tensor, purpose: str) -> tuple[Tensor, Tensor]:
        """Value (N,) and derivative (N, 3) to points (N, 3)."""
        at = self.jacobian(points, purpose, with_code=False)
        return at.value, at.d_point

    def _layer(self, index: int, hidden: Tensor, points: Tensor) -> Tensor:
        weights, total = self.weights[index], self.biases[index]
        if "point" in weights:
            total = torch.addmm(total, points, weights["point"].T)
        if "hidden" in weights:
            total = torch.addmm(total, hidden, weights["hidden"].T)
        return total

    def _jacobian_chunk(self, points: Tensor, with_code: bool) -> tuple[Tensor, Tensor, Tensor]:
        last = len(self.weights) - 1
        architecture = self.decoder.architecture
        hidden = points = architecture.waves(points)
        active = []
        for index in range(last + 1):
            hidden = self._layer(index, hidden, points)
            if index < last:
                hidden.relu_()
                active.append(hidden > 0)
        value, slope = hidden[:, 0], torch.ones_like(hidden)
        for _ in range(architecture.tanh):
            value = torch.tanh(value)
            slope = slope * (1 - value[:, None] ** 2)
        d_point = torch.zeros_like(points)
        d_code = points.new_zeros(len(points), architecture.latent if with_code else 0)
        for index in range(last, -1, -1):
            weights = self.weights[index]
            if "point" in weights:
                d_point.addmm_(slope, weights["point"])
            if with_code and "code" in weights:
                d_code.addmm_(slope, weights["code"])
            if index > 0:
                slope = (slope @ weights["hidden"]).mul_(active[index - 1])
        return value, architecture.waves_backward(points, d_point), d_code
