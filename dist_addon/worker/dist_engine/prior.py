"""A shape prior on disk: one ``.safetensors`` file with a decoder, its training codes and what they mean."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from .decoder import Architecture, Decoder
from .protocol import RequestError, read_file, written_beside
from .untrusted import MAX_BYTES, PriorError, all_finite, read_json, refusing

__all__ = ["Prior", "PriorError", "axis_vector", "seal"]

FORMAT = "dist-prior"
FORMAT_VERSION = 1
MAX_HEADER = 1 << 20
AXES = ("+x", "-x", "+y", "-y", "+z", "-z")


@dataclass
class Prior:
    """A decoder with the codes that it was trained on.

    Attributes
    ----------
    name : str
        The class of shapes, as a person calls it: ``table``.
    decoder : Decoder
    codes : (N, latent) tensor
        The training shapes' codes; their mean and spread are computed from them where they are needed.
    up, front : str
        Axes of the object frame, ``+x`` ... ``-z``: where a shape's top is and where its front looks.
    radius : float
        Shapes were scaled so that their farthest vertex from the box centre lies here (official: 1 / 1.03).
    clamp : float
        Distances were clamped to this in training; f saturates there.
    about : dict
        How it was trained, its licence.

    Raises
    ------
    ValueError
        The name, an axis, the radius, the clamp or the codes' shape makes no sense.
    """

    name: str
    decoder: Decoder
    codes: Tensor
    up: str = "+z"
    front: str = "-y"
    radius: float = 1 / 1.03
    clamp: float = 0.1
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ValueError where an attribute makes no sense."""
        if not (0 < len(self.name) <= 100 and self.name.isprintable()):
            raise ValueError("its name is empty, longer than 100 characters or not printable")
        if self.up not in AXES or self.front not in AXES or self.up[1] == self.front[1]:
            raise ValueError(
                f"up “{self.up:.20}” and front “{self.front:.20}” are not two of the axes {' '.join(AXES)}"
            )
        if not 0 < self.radius < math.inf or not self.clamp > 0:
            raise ValueError(f"its radius {self.radius} or its clamp {self.clamp} is no length")
        if self.codes.dim() != 2 or len(self.codes) == 0 or self.codes.shape[1] != self.decoder.architecture.latent:
            raise ValueError(f"its codes are {tuple(self.codes.shape)}; the decoder takes any number of one length")

    @property
    def mean(self) -> Tensor:
        """Mean training code (latent,)."""
        return self.codes.mean(0)

    def as_code(self, numbers: np.ndarray | Sequence[float]) -> Tensor:
        """Numbers as a code (latent,); raises `RequestError` where there are not as many as it takes."""
        latent = self.decoder.architecture.latent
        if len(numbers) != latent:
            raise RequestError(f"The code has {len(numbers)} numbers, but the prior “{self.name}” takes {latent}.")
        return torch.as_tensor(numbers).to(self.codes)

    def precision_root(self, floor: float = 0.05) -> Tensor:
        """W (latent, latent) with |W (z - mean)|^2 the squared Mahalanobis distance to the training codes.

        Directions in which the codes hardly vary are held by `floor` times the largest spread, so that W stays finite.
        """
        # On the CPU: not all devices have doubles.
        centred = (self.codes - self.mean).cpu().double()
        covariance = centred.T @ centred / max(len(centred) - 1, 1)
        spread, axes = torch.linalg.eigh(covariance)
        deviation = spread.clamp(min=0).sqrt()
        deviation = deviation.clamp(min=float(deviation.max()) * floor)
        root: Tensor = (axes / deviation).T.to(self.codes)
        return root

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
        """Write the file beside `path` and move it into place.

        Raises
        ------
        PriorError
            An attribute makes no sense, or the file would be larger than `load` takes.
        """
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
        plain = {k: v.detach().float().cpu().contiguous() for k, v in tensors.items()}
        with refusing(path, "Correct what it says about itself, or train fewer or smaller layers."):
            self.check()
            content = seal(safetensors.torch.save(plain, metadata))
            _split(content)
        with written_beside(path) as part:
            part.write_bytes(content)

    @staticmethod
    def load(path: Path) -> Prior:
        """Read a prior; sizes, checksum, every name, shape and type are checked before any weight is taken out.

        Raises
        ------
        PriorError
            The file is missing, damaged, too large, of another kind or version, or holds numbers that are not finite.
        """
        with refusing(path, "Choose another shape prior, or train or import it again."):
            return _read(read_file(path, MAX_BYTES))


