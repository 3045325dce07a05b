"""Pictures that are larger than a fit can use, made smaller, and their cameras with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .observations import KINDS
from .protocol import Request

# Pixels along the longer side. In units of finer ones, an outline that is off is off by so many that all seem alike: of
# the same table, from eight pictures of 2048 and the same rays, fits at 384 and 256 ended at an IoU of 0.98, at 512 of
# 0.97, and at 1024 of 0.95.
LONGEST = 384


def shrunk(request: Request) -> tuple[Request, int]:
    """Return a request for the same thing with smaller pictures, and how many times as long theirs were.

    Each kind of observation says how blocks of pixels become one; what fills no block, at the right and at the foot, is
    left out.
    """
    factor = -(-max(request.masks.shape[1:]) // LONGEST)
    if factor <= 1 or not request.views:
        return request, 1
    scale = np.diag([1 / factor, 1 / factor, 1])
    views = [replace(view, K=scale @ view.K) for view in request.views]
    fields: dict[str, Any] = {name: array for kind in KINDS for name, array in kind.shrunk(request, factor).items()}
    return replace(request, views=views, **fields), factor
