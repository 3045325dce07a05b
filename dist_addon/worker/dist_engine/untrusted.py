"""Files of unknown origin: what is read of them, and how they are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

# Eight layers of 1024 and ten thousand codes of 256 take 40 MB; what is too large is refused before it is read.
MAX_BYTES = 40 << 20


class PriorError(ValueError):
    """A prior or a checkpoint that cannot be used; the message names the file and the remedy."""


@contextmanager
def refusing(file: Path, remedy: str) -> Iterator[None]:
    """Turn whatever goes wrong with a file of unknown origin into a `PriorError` that names it and the remedy."""
    try:
        yield
    except Exception as error:  # Damaged data make parsers raise anything.
        reason = str(error)[:300]
        if isinstance(error, KeyError):
            reason = f"it lacks {reason}"
        elif not isinstance(error, (ValueError, OSError)):
            reason = f"it is damaged ({type(error).__name__}: {reason})"
        clean = "".join(c if c.isprintable() else " " for c in reason)
        raise PriorError(f"{file} cannot be used: {clean.rstrip('.')}. {remedy}") from error


def read_json(content: str | bytes) -> Any:
    """Parse JSON in which no name comes twice; raises ValueError."""
    try:
        return json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it holds no proper JSON ({error})") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def all_finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite: the extremes show it, and take no memory as `torch.isfinite` does."""
    return tensor.numel() == 0 or all(bool(extreme.isfinite()) for extreme in tensor.aminmax())
