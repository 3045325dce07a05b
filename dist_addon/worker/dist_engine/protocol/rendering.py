"""What a picture of a prior's shape needs, and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import MAX_PIXELS, VERSION, RequestError, read_array, read_json, reading_fields, write_array, write_json
from .places import Placement, View

RENDER = "render"


@dataclass(frozen=True)
class RenderRequest:
    """Everything that a picture of one of a prior's shapes needs.

    Attributes
    ----------
    view : View
        The camera.
    width, height : int
        Of the picture, pixels.
    code : (latent,) array
        Which shape.
    placement : Placement
        Where it stands.
    prior : str
        What the user calls the prior: for the report; the file beside the request is what counts.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    threads : int
        CPU threads for the worker; 0 leaves the choice to PyTorch.
    """

    view: View
    width: int
    height: int
    code: np.ndarray
    placement: Placement
    prior: str = ""
    device: str = "auto"
    threads: int = 0

    def check(self) -> None:
        """Raise `RequestError` for anything that cannot be rendered."""
        self.view.check()
        self.placement.check()
        # Three numbers a pixel have to fit into an array.
        if self.width < 1 or self.height < 1 or 3 * self.width * self.height > MAX_PIXELS:
            raise RequestError(f"A picture of {self.width} x {self.height} pixels cannot be made: choose another size.")
        if self.code.ndim != 1 or len(self.code) == 0 or not np.isfinite(self.code).all():
            raise RequestError("The code must be a list of finite numbers.")

    def save(self, folder: Path) -> None:
        """Write the request into `folder` (which exists); the prior is copied there by the caller."""
        self.check()
        data = {name: getattr(self, name) for name in ("width", "height", "prior", "device", "threads")}
        data |= {"version": VERSION, "task": RENDER, "view": self.view.to_json(), "code": self.code.tolist()}
        data["placement"] = self.placement.to_json()
        write_json(folder / "request.json", data)

    @staticmethod
    def load(folder: Path) -> RenderRequest:
        """Read and check a request.

        Raises
        ------
        RequestError
            A part is missing, of another version, or inconsistent.
        """
        path = folder / "request.json"
        data = read_json(path)
        with reading_fields(path):
            request = RenderRequest(
                view=View.from_json(data["view"]),
                code=np.array(data["code"], float),
                placement=Placement.from_json(data["placement"]),
                **{name: data[name] for name in ("width", "height", "prior", "device", "threads")},
            )
            request.check()
        return request


@dataclass(frozen=True)
class RenderResult:
    """What a finished rendering leaves behind; rows from top to bottom.

    Attributes
    ----------
    depth : (H, W) float32 array
        Along the camera's z, in Blender units; infinity where the ray meets nothing.
    normal : (H, W, 3) float32 array
        Unit length, outwards, in world space; zero where the ray meets nothing.
    silhouette : (H, W) uint8 array
        1 where the ray meets the shape, else 0.
    report : dict
        ``prior`` (what the user calls it), ``queries`` (a number a purpose), ``seconds`` (a number a stage) and
        ``device``.
    """

    depth: np.ndarray
    normal: np.ndarray
    silhouette: np.ndarray
    report: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the result; ``result.json`` comes last, so its presence means that all is there."""
        for name in ("depth", "normal", "silhouette"):
            write_array(folder / f"{name}.npy", getattr(self, name))
        write_json(folder / "result.json", {"version": VERSION, "report": self.report})

    @staticmethod
    def load(folder: Path) -> RenderResult:
        """Read a result; raises `RequestError` where it is missing or damaged."""
        data = read_json(folder / "result.json")
        arrays = {name: read_array(folder / f"{name}.npy") for name in ("depth", "normal", "silhouette")}
        shape = arrays["depth"].shape
        if len(shape) != 2 or arrays["normal"].shape != (*shape, 3) or arrays["silhouette"].shape != shape:
            raise RequestError(f"The pictures in {folder} differ in size: run the job again.")
        with reading_fields(folder / "result.json"):
            return RenderResult(**arrays, report=dict(data["report"]))
