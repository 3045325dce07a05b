"""Mesh files that are written here by hand, whole and damaged."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dist_engine.training import meshes
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


def ply_text_with_longer_rows() -> bytes:
    vertices = [(*corner, 255, 7) for corner in CORNERS]
    faces = [(len(face), *face, 3, 1, 1, 1) for face in POLYGONS]
    return (ply_header("ascii") + lines(vertices) + lines(faces)).encode()


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


COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}


def glb(*more: np.ndarray, **changes: object) -> bytes:
    """The house once under a node that mirrors it, as a strided buffer; `more` are accessors and views 2 and on."""
    stride = b"".join(struct.pack("<4f", *corner, 9) for corner in CORNERS)
    binary = stride + np.array(FANS, "<u2").tobytes()
    views, accessors = [], []
    for array in more:
        binary += b"\0" * (-len(binary) % 4)
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": array.nbytes})
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[array.shape[1]]
        component = COMPONENTS[array.dtype.str[1:]]
        accessors.append({"bufferView": 1 + len(views), "componentType": component, "count": len(array), "type": kind})
        binary += array.tobytes()
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
            *accessors,
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(stride), "byteStride": 16},
            {"buffer": 0, "byteOffset": len(stride), "byteLength": 6 * len(FANS)},
            *views,
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
    "marked.off": b"\xef\xbb\xbf" + off(),
    # As in ModelNet.
    "no_space.off": off().replace(b"OFF  # a house\n\n", b"OFF"),
    "house.obj": obj(),
    "marked.obj": b"\xef\xbb\xbf" + obj().removeprefix(b"# a house\no house\n"),
    "continued.obj": obj().replace(b" 5/1/1", b" \\\n5/1/1").replace(b"\n", b"\r\n"),
    "relative.obj": obj_with_relative_indices(),
    "text.ply": ply_text(),
    "longer_rows.ply": ply_text_with_longer_rows(),
    "little.ply": ply_binary("<"),
    "big.ply": ply_binary(">"),
    "binary.stl": stl_binary(),
    "longer.stl": stl_binary() + bytes(51),
    "text.stl": stl_text(),
    "capitals.stl": b"\xef\xbb\xbf" + stl_text().upper(),
    "house.glb": glb(),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_format_gives_the_same_house(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    vertices, faces = read_mesh(path)
    assert len(faces) == len(FANS) and volume(vertices, faces) == pytest.approx(VOLUME)
    low, high = ((2, 0, 0), (5, 2, 2)) if name.endswith("glb") else ((0, 0, 0), (3, 2, 2))
    assert vertices.min(0) == pytest.approx(low) and vertices.max(0) == pytest.approx(high)


SKINNED = [{"primitives": [{"attributes": {"POSITION": 0, "JOINTS_0": 2, "WEIGHTS_0": 3}, "indices": 1}]}]

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
    "deep.glb": (glb(extras=0).replace(b'"extras": 0', b'"extras": ' + b"[" * 99_999), "not a sound .glb"),
    "vast.glb": (glb(accessors=[{"componentType": 5126, "count": 10**12, "type": "VEC3"}] * 2), "10{12} times 3"),
    "twice.glb": (glb(scenes=[{"nodes": [0, 0]}]), "not a tree"),
    "joints.glb": (glb(skins=[{"joints": [0] * 9}], nodes=[{"mesh": 0, "skin": 0}], meshes=SKINNED), "more joints"),
    "row.ply": (ply_text().replace(b"5 0 4 3 2 1", b"9 0 4 3 2 1"), "fewer numbers"),
    "house.blend": (b"BLENDER", "Expected one of .obj, .off"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    data, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MeshError, match=f"^{name}: .*{message}"):
        read_mesh(path)


def read(tmp_path: Path, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    path = tmp_path / "house.glb"
    path.write_bytes(data)
    return read_mesh(path)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


HOUSE = {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}], "nodes": [{"mesh": 0}]}


def test_a_glb_has_as_many_instances_as_it_says(tmp_path: Path) -> None:
    places = np.array([[0, 0, 0], [9, 0, 0], [0, 20, 0]], "<f4")
    half = np.sqrt(0.5)
    turns = np.array([[0, 0, 0, 1], [0, 0, half, half], [0, 0, 0, 1]], "<f4")  # the second a quarter about z
    sizes = np.array([[1, 1, 1], [1, 1, 1], [2, -1, 1]], "<f4")  # the third mirrored
    attributes = {"TRANSLATION": 2, "ROTATION": 3, "SCALE": 4}
    node = {"mesh": 0, "scale": [1, 1, 3], "extensions": {"EXT_mesh_gpu_instancing": {"attributes": attributes}}}
    data = glb(places, turns, sizes, **HOUSE | {"nodes": [node], "extensionsRequired": ["EXT_mesh_gpu_instancing"]})
    vertices, faces = read(tmp_path, data)
    assert len(faces) == 3 * len(FANS) and volume(vertices, faces) == pytest.approx(3 * (1 + 1 + 2) * VOLUME)
    bounds = [(one.min(0), one.max(0)) for one in np.split(vertices, 3)]
    expected = [((0, 0, 0), (3, 2, 6)), ((7, 0, 0), (9, 3, 6)), ((0, 18, 0), (6, 20, 6))]
    assert np.array(bounds) == pytest.approx(np.array(expected), abs=1e-5)


def test_a_glb_stands_as_its_skin_holds_it(tmp_path: Path) -> None:
    """At x = 0 by a joint at rest; at x = 3, for three quarters, by one that doubles about z = 1 and lifts by 5."""
    far = np.array(CORNERS)[:, 0] == 3
    weights = np.where(far[:, None], [0.25, 0.75, 0, 0], [1, 0, 0, 0]).astype("<f4")
    joints = np.tile(np.array([[0, 1, 0, 0]], "u1"), (len(CORNERS), 1))
    rest = np.tile(np.eye(4), (2, 1, 1))
    rest[1, 2, 3] = -1
    nodes = [
        {"mesh": 0, "skin": 0, "translation": [50, 50, 50], "scale": [1, 1, -7]},
        {"children": [2], "translation": [0, 0, 6]},
        {"translation": [0, 0, 0], "scale": [2, 2, 2]},
        {},
    ]
    more = joints, weights, rest.swapaxes(1, 2).reshape(2, 16).astype("<f4")
    skins = [{"joints": [3, 2], "inverseBindMatrices": 4}]
    vertices, faces = read(
        tmp_path, glb(*more, meshes=SKINNED, nodes=nodes, skins=skins, scenes=[{"nodes": [0, 1, 3]}])
    )
    house = np.array(CORNERS, float)
    lifted = 2 * (house - [0, 0, 1]) + [0, 0, 6]
    assert vertices == pytest.approx(np.where(far[:, None], 0.25 * house + 0.75 * lifted, house), abs=1e-6)
    assert np.array_equal(faces, FANS)


@pytest.mark.parametrize(("of_node", "share"), [(None, 0.5), ([0.25], 0.25), ([0], 0)])
def test_a_glb_has_the_shape_that_its_morph_weights_say(
    tmp_path: Path, of_node: list[float] | None, share: float
) -> None:
    change = np.zeros((len(CORNERS), 3), "<f4")
    change[:, 1] = np.arange(len(CORNERS))
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "targets": [{"POSITION": 2}]}
    node = {"mesh": 0} | ({"weights": of_node} if of_node else {})
    data = glb(change, meshes=[{"primitives": [primitive], "weights": [0.5]}], nodes=[node])
    assert read(tmp_path, data)[0] == pytest.approx(np.array(CORNERS) + share * change)


def test_a_glb_may_store_numbers_sparsely_or_as_fractions(tmp_path: Path) -> None:
    moved = np.array([[0, 0, -3], [5, 1, 1]], "<f4")
    sparse = {"count": 2, "indices": {"bufferView": 3, "componentType": 5123}, "values": {"bufferView": 2}}
    positions = {"bufferView": 0, "componentType": 5126, "count": len(CORNERS), "type": "VEC3", "sparse": sparse}
    indices = {"bufferView": 1, "componentType": 5123, "count": 3 * len(FANS), "type": "SCALAR"}
    data = glb(moved, np.array([[0], [9]], "<u2"), accessors=[positions, indices], **HOUSE)
    expected = np.array(CORNERS, float)
    expected[[0, 9]] = moved
    assert read(tmp_path, data)[0] == pytest.approx(expected)

    fractions = np.array(CORNERS) / 3 * np.iinfo("<i2").max
    padded = np.zeros((len(CORNERS), 4), "<i2")
    padded[:, :3] = fractions.round()
    views = glb(padded, **HOUSE)
    root = json.loads(views[20 : 20 + int.from_bytes(views[12:16], "little")])
    root["bufferViews"][2]["byteStride"] = 8
    quantized = root["accessors"][2] | {"type": "VEC3", "normalized": True}
    changes = HOUSE | {"accessors": [quantized, indices], "extensionsRequired": ["KHR_mesh_quantization"]}
    data = glb(padded, **changes | {"bufferViews": root["bufferViews"], "nodes": [{"mesh": 0, "scale": [3, 3, 3]}]})
    assert read(tmp_path, data)[0] == pytest.approx(np.array(CORNERS), abs=1e-4)


@pytest.mark.parametrize(("mode", "corners"), [(5, [0, 5, 1, 6]), (6, [0, 5, 6, 1])])
def test_a_glb_may_hold_strips_and_fans(tmp_path: Path, mode: int, corners: list[int]) -> None:
    primitive = {"attributes": {"POSITION": 0}, "indices": 2, "mode": mode}
    data = glb(np.array(corners, "<u4")[:, None], meshes=[{"primitives": [primitive]}], nodes=[{"mesh": 0}])
    vertices, faces = read(tmp_path, data)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    assert np.cross(b - a, c - a) == pytest.approx(
        np.array([[0, 0, 6], [0, 0, 6]])
    )  # a floor of 3 by 2, seen from above


def test_what_a_glb_repeats_is_counted_before_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"children": list(range(1, 101))}, *[{"mesh": 0}] * 100]
    assert len(read(tmp_path, glb(**HOUSE | {"nodes": nodes}))[1]) == 100 * len(FANS)
    monkeypatch.setattr(meshes, "MAX_FACES", 99 * len(FANS))
    with pytest.raises(MeshError, match=r"house\.glb: it has more than 1,584 triangles in all\. Simplify"):
        read(tmp_path, glb(**HOUSE | {"nodes": nodes}))


@pytest.mark.parametrize("name", ["a.obj", "a.off", "binary.ply", "text.ply", "binary.stl", "text.stl", "a.glb"])
def test_what_another_program_writes_is_read(name: str, tmp_path: Path) -> None:
    import trimesh

    written = trimesh.creation.torus(2, 0.5)
    path = tmp_path / name
    options: dict[str, dict[str, str]] = {"text.ply": {"encoding": "ascii"}, "text.stl": {"file_type": "stl_ascii"}}
    if name == "a.glb":
        place = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3], [4, 5, 6])
        scene = trimesh.Scene()
        scene.add_geometry(written, transform=place)
        scene.export(path)
        written.apply_transform(place)
    else:
        written.export(path, **options.get(name, {}))
    vertices, faces = read_mesh(path)
    assert vertices[faces] == pytest.approx(np.asarray(written.triangles), abs=1e-5)


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
