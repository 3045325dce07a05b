"""Which views fit far worse than the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

Name = TypeVar("Name")
# A view disagrees with the others where its overlap is below the median by so much, and by so many usual deviations.
WORSE, DEVIATIONS = 0.1, 5.0


def disagreeing(overlaps: Mapping[Name, float], worse: float = WORSE) -> list[Name]:
    """Views whose outline fits far worse than most others': their mask or their camera is likely wrong."""
    if not overlaps:
        return []
    values = np.array(list(overlaps.values()))
    middle = float(np.median(values))
    usual = 1.4826 * float(np.median(np.abs(values - middle)))
    return [name for name, value in overlaps.items() if middle - value > max(worse, DEVIATIONS * usual)]
