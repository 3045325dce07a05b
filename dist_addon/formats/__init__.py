"""Files of calibrated cameras as plain data. No bpy here: numpy, the standard library and the protocol's types."""

from __future__ import annotations

from pathlib import Path

from ..worker.dist_engine.protocol import RequestError
from . import colmap, middlebury, transforms
from .calibration import Calibration

__all__ = ["Calibration", "read"]

KINDS = "transforms.json (NeRF, instant-ngp), a COLMAP model (cameras.bin or .txt) or Middlebury's ..._par.txt"


def read(path: Path) -> Calibration:
    """Read cameras, with the places of their pictures, from a file or from the folder that holds it.

    In a folder, ``transforms.json`` counts first, then a COLMAP model (there, or in ``sparse/0`` or ``sparse``), then
    ``*_par.txt``.

    Raises
    ------
    RequestError
        It holds none of these, or is damaged, or Blender has no such cameras: the message names file and entry.
    """
    if path.is_dir():
        for name in ("transforms.json", "transforms_train.json"):
            if (path / name).is_file():
                return transforms.read(path / name)
        for folder in (path / "sparse" / "0", path / "sparse", path):
            if suffix := colmap.find_suffix(folder):
                return colmap.read(folder, suffix)
        found = sorted(path.glob("*_par.txt"))
        if len(found) > 1:
            raise RequestError(f"The folder {path} holds {len(found)} files *_par.txt: choose one of them.")
        if found:
            return middlebury.read(found[0])
        raise RequestError(f"The folder {path} holds no cameras: choose one with {KINDS}.")
    if not path.is_file():
        raise RequestError(f"There is no file {path}: choose {KINDS}.")
    if path.suffix.lower() == ".json":
        return transforms.read(path)
    if path.stem in colmap.FILES and path.suffix in colmap.SUFFIXES:
        return colmap.read(path.parent, path.suffix)
    if path.name.endswith("_par.txt"):
        return middlebury.read(path)
    raise RequestError(f"{path} is no file of cameras that is known here: choose {KINDS}.")
