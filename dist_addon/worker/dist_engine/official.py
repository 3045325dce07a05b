"""Checkpoints in the official DeepSDF folder layout (Park et al., CVPR 2019), read without running anything in them.

``specs.json``, ``ModelParameters/latest.pth``, ``LatentCodes/latest.pth``; beside them, if it is there, ``names.json``
with a name for each code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .decoder import Architecture, Decoder
from .prior import Prior
from .protocol import read_file
from .torch_file import read_tensors
from .untrusted import MAX_BYTES, all_finite, read_json, refusing

# ShapeNet's frame, which the official models were trained in.
UP, FRONT = "+y", "-z"
LARGEST_JSON = 1 << 20
REMEDY = "Choose the folder of a DeepSDF checkpoint (specs.json, ModelParameters, LatentCodes), or save it there again."


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
    specs_file, names_file = folder / "specs.json", folder / "names.json"
    weights_file, codes_file = folder / "ModelParameters" / "latest.pth", folder / "LatentCodes" / "latest.pth"
    with refusing(specs_file, REMEDY):
        specs = read_json(read_file(specs_file, LARGEST_JSON))
        architecture, about = _architecture(specs), _about(specs)
        clamp = float(specs.get("ClampingDistance", 0.1))
    with refusing(weights_file, REMEDY):
        decoder = _decoder(architecture, read_tensors(read_file(weights_file, MAX_BYTES)))
    with refusing(codes_file, REMEDY):
        codes = _codes(read_tensors(read_file(codes_file, MAX_BYTES)), architecture.latent)
    if names_file.exists():
        with refusing(names_file, "Correct or delete it."):
            about["names"] = names = read_json(read_file(names_file, LARGEST_JSON))
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError("it is no list of texts")
            if len(names) != len(codes):
                raise ValueError(f"it names {len(names)} codes; there are {len(codes)}")
    with refusing(folder, "Rename it, or correct its specs.json."):
        return Prior(folder.resolve().name, decoder.eval(), codes, up=UP, front=FRONT, clamp=clamp, about=about)


def _architecture(specs: Any) -> Architecture:
    network, latent = specs["NetworkSpecs"], specs["CodeLength"]
    if specs.get("NetworkArch", "deep_sdf_decoder") != "deep_sdf_decoder":
        raise ValueError("it describes another network than deep_sdf_decoder")
    if network.get("norm_layers") and not network.get("weight_norm", False):
        raise ValueError("layer normalisation (weight_norm false with norm_layers) is not supported")
    widths, joins = list(network["dims"]), list(network.get("latent_in") or ())
    if not all(type(layer) is int and 1 <= layer <= len(widths) for layer in joins):
        raise ValueError("latent_in names a layer that there is not")
    everywhere = range(1, len(widths) + 1) if network.get("xyz_in_all") else ()
    # A layer before one that sees its input again leaves room for it, so that all inputs are as wide as `dims` says.
    for layer in {*joins, *everywhere}:
        widths[layer - 1] -= latent + 3 if layer in joins else 3
    return Architecture.from_json(
        {
            "latent": latent,
            "widths": widths,
            "code_layers": [0, *joins],
            "point_layers": [0, *sorted({*joins, *everywhere})],
            "tanh": 2 if network.get("use_tanh") else 1,
            "octaves": 0,
        }
    )


def _about(specs: dict[str, Any]) -> dict[str, Any]:
    description = specs.get("Description", "")
    lines = description if isinstance(description, list) else [description]
    return {
        "description": " ".join(line for line in lines if isinstance(line, str))[:1000],
        "trained": "imported from a DeepSDF checkpoint",
        "licence": "unknown: the checkpoint does not say",
    }


def _decoder(architecture: Architecture, data: Any) -> Decoder:
    """Cut the official layers, which see hidden | code | point side by side, into this decoder's parts."""
    state = data.get("model_state_dict", data) if isinstance(data, dict) else data
    if not isinstance(state, dict):
        raise ValueError("it holds no weights by name")
    state = {str(name).removeprefix("module."): value for name, value in state.items()}
    shapes, used, pieces = architecture.shapes(), set[str](), dict[str, Tensor]()
    for index in range(len(architecture.widths) + 1):
        parts = [part for part in ("hidden", "code", "point") if f"layers.{index}.{part}" in shapes]
        # The first layer's input is code | point; the point is always last.
        columns = [shapes[f"layers.{index}.{part}"][1] for part in parts]
        rows = shapes[f"layers.{index}.bias"][0]
        weight, bias, names = _layer(state, f"lin{index}", rows, sum(columns))
        used |= names
        for part, piece in zip(parts, weight.split_with_sizes(columns, 1), strict=True):
            pieces[f"layers.{index}.{part}"] = piece
        pieces[f"layers.{index}.bias"] = bias
    if odd := sorted(state.keys() - used):
        raise ValueError(f"it holds weights of another network: {', '.join(name[:40] for name in odd[:4])}")
    decoder = Decoder(architecture)
    decoder.load_state_dict(pieces)
    return decoder


def _layer(state: dict[str, Any], name: str, rows: int, columns: int) -> tuple[Tensor, Tensor, set[str]]:
    """Weight and bias of a layer, weight norm (old or new names) multiplied out, and the names that were used."""
    forms = (
        (f"{name}.weight",),
        (f"{name}.weight_g", f"{name}.weight_v"),
        (f"{name}.parametrizations.weight.original0", f"{name}.parametrizations.weight.original1"),
    )
    for names in forms:
        used = {*names, f"{name}.bias"}
        if used <= state.keys():
            *scale, weight, bias = found = [state[key] for key in (*names, f"{name}.bias")]
            if not all(isinstance(part, Tensor) for part in found):
                raise ValueError(f"{name} holds something else than numbers")
            if weight.shape != (rows, columns) or bias.shape != (rows,) or any(g.shape != (rows, 1) for g in scale):
                raise ValueError(
                    f"{name} is {[tuple(part.shape) for part in found]}; specs.json asks for {(rows, columns)}"
                )
            if scale:
                weight = weight * (scale[0] / weight.norm(dim=1, keepdim=True, dtype=torch.float64)).float()
            weight, bias = weight.float(), bias.float()
            if not (all_finite(weight) and all_finite(bias)):
                raise ValueError(f"{name} holds numbers that are not finite")
            return weight, bias, used
    raise ValueError(f"it lacks the weights of {name}, which specs.json asks for")


def _codes(data: Any, latent: int) -> Tensor:
    """Codes (N, latent) from a tensor, a list of tensors or an embedding's state dict."""
    for name in ("latent_codes", "weight"):
        if isinstance(data, dict) and name in data:
            data = data[name]
    # The same code may stand in a list any number of times.
    if isinstance(data, (list, tuple)) and 0 < len(data) <= MAX_BYTES // (4 * latent):
        codes = [code.reshape(-1) for code in data if isinstance(code, Tensor) and code.numel() == latent]
        data = torch.stack(codes) if len(codes) == len(data) else None
    if not isinstance(data, Tensor) or data.shape[-1:] != (latent,):
        raise ValueError(f"it holds no codes of length {latent} (a tensor, a list of them or an embedding)")
    table = data.reshape(-1, latent).float().contiguous()
    if not all_finite(table):
        raise ValueError("the codes hold numbers that are not finite")
    return table
