"""Meshes from files: .obj, .off, .ply, .stl and .glb, as triangles in the file's own axes and units.

Only positions and faces are read, and no other file that one names. All objects of a file are joined; in a .glb, where
the default scene puts them. Polygons become fans, whose winding numbers are right for concave ones, too.

Why not trimesh, as of 5.2: it takes .obj's relative indices wrongly and its vertex 0 for 1; cannot read .off with
pentagons, nor binary .ply with triangles beside quads, and does not notice that either, as text, ends too early; finds
nothing in .stl with bytes after the end; passes over .glb's instances, skins, morphs, fans, sparse and normalized
numbers, and takes 33 GiB of memory if an accessor says so.
"""

from __future__ import annotations

import codecs
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .triangles import areas

MAX_BYTES = 1 << 29
MAX_FACES = 4_000_000
# In memory, JSON takes some thirty times its size.
MAX_JSON = 1 << 26

Arrays = tuple[np.ndarray, np.ndarray]
# Of a PLY element, names with one type each, or two for a list: its length's and its items'.
Properties = list[tuple[str, list[str]]]


class MeshError(ValueError):
    """A mesh that no signed distances can be taken from; the message names the problem and the remedy."""


def read_mesh(path: Path) -> Arrays:
    """Read a mesh file.

    Parameters
    ----------
    path : Path
        Its ending says which format.

    Returns
    -------
    vertices : (N, 3) float64 array
        In the file's axes and units: glTF has +y up, and most .obj files do; nothing is turned.
    faces : (M, 3) int64 array
        Triangles, wound as in the file.

    Raises
    ------
    MeshError
        The file is missing, too large, damaged, of another format, or holds no triangles; the message names it.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise MeshError(f"{path.name}: not a kind of file that can be read. Expected one of {', '.join(READERS)}.")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise MeshError(f"the file has {size >> 20} MiB, more than {MAX_BYTES >> 20}. Simplify the mesh.")
        with np.errstate(over="ignore", invalid="ignore"):  # such numbers are refused below
            return check_mesh(*reader(path.read_bytes()))
    except OSError as error:
        raise MeshError(f"{path.name}: {error.strerror}.") from error
    except MeshError as error:
        raise MeshError(f"{path.name}: {error}") from error
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError, struct.error) as error:
        raise MeshError(f"{path.name}: not a sound {path.suffix.lower()} file ({error}). Export it again.") from error


def check_mesh(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check a mesh that comes from outside, and leave out vertices that no face uses.

    Parameters
    ----------
    vertices : (N, 3) array of finite numbers
    faces : (M, 3) array of whole numbers below N
        Triangles.

    Returns
    -------
    vertices : (N', 3) float64 array
    faces : (M, 3) int64 array

    Raises
    ------
    MeshError
        They are not that, or all triangles have no area.
    """
    vertices, faces = np.asarray(vertices), np.asarray(faces)
    if vertices.size == 0 or faces.size == 0:
        raise MeshError("The mesh has no vertices or no faces.")
    if vertices.ndim != 2 or vertices.shape[1] != 3 or vertices.dtype.kind not in "fiu":
        raise MeshError(
            f"Vertices are an array of shape {vertices.shape} of {vertices.dtype}; expected (N, 3) numbers."
        )
    if faces.ndim != 2 or faces.shape[1] != 3:
        remedy = "Triangulate the mesh first." if faces.ndim == 2 else ""
        raise MeshError(f"Faces are an array of shape {faces.shape}; expected triangles, (M, 3). {remedy}".rstrip())
    if faces.dtype.kind not in "iu":
        raise MeshError(f"Faces are {faces.dtype}; expected whole numbers.")
    if len(faces) > MAX_FACES:
        raise MeshError(
            f"The mesh has {len(faces):,} triangles, more than {MAX_FACES:,}. Simplify it (Decimate modifier)."
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(
            f"Faces name vertices {faces.min()} to {faces.max()}, but there are only 0 to {len(vertices) - 1}."
        )
    used, index = np.unique(faces, return_inverse=True)
    with np.errstate(invalid="ignore"):  # some kinds of NaN
        vertices, faces = vertices[used].astype(np.float64), index.reshape(-1, 3).astype(np.int64)
    wrong = np.count_nonzero(~np.isfinite(vertices).all(1))
    if wrong:
        raise MeshError(f"{wrong} of the {len(vertices)} vertices that faces use are not finite numbers.")
    size = float(np.abs(vertices).max())
    if not 1e-100 < size < 1e100:
        raise MeshError(f"The mesh's coordinates go up to {size:g}: too small or too large to measure.")
    if not areas(vertices[faces] / size).any():
        raise MeshError("All triangles of the mesh have no area.")
    return vertices, faces


def triangulate(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Fans (M, 3) of polygons, given as the corners of one after another (C,) and their numbers of corners (P,)."""
    sizes = np.asarray(sizes, np.int64)
    count = np.maximum(sizes - 2, 0)
    first = np.repeat(np.cumsum(sizes) - sizes, count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.asarray(corners)[np.stack([first, first + step + 1, first + step + 2], 1)].astype(np.int64)


def _text(data: bytes) -> str:
    """A file's text, without a byte order mark."""
    return data.decode("utf-8-sig", "replace")


def _read_obj(data: bytes) -> Arrays:
    vertices: list[list[float]] = []
    corners: list[int] = []
    sizes = []
    for line in _text(data).replace("\r\n", "\n").replace("\\\n", " ").splitlines():
        kind, *words = line.split("#")[0].split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "f":
            found = [int(word.split("/")[0]) for word in words]
            if 0 in found:
                raise ValueError("a face names vertex 0; they count from 1")
            # From 1, or backwards from the newest vertex.
            corners += [index - 1 if index > 0 else len(vertices) + index for index in found]
            sizes.append(len(found))
    return np.array(vertices), triangulate(np.array(corners), np.array(sizes))


def _read_off(data: bytes) -> Arrays:
    text = "\n".join(line.split("#")[0] for line in _text(data).splitlines())
    # The numbers may follow without a space, as in ModelNet.
    header = re.match(r"\s*C?N?OFF", text, re.IGNORECASE)
    if header is None:
        raise ValueError("it does not begin with OFF")
    lines = [words for line in text[header.end() :].splitlines() if (words := line.split())]
    count, polygons = (int(word) for word in lines[0][:2])
    if count < 0 or polygons < 0 or len(lines) < 1 + count + polygons:
        raise ValueError(f"{count} vertices and {polygons} faces are announced, {len(lines) - 1} lines are there")
    vertices = np.array([words[:3] for words in lines[1 : 1 + count]], np.float64)
    faces = [[int(word) for word in words] for words in _leading(lines[1 + count : 1 + count + polygons])]
    return vertices, triangulate(
        np.array([index for face in faces for index in face]), np.array([len(face) for face in faces])
    )


def _leading(lines: list[list[str]]) -> list[list[str]]:
    """Of each line, as many words as its first says."""
    for words in lines:
        if not 0 <= int(words[0]) < len(words):
            raise ValueError(f"a face of {words[0]} corners names {len(words) - 1}")
    return [words[1 : 1 + int(words[0])] for words in lines]


def _read_stl(data: bytes) -> Arrays:
    count = int.from_bytes(data[80:84], "little")
    # No text's bytes announce so few; whatever follows them belongs to the program that wrote it.
    if len(data) >= 84 + 50 * count and count:
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
        corners = np.frombuffer(data, record, count, 84)["corners"].reshape(-1, 3)
    elif data.removeprefix(codecs.BOM_UTF8).lstrip()[:5].lower() == b"solid":
        found = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data, re.IGNORECASE)
        if not data.rstrip()[-200:].lower().count(b"endsolid") or len(found) % 3:
            raise ValueError("it ends too early")
        corners = np.array(found).astype(np.float64) if found else np.empty((0, 3))
    else:
        raise ValueError(f"{count} triangles are announced, {(len(data) - 84) // 50} are there")
    return corners, np.arange(len(corners)).reshape(-1, 3)


PLY_TYPES = {
    **dict(zip(("char", "uchar", "short", "ushort", "int", "uint", "float", "double"), "bBhHiIfd", strict=True)),
    **dict(zip(("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"), "bBhHiIfd", strict=True)),
}


def _read_ply(data: bytes) -> Arrays:
    data = data.removeprefix(codecs.BOM_UTF8)
    end = re.search(rb"end_header[ \t]*\r?\n", data[: 1 << 20])
    if not data.startswith(b"ply") or end is None:
        raise ValueError("it has no PLY header")
    order = ""
    elements: list[tuple[str, int, Properties]] = []
    for line in data[: end.start()].decode("ascii", "replace").splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            order = {"ascii": "ascii", "binary_little_endian": "<", "binary_big_endian": ">"}[words[1]]
        elif words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            types = [PLY_TYPES[word] for word in words[1:-1] if word != "list"]
            elements[-1][2].append((words[-1], types))
    if not order:
        raise ValueError("it names no format")
    source: Any = data[end.end() :]
    if order == "ascii":
        source = [words for line in source.splitlines() if (words := line.split())]
    found, at = {}, 0
    for name, count, properties in elements:
        if not 0 <= count <= len(source):
            raise ValueError(f"{count} rows of {name} are announced, which the file cannot hold")
        if order == "ascii":
            found[name], at = _ply_text_rows(source, at, count, properties)
        else:
            found[name], at = _ply_binary_rows(source, at, count, properties, order)
        if at > len(source):
            raise ValueError(f"it ends within its {count} rows of {name}")
    vertex, face = found["vertex"], found["face"]
    faces = next((face[key] for key in ("vertex_indices", "vertex_index") if key in face), None)
    if faces is None:
        raise ValueError("its faces have no vertex_indices")
    return np.stack([np.asarray(vertex[axis], np.float64) for axis in "xyz"], 1), triangulate(*faces)


def _ply_binary_rows(
    data: bytes, at: int, count: int, properties: Properties, order: str
) -> tuple[dict[str, Any], int]:
    """An element's columns by name, and where it ends; a list's are its items one after another, and the lengths."""
    if all(len(types) == 1 for _, types in properties):
        record = np.dtype([(name, order + types[0]) for name, types in properties])
        table = np.frombuffer(data, record, count, at)
        return {name: table[name] for name, _ in properties}, at + count * record.itemsize
    columns: dict[str, Any] = {name: [] for name, _ in properties}
    for _ in range(count):
        for name, types in properties:
            number = 1
            if len(types) == 2:
                (number,) = struct.unpack_from(order + types[0], data, at)
                at += struct.calcsize(order + types[0])
            if number < 0:
                raise ValueError(f"a list of {number} items")
            columns[name].append(np.frombuffer(data, order + types[-1], int(number), at))
            at += int(number) * struct.calcsize(order + types[-1])
    return {
        name: (np.concatenate(found) if found else np.empty(0), np.array([len(one) for one in found], np.int64))
        for name, found in columns.items()
    }, at


def _ply_text_rows(lines: list[list[bytes]], at: int, count: int, properties: Properties) -> tuple[dict[str, Any], int]:
    """The same of a text file's lines; one may hold more than the header says."""
    rows = lines[at : at + count]
    if all(len(types) == 1 for _, types in properties):
        width = len(properties)
        table = np.array([words[:width] for words in rows]).reshape(len(rows), width).astype(np.float64)
        return {name: table[:, column] for column, (name, _) in enumerate(properties)}, at + count
    items: dict[str, list[bytes]] = {name: [] for name, _ in properties}
    lengths: dict[str, list[int]] = {name: [] for name, _ in properties}
    for words in rows:
        first = 0
        for name, types in properties:
            number = 1
            if len(types) == 2:
                number, first = int(words[first]), first + 1
            if not 0 <= number <= len(words) - first:
                raise ValueError(f"a row of {name} has fewer numbers than it says")
            items[name] += words[first : first + number]
            lengths[name].append(number)
            first += number
    return {name: (np.array(items[name], np.float64), np.array(lengths[name], np.int64)) for name in items}, at + count


GLB_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
INSTANCES = "EXT_mesh_gpu_instancing"
# Extensions that are heeded, or do not change where a mesh's corners are.
GLB_KNOWN = ("KHR_mesh_quantization", "KHR_materials_", "KHR_texture_", "KHR_lights_", "EXT_texture_", INSTANCES)


def _read_glb(data: bytes) -> Arrays:
    if data[:4] != b"glTF" or int.from_bytes(data[4:8], "little") != 2:
        raise ValueError("it is not binary glTF 2")
    at = 12
    chunks: dict[bytes, bytes] = {}
    while at + 8 <= len(data):
        size, kind = struct.unpack_from("<I4s", data, at)
        if at + 8 + size > len(data):
            raise ValueError("it ends too early")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if len(chunks[b"JSON"]) > MAX_JSON:
        raise MeshError(
            f"its JSON has {len(chunks[b'JSON']) >> 20} MiB, more than {MAX_JSON >> 20}. Simplify the scene."
        )
    root, binary = json.loads(chunks[b"JSON"]), chunks.get(b"BIN\0", b"")
    unknown = [name for name in root.get("extensionsRequired", ()) if not name.startswith(GLB_KNOWN)]
    if unknown:
        raise MeshError(f"it needs {', '.join(unknown)}. Export it without (in Blender: compression off).")
    vertices, faces, total, corner_count = [np.empty((0, 3))], [np.empty((0, 3), np.int64)], 0, 0
    nodes, world = root["nodes"], _world(root)
    for index, matrix in world.items():
        node = nodes[index]
        if "mesh" not in node:
            continue
        mesh = root["meshes"][node["mesh"]]
        places = matrix @ _instances(root, binary, node)
        for primitive in mesh["primitives"]:
            if primitive.get("mode", 4) < 4:  # points and lines
                continue
            attributes = primitive["attributes"]
            positions = _accessor(root, binary, attributes["POSITION"], 3).astype(np.float64)
            weights = node.get("weights", mesh.get("weights", ()))
            for weight, target in zip(weights, primitive.get("targets", ()), strict=False):
                if weight and "POSITION" in target:
                    positions += weight * _accessor(root, binary, target["POSITION"], 3)
            if "skin" in node and "JOINTS_0" in attributes:
                positions = _skinned(root, binary, positions, attributes, root["skins"][node["skin"]], world)
                places = np.eye(4)[None]
            if "indices" in primitive:
                corners = _accessor(root, binary, primitive["indices"], 1)[:, 0].astype(np.int64)
            else:
                corners = np.arange(len(positions))
            triangles = _triangles(corners, primitive.get("mode", 4))
            if len(triangles) and triangles.max() >= len(positions):
                raise ValueError(f"a face names vertex {triangles.max()} of {len(positions)}")
            corner_count += len(places) * 3 * len(triangles)
            if max(total + len(places) * len(positions), corner_count) > 3 * MAX_FACES:
                raise MeshError(f"it has more than {MAX_FACES:,} triangles in all. Simplify it (Decimate modifier).")
            mirrored = np.linalg.det(places[:, :3, :3]) < 0
            wound = np.where(mirrored[:, None, None], triangles[:, ::-1], triangles)
            first = total + len(positions) * np.arange(len(places))
            vertices.append((positions @ places[:, :3, :3].swapaxes(1, 2) + places[:, None, :3, 3]).reshape(-1, 3))
            faces.append((wound + first[:, None, None]).reshape(-1, 3))
            total += len(places) * len(positions)
    return np.concatenate(vertices), np.concatenate(faces)


def _world(root: dict[str, Any]) -> dict[int, np.ndarray]:
    """The places (4, 4) of the nodes of the default scene, or of all where there is no scene."""
    nodes, scenes = root["nodes"], root.get("scenes")
    if scenes:
        roots = scenes[root.get("scene", 0)].get("nodes", ())
    else:
        roots = sorted(set(range(len(nodes))) - {child for node in nodes for child in node.get("children", ())})
    found: dict[int, np.ndarray] = {}
    waiting = [(index, np.eye(4)) for index in roots]
    while waiting:
        index, above = waiting.pop()
        children = nodes[index].get("children", ())
        if index in found or len(found) + len(waiting) + len(children) >= len(nodes):
            raise ValueError("its nodes are not a tree")
        found[index] = above @ _node_matrix(nodes[index])
        waiting += [(child, found[index]) for child in children]
    return found


def _node_matrix(node: dict[str, Any]) -> np.ndarray:
    """A node's place in its parent (4, 4)."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    return _places(
        np.array([node.get("translation", (0, 0, 0))], np.float64),
        np.array([node.get("rotation", (0, 0, 0, 1))], np.float64),
        np.array([node.get("scale", (1, 1, 1))], np.float64),
    )[0]


def _places(translations: np.ndarray, rotations: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Matrices (K, 4, 4) of translations (K, 3), quaternions (K, 4) with the real part last, and scales (K, 3)."""
    x, y, z, w = rotations.T
    turns = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    places = np.tile(np.eye(4), (len(translations), 1, 1))
    places[:, :3, :3] = np.moveaxis(np.array(turns), 2, 0) * scales[:, None]
    places[:, :3, 3] = translations
    return places


def _instances(root: dict[str, Any], binary: bytes, node: dict[str, Any]) -> np.ndarray:
    """Where (K, 4, 4) in a node its mesh stands: as it is, or as often as EXT_mesh_gpu_instancing says."""
    named = node.get("extensions", {}).get(INSTANCES, {}).get("attributes", {})
    parts = {"TRANSLATION": (0.0, 0.0, 0.0), "ROTATION": (0.0, 0.0, 0.0, 1.0), "SCALE": (1.0, 1.0, 1.0)}
    found = {name: _accessor(root, binary, named[name], len(parts[name])) for name in parts if name in named}
    count = len(next(iter(found.values()), (0,)))
    if count > MAX_FACES:
        raise MeshError(f"it has {count:,} instances of a mesh, more than {MAX_FACES:,}. Simplify it.")
    return _places(*(np.asarray(found.get(name, [parts[name]] * count), np.float64) for name in parts))


def _skinned(
    root: dict[str, Any],
    binary: bytes,
    positions: np.ndarray,
    attributes: dict[str, int],
    skin: dict[str, Any],
    world: dict[int, np.ndarray],
) -> np.ndarray:
    """Positions (N, 3) in the scene as a skin's joints move them: wherever their own node is (glTF 2.0, 3.7.3.3)."""
    if len(skin["joints"]) > len(world):
        raise ValueError("a skin has more joints than there are nodes")
    joints = np.stack([world[index] for index in skin["joints"]])
    if "inverseBindMatrices" in skin:
        joints = joints @ _accessor(root, binary, skin["inverseBindMatrices"], 16).reshape(-1, 4, 4).swapaxes(1, 2)
    moved = np.zeros_like(positions)
    for name in (name for name in attributes if name.startswith("JOINTS_")):
        which = _accessor(root, binary, attributes[name], 4).astype(np.int64)
        weights = _accessor(root, binary, attributes[name.replace("JOINTS", "WEIGHTS")], 4).astype(np.float64)
        for axis in range(3):
            for joint, weight in zip(which.T, weights.T, strict=True):
                row = joints[joint, axis]
                moved[:, axis] += weight * ((row[:, :3] * positions).sum(1) + row[:, 3])
    return moved


def _accessor(root: dict[str, Any], binary: bytes, index: int, width: int) -> np.ndarray:
    """The numbers (count, width) that an accessor describes."""
    accessor = root["accessors"][index]
    kind, count = np.dtype(GLB_COMPONENTS[accessor["componentType"]]), int(accessor["count"])
    if accessor["type"] != {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[width]:
        raise ValueError(f"an accessor holds {accessor['type']}")
    if count * width > 9 * MAX_FACES:
        raise ValueError(f"an accessor holds {count} times {width} numbers")
    if "bufferView" in accessor:
        found = _numbers(root, binary, accessor, kind, count, width)
    else:
        found = np.zeros((count, width), kind)
    if "sparse" in accessor:
        sparse = accessor["sparse"]
        where_kind = np.dtype(GLB_COMPONENTS[sparse["indices"]["componentType"]])
        where = _numbers(root, binary, sparse["indices"], where_kind, int(sparse["count"]), 1)[:, 0]
        found = found.copy()
        found[where] = _numbers(root, binary, sparse["values"], kind, len(where), width)
    if accessor.get("normalized"):
        return np.maximum(found / np.iinfo(kind).max, -1.0)
    return found


def _numbers(
    root: dict[str, Any], binary: bytes, part: dict[str, Any], kind: np.dtype[Any], count: int, width: int
) -> np.ndarray:
    """Rows (count, width) of a file's data, where a part of an accessor says."""
    view = root["bufferViews"][part["bufferView"]]
    if view.get("buffer", 0) != 0 or "uri" in root["buffers"][0]:
        raise ValueError("its data lie in another file")
    row = kind.itemsize * width
    stride = int(view.get("byteStride", row))
    start = int(view.get("byteOffset", 0)) + int(part.get("byteOffset", 0))
    if count < 1 or stride < row or start < 0 or start + (count - 1) * stride + row > len(binary):
        raise ValueError("an accessor reaches past the data")
    return np.ndarray((count, width), kind, binary, start, (stride, kind.itemsize))


def _triangles(corners: np.ndarray, mode: int) -> np.ndarray:
    """The triangles (M, 3) of a primitive's corners: a list (4), a strip (5) or a fan (6)."""
    if mode == 4:
        return corners.reshape(-1, 3)
    steps = np.arange(max(len(corners) - 2, 0))
    if mode == 6:
        return np.stack([np.full(len(steps), corners[0]), corners[steps + 1], corners[steps + 2]], 1)
    odd = steps % 2
    return np.stack([corners[steps], corners[steps + 1 + odd], corners[steps + 2 - odd]], 1)


READERS: dict[str, Callable[[bytes], Arrays]] = {
    ".obj": _read_obj,
    ".off": _read_off,
    ".ply": _read_ply,
    ".stl": _read_stl,
    ".glb": _read_glb,
}
