"""Outlines of results, drawn over the pictures in camera views, to judge a fit."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from .scene.result import CODE, is_result

COLOUR, WIDTH = (1.0, 0.35, 0.0, 1.0), 2.0
# How much of the room beside the sidebar and the toolbar a camera's picture takes.
FILLED = 0.94
# Blender's least zoom, -30, as a factor.
LEAST_FACTOR = 0.166

# Vertices, normals, centres, edges and sides of a mesh of triangles, as `contour` takes them.
Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def camera_of(space: bpy.types.SpaceView3D, scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The camera that a viewport looks through, or would: its own, or else the scene's."""
    return space.camera if space.use_local_camera else scene.camera


def framed(area: bpy.types.Area, scene: bpy.types.Scene, camera: bpy.types.Object) -> tuple[float, list[float]]:
    """The zoom and the offset of a camera view that show its picture beside what lies over the viewport.

    Source: Blender's BKE_camera_params_from_view3d and BKE_camera_params_compute_viewplane.
    """
    regions: dict[str, Any] = {region.type: region for region in area.regions}
    view = regions["WINDOW"]
    left, right, bottom, top = view.x, view.x + view.width, view.y, view.y + view.height
    for kind in ("UI", "TOOLS", "HEADER", "TOOL_HEADER"):
        over = regions.get(kind)
        # A hidden one is one pixel wide.
        if over is None or min(over.width, over.height) <= 1:
            continue
        if over.alignment == "LEFT":
            left = max(left, over.x + over.width)
        elif over.alignment == "RIGHT":
            right = min(right, over.x)
        elif over.alignment == "BOTTOM":
            bottom = max(bottom, over.y + over.height)
        elif over.alignment == "TOP":
            top = min(top, over.y)
    render: Any = scene.render
    wide, high = render.resolution_x * render.pixel_aspect_x, render.resolution_y * render.pixel_aspect_y
    data: Any = camera.data
    # At a zoom factor of 1, this many pixels of the viewport are one of the picture's.
    scale = {"HORIZONTAL": view.width / wide, "VERTICAL": view.height / high}.get(
        data.sensor_fit, max(view.width, view.height) / max(wide, high)
    )
    factor = max(FILLED * min((right - left) / wide, (top - bottom) / high) / scale, LEAST_FACTOR)
    across, up = view.x + view.width / 2 - (left + right) / 2, view.y + view.height / 2 - (bottom + top) / 2
    return (2 * factor**0.5 - 2**0.5) * 50, [across / (2 * view.width * factor), up / (2 * view.height * factor)]


def contour(
    vertices: np.ndarray,
    normals: np.ndarray,
    centres: np.ndarray,
    edges: np.ndarray,
    sides: np.ndarray,
    eye: np.ndarray,
) -> np.ndarray:
    """Where a closed mesh turns away from an eye.

    Parameters
    ----------
    vertices : (N, 3) array
    normals, centres : (M, 3) arrays
        Of the triangles; a normal's length does not matter.
    edges, sides : (E, 2) arrays
        Each edge's vertices, and its two triangles.
    eye : (3,) array
        In the frame of the vertices.

    Returns
    -------
    (2 K, 3) array
        The ends of K edges between a triangle that faces the eye and one that does not.
    """
    faces_eye = ((eye - centres) * normals).sum(1) > 0
    return vertices[edges[faces_eye[sides[:, 0]] != faces_eye[sides[:, 1]]].ravel()]


def edges_between(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges (E, 2) of triangles (M, 3), and the two triangles (E, 2) at each; edges of one triangle are left out."""
    halves = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    owners = np.tile(np.arange(len(faces)), 3)
    low, high = halves.min(1).astype(np.int64), halves.max(1).astype(np.int64)
    order = np.argsort(low << 32 | high, kind="stable")
    halves, owners, low, high = halves[order], owners[order], low[order], high[order]
    pairs = np.flatnonzero((low[1:] == low[:-1]) & (high[1:] == high[:-1]))
    return halves[pairs], np.column_stack([owners[pairs], owners[pairs + 1]])


class Overlay:
    """The outlines over all camera views, and how the views were before.

    Attributes
    ----------
    before : dict
        How viewports were before one looked through the cameras: properties by their path, by the viewport.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self.before: dict[int, dict[str, Any]] = {}
        # By mesh: what it was when it was read.
        self._kept: dict[int, tuple[tuple[Any, ...], Parts]] = {}

    @property
    def shown(self) -> bool:
        """Whether outlines are drawn."""
        return self._handle is not None

    def show(self, wanted: bool) -> None:
        """Draw outlines from now on, or no longer."""
        if wanted and not self.shown:
            self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        elif not wanted and self.shown:
            bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
            self._handle = None
            self._kept.clear()

    @persistent
    def forget(self, *_arguments: Any) -> None:
        """Another file is open: keep nothing of the last one's meshes and viewports."""
        self._kept.clear()
        self.before.clear()

    def close(self) -> None:
        """Be as new."""
        self.show(False)
        self.forget()

    def parts(self, mesh: bpy.types.Mesh) -> Parts:
        """Read a mesh of triangles, unless it is as it was."""
        # Remeshing changes one of these.
        state = (len(mesh.vertices), len(mesh.polygons), tuple(mesh.get(CODE) or ()))
        if mesh.session_uid not in self._kept or self._kept[mesh.session_uid][0] != state:
            vertices, faces = np.empty(3 * len(mesh.vertices), np.float32), np.empty(len(mesh.loops), np.int32)
            mesh.vertices.foreach_get("co", vertices)
            mesh.loops.foreach_get("vertex_index", faces)
            points, triangles = vertices.reshape(-1, 3), faces.reshape(-1, 3)
            a, b, c = (points[triangles[:, k]] for k in range(3))
            parts = points, np.cross(b - a, c - a), (a + b + c) / 3, *edges_between(triangles)
            self._kept[mesh.session_uid] = state, parts
        return self._kept[mesh.session_uid][1]

    def _draw(self) -> None:
        """Draw the outline of each visible result, in a view through a camera; Blender calls this."""
        import gpu
        from gpu_extras.batch import batch_for_shader

        context: Any = bpy.context
        region, view = context.region, context.region_data
        if view is None or region is None or view.view_perspective != "CAMERA":
            return
        lines = []
        for thing in context.visible_objects:
            mesh = thing.data
            # A mesh that the user edited may have any kind of faces.
            if not is_result(thing) or thing.mode != "OBJECT" or len(mesh.loops) != 3 * len(mesh.polygons):
                continue
            eye = thing.matrix_world.inverted_safe() @ view.view_matrix.inverted().translation
            ends = contour(*self.parts(mesh), np.array(eye))
            matrix = np.array(view.perspective_matrix @ thing.matrix_world)
            clip = np.column_stack([ends, np.ones(len(ends))]) @ matrix.T
            before = (clip[:, 3] > 1e-6).reshape(-1, 2).all(1).repeat(2)
            where = clip[before, :2] / clip[before, 3:]
            lines.append((where + 1) / 2 * (region.width, region.height))
        if not lines:
            return
        shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
        flat = np.concatenate(lines)
        places: Any = np.column_stack([flat, np.zeros(len(flat))]).astype(np.float32)
        batch = batch_for_shader(shader, "LINES", {"pos": places})
        gpu.state.blend_set("ALPHA")
        shader.uniform_float("viewportSize", (region.width, region.height))
        shader.uniform_float("lineWidth", WIDTH * context.preferences.system.ui_scale)
        shader.uniform_float("color", COLOUR)
        batch.draw(shader)
        gpu.state.blend_set("NONE")


overlay = Overlay()
