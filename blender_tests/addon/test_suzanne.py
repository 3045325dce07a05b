"""Blender's monkey, open at the eyes, given to the engine in the worker's own Python, as arrays and as files."""

import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from blender_tests.support.stage import ROOT

SAMPLE = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from dist_engine.training.sampling import sample_mesh
mesh = np.load(sys.argv[2])
made = sample_mesh(mesh["vertices"], mesh["faces"], 1500, np.random.default_rng(0))
points = made.points / made.normalisation.scale + made.normalisation.center
np.savez(sys.argv[3], points=points, distances=made.distances / made.normalisation.scale)
print(made.report)
"""

READ = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from dist_engine.training.meshes import read_mesh
for name in sys.argv[2:]:
    vertices, faces = read_mesh(Path(name))
    np.savez(name + ".npz", vertices=vertices, faces=faces)
"""


def ways_out(tree: BVHTree, point: Vector, directions: np.ndarray) -> int:
    return sum(tree.ray_cast(point, Vector(direction))[0] is None for direction in directions)


@pytest.mark.slow
def test_the_inside_of_suzanne_is_what_cannot_be_seen_from_outside(
    scene: bpy.types.Scene, python: str, tmp_path: Path
) -> None:
    bpy.ops.mesh.primitive_monkey_add()
    mesh = bpy.context.object.data
    mesh.calc_loop_triangles()
    vertices = np.array([vertex.co for vertex in mesh.vertices])
    faces = np.array([triangle.vertices for triangle in mesh.loop_triangles])
    np.savez(tmp_path / "mesh.npz", vertices=vertices, faces=faces)

    worker = ROOT / "dist_addon" / "worker"
    arguments = [str(worker), str(tmp_path / "mesh.npz"), str(tmp_path / "samples.npz")]
    done = subprocess.run([python, "-I", "-c", SAMPLE, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "open_edges=42" in done.stdout and "sign='winding'" in done.stdout
    with np.load(tmp_path / "samples.npz") as file:
        made = dict(file)

    tree = BVHTree.FromPolygons([Vector(v) for v in vertices], faces.tolist())
    directions = np.random.default_rng(0).normal(size=(200, 3))
    distances = np.array([tree.find_nearest(Vector(point))[3] for point in made["points"]])
    ways = np.array([ways_out(tree, Vector(point), directions) for point in made["points"]])
    # A few rays in 200 find the cracks round the eyes.
    told = (ways == 0) | (ways >= 8)
    assert np.mean(told[distances > 0.01]) > 0.99
    clear = told & (distances > 0.01)
    assert np.array_equal(ways[clear] > 0, made["distances"][clear] > 0)
    # Seen from outside, the nearest face is one of the solid's own.
    outside = ways >= 8
    np.testing.assert_allclose(made["distances"][outside], distances[outside], atol=1e-5)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


@pytest.mark.slow
def test_blenders_own_exports_are_read(scene: bpy.types.Scene, python: str, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_monkey_add(location=(1, 2, 3), rotation=(0.3, 0.2, 0.1), scale=(1, 1.5, 2))
    bpy.ops.mesh.primitive_cylinder_add(vertices=7)
    up = {"forward_axis": "Y", "up_axis": "Z"}
    names = ("binary.ply", "text.ply", "x.obj", "binary.stl", "text.stl", "x.glb")
    files = {name: str(tmp_path / name) for name in names}
    bpy.ops.wm.ply_export(filepath=files["binary.ply"], **up)
    bpy.ops.wm.ply_export(filepath=files["text.ply"], ascii_format=True, **up)
    bpy.ops.wm.obj_export(filepath=files["x.obj"], **up)
    bpy.ops.wm.stl_export(filepath=files["binary.stl"], **up)
    bpy.ops.wm.stl_export(filepath=files["text.stl"], ascii_format=True, **up)
    bpy.ops.export_scene.gltf(filepath=files["x.glb"], export_yup=False)
    worker = str(ROOT / "dist_addon" / "worker")
    subprocess.run([python, "-I", "-c", READ, worker, *files.values()], check=True, timeout=60)

    bpy.context.view_layer.update()
    points, inside = [], 0.0
    for item in scene.objects:
        item.data.calc_loop_triangles()
        points.append(np.array([item.matrix_world @ vertex.co for vertex in item.data.vertices]))
        inside += volume(points[-1], np.array([triangle.vertices for triangle in item.data.loop_triangles]))
    true = np.unique(np.concatenate(points).round(4), axis=0)
    for name, path in files.items():
        with np.load(path + ".npz") as file:
            made = dict(file)
        assert len(made["faces"]) == 992, name
        # Quads that are not flat may be cut along either diagonal.
        assert abs(volume(made["vertices"], made["faces"]) / inside - 1) < 1e-3, name
        apart = np.linalg.norm(true[:, None] - np.unique(made["vertices"].round(4), axis=0), axis=2)
        assert max(apart.min(0).max(), apart.min(1).max()) < 2e-4, name
