"""Mesh files that are written here by hand, whole and damaged."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dist_engine.training.meshes import MeshError, read_mesh

# A house: a square floor, a gable wall of five corners at each end, two walls and two roofs.
CORNERS = [(x, y, z) for x in (0, 3) for y, z in ((0, 0), (2, 0), (2, 1), (1, 2), (0, 1))]
POLYGONS = [(0, 4, 3, 2, 1), (5, 6, 7, 8, 9)] + [(i, (i + 1) % 5, 5 + (i + 1) % 5, 5 + i) for i in range(5)]
VOLUME = 9.0
FANS = [(face[0], face[i], face[i + 1]) for face in POLYGONS for i in range(1, len(face) - 1)]


def lines(rows: list) -> str:
    return "".join(" ".join(str(number) for number in row) + "\n" for row in rows)


def off() -> bytes:
    faces = [(len(face), *face, 200, 0, 0) for face in POLYGONS]
    return f"OFF  # a house\n\n{len(CORNERS)} {len(POLYGONS)} 0\n{lines(CORNERS)}{lines(faces)}".encode()


def obj() -> bytes:
    faces = "".join("f " + " ".join(f"{i + 1}/1/1" for i in face) + "\n" for face in POLYGONS)
    vertices = "".join(f"v {x} {y} {z} 1.0\n" for x, y, z in CORNERS)
    return f"# a house\no house\n{vertices}vt 0 0\nvn 0 0 1\n{faces}".encode()


def obj_with_relative_indices() -> bytes:
    text = "".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS)
    faces = "".join("f " + " ".join(str(i - len(CORNERS)) for i in face) + "\n" for face in POLYGONS)
    return (text + faces + "v 100 100 100\n").encode()


def ply_header(form: str, list_type: str = "uchar") -> str:
    return (
        f"ply\nformat {form} 1.0\ncomment a house\nelement vertex {len(CORNERS)}\nproperty float x\nproperty float y\n"
        f"property float z\nproperty uchar red\nelement face {len(POLYGONS)}\n"
        f"property list {list_type} int vertex_indices\nend_header\n"
    )


def ply_text() -> bytes:
    vertices = [(*corner, 255) for corner in CORNERS]
    return (ply_header("ascii") + lines(vertices) + lines([(len(face), *face) for face in POLYGONS])).encode()


def ply_binary(order: str) -> bytes:
    form = "binary_little_endian" if order == "<" else "binary_big_endian"
    body = b"".join(struct.pack(order + "3fB", *corner, 255) for corner in CORNERS)
    body += b"".join(struct.pack(f"{order}B{len(face)}i", len(face), *face) for face in POLYGONS)
    return ply_header(form).encode() + body


def stl_binary() -> bytes:
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *(x for i in face for x in CORNERS[i]), 0) for face in FANS)
    return b"solid is how the header of some binary files begins".ljust(80) + struct.pack("<I", len(FANS)) + body


def stl_text() -> bytes:
    facets = "".join(
        "facet normal 0 0 0\n outer loop\n"
        + "".join(f"  vertex {x} {y} {z:e}\n" for x, y, z in (CORNERS[i] for i in face))
        + " endloop\nendfacet\n"
        for face in FANS
    )
    return f"solid house\n{facets}endsolid house\n".encode()


def glb(**changes: object) -> bytes:
    """The house once under a node that mirrors it, as a strided buffer."""
    stride = b"".join(struct.pack("<4f", *corner, 9) for corner in CORNERS)
    binary = stride + np.array(FANS, "<u2").tobytes()
    binary += b"\0" * (-len(binary) % 4)
    root = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"children": [1], "translation": [5, 0, 0]}, {"mesh": 0, "scale": [-1, 1, 1]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}, {"mode": 0, "attributes": {}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(CORNERS), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3 * len(FANS), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(stride), "byteStride": 16},
            {"buffer": 0, "byteOffset": len(stride), "byteLength": 6 * len(FANS)},
        ],
        "buffers": [{"byteLength": len(binary)}],
        **changes,
    }
    text = json.dumps(root).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


GOOD = {
    "house.off": off(),
    "one_line.OFF": off().replace(b"OFF  # a house\n\n", b"OFF "),
    "house.obj": obj(),
    "relative.obj": obj_with_relative_indices(),
    "text.ply": ply_text(),
    "little.ply": ply_binary("<"),
    "big.ply": ply_binary(">"),
    "binary.stl": stl_binary(),
    "text.stl": stl_text(),
    "house.glb": glb(),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_format_gives_the_same_house(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    vertices, faces = read_mesh(path)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    assert len(faces) == len(FANS)
    assert np.einsum("ij,ij->", a, np.cross(b, c)) / 6 == pytest.approx(VOLUME)
    low, high = ((2, 0, 0), (5, 2, 2)) if name.endswith("glb") else ((0, 0, 0), (3, 2, 2))
    assert vertices.min(0) == pytest.approx(low) and vertices.max(0) == pytest.approx(high)


BAD = {
    "empty.obj": (b"", "no vertices or no faces"),
    "words.obj": (b"v 0 0 0\nv 1 0 x\nf 1 2 2\n", "not a sound .obj"),
    "zero.obj": (obj().replace(b"f 1/", b"f 0/"), "count from 1"),
    "beyond.obj": (obj().replace(b"f 1/", b"f 11/"), "only 0 to 9"),
    "short.off": (off()[:-40], "announced"),
    "huge.off": (off().replace(b"10 7 0", b"2000000000 7 0"), "announced"),
    "huge.ply": (ply_binary("<").replace(b"vertex 10", b"vertex 9999999999"), "cannot hold"),
    "short.ply": (ply_binary("<")[:-9], "not a sound .ply"),
    "short_text.ply": (ply_text()[:-9], "not a sound .ply"),
    "points.ply": (ply_text().replace(b"vertex_indices", b"other"), "vertex_indices"),
    "short.stl": (stl_binary().replace(b"solid", b"House")[:-50], "announced"),
    "short_text.stl": (stl_text()[:-60], "too early"),
    "far.glb": (glb(bufferViews=[{"buffer": 0, "byteLength": 9, "byteOffset": 900}] * 2), "past the data"),
    "loop.glb": (glb(nodes=[{"children": [0]}]), "not a tree"),
    "draco.glb": (glb(extensionsRequired=["KHR_draco_mesh_compression"]), "draco.*compression off"),
    "short.glb": (glb()[:-9], "too early"),
    "list.glb": (glb(nodes={}), "not a sound .glb"),
    "house.blend": (b"BLENDER", "Expected one of .obj, .off"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    data, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MeshError, match=f"^{name}: .*{message}"):
        read_mesh(path)


def test_a_missing_and_a_too_large_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"away.obj: No such file"):
        read_mesh(tmp_path / "away.obj")
    with (tmp_path / "large.stl").open("wb") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(MeshError, match=r"large.stl: .*1024 MiB"):
        read_mesh(tmp_path / "large.stl")


def damaged(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    for _ in range(20):
        yield data[: rng.integers(len(data))]
        flipped = bytearray(data)
        for at in rng.integers(len(data), size=3):
            flipped[at] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)
        at = int(rng.integers(len(data)))
        yield data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :]


@pytest.mark.parametrize("name", GOOD)
def test_no_damage_does_worse_than_a_clear_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    began = time.process_time()
    for data in damaged(GOOD[name], np.random.default_rng(0)):
        path.write_bytes(data)
        try:
            vertices, faces = read_mesh(path)
        except MeshError as error:
            assert str(error).startswith(f"{name}: ")
        else:
            assert np.isfinite(vertices).all() and faces.min() >= 0 and faces.max() < len(vertices)
    assert time.process_time() - began < 5
