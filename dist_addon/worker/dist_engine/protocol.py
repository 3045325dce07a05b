"""What Blender and the worker say to each other: a request, events, a result.

Both sides import this file, so it needs numpy only. Everything is JSON and ``.npy``: nothing is ever unpickled.

A job is a folder::

    request.json  prior.safetensors  [masks.npy  depths.npy]     written by Blender's side
    events.jsonl  log.txt  [checkpoint.safetensors]              written while the worker runs
    result.json  and, by its task, arrays:                       written at the end
        reconstruct  vertices.npy  faces.npy  normals.npy
        render       depth.npy  normal.npy  silhouette.npy

Frames. *World* is Blender's world (Z up, Blender units). A *camera* looks along +z with x right and y down, and pixel
(0, 0) is the outer corner of the top left pixel, so pixel centres lie at half numbers. *Object* is the prior's own
normalised frame, in which every shape fits in the unit sphere. A *thing's own* frame has the thing's right, back and up
as x, y and z, whatever the prior's axes are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

VERSION = 1
MAX_PIXELS = 1 << 30
PRIOR_FILE = "prior.safetensors"
RECONSTRUCT, RENDER = "reconstruct", "render"


class RequestError(ValueError):
    """A request, event or result that cannot be used; the message names the thing and the remedy."""


@dataclass(frozen=True)
class View:
    """One calibrated picture.

    Attributes
    ----------
    name : str
        What the user calls it (the camera's name in Blender).
    K : (3, 3) array, pixels
        Intrinsics.
    world_to_camera : (3, 4) array
        ``[R | t]``: world to camera, in Blender units.
    """

    name: str
    K: np.ndarray
    world_to_camera: np.ndarray

    def check(self) -> None:
        """Raise `RequestError` where the camera is none."""
        if self.K.shape != (3, 3) or self.world_to_camera.shape != (3, 4):
            raise RequestError(f"View “{self.name}”: K must be 3x3 and world_to_camera 3x4.")
        if not (np.isfinite(self.K).all() and np.isfinite(self.world_to_camera).all()):
            raise RequestError(f"View “{self.name}” has a number in its camera that is not finite.")

    def to_json(self) -> dict[str, Any]:
        """The view as ``request.json`` has it."""
        return {"name": self.name, "K": self.K.tolist(), "world_to_camera": self.world_to_camera.tolist()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> View:
        """Read what `to_json` made."""
        return View(data["name"], np.array(data["K"], float), np.array(data["world_to_camera"], float))


@dataclass(frozen=True)
class Placement:
    """Where a thing stands: ``world = scale * rotation @ own + translation``, a Sim(3).

    Attributes
    ----------
    scale : float
        Blender units that the prior's unit is long.
    rotation : (3, 3) array
        Columns: the thing's right, back and up as unit vectors in the world (a proper rotation).
    translation : (3,) array, world
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def check(self) -> None:
        """Raise `RequestError` where it is no Sim(3)."""
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise RequestError(f"The placement's scale is {self.scale}: it must be a number above 0.")
        if self.rotation.shape != (3, 3) or self.translation.shape != (3,):
            raise RequestError("The placement's rotation must be 3x3 and its translation 3 numbers.")
        proper = np.allclose(self.rotation.T @ self.rotation, np.eye(3), atol=1e-3) and np.linalg.det(self.rotation) > 0
        if not proper or not np.isfinite(self.translation).all():
            raise RequestError("The placement is mirrored, sheared or not finite: give a rotation and a translation.")


@dataclass(frozen=True)
class Bounds:
    """Roughly where the thing stands: a box with an up and a front.

    Attributes
    ----------
    center : (3,) array, world
    rotation : (3, 3) array
        Columns: the thing's right, back and up as unit vectors in the world (a proper rotation), so that its front
        looks along minus the second column, as Blender's front view shows it.
    half_size : (3,) array, Blender units
        Half the box's size along right, back and up.
    """

    center: np.ndarray
    rotation: np.ndarray
    half_size: np.ndarray


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
        data["placement"] = {k: np.asarray(v).tolist() for k, v in vars(self.placement).items()}
        write_json(folder / "request.json", data)

    @staticmethod
    def load(folder: Path) -> RenderRequest:
        """Read and check a request.

        Raises
        ------
        RequestError
            A part is missing, of another version, or inconsistent.
        """
        data = read_json(folder / "request.json")
        try:
            place = data["placement"]
            request = RenderRequest(
                view=View.from_json(data["view"]),
                code=np.array(data["code"], float),
                placement=Placement(
                    float(place["scale"]), np.array(place["rotation"], float), np.array(place["translation"], float)
                ),
                **{name: data[name] for name in ("width", "height", "prior", "device", "threads")},
            )
        except (KeyError, TypeError) as error:
            raise RequestError(f"request.json in {folder} lacks or misnames a field: {error}.") from error
        request.check()
        return request


def read_task(folder: Path) -> str:
    """Return what the request in a folder asks for: `RECONSTRUCT` or `RENDER`."""
    task = read_json(folder / "request.json").get("task")
    if task not in (RECONSTRUCT, RENDER):
        raise RequestError(f"The request in {folder} asks for “{task}”, which this add-on does not know.")
    return task


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
        ``prior`` (what the user calls it), ``scale`` (Blender units that the prior's unit is long), ``code``, ``iou``
        (a number a view), ``loss``, ``queries`` (a number a purpose), ``seconds`` (a number a stage), ``device``.
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
        try:
            return RenderResult(**arrays, report=data["report"])
        except KeyError as error:
            raise RequestError(f"result.json in {folder} lacks {error}: run the job again.") from error


EVENTS: dict[str, frozenset[str]] = {
    "status": frozenset({"message"}),
    "progress": frozenset({"stage", "step", "steps", "loss", "seconds_left"}),
    "warning": frozenset({"message"}),
    "error": frozenset({"message"}),
    "cancelled": frozenset(),
    "done": frozenset(),
}


def write_event(stream: TextIO, event: str, **fields: Any) -> None:
    """Write one event as a JSON line. `event` is a key of `EVENTS`, which names its fields."""
    if set(fields) != EVENTS[event]:
        raise ValueError(f"event {event} takes {sorted(EVENTS[event])}, not {sorted(fields)}")
    stream.write(json.dumps({"v": VERSION, "event": event, **fields}) + "\n")
    stream.flush()


def parse_event(line: str) -> dict[str, Any]:
    """Read one event line.

    Raises
    ------
    RequestError
        The line is not an event of this version.
    """
    try:
        data = json.loads(line)
    except ValueError as error:
        raise RequestError(f"The worker wrote a line that is no JSON: {line[:200]!r}") from error
    event = data.get("event") if isinstance(data, dict) else None
    if event not in EVENTS or data.get("v") != VERSION or not EVENTS[event] <= data.keys():
        raise RequestError(f"The worker wrote an unknown event: {line[:200]!r}")
    return data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON beside `path` and move it into place, so that a reader never sees half a file."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(data, indent=1), encoding="utf-8")
    beside.replace(path)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write ``.npy`` beside `path` and move it into place."""
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a versioned JSON file of ours."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise RequestError(f"{path} is not of version {VERSION}: make the request again with this add-on.")
    return data


def read_array(path: Path) -> np.ndarray:
    """Read ``.npy`` without unpickling, its size checked before memory is taken."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.size > MAX_PIXELS:
            raise RequestError(f"{path} claims {mapped.size:,} numbers, more than {MAX_PIXELS:,}.")
        return np.array(mapped)
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
