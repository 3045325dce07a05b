"""What a reconstruction needs, and what it leaves behind."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .files import VERSION, RequestError, read_array, read_json, reading_fields, write_array, write_json
from .places import Bounds, Placement, View

RECONSTRUCT = "reconstruct"
SOLVERS = ("lm", "adam")
# How far a surface may leave what it started from: a prior's shape, or a mesh.
FREEDOMS = ("none", "some", "full")
# A request's arrays, each in a file of its own, and what they hold.
ARRAYS = {
    "masks": np.uint8,
    "masked": bool,
    "pictures": np.uint8,
    "depths": np.float32,
    "normals": np.float32,
    "points": float,
    "visibility": bool,
    "mask_known": bool,
    "start_vertices": np.float32,
    "start_faces": np.int32,
    "code": float,
}
# Masks hold coverage: from here on, more than half of a pixel, it is the thing's.
COVERED = 128
# How far from 1 the length of a normal may be: pictures of normals are rounded.
UNIT_LENGTH = 0.1


def covered(masks: np.ndarray) -> np.ndarray:
    """Where masks (...) uint8 show the thing, as bool."""
    return masks >= COVERED


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
    solver : str
        ``lm``: Levenberg-Marquardt; ``adam``: gradient descent as in the paper, which takes hundreds of steps.
    mask_noise : float
        Standard deviation of the masks' edges, in pixels.
    depth_noise : float
        Standard deviation of depths and points, as a share of the object's radius.
    normal_noise : float
        Standard deviation of normals, in degrees.
    picture_noise : float
        Standard deviation of colours from view to view, where 1 is the contrast within a few pixels.
    compare_colours : bool
        Compare the pictures from view to view; where not, they only colour the mesh.
    refine_shape : bool
        Fit the shape; where not, the one to start from stays as it is.
    refine_placement : bool
        Fit scale, rotation and translation (a Sim(3)).
    refine_cameras, refine_focal_length : bool
        Fit each camera's pose, and one factor for all focal lengths.
    freedom : str
        How far the surface may leave the prior's shape, or the mesh to start from: ``none``; ``some``: where the
        pictures say so; ``full``: it is only where the fit begins. Without either, the shape is free in any case.
    seed : int
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    threads : int
        CPU threads for the worker; 0 leaves the choice to PyTorch.
    """

    iterations: int = 150
    rays: int = 3000
    mesh_resolution: int = 128
    solver: str = "lm"
    mask_noise: float = 0.7
    depth_noise: float = 0.01
    normal_noise: float = 10.0
    picture_noise: float = 1.0
    compare_colours: bool = False
    refine_shape: bool = True
    refine_placement: bool = True
    refine_cameras: bool = False
    refine_focal_length: bool = False
    freedom: str = "none"
    seed: int = 0
    device: str = "auto"
    threads: int = 0

    def check(self) -> None:
        """Raise `RequestError` for a solver that is none, a deviation that is not above 0, or nothing to refine."""
        if self.solver not in SOLVERS:
            raise RequestError(f"There is no solver “{self.solver}”: choose one of {', '.join(SOLVERS)}.")
        if self.freedom not in FREEDOMS:
            raise RequestError(f"There is no freedom “{self.freedom}”: choose one of {', '.join(FREEDOMS)}.")
        if not (self.refine_shape or self.refine_placement or self.refine_cameras or self.refine_focal_length):
            raise RequestError("Nothing is to be refined: choose shape, placement, cameras or focal length.")
        for name in ("mask_noise", "depth_noise", "normal_noise", "picture_noise"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and np.isfinite(value) and value > 0):
                raise RequestError(f"{name} is {value}: it is a standard deviation, a number above 0.")

    def check_without_prior(self, *, starts: bool) -> None:
        """Raise `RequestError` for what takes a prior, of a thing of no class; `starts`: from a mesh."""
        if self.refine_cameras or self.refine_focal_length:
            raise RequestError(
                "Cameras and focal lengths can be refined with a shape prior only, and there is none: choose one, or "
                "leave the cameras as they are."
            )
        if starts and self.freedom == "none":
            raise RequestError(
                "With freedom “none”, the mesh to start from stays as it is, and nothing is left to fit: choose "
                "“some” or “full”."
            )


