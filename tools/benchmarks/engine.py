"""A reconstruction by the engine as the add-on asks for it, in a process of its own, and what it cost."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from shutil import copyfile
from typing import Any, TypeVar

import numpy as np
from dist_engine.protocol import PRIOR_FILE, Request, Result

from .things import Mesh

Given = TypeVar("Given")
# One thread each, of whatever library.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "IGL_NUM_THREADS")


@dataclass(frozen=True)
class Made:
    """What came of a reconstruction.

    Attributes
    ----------
    mesh : pair of (N, 3) and (M, 3) arrays
        In the world.
    report : dict
        `protocol.Result`'s.
    """

    mesh: Mesh
    report: dict[str, Any]


def reconstructed(request: Request, prior: Path | None = None) -> Made:
    """Do a request's work from job folder to result; call it by `alone`."""
    from dist_engine.reconstruct import reconstruct
    from dist_engine.reporting import Reporter

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123
        job = Path(folder)
        if prior is not None:
            copyfile(prior, job / PRIOR_FILE)
        request.save(job)
        reconstruct(job, Reporter(nothing))
        result = Result.load(job)
    vertices = result.vertices.astype(float) @ result.rotation.T + result.translation
    return Made((vertices, np.asarray(result.faces)), result.report)


def alone(work: Callable[..., Given], *given: Any) -> tuple[Given, dict[str, float]]:
    """Do some work in a new process of one thread, and measure it: what it returns, and its cost.

    The cost is ``seconds`` and ``cpu_seconds`` of the work, without what starting takes, and ``peak_mb`` of the whole
    process. Later processes of this one have one thread, too.
    """
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, work, *given).result()


def _measured(work: Callable[..., Given], *given: Any) -> tuple[Given, dict[str, float]]:
    import torch

    torch.set_num_threads(1)
    began, spent = time.monotonic(), time.process_time()
    made = work(*given)
    # Linux tells kilobytes, macOS bytes.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return made, {
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - spent,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
    }
