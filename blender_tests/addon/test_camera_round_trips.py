"""From K and [R | t] to a Blender camera and back, for any camera."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mathutils import Euler

from dist_addon.formats.calibration import CalibratedPicture, Calibration, combine
from dist_addon.scene import cameras as scene_cameras
from dist_addon.scene.calibration import add_calibration
from dist_addon.worker.dist_engine.protocol import AXES

POINTS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    """Cameras of one size and one pixel aspect; their axes may pass beside the pictures."""
    width, height = draw(st.integers(16, 4000)), draw(st.integers(16, 4000))
    aspect, shots = draw(st.floats(0.5, 2)), []
    for index in range(draw(st.integers(1, 3))):
        # Blender's lenses begin at 1 mm, on a sensor of 36 mm.
        focal = width * draw(st.floats(0.1, 20))
        x, y = (side * draw(st.floats(-0.5, 1.5)) for side in (width, height))
        turn = Euler([draw(st.floats(-3, 3)) for _ in range(3)]).to_matrix()
        pose = np.column_stack([np.array(turn), [draw(st.floats(-100, 100)) for _ in range(3)]])
        K = np.array([[focal, 0, x], [0, focal / aspect, y], [0, 0, 1]])
        shots.append(CalibratedPicture("here", f"Cam{index}", Path(f"{index}.png"), (width, height), K, pose))
    return combine("Thing", shots, "+z", POINTS)


# The scene is the same empty one for all examples: each reads only the cameras that it added.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calibration=calibrations())
def test_a_camera_that_came_in_goes_out_as_it_was(scene, calibration):
    imported = add_calibration(calibration, scene)
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for camera, view in zip(imported.cameras, calibration.views, strict=True):
        K = scene_cameras.intrinsics(camera, calibration.size, scene, depsgraph)
        pose = scene_cameras.world_to_camera(camera, depsgraph)
        # Blender computes in single precision.
        np.testing.assert_allclose(K, view.K, rtol=1e-5, atol=1e-5 * max(calibration.size))
        np.testing.assert_allclose(pose[:, :3], view.world_to_camera[:, :3], atol=1e-5)
        np.testing.assert_allclose(pose[:, 3], view.world_to_camera[:, 3], atol=1e-3)


@given(calibration=calibrations(), up=st.sampled_from(AXES))
def test_an_upright_world_looks_the_same_through_its_cameras(calibration, up):
    turned = calibration.upright(up)
    for before, after in zip(calibration.views, turned.views, strict=True):
        seen = POINTS @ before.world_to_camera[:, :3].T + before.world_to_camera[:, 3]
        again = turned.points @ after.world_to_camera[:, :3].T + after.world_to_camera[:, 3]
        np.testing.assert_allclose(again, seen, atol=1e-9)
    # The axis that was up is +Z now.
    axis = np.eye(3)["xyz".index(up[1])] * (1 if up[0] == "+" else -1)
    np.testing.assert_allclose(turned.points[:, 2], POINTS @ axis, atol=1e-9)
