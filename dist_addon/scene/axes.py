"""A result's code along the main axes of its prior's codes: what the sliders show and move."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..prior_files import PriorFile
from ..worker.dist_engine.code_space import CodeSpace
from ..worker.dist_engine.protocol import RequestError
from . import result as scene_result

COUNT = 6


@dataclass(frozen=True)
class Axes:
    """An object's code in the space of its prior's codes.

    Attributes
    ----------
    prior : PriorFile
    space : CodeSpace
    code : (latent,) array
    """

    prior: PriorFile
    space: CodeSpace
    code: np.ndarray

    def values(self) -> list[float]:
        """The code along the first `COUNT` axes, in standard deviations; fewer where the prior has fewer."""
        return self.space.values(self.code, COUNT).tolist()


def read_axes(thing: bpy.types.Object | None) -> Axes:
    """Return where an object's code is.

    Raises
    ------
    RequestError
        It is no result, its prior is not found, or the code is another prior's.
    """
    prior, code = scene_result.read_code(thing)
    return Axes(prior, code_space(prior), code)


def values(thing: bpy.types.Object) -> list[float]:
    """The values of `COUNT` sliders; 0 where there is no such axis, or nothing to move."""
    try:
        found = read_axes(thing).values()
    except RequestError:
        found = []
    return found + [0.0] * (COUNT - len(found))


def move(thing: bpy.types.Object, wanted: Sequence[float]) -> None:
    """Change an object's code so that its values are the `wanted`; an axis whose value stays is not touched."""
    found = read_axes(thing)
    code = found.code
    for axis, (old, new) in enumerate(zip(found.values(), wanted, strict=False)):
        # Blender's numbers are of single precision.
        if np.float32(old) != np.float32(new):
            code = found.space.moved(code, axis, new)
    scene_result.set_code(thing, code)


def code_space(prior: PriorFile) -> CodeSpace:
    """The space of a prior's codes; measured once for each version of its file."""
    try:
        return _measure(prior.path, prior.path.stat().st_mtime_ns)
    except OSError as error:
        raise RequestError(f"The shape prior {prior.path} cannot be read: {error}. Choose another one.") from error


@functools.lru_cache(maxsize=16)
def _measure(path: Path, _mtime: int) -> CodeSpace:
    return CodeSpace.of(PriorFile(path.stem, path, {}).codes())
