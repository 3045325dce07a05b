"""An Adam optimisation on disk, as safetensors, so that it can go on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .protocol import written_beside


def save(path: Path, step: int, unknowns: Mapping[str, Tensor], optimiser: torch.optim.Adam, purpose: str) -> None:
    """Write the unknowns with Adam's moments beside `path` and move them into place.

    Parameters
    ----------
    path : Path
    step : int
        How many steps were done.
    unknowns : mapping of str to Tensor
    optimiser : Adam
        Of these unknowns.
    purpose : str
        What is optimised: only an optimisation of the same can go on from here.
    """
    tensors = {"step": torch.tensor(step)}
    for name, unknown in unknowns.items():
        tensors[name] = unknown.detach()
        state = optimiser.state.get(unknown)
        if state:
            tensors |= {f"{name}|m": state["exp_avg"], f"{name}|v": state["exp_avg_sq"]}
    with written_beside(path) as part:
        save_file({name: tensor.cpu() for name, tensor in tensors.items()}, part, {"purpose": purpose})


def resume(path: Path, unknowns: Mapping[str, Tensor], optimiser: torch.optim.Adam, purpose: str) -> int:
    """Put what `save` wrote back into the unknowns and the optimiser.

    Returns
    -------
    int
        The step; 0, with nothing changed, where there is no file, or it is damaged or of another purpose.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("purpose") != purpose:
                return 0
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return 0
    step = int(tensors["step"])
    for name, unknown in unknowns.items():
        unknown.data.copy_(tensors[name])
        if f"{name}|m" in tensors:
            optimiser.state[unknown] = {
                "step": torch.tensor(float(step)),
                # Copies: on Windows, nobody could replace a file that is mapped.
                "exp_avg": tensors[f"{name}|m"].to(unknown, copy=True),
                "exp_avg_sq": tensors[f"{name}|v"].to(unknown, copy=True),
            }
    return step
