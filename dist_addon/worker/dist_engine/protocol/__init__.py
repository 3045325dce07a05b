"""What Blender and the worker say to each other: a request, events, a result.

Both sides import this package, so it needs numpy only. Everything is JSON and ``.npy``: nothing is ever unpickled.

A job is a folder::

    request.json and, by its task:                               written by Blender's side
        reconstruct  prior.safetensors  masks.npy  [depths.npy, normals.npy ...]
        render       prior.safetensors
        shape        prior.safetensors  codes.npy
        train        mesh_vertices.npy  mesh_faces.npy, or meshes/
        import
    events.jsonl  log.txt  [checkpoint.safetensors]              written while the worker runs
        reconstruct  [shapes/]: previews, as results are
        train        losses.npy  previews.npy
    result.json  and, by its task:                               written at the end
        reconstruct  vertices.npy  faces.npy  vertex_normals.npy ...
        render       depth.npy  normal.npy  silhouette.npy
        shape        shapes/0/, shapes/1/ ...: each as reconstruct's
        train        prior.safetensors
        import       prior.safetensors

Frames. *World* is Blender's world (Z up, Blender units). A *camera* looks along +z with x right and y down, and pixel
(0, 0) is the outer corner of the top left pixel, so pixel centres lie at half numbers. *Object* is a shape's own
normalised frame, in which every shape fits in the unit sphere. A *thing's own* frame has the thing's right, back and up
as x, y and z, whatever the prior's axes are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .events import EVENTS, SPARE_SECONDS, Stage, parse_event, write_event
from .files import (
    MAX_JSON,
    MAX_PIXELS,
    VERSION,
    IrregularError,
    RequestError,
    check_folder,
    copy_file,
    open_regular,
    parse_json,
    plain,
    read_array,
    read_file,
    read_json,
    read_tail,
    write_array,
    write_json,
    written_beside,
)
from .places import Bounds, Placement, RefinedCamera, View, where_lines_meet
from .priors import (
    ANYTHING,
    AXES,
    CHECKPOINT_FILE,
    FEWEST,
    IMPORT,
    LOSSES_FILE,
    MESH_FILES,
    PREVIEWS_FILE,
    PRIOR_FILE,
    SIZES,
    TRAIN,
    ImportRequest,
    MeshArrays,
    MeshFile,
    PriorResult,
    TrainRequest,
    check_name,
)
from .reconstruction import COVERED, FREEDOMS, RECONSTRUCT, Request, Result, Settings, covered
from .rendering import RENDER, RenderRequest, RenderResult
from .shapes import MOST_SHAPES, SHAPE, ShapeOrder, ShapeRequest, ShapesResult, check_resolution, shape_folder

__all__ = [
    "ANYTHING",
    "AXES",
    "CHECKPOINT_FILE",
    "COVERED",
    "EVENTS",
    "FEWEST",
    "FREEDOMS",
    "IMPORT",
    "LOSSES_FILE",
    "MAX_JSON",
    "MAX_PIXELS",
    "MESH_FILES",
    "MOST_SHAPES",
    "PREVIEWS_FILE",
    "PRIOR_FILE",
    "RECONSTRUCT",
    "RENDER",
    "SHAPE",
    "SIZES",
    "SPARE_SECONDS",
    "TRAIN",
    "VERSION",
    "Bounds",
    "ImportRequest",
    "IrregularError",
    "MeshArrays",
    "MeshFile",
    "Placement",
    "PriorResult",
    "RefinedCamera",
    "RenderRequest",
    "RenderResult",
    "Request",
    "RequestError",
    "Result",
    "Settings",
    "ShapeOrder",
    "ShapeRequest",
    "ShapesResult",
    "Stage",
    "TrainRequest",
    "View",
    "check_folder",
    "check_name",
    "check_resolution",
    "copy_file",
    "covered",
    "open_regular",
    "parse_event",
    "parse_json",
    "plain",
    "read_array",
    "read_file",
    "read_json",
    "read_request",
    "read_tail",
    "read_task",
    "shape_folder",
    "where_lines_meet",
    "write_array",
    "write_event",
    "write_json",
    "written_beside",
]


def read_task(folder: Path) -> str:
    """Return what the request in a folder asks for: `RECONSTRUCT`, `RENDER`, `SHAPE`, `TRAIN` or `IMPORT`."""
    return str(read_request(folder)["task"])


def read_request(folder: Path) -> dict[str, Any]:
    """Read a request of any task as it stands in its file.

    Raises
    ------
    RequestError
        There is none, or it is damaged, of another version or of an unknown task.
    """
    data = read_json(folder / "request.json")
    task = data.get("task")
    if task not in (RECONSTRUCT, RENDER, SHAPE, TRAIN, IMPORT):
        told = plain(task) if isinstance(task, str) else ""
        raise RequestError(f"The request in {folder} asks for “{told:.40}”, which this add-on does not know.")
    return data
