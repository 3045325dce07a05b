"""DeepSDF's official network, written out plainly with nn.Linear, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

LATENT, DIMS = 5, [16, 16, 16, 16]


class Plain(nn.Module):
    """The official architecture: layer inputs are hidden | latent | xyz, or latent | xyz for the first."""

    def __init__(self, latent_in: list[int], xyz_in_all: bool, use_tanh: bool, norm: str) -> None:
        super().__init__()
        self.latent_in, self.xyz_in_all, self.use_tanh = latent_in, xyz_in_all, use_tanh
        sizes = [LATENT + 3, *DIMS, 1]
        for layer in range(len(sizes) - 1):
            out = sizes[layer + 1]
            if layer + 1 in latent_in:
                out -= LATENT + 3
            elif xyz_in_all and layer < len(sizes) - 2:
                out -= 3
            linear: nn.Module = nn.Linear(sizes[layer], out)
            if norm != "none" and layer < len(sizes) - 2:
                old = norm == "old"
                linear = (nn.utils.weight_norm if old else nn.utils.parametrizations.weight_norm)(linear)
            setattr(self, f"lin{layer}", linear)

    def forward(self, code: Tensor, points: Tensor) -> Tensor:
        first = torch.cat([code.expand(len(points), -1), points], 1)
        x, last = first, len(DIMS)
        for layer in range(last + 1):
            if layer in self.latent_in:
                x = torch.cat([x, first], 1)
            elif layer and self.xyz_in_all:
                x = torch.cat([x, points], 1)
            x = getattr(self, f"lin{layer}")(x)
            if layer == last and self.use_tanh:
                x = torch.tanh(x)
            if layer < last:
                x = torch.relu(x)
        return torch.tanh(x)[:, 0]


def write(folder: Path, plain: Plain, codes: object, norm: str, prefix: str = "", legacy: bool = False) -> None:
    specs = {
        "CodeLength": LATENT,
        "ClampingDistance": 0.1,
        "NetworkSpecs": {
            "dims": DIMS,
            "latent_in": plain.latent_in,
            "norm_layers": [0, 1, 2, 3] if norm != "none" else [],
            "weight_norm": norm != "none",
            "xyz_in_all": plain.xyz_in_all,
            "use_tanh": plain.use_tanh,
        },
    }
    for name in ("ModelParameters", "LatentCodes"):
        (folder / name).mkdir(parents=True)
    (folder / "specs.json").write_text(json.dumps(specs))
    state = {prefix + name: value for name, value in plain.state_dict().items()}
    for name, data in (("ModelParameters", {"model_state_dict": state}), ("LatentCodes", {"latent_codes": codes})):
        torch.save({"epoch": 1} | data, folder / name / "latest.pth", _use_new_zipfile_serialization=not legacy)