def axis_vector(name: str) -> np.ndarray:
    """Unit vector (3,) of an axis name such as ``-y``."""
    vector: np.ndarray = np.eye(3)["xyz".index(name[1])] * (1.0 if name[0] == "+" else -1.0)
    return vector


def seal(content: bytes) -> bytes:
    """Put a checksum of all the rest of a safetensors file into its metadata, and these in an order of their own."""
    header, data = _split(content)
    header["__metadata__"]["sha256"] = _checksum(header, data)
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def _checksum(header: dict[str, Any], data: memoryview) -> str:
    rest = {name: value for name, value in header["__metadata__"].items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(header | {"__metadata__": rest}, sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()


def _split(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """Header and data of a safetensors file: the header's length in 8 bytes, the header in JSON, the data."""
    length = int.from_bytes(content[:8], "little")
    if len(content) > MAX_BYTES or length > MAX_HEADER:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB, or its header than {MAX_HEADER >> 20} MiB")
    if not 0 < length <= len(content) - 8:
        raise ValueError("it is cut off, or no safetensors file")
    header = read_json(content[8 : 8 + length])
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__"), dict):
        raise ValueError("its header does not say what it is")
    return header, memoryview(content)[8 + length :]


def _read(content: bytes) -> Prior:
    header, data = _split(content)
    metadata = header["__metadata__"]
    if metadata.get("format") != FORMAT or metadata.get("version") != str(FORMAT_VERSION):
        raise ValueError(f"it is not a “{FORMAT}” file of version {FORMAT_VERSION}")
    if metadata.get("sha256") != _checksum(header, data):
        raise ValueError("it is damaged: its checksum does not fit")
    if lacking := {"name", "up", "front", "radius", "clamp", "architecture", "about"} - metadata.keys():
        raise ValueError(f"its header lacks {', '.join(sorted(lacking))}")
    architecture = Architecture.from_json(read_json(metadata["architecture"]))
    shapes = {f"decoder.{name}": list(shape) for name, shape in architecture.shapes().items()}
    if odd := sorted((shapes.keys() | {"codes", "__metadata__"}) ^ header.keys()):
        raise ValueError(f"it lacks weights or has unknown ones: {', '.join(name[:40] for name in odd[:4])}")
    shapes["codes"] = [header["codes"]["shape"][0], architecture.latent]
    for name, shape in shapes.items():
        found = header[name]
        if found["dtype"] != "F32" or found["shape"] != shape:
            raise ValueError(f"{name} is {found['dtype']!r:.20} {found['shape']!r:.60}; expected F32 {shape}")
    # Refuses offsets that do not fit the shapes and the data.
    tensors = safetensors.torch.load(content)
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            raise ValueError(f"{name} holds numbers that are not finite")
    about = read_json(metadata["about"])
    if not isinstance(about, dict):
        raise ValueError("what it says about itself is no JSON object")
    codes = tensors.pop("codes")
    decoder = Decoder(architecture)
    decoder.load_state_dict({name.removeprefix("decoder."): tensor for name, tensor in tensors.items()})
    return Prior(
        name=metadata["name"],
        decoder=decoder.eval(),
        codes=codes,
        up=metadata["up"],
        front=metadata["front"],
        radius=float(metadata["radius"]),
        clamp=float(metadata["clamp"]),
        about=about,
    )