@dataclass(frozen=True)
class Request:
    """Everything that a reconstruction needs, with no reference to anything outside its folder.

    Each view needs a mask, a picture, a depth or a point that it sees; with points there may be no view.

    Attributes
    ----------
    views : list of View
    masks : (V, H, W) uint8 array
        Coverage of the thing in each picture, 0 to 255.
    masked : (V,) bool array or None
        The views whose mask counts; None for all of them.
    pictures : (V, H, W, 3) uint8 array or None
        Colours, as the files have them, for the mesh. Where they are compared, only how they vary within a few pixels
        counts, whatever the exposure.
    depths : (V, H, W) float32 array or None
        Depth along the camera's z in Blender units; NaN where unknown.
    normals : (V, H, W, 3) float32 array or None
        Unit normals of the surface seen, each in its camera's frame; NaN where unknown.
    points : (P, 3) array or None
        Points of the thing's surface in the world.
    visibility : (P, V) bool array or None
        Which views see which of the points: nothing of the thing is before a point that is seen.
    bounds : Bounds or None
        Roughly where the thing stands; None: where the masks' middles meet, or among the points, with the world's up.
    settings : Settings
    mask_known : (V, H, W) bool array or None
        Where the masks know whether they show the thing; None: everywhere. Elsewhere a mask says nothing.
    start_vertices, start_faces : (P, 3) and (Q, 3) arrays or None
        A closed mesh in the world from which a shape of no class starts.
    prior : str
        What the user calls the prior: for the report; the file beside the request is what counts. Without a file the
        thing is of no class.
    code : (latent,) array or None
        The shape to start from; where there is none, it is sought among the prior's.
    placement : Placement or None
        Where to start; counts instead of the bounds.
    """

    views: list[View]
    masks: np.ndarray
    bounds: Bounds | None
    settings: Settings = field(default_factory=Settings)
    masked: np.ndarray | None = None
    pictures: np.ndarray | None = None
    depths: np.ndarray | None = None
    normals: np.ndarray | None = None
    points: np.ndarray | None = None
    visibility: np.ndarray | None = None
    mask_known: np.ndarray | None = None
    start_vertices: np.ndarray | None = None
    start_faces: np.ndarray | None = None
    prior: str = ""
    code: np.ndarray | None = None
    placement: Placement | None = None

    def check(self) -> None:
        """Raise `RequestError` for anything that no fit could use."""
        views, shape = len(self.views), self.masks.shape
        self.settings.check()
        if not self.views and self.points is None:
            raise RequestError("The request has no views: give at least one camera with a picture, or points.")
        if len(shape) != 3 or shape[0] != views or self.masks.dtype != np.uint8:
            raise RequestError(f"masks.npy is {self.masks.dtype} {shape}; expected uint8 ({views}, height, width).")
        if self.masked is not None and (self.masked.shape != (views,) or self.masked.dtype != bool):
            raise RequestError(f"masked is {self.masked.dtype} {self.masked.shape}; expected bool ({views},).")
        self._check_pictures()
        if self.depths is not None and self.depths.shape != shape:
            raise RequestError(f"depths.npy is {self.depths.shape}; expected the masks' {shape}.")
        if self.mask_known is not None and (self.mask_known.shape != shape or self.mask_known.dtype != bool):
            raise RequestError(
                f"mask_known.npy is {self.mask_known.dtype} {self.mask_known.shape}; expected bool {shape}."
            )
        self._check_normals()
        self._check_points()
        self._check_start()
        for index, view in enumerate(self.views):
            view.check()
            if self.mask_counts[index]:
                if not (covered(self.masks[index]) & self.mask_tells[index]).any():
                    raise RequestError(
                        f"View “{view.name}” has an empty mask: the thing is nowhere in it. Leave it out."
                    )
            elif not (
                self.compared is not None
                or (self.depths is not None and np.isfinite(self.depths[index]).any())
                or (self.visibility is not None and self.visibility[:, index].any())
            ):
                raise RequestError(
                    f"View “{view.name}” has no mask, no depth and sees no point, and normals alone do not tell where "
                    "the thing is. Leave it out."
                )
        if self.bounds is not None:
            size = np.asarray(self.bounds.half_size)
            if not (np.isfinite(size).all() and (size > 0).all()):
                raise RequestError("The bounds have no size: scale the bounds Empty so that it holds the thing.")
        elif not self._stands and self.points is None and self.compared is not None and not self.mask_counts.any():
            raise RequestError("Colours alone do not tell where the thing is: add bounds, or give the pictures alpha.")
        elif not self._stands and self.points is None and self.mask_counts.sum() < 2:
            raise RequestError("One view alone does not tell how far the thing is: add bounds, or another camera.")
        if self.code is None and not self.settings.refine_shape:
            raise RequestError(
                "The shape is to stay as it is, but none is given: choose one, or have the shape fitted."
            )
        if self.code is not None and not (self.code.ndim == 1 and np.isfinite(self.code).all()):
            raise RequestError("The code to start from must be a list of finite numbers.")
        if self.placement is not None:
            self.placement.check()

    def _check_start(self) -> None:
        if (self.start_vertices is None) != (self.start_faces is None):
            raise RequestError("The mesh to start from lacks its vertices or its faces.")
        if self.start_vertices is None or self.start_faces is None:
            return
        for name, array in (("start_vertices", self.start_vertices), ("start_faces", self.start_faces)):
            if array.ndim != 2 or array.shape[1] != 3 or not len(array):
                raise RequestError(f"{name}.npy is {array.shape}; expected (count, 3).")
        if not np.isfinite(self.start_vertices).all():
            raise RequestError("The mesh to start from has a vertex that is not finite.")
        if self.start_faces.min() < 0 or self.start_faces.max() >= len(self.start_vertices):
            raise RequestError("The mesh to start from has a face of vertices that it lacks.")

    def _check_normals(self) -> None:
        if self.normals is None:
            return
        if self.normals.shape != (*self.masks.shape, 3):
            raise RequestError(f"normals.npy is {self.normals.shape}; expected the masks' {(*self.masks.shape, 3)}.")
        for view, normals in zip(self.views, self.normals, strict=True):
            known = np.isfinite(normals).all(-1)
            if (np.abs(np.linalg.norm(normals[known], axis=-1) - 1) > UNIT_LENGTH).any():
                raise RequestError(
                    f"View “{view.name}” has normals that are not of length 1: turn colours into vectors (2 c - 1), "
                    "and write NaN where no normal is known."
                )
            y, x = np.nonzero(known)
            rays = np.linalg.solve(view.K, np.stack([x + 0.5, y + 0.5, np.ones(len(x))])).T
            if ((rays * normals[known]).sum(1) > 0).sum() > 0.5 * len(x):
                raise RequestError(
                    f"View “{view.name}” has normals that point away from the camera: they must be in the camera's "
                    "frame, x right, y down, z forward."
                )

    def _check_pictures(self) -> None:
        if self.pictures is None:
            return
        wanted = (*self.masks.shape, 3)
        if self.pictures.shape != wanted or self.pictures.dtype != np.uint8:
            raise RequestError(f"pictures.npy is {self.pictures.dtype} {self.pictures.shape}; expected uint8 {wanted}.")
        if self.compared is not None and len(self.views) < 2:
            raise RequestError("Colours are compared from view to view: add another camera, or leave the colours out.")

    def _check_points(self) -> None:
        if self.points is None:
            if self.visibility is not None:
                raise RequestError("visibility.npy says which views see the points, but there are no points.")
            return
        if self.points.ndim != 2 or self.points.shape[1] != 3 or len(self.points) == 0:
            raise RequestError(f"points.npy is {self.points.shape}; expected (points, 3) with at least one point.")
        if not np.isfinite(self.points).all():
            raise RequestError("A point is not finite: leave it out.")
        wanted = (len(self.points), len(self.views))
        if self.visibility is not None and (self.visibility.shape != wanted or self.visibility.dtype != bool):
            raise RequestError(
                f"visibility.npy is {self.visibility.dtype} {self.visibility.shape}; expected bool {wanted}."
            )

    @property
    def _stands(self) -> bool:
        """Whether what the fit starts from tells where the thing is."""
        return self.placement is not None or self.start_vertices is not None

    @property
    def compared(self) -> np.ndarray | None:
        """The pictures, where they are to be compared from view to view."""
        return self.pictures if self.settings.compare_colours else None

    @property
    def mask_counts(self) -> np.ndarray:
        """Whether (V,) each view's mask counts."""
        return np.ones(len(self.views), bool) if self.masked is None else self.masked

    @property
    def mask_tells(self) -> np.ndarray:
        """Where (V, H, W) masks that count know what they show."""
        known = np.ones(self.masks.shape, bool) if self.mask_known is None else self.mask_known
        return np.asarray(known & self.mask_counts[:, None, None])

    def save(self, folder: Path) -> None:
        """Write the request into `folder` (which exists); the prior is copied there by the caller."""
        self.check()
        arrays = self._arrays()
        for name, array in arrays.items():
            write_array(folder / f"{name}.npy", array)
        write_json(
            folder / "request.json",
            {
                "version": VERSION,
                "task": RECONSTRUCT,
                "prior": self.prior,
                "views": [view.to_json() for view in self.views],
                "bounds": self.bounds and {k: np.asarray(v).tolist() for k, v in vars(self.bounds).items()},
                "settings": asdict(self.settings),
                "arrays": sorted(arrays),
                "placement": None if self.placement is None else self.placement.to_json(),
            },
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        """The arrays that there are, by name."""
        given = {name: getattr(self, name) for name in ARRAYS}
        return {name: array.astype(ARRAYS[name]) for name, array in given.items() if array is not None}

    @staticmethod
    def load(folder: Path) -> Request:
        """Read and check a request.

        Raises
        ------
        RequestError
            A part is missing, of another version, or inconsistent.
        """
        path = folder / "request.json"
        data = read_json(path)
        with reading_fields(path):
            placement = data["placement"]
            request = Request(
                **{name: read_array(folder / f"{name}.npy") for name in ARRAYS if name in data["arrays"]},
                views=[View.from_json(view) for view in data["views"]],
                placement=None if placement is None else Placement.from_json(placement),
                bounds=data["bounds"] and Bounds(**{k: np.array(v, float) for k, v in data["bounds"].items()}),
                settings=Settings(**data["settings"]),
                prior=data["prior"],
            )
            request.check()
        return request


# Arrays of a result, and those that it may lack. None is called as one of a request's: they are in one folder.
MESH = ("vertices", "faces", "vertex_normals")
MAY_LACK = ("uncertainty", "departure", "colours")


@dataclass(frozen=True)
class Result:
    """What a finished job leaves behind.

    Attributes
    ----------
    vertices : (N, 3) float32 array, Blender units
        In the thing's own frame: `rotation` and `translation` carry it into the world, with no further scale.
    faces : (M, 3) int32 array
        Counter-clockwise seen from outside.
    vertex_normals : (N, 3) float32 array
        From the distance function, unit length, in the thing's own frame.
    rotation, translation : (3, 3) and (3,) arrays
        The thing's frame to the world.
    uncertainty : (N,) float32 array or None
        Standard deviation of the surface across itself at each vertex, in Blender units, as far as what holds the shape
        and the observations tell.
    departure : (N,) float32 array or None
        How far the surface has left what it started from, a prior's shape or a mesh, at each vertex, in Blender units:
        positive outwards. None where it had no such start, or was not free to leave it.
    colours : (N, 3) uint8 array or None
        sRGB, from the pictures.
    report : dict
        ``shape``, its kind, and what that tells of itself: ``latent`` tells ``prior`` (what the user calls it),
        ``code`` and, after a fit, ``whitened_rms`` (how far it is from the training codes' mean: 1 is as far as they);
        ``free`` tells ``cells`` (of the grid, along the unit cube's side) and, where it was freed from a prior's shape,
        the same of that. ``freedom`` and ``departure`` (the root mean square over the surface and the ``largest``, in
        Blender units, as ``{"rms": , "largest": }``) where there is that array.
        ``scale`` (Blender units that the object frame's unit is long), ``resolution`` (of the mesh), ``iou`` (a number
        a view with a mask), ``disagree`` (names of the views whose outline fits far worse than the others').
        ``residuals`` (of the other kinds of observations, the median of a view's errors, by kind and view): ``depths``
        and ``points`` in Blender units from the mesh; ``normals`` in degrees, where the ray meets the shape;
        ``colours`` from view to view, where 1 is the contrast within a few pixels. Points that no view sees are under
        "", which is no view's name. ``loss``, ``early`` (whether it was asked for before the fit had come to its end),
        ``queries`` (a number a purpose), ``seconds`` (a number a stage), ``device``; and ``cameras`` where they were
        refined: a list of what `RefinedCamera.from_json` takes.
    """

    vertices: np.ndarray
    faces: np.ndarray
    vertex_normals: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    report: dict[str, Any]
    uncertainty: np.ndarray | None = None
    departure: np.ndarray | None = None
    colours: np.ndarray | None = None

    def save(self, folder: Path) -> None:
        """Write the result; ``result.json`` comes last, so its presence means that all is there."""
        for name in (*MESH, *MAY_LACK):
            if getattr(self, name) is not None:
                write_array(folder / f"{name}.npy", getattr(self, name))
        write_json(
            folder / "result.json",
            {
                "version": VERSION,
                "rotation": self.rotation.tolist(),
                "translation": self.translation.tolist(),
                "report": self.report,
                "has": [name for name in MAY_LACK if getattr(self, name) is not None],
            },
        )

    @staticmethod
    def load(folder: Path) -> Result:
        """Read a result; raises `RequestError` where it is missing or damaged."""
        path = folder / "result.json"
        data = read_json(path)
        with reading_fields(path):
            return Result(
                **{name: read_array(folder / f"{name}.npy") for name in (*MESH, *data["has"])},
                rotation=np.array(data["rotation"], float),
                translation=np.array(data["translation"], float),
                report=dict(data["report"]),
            )
