"""What a reconstruction needs, and what it leaves behind."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .files import VERSION, RequestError, read_array, read_json, write_array, write_json
from .places import Bounds, View

RECONSTRUCT = "reconstruct"


@dataclass(frozen=True)
class Settings:
    """How much work to spend.

    Attributes
    ----------
    iterations : int
        Optimiser steps.
    rays : int
        Rays a step, over all views.
    mesh_resolution : int
        Cells along the unit sphere's diameter for marching cubes.
    refine_placement : bool
        Fit scale, rotation and translation (a Sim(3)) as well as the shape.
    refine_cameras, refine_focal_length : bool
        Fit each camera's pose, and one factor for all focal lengths.
    seed : int
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    threads : int
        CPU threads for the worker; 0 leaves the choice to PyTorch.
    """

    iterations: int = 150
    rays: int = 3000
    mesh_resolution: int = 128
    refine_placement: bool = True
    refine_cameras: bool = False
    refine_focal_length: bool = False
    seed: int = 0
    device: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class Request:
    """Everything that a reconstruction needs, with no reference to anything outside its folder.

    Attributes
    ----------
    views : list of View
    masks : (V, H, W) uint8 array
        Coverage of the thing in each picture, 0 to 255.
    depths : (V, H, W) float32 array or None
        Depth along the camera's z in Blender units; NaN where unknown.
    bounds : Bounds
    settings : Settings
    prior : str
        What the user calls the prior: for the report; the file beside the request is what counts.
    """

    views: list[View]
    masks: np.ndarray
    bounds: Bounds
    settings: Settings = field(default_factory=Settings)
    depths: np.ndarray | None = None
    prior: str = ""

    def check(self) -> None:
        """Raise `RequestError` for anything that no fit could use."""
        shape = self.masks.shape
        if not self.views:
            raise RequestError("The request has no views: give at least one camera with a picture.")
        if len(shape) != 3 or shape[0] != len(self.views) or self.masks.dtype != np.uint8:
            raise RequestError(
                f"masks.npy is {self.masks.dtype} {shape}; expected uint8 ({len(self.views)}, height, width)."
            )
        if self.depths is not None and self.depths.shape != shape:
            raise RequestError(f"depths.npy is {self.depths.shape}; expected the masks' {shape}.")
        for view, mask in zip(self.views, self.masks, strict=True):
            view.check()
            if not mask.any():
                raise RequestError(f"View “{view.name}” has an empty mask: the thing is nowhere in it. Leave it out.")
        size = np.asarray(self.bounds.half_size)
        if not (np.isfinite(size).all() and (size > 0).all()):
            raise RequestError("The bounds have no size: scale the bounds Empty so that it holds the thing.")

    def save(self, folder: Path) -> None:
        """Write the request into `folder` (which exists); the prior is copied there by the caller."""
        self.check()
        np.save(folder / "masks.npy", self.masks, allow_pickle=False)
        if self.depths is not None:
            np.save(folder / "depths.npy", self.depths.astype(np.float32), allow_pickle=False)
        write_json(
            folder / "request.json",
            {
                "version": VERSION,
                "task": RECONSTRUCT,
                "prior": self.prior,
                "views": [view.to_json() for view in self.views],
                "bounds": {k: np.asarray(v).tolist() for k, v in vars(self.bounds).items()},
                "settings": asdict(self.settings),
                "has_depth": self.depths is not None,
            },
        )

    @staticmethod
    def load(folder: Path) -> Request:
        """Read and check a request.

        Raises
        ------
        RequestError
            A part is missing, of another version, or inconsistent.
        """
        data = read_json(folder / "request.json")
        try:
            request = Request(
                views=[View.from_json(view) for view in data["views"]],
                masks=read_array(folder / "masks.npy"),
                depths=read_array(folder / "depths.npy") if data["has_depth"] else None,
                bounds=Bounds(**{k: np.array(v, float) for k, v in data["bounds"].items()}),
                settings=Settings(**data["settings"]),
                prior=data["prior"],
            )
        except (KeyError, TypeError) as error:
            raise RequestError(f"request.json in {folder} lacks or misnames a field: {error}.") from error
        request.check()
        return request


@dataclass(frozen=True)
class Result:
    """What a finished job leaves behind.

    Attributes
    ----------
    vertices : (N, 3) float32 array, Blender units
        In the thing's own frame: `rotation` and `translation` carry it into the world, with no further scale.
    faces : (M, 3) int32 array
        Counter-clockwise seen from outside.
    normals : (N, 3) float32 array
        From the decoder, unit length, in the thing's own frame.
    rotation, translation : (3, 3) and (3,) arrays
        The thing's frame to the world.
    report : dict
        ``prior`` (what the user calls it), ``scale`` (Blender units that the prior's unit is long), ``code``,
        ``resolution`` (of the mesh), ``iou`` (a number a view), ``loss``, ``queries`` (a number a purpose),
        ``seconds`` (a number a stage), ``device``; and ``cameras`` where they were refined: a list of what
        `View.from_json` takes, with ``width`` and ``height`` of the pictures, and how far each was ``turned`` (degrees)
        and ``moved`` (Blender units).
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    report: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the result; ``result.json`` comes last, so its presence means that all is there."""
        for name in ("vertices", "faces", "normals"):
            write_array(folder / f"{name}.npy", getattr(self, name))
        write_json(
            folder / "result.json",
            {
                "version": VERSION,
                "rotation": self.rotation.tolist(),
                "translation": self.translation.tolist(),
                "report": self.report,
            },
        )

    @staticmethod
    def load(folder: Path) -> Result:
        """Read a result; raises `RequestError` where it is missing or damaged."""
        data = read_json(folder / "result.json")
        try:
            return Result(
                **{name: read_array(folder / f"{name}.npy") for name in ("vertices", "faces", "normals")},
                rotation=np.array(data["rotation"], float),
                translation=np.array(data["translation"], float),
                report=data["report"],
            )
        except KeyError as error:
            raise RequestError(f"result.json in {folder} lacks {error}: run the job again.") from error
