"""Outlines over the pictures: where a mesh turns away from an eye."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest

from dist_addon import outlines


def test_the_contour_of_a_sphere_is_the_circle_where_tangents_from_the_eye_touch_it() -> None:
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=5, radius=1.0)
    mesh = bpy.context.object.data
    eye = np.array([0.0, -2.5, 0.0])
    ends = outlines.contour(*outlines.overlay.parts(mesh), eye)
    # A tangent from distance d touches the unit sphere at 1 / d along the way to the eye.
    assert len(ends) > 100
    assert np.abs(ends[:, 1] + 1 / 2.5).max() < 0.06
    assert np.linalg.norm(ends[:, [0, 2]], axis=1) == pytest.approx(
        np.full(len(ends), (1 - 1 / 2.5**2) ** 0.5), abs=0.03
    )


def test_a_box_shows_six_edges_and_no_open_edge() -> None:
    faces = np.array(
        [
            [0, 2, 1],
            [0, 3, 2],
            [4, 5, 6],
            [4, 6, 7],
            [0, 1, 5],
            [0, 5, 4],
            [1, 2, 6],
            [1, 6, 5],
            [2, 3, 7],
            [2, 7, 6],
            [3, 0, 4],
            [3, 4, 7],
        ]
    )
    corners = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], float)
    a, b, c = (corners[faces[:, k]] for k in range(3))
    edges, sides = outlines.edges_between(faces)
    assert len(edges) == 18
    ends = outlines.contour(corners, np.cross(b - a, c - a), (a + b + c) / 3, edges, sides, np.array([5.0, 6.0, 7.0]))
    assert len(ends) == 12
    # The corners nearest to the eye and farthest from it are within the outline.
    assert {tuple(end) for end in ends}.isdisjoint({(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)})
    edges, _ = outlines.edges_between(faces[:1])
    assert len(edges) == 0


def test_a_remeshed_result_is_read_again() -> None:
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2)
    mesh = bpy.context.object.data
    first = outlines.overlay.parts(mesh)
    assert outlines.overlay.parts(mesh) is first
    mesh["dist_code"] = [1.0, 2.0]
    assert outlines.overlay.parts(mesh) is not first


PLAIN = {"WINDOW": ("NONE", 0, 0, 1000, 600)}
USUAL = {"UI": ("RIGHT", 700, 0, 300, 600), "TOOLS": ("LEFT", 0, 0, 60, 600), "HEADER": ("TOP", 0, 570, 1000, 30)}
TURNED = {"UI": ("LEFT", 0, 0, 300, 600), "TOOLS": ("RIGHT", 940, 0, 60, 600), "HEADER": ("BOTTOM", 0, 0, 1000, 30)}
# Hidden ones.
NONE = {"UI": ("RIGHT", 999, 0, 1, 1), "HEADER": ("TOP", 0, 599, 1000, 1)}


@pytest.mark.parametrize(
    ("over", "room"),
    [
        (USUAL, (60, 0, 700, 570)),
        (TURNED, (300, 30, 940, 600)),
        (NONE, (0, 0, 1000, 600)),
        # Beside the window's region, where regions do not overlap.
        ({"UI": ("RIGHT", 1000, 0, 300, 600), "HEADER": ("BOTTOM", 0, -30, 1000, 30)}, (0, 0, 1000, 600)),
    ],
)
@pytest.mark.parametrize("size", [(640, 480), (480, 640)])
@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
def test_a_picture_is_within_what_nothing_lies_over(scene, over, room, size, fit) -> None:
    names = ("alignment", "x", "y", "width", "height")
    regions = [SimpleNamespace(type=kind, **dict(zip(names, at, strict=True))) for kind, at in (PLAIN | over).items()]
    scene.render.resolution_x, scene.render.resolution_y = size
    data = SimpleNamespace(sensor_fit=fit)
    zoom, offset = outlines.framed(SimpleNamespace(regions=regions), scene, SimpleNamespace(data=data))
    # What Blender makes of the zoom: BKE_screen_view3d_zoom_to_fac.
    assert -30 <= zoom <= 600
    factor = (2**0.5 + zoom / 50) ** 2 / 4
    unit = {"AUTO": 1000 / max(size), "HORIZONTAL": 1000 / size[0], "VERTICAL": 600 / size[1]}[fit]
    half = np.array(size) * unit * factor / 2
    middle = np.array([500, 300]) - np.array(offset) * 2 * factor * [1000, 600]
    low, high = middle - half, middle + half
    assert room[0] <= low[0] and room[1] <= low[1] and high[0] <= room[2] and high[1] <= room[3]
    share = 2 * half / (room[2] - room[0], room[3] - room[1])
    assert share.max() == pytest.approx(0.94, abs=0.01)


def test_shapes_are_see_through_until_the_outlines_are_hidden(scene, rig, capfd) -> None:
    area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
    space: Any = area.spaces.active
    space.shading.show_xray, space.shading.xray_alpha = False, 0.75
    scene.dist.cameras = rig
    space.region_3d.view_perspective, chosen = "PERSP", scene.camera
    with bpy.context.temp_override(area=area, space_data=space):
        for _ in range(2):
            assert bpy.ops.dist.look_through() == {"FINISHED"}
        assert space.shading.show_xray and space.camera.name == "Cam1" and outlines.overlay.shown
        # The scene renders through what it did.
        assert scene.camera == chosen and space.use_local_camera
        scene.camera = other = rig.objects["Cam2"]
        assert bpy.ops.dist.show_outlines() == {"FINISHED"}
        assert not outlines.overlay.shown and not space.shading.show_xray and not space.use_local_camera
        assert space.region_3d.view_perspective == "PERSP" and scene.camera == other
        # Whoever leaves the camera has a view of their own.
        assert bpy.ops.dist.look_through() == {"FINISHED"}
        space.region_3d.view_perspective = "ORTHO"
        assert bpy.ops.dist.show_outlines() == {"FINISHED"}
        assert space.region_3d.view_perspective == "ORTHO" and outlines.overlay.before == {}
        capfd.readouterr()
        assert bpy.ops.dist.show_outlines() == {"FINISHED"}
    assert "nothing to outline yet" in capfd.readouterr().out
    outlines.overlay.show(False)
    assert abs(space.shading.xray_alpha - 0.75) < 1e-6
