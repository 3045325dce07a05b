"""What meshes of given codes need, what they leave behind, and the lines that ask a worker which stays for more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import VERSION, RequestError, read_array, read_json, reading_fields, write_array, write_json
from .places import Placement
from .reconstruction import Result

SHAPE = "shape"
MOST_SHAPES, LARGEST_CODE = 1000, 4096
# Marching cubes halves the cells of its coarsest lattice; the finest takes 675 MB.
RESOLUTIONS = (32, 64, 128, 256, 512)
LONGEST_STAY = 3600.0
# What of a request is written into its JSON as it is.
_PLAIN = ("resolution", "prior", "device", "threads", "stay")


@dataclass(frozen=True)
class ShapeRequest:
    """Codes to be made meshes of.

    Attributes
    ----------
    codes : (K, latent) float64 array
        K may be 0 where the worker stays.
    placements : sequence of Placement
        Where each stands.
    resolution : int
        One of `RESOLUTIONS`: cells along the unit sphere's diameter for marching cubes.
    prior : str
        What the user calls the prior: for the report; the file beside the request is what counts.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    threads : int
        CPU threads for the worker; 0 leaves the choice to PyTorch.
    stay : float
        Seconds that the worker waits for a `ShapeOrder` after the last, before it ends; 0: it takes none.
    """

    codes: np.ndarray
    placements: Sequence[Placement]
    resolution: int = 128
    prior: str = ""
    device: str = "auto"
    threads: int = 0
    stay: float = 0.0

    def check(self) -> None:
        """Raise `RequestError` for anything that no mesh could be made of."""
        if self.codes.ndim != 2 or not 0 < self.codes.shape[1] <= LARGEST_CODE or not np.isfinite(self.codes).all():
            raise RequestError(f"The codes must be lists of finite numbers, at most {LARGEST_CODE} each.")
        if not 0 <= self.stay <= LONGEST_STAY:
            raise RequestError(f"The worker may stay 0 to {LONGEST_STAY:.0f} seconds, not {self.stay}.")
        fewest = 0 if self.stay else 1
        if not fewest <= len(self.codes) <= MOST_SHAPES or len(self.codes) != len(self.placements):
            raise RequestError(
                f"{fewest} to {MOST_SHAPES} shapes can be made at once, each with a placement; there are "
                f"{len(self.codes)} codes and {len(self.placements)} placements."
            )
        check_resolution(self.resolution)
        for placement in self.placements:
            placement.check()

    def save(self, folder: Path) -> None:
        """Write the request into `folder` (which exists); the prior is copied there by the caller."""
        self.check()
        write_array(folder / "codes.npy", self.codes.astype(np.float64))
        data: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        data |= {"version": VERSION, "task": SHAPE}
        data["placements"] = [placement.to_json() for placement in self.placements]
        write_json(folder / "request.json", data)

    @staticmethod
    def load(folder: Path) -> ShapeRequest:
        """Read and check a request.

        Raises
        ------
        RequestError
            A part is missing, of another version, or inconsistent.
        """
        path = folder / "request.json"
        data = read_json(path)
        codes = read_array(folder / "codes.npy", MOST_SHAPES * LARGEST_CODE)
        with reading_fields(path):
            request = ShapeRequest(
                codes=codes.astype(np.float64),
                placements=[Placement.from_json(placement) for placement in data["placements"]],
                **{name: data[name] for name in _PLAIN},
            )
            request.check()
        return request


@dataclass(frozen=True)
class ShapeOrder:
    """A shape asked of a worker that stays, as a line on its standard input.

    Attributes
    ----------
    serial : int
        What the answer is known by: the event ``shape`` tells it, and `shape_folder` is named so.
    code : list of float
    scale : float
        Blender units that the prior's unit is long.
    resolution : int
        One of `RESOLUTIONS`.
    """

    serial: int
    code: list[float]
    scale: float
    resolution: int

    def to_line(self) -> str:
        """The order as JSON, without a line's end."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_line(line: str, latent: int) -> ShapeOrder:
        """Read what `to_line` made; raises `RequestError` where it is no order of a shape with such a code."""
        try:
            data = json.loads(line)
            order = ShapeOrder(
                int(data["serial"]), [float(n) for n in data["code"]], float(data["scale"]), data["resolution"]
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise RequestError(f"The worker was sent a line that asks for no shape: {line[:200]!r}") from error
        if len(order.code) != latent or not np.isfinite([*order.code, order.scale]).all() or not order.scale > 0:
            raise RequestError(
                f"The worker was sent a shape without {latent} finite numbers as code and a scale above 0."
            )
        check_resolution(order.resolution)
        return order


@dataclass(frozen=True)
class ShapesResult:
    """What a finished job leaves behind, if it was given codes at the start.

    Attributes
    ----------
    shapes : list of Result
        As many as there were codes. Their reports have ``prior``, ``scale``, ``code``, ``resolution`` and ``queries``.
    report : dict
        ``prior`` (what the user calls it), ``shapes`` (how many), ``seconds`` (a number a stage) and ``device``.
    """

    shapes: list[Result]
    report: dict[str, Any]

    @staticmethod
    def save_report(folder: Path, report: dict[str, Any]) -> None:
        """Write the report once every shape is in its `shape_folder`."""
        write_json(folder / "result.json", {"version": VERSION, "report": report})

    @staticmethod
    def load(folder: Path) -> ShapesResult:
        """Read a result; raises `RequestError` where it is missing or damaged."""
        report = read_json(folder / "result.json").get("report")
        count = report.get("shapes") if isinstance(report, dict) else 0
        if not isinstance(report, dict) or not isinstance(count, int) or not 0 < count <= MOST_SHAPES:
            raise RequestError(f"The folder {folder} holds no finished shapes: run the job again.")
        return ShapesResult([Result.load(shape_folder(folder, serial)) for serial in range(count)], report)


def shape_folder(folder: Path, serial: int) -> Path:
    """Where a job's shape is: those of the request are counted from 0, the others named by their order."""
    return folder / "shapes" / str(serial)


def check_resolution(resolution: int) -> None:
    """Raise `RequestError` where marching cubes cannot take it."""
    if resolution not in RESOLUTIONS:
        raise RequestError(f"The resolution is {resolution}: choose one of {', '.join(map(str, RESOLUTIONS))}.")
