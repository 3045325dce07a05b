"""Checkpoints in the official DeepSDF folder layout (Park et al., CVPR 2019), read without running anything in them.

``specs.json``, ``ModelParameters/latest.pth``, ``LatentCodes/latest.pth``; beside them, if it is there, ``names.json``
with a name for each code.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .decoder import Architecture, Decoder
from .prior import Prior, PriorError

# ShapeNet's frame, which the official models were trained in.
UP, FRONT = "+y", "-z"


def load_official(folder: Path) -> Prior:
    """Read a checkpoint folder as a prior.

    Parameters
    ----------
    folder : Path
        Holds ``specs.json``, ``ModelParameters/latest.pth`` and ``LatentCodes/latest.pth``.

    Returns
    -------
    Prior
        Named after the folder; ``about["names"]`` holds the codes' names where ``names.json`` gives them.

    Raises
    ------
    PriorError
        A file is missing, damaged, holds objects other than tensors, or describes another network.
    """
    specs_file, weights_file, codes_file = (
        folder / "specs.json",
        folder / "ModelParameters" / "latest.pth",
        folder / "LatentCodes" / "latest.pth",
    )
    specs = _read_json(specs_file)
    try:
        latent, network = int(specs["CodeLength"]), dict(specs["NetworkSpecs"])
        widths = [int(width) for width in network["dims"]]
        joins = [int(layer) for layer in network.get("latent_in") or ()]
        clamp = float(specs.get("ClampingDistance", 0.1))
    except (KeyError, TypeError, ValueError) as error:
        raise PriorError(f"{specs_file} does not describe a DeepSDF network: {error!r}.") from error
    if network.get("norm_layers") and not network.get("weight_norm", False):
        raise PriorError(f"{specs_file}: layer normalisation (weight_norm false with norm_layers) is not supported.")
    everywhere = range(1, len(widths) + 1) if network.get("xyz_in_all") else ()
    # A layer before one that sees its input again leaves room for it, so that all inputs are as wide as `dims` says.
    for layer in {*joins, *everywhere}:
        widths[layer - 1] -= latent + 3 if layer in joins else 3
    architecture = Architecture(
        latent=latent,
        widths=tuple(widths),
        code_layers=(0, *joins),
        point_layers=(0, *sorted({*joins, *everywhere})),
        tanh=2 if network.get("use_tanh") else 1,
    )
    weights = _read_tensors(weights_file)
    state = weights.get("model_state_dict", weights) if isinstance(weights, dict) else weights
    decoder = _decoder(weights_file, architecture, state)
    codes = _codes(codes_file, _read_tensors(codes_file), latent)
    about: dict[str, Any] = {"description": specs.get("Description", "")}
    if (folder / "names.json").is_file():
        about["names"] = [str(name) for name in _read_json(folder / "names.json")]
        if len(about["names"]) != len(codes):
            raise PriorError(f"{folder / 'names.json'} names {len(about['names'])} codes; there are {len(codes)}.")
    return Prior(folder.name, decoder.eval(), codes, up=UP, front=FRONT, clamp=clamp, about=about)


def _decoder(file: Path, architecture: Architecture, state: Any) -> Decoder:
    """Cut the official layers, which see hidden | code | point side by side, into this decoder's parts."""
    if not isinstance(state, dict):
        raise PriorError(f"{file} holds no weights by name.")
    state = {str(name).removeprefix("module."): value for name, value in state.items()}
    decoder = Decoder(architecture)
    shapes, used = architecture.shapes(), set[str]()
    for index in range(len(architecture.widths) + 1):
        weight, bias, names = _layer(file, state, f"lin{index}")
        used |= names
        parts = [part for part in ("hidden", "code", "point") if f"layers.{index}.{part}" in shapes]
        # The first layer's input is code | point; the point is always last.
        columns = [shapes[f"layers.{index}.{part}"][1] for part in parts]
        rows = shapes[f"layers.{index}.bias"][0]
        if tuple(weight.shape) != (rows, sum(columns)) or tuple(bias.shape) != (rows,):
            raise PriorError(
                f"{file}: lin{index} is {tuple(weight.shape)} with a bias of {tuple(bias.shape)}; specs.json asks for "
                f"{(rows, sum(columns))}."
            )
        pieces = dict(zip(parts, weight.split(columns, 1), strict=True)) | {"bias": bias}
        decoder.load_state_dict({f"layers.{index}.{part}": piece for part, piece in pieces.items()}, strict=False)
    if odd := sorted(state.keys() - used):
        raise PriorError(f"{file} holds weights of another network: {', '.join(odd[:4])}.")
    return decoder


def _layer(file: Path, state: dict[str, Any], name: str) -> tuple[Tensor, Tensor, set[str]]:
    """Weight and bias of a layer, weight norm (old or new names) multiplied out, and the names that were used."""
    forms = (
        (f"{name}.weight",),
        (f"{name}.weight_g", f"{name}.weight_v"),
        (f"{name}.parametrizations.weight.original0", f"{name}.parametrizations.weight.original1"),
    )
    for names in forms:
        used = {*names, f"{name}.bias"}
        if used <= state.keys():
            parts = [state[key] for key in (*names, f"{name}.bias")]
            if not all(isinstance(part, Tensor) and part.isfinite().all() for part in parts):
                raise PriorError(f"{file}: {name} holds something else than finite numbers.")
            *weight, bias = (part.double() for part in parts)
            if len(weight) == 2:
                scale, direction = weight
                weight = [direction * (scale.reshape(-1, 1) / direction.norm(dim=1, keepdim=True))]
            return weight[0].float(), bias.float(), used
    raise PriorError(f"{file} lacks the weights of {name}, which specs.json asks for.")


def _codes(file: Path, data: Any, latent: int) -> Tensor:
    """Codes (N, latent) from a tensor, a list of tensors or an embedding's state dict."""
    if isinstance(data, dict) and "latent_codes" in data:
        data = data["latent_codes"]
    if isinstance(data, dict) and "weight" in data:
        data = data["weight"]
    if isinstance(data, (list, tuple)) and data and all(isinstance(code, Tensor) for code in data):
        data = torch.stack([code.reshape(-1) for code in data]) if len({c.numel() for c in data}) == 1 else None
    if not isinstance(data, Tensor) or data.numel() == 0 or data.shape[-1] != latent or data.numel() % latent:
        raise PriorError(f"{file} holds no codes of length {latent} (a tensor, a list of them or an embedding).")
    codes = data.reshape(-1, latent).float().contiguous()
    if not codes.isfinite().all():
        raise PriorError(f"{file}: the codes hold numbers that are not finite.")
    return codes


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PriorError(f"{file} is missing: choose the folder of a DeepSDF checkpoint.") from error
    except (OSError, ValueError) as error:
        raise PriorError(f"{file} cannot be read: {error}") from error


def _read_tensors(file: Path) -> Any:
    if not file.is_file():
        raise PriorError(f"{file} is missing: choose the folder of a DeepSDF checkpoint.")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise PriorError(f"{file} is damaged or holds more than tensors: {error}") from error
