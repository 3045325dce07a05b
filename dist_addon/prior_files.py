"""Shape priors on disk, as far as Blender needs them: their names, what they say of themselves, and their codes."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import storage
from .worker.dist_engine.protocol import ANYTHING, RequestError, check_name, copy_file

# Where the built-in priors are.
FOLDER = Path(__file__).resolve().parent / "priors"
# A safetensors header larger than this is no prior of ours.
LARGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class PriorFile:
    """A shape prior on disk.

    Attributes
    ----------
    name : str
        The file's name without its ending.
    path : Path
    metadata : dict of str to str
        What the file says of itself.
    """

    name: str
    path: Path
    metadata: dict[str, str]

    @property
    def reference(self) -> str:
        """What `find_prior` finds it by: its name where it is built in or the user's, else its path."""
        return self.name if self.path.parent in (FOLDER, user_folder()) else str(self.path)

    @property
    def picture(self) -> Path:
        """Where a small picture of one of its shapes is; there may be none."""
        return self.path.with_suffix(".png")

    @property
    def radius(self) -> float:
        """How far a shape reaches from the middle of the prior's frame, in the prior's unit."""
        try:
            return float(self.metadata["radius"])
        except (KeyError, ValueError) as error:
            raise RequestError(f"The shape prior {self.path} does not say its radius: choose another one.") from error

    def codes(self) -> np.ndarray:
        """Read the codes (N, latent) of the shapes that it was trained on.

        Raises
        ------
        RequestError
            The file holds none, or can't be read.
        """
        try:
            header, start = _read_header(self.path)
            entry = header["codes"]
            count, latent = (int(length) for length in entry["shape"])
            first = start + int(entry["data_offsets"][0])
            if entry["dtype"] != "F32" or count < 1 or latent < 1:
                raise ValueError("no list of codes of single precision")
            if not start <= first <= self.path.stat().st_size - 4 * count * latent:
                raise ValueError("larger than the file")
            flat = np.fromfile(self.path, "<f4", count=count * latent, offset=first)
            codes = flat.reshape(count, latent).astype(np.float64)
            if not np.isfinite(codes).all():
                raise ValueError("not finite")
            return codes
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise RequestError(
                f"The codes of the shape prior {self.path} cannot be read: choose another one."
            ) from error

    def code(self, which: int | str | Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the numbers (latent,) of a code.

        Parameters
        ----------
        which : int, "mean", or sequence of float
            A training shape's number, their mean, or the code itself.

        Raises
        ------
        RequestError
            There is no such code, or it is another prior's.
        """
        codes = self.codes()
        count, latent = codes.shape
        if isinstance(which, str):
            if which != "mean":
                raise RequestError(
                    f"There is no code “{which}”: give a number, “mean”, a list of numbers or an object."
                )
            return codes.mean(axis=0)
        if isinstance(which, (int, np.integer)):
            if not 0 <= which < count:
                raise RequestError(
                    f"There is no shape {which}: the prior “{self.name}” has the shapes 0 to {count - 1}."
                )
            return codes[int(which)]
        try:
            numbers = np.array(list(which), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise RequestError(f"The code must be a list of numbers: {error}") from error
        if numbers.shape != (latent,):
            raise RequestError(f"The code has {numbers.size} numbers, but the prior “{self.name}” takes {latent}.")
        return numbers


def priors() -> list[PriorFile]:
    """Return the built-in shape priors, then the user's, each by name; files that cannot be read are left out."""
    found: list[PriorFile] = []
    for folder in (FOLDER, user_folder()):
        # Not those that are being written: their names begin with a dot.
        for path in sorted(folder.glob("[!.]*.safetensors")):
            try:
                prior = _read_prior(path, path.stat().st_mtime_ns)
            except (RequestError, OSError):
                continue
            # A later version of the add-on may bring one of that name.
            taken = _taken(prior.name, found) or prior.name.casefold() == ANYTHING
            found.append(replace(prior, name=f"{prior.name} (own)") if taken else prior)
    return found


def find_prior(prior: str | os.PathLike[str]) -> PriorFile:
    """Return a built-in prior or one of the user's by its name, or one by its path.

    Raises
    ------
    RequestError
        There is no such prior, or the file is none.
    """
    named = {found.name: found for found in priors()}
    if str(prior) in named:
        return named[str(prior)]
    path = Path(bpy.path.abspath(os.fspath(prior))).absolute() if str(prior) else Path()
    if path.suffix == ".safetensors" and path.exists():
        return _read_prior(path, path.stat().st_mtime_ns)
    raise RequestError(
        f"There is no shape prior “{prior}”: choose one of {', '.join(named) or '(none is there)'}, or give the "
        "path of a .safetensors file."
    )


def user_folder() -> Path:
    """Return where the user's priors are; the folder may be missing."""
    return storage.user_folder("priors") or Path(bpy.utils.user_resource("DATAFILES", path="dist_priors"))


def check_free(name: str) -> None:
    """Raise `RequestError` where a prior of the user's cannot be called so, or another is."""
    check_name(name)
    if other := _taken(name, priors()):
        raise RequestError(
            f"There is a shape prior “{other.name}” already: choose another name"
            + (f", or delete its file, {other.path}." if other.path.parent != FOLDER else ".")
        )


def keep_prior(source: Path, name: str, file: Path | None = None) -> PriorFile:
    """Copy a prior file among the user's priors, or to `file`; where the very same is there already, nothing changes.

    Raises
    ------
    RequestError
        The name cannot be used, there is another prior of that name, or the file cannot be written.
    """
    target = file.absolute() if file else user_folder() / f"{name}.safetensors"
    try:
        if not (target.is_file() and target.read_bytes() == source.read_bytes()):
            if file is None:
                check_free(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(source, target)
        return _read_prior(target, target.stat().st_mtime_ns)
    except OSError as error:
        raise RequestError(f"The prior cannot be written: {error}. It is in {source.parent}.") from error


def _taken(name: str, found: list[PriorFile]) -> PriorFile | None:
    """The prior whose name is this one, on systems that do not tell capitals from small letters, too."""
    return next((prior for prior in found if prior.name.casefold() == name.casefold()), None)


@functools.lru_cache(maxsize=64)
def _read_prior(path: Path, _mtime: int) -> PriorFile:
    try:
        metadata = _read_header(path)[0].get("__metadata__", {})
        return PriorFile(path.stem, path, {str(key): str(value) for key, value in metadata.items()})
    except (OSError, ValueError, AttributeError) as error:
        raise RequestError(f"The shape prior {path} is no safetensors file: choose another one.") from error


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Read a safetensors header: its length as 8 bytes, little-endian, then JSON; and where the data begin."""
    # To open a pipe would wait for its other end.
    if not path.is_file():
        raise ValueError("no regular file")
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= LARGEST_HEADER:
            raise ValueError("no header")
        try:
            header = json.loads(stream.read(length))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header, 8 + length
