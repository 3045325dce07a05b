"""A shape prior on disk: one ``.safetensors`` file with a decoder, its training codes and what they mean."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .decoder import Architecture, Decoder

FORMAT = "dist-prior"
FORMAT_VERSION = 1
MAX_BYTES = 1 << 30


class PriorError(ValueError):
    """A prior file that cannot be used; the message names the file and the remedy."""


@dataclass
class Prior:
    """A decoder with the codes that it was trained on.

    Attributes
    ----------
    name : str
        The class of shapes, as a person calls it: ``table``.
    decoder : Decoder
    codes : (N, latent) tensor
        The training shapes' codes.
    up, front : str
        Axes of the object frame, ``+x`` ... ``-z``: where a shape's top is and where its front looks.
    radius : float
        Shapes were scaled so that their farthest vertex from the box centre lies here (official: 1 / 1.03).
    clamp : float
        Distances were clamped to this in training; f saturates there.
    about : dict
        How it was trained, its licence.
    """

    name: str
    decoder: Decoder
    codes: Tensor
    up: str = "+z"
    front: str = "-y"
    radius: float = 1 / 1.03
    clamp: float = 0.1
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> Tensor:
        """Mean training code (latent,)."""
        return self.codes.mean(0)

    def precision_root(self, floor: float = 0.05) -> Tensor:
        """W (latent, latent) with |W (z - mean)|^2 the squared Mahalanobis distance to the training codes.

        Directions in which the codes hardly vary are held by `floor` times the largest spread, so that W stays finite.
        """
        centred = (self.codes - self.mean).double()
        covariance = centred.T @ centred / max(len(centred) - 1, 1)
        spread, axes = torch.linalg.eigh(covariance)
        deviation = spread.clamp(min=0).sqrt()
        deviation = deviation.clamp(min=float(deviation.max()) * floor)
        return (axes / deviation).T.to(self.codes)

    def axes(self) -> np.ndarray:
        """Columns: right, back and up of a shape in the object frame (3, 3), a proper rotation."""
        up, back = axis_vector(self.up), -axis_vector(self.front)
        return np.stack([np.cross(back, up), back, up], axis=1)

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Prior:
        """Move decoder and codes; returns self."""
        self.decoder.to(device=device, dtype=dtype)
        self.codes = self.codes.to(device=device, dtype=dtype)
        return self

    def save(self, path: Path) -> None:
        """Write the file beside `path` and move it into place."""
        metadata = {
            "format": FORMAT,
            "version": str(FORMAT_VERSION),
            "name": self.name,
            "up": self.up,
            "front": self.front,
            "radius": repr(self.radius),
            "clamp": repr(self.clamp),
            "architecture": json.dumps(self.decoder.architecture.to_json()),
            "about": json.dumps(self.about),
        }
        tensors = {f"decoder.{k}": v for k, v in self.decoder.state_dict().items()} | {"codes": self.codes}
        beside = path.with_name(path.name + ".part")
        save_file({k: v.detach().float().cpu().contiguous() for k, v in tensors.items()}, beside, metadata)
        beside.replace(path)

    @staticmethod
    def load(path: Path) -> Prior:
        """Read a prior; every name, shape and type is checked before any weight is read.

        Raises
        ------
        PriorError
            The file is missing, damaged, too large, of another kind or version, or holds numbers that are not finite.
        """
        if not path.is_file():
            raise PriorError(f"There is no shape prior at {path}: choose another, or train one.")
        if path.stat().st_size > MAX_BYTES:
            raise PriorError(f"{path} is larger than {MAX_BYTES >> 20} MiB: that is no prior of this add-on.")
        try:
            with safe_open(path, framework="pt") as file:
                return _read(path, file)
        except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
            if isinstance(error, PriorError):
                raise
            raise PriorError(f"{path} is no shape prior of this add-on, or is damaged: {error}") from error


def axis_vector(name: str) -> np.ndarray:
    """Unit vector (3,) of an axis name such as ``-y``."""
    if len(name) != 2 or name[0] not in "+-" or name[1] not in "xyz":
        raise PriorError(f"“{name}” is no axis: expected one of +x -x +y -y +z -z.")
    return np.eye(3)["xyz".index(name[1])] * (1.0 if name[0] == "+" else -1.0)


def _read(path: Path, file: Any) -> Prior:
    metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT or metadata.get("version") != str(FORMAT_VERSION):
        raise PriorError(f"{path} is not a “{FORMAT}” file of version {FORMAT_VERSION}: train or import it again.")
    architecture = Architecture.from_json(json.loads(metadata["architecture"]))
    expected: dict[str, tuple[int, ...]] = {f"decoder.{k}": v for k, v in architecture.shapes().items()}
    names = set(file.keys())
    if names != expected.keys() | {"codes"}:
        odd = sorted(names ^ (expected.keys() | {"codes"}))
        raise PriorError(f"{path} lacks weights or has unknown ones: {', '.join(odd[:4])}.")
    for name, shape in expected.items():
        _check_tensor(path, file, name, shape)
    count = file.get_slice("codes").get_shape()[0]
    _check_tensor(path, file, "codes", (count, architecture.latent))
    decoder = Decoder(architecture)
    tensors = {name: file.get_tensor(name) for name in names}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise PriorError(f"{path}: {name} holds numbers that are not finite.")
    decoder.load_state_dict({name.removeprefix("decoder."): tensors[name] for name in expected})
    prior = Prior(
        name=metadata["name"],
        decoder=decoder.eval(),
        codes=tensors["codes"],
        up=metadata["up"],
        front=metadata["front"],
        radius=float(metadata["radius"]),
        clamp=float(metadata["clamp"]),
        about=json.loads(metadata["about"]),
    )
    if abs(float(np.dot(axis_vector(prior.up), axis_vector(prior.front)))) > 0.5:
        raise PriorError(f"{path}: up {prior.up} and front {prior.front} are the same axis.")
    return prior


def _check_tensor(path: Path, file: Any, name: str, shape: tuple[int, ...]) -> None:
    piece = file.get_slice(name)
    if tuple(piece.get_shape()) != shape or piece.get_dtype() != "F32":
        raise PriorError(f"{path}: {name} is {piece.get_dtype()} {piece.get_shape()}; expected F32 {list(shape)}.")
