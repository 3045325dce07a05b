"""An Adam optimisation on disk, as safetensors, so that it can go on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def save(path: Path, step: int, unknowns: Mapping[str, Tensor], optimiser: torch.optim.Adam) -> None:
    """Write the unknowns with Adam's moments beside `path` and move them into place."""
    tensors = {"step": torch.tensor(step)}
    for name, unknown in unknowns.items():
        tensors[name] = unknown.detach()
        state = optimiser.state.get(unknown)
        if state:
            tensors |= {f"{name}|m": state["exp_avg"], f"{name}|v": state["exp_avg_sq"]}
    beside = path.with_name(path.name + ".part")
    save_file(tensors, beside)
    beside.replace(path)


def resume(path: Path, unknowns: Mapping[str, Tensor], optimiser: torch.optim.Adam) -> int:
    """Put what `save` wrote back into the unknowns and the optimiser; returns the step, 0 without a file."""
    if not path.exists():
        return 0
    tensors = load_file(path)
    step = int(tensors["step"])
    for name, unknown in unknowns.items():
        unknown.data.copy_(tensors[name])
        if f"{name}|m" in tensors:
            optimiser.state[unknown] = {
                "step": torch.tensor(float(step)),
                "exp_avg": tensors[f"{name}|m"].to(unknown),
                "exp_avg_sq": tensors[f"{name}|v"].to(unknown),
            }
    return step
