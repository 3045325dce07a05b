"""Meshes from files: .obj, .off, .ply, .stl and .glb, as triangles in the file's own axes and units.

Only positions and faces are read. All objects of a file are joined; in a .glb, where the default scene puts them.
Polygons become fans, whose winding numbers are right for concave ones, too.
"""

from __future__ import annotations

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
        return check_mesh(*reader(path.read_bytes()))
    except OSError as error:
        raise MeshError(f"{path.name}: {error.strerror}.") from error
    except MeshError as error:
        raise MeshError(f"{path.name}: {error}") from error
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, struct.error) as error:
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


def _read_obj(data: bytes) -> Arrays:
    vertices: list[list[float]] = []
    corners: list[int] = []
    sizes = []
    for line in data.decode("utf-8", "replace").replace("\\\n", " ").splitlines():
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
    lines = [line.split("#")[0].split() for line in data.decode("utf-8", "replace").splitlines()]
    lines = [words for words in lines if words]
    if not lines or lines[0][0].upper() not in ("OFF", "COFF", "NOFF", "CNOFF"):
        raise ValueError("it does not begin with OFF")
    if len(lines[0]) > 1:
        lines[:1] = [lines[0][:1], lines[0][1:]]
    count, polygons = (int(word) for word in lines[1][:2])
    if count < 0 or polygons < 0 or len(lines) < 2 + count + polygons:
        raise ValueError(f"{count} vertices and {polygons} faces are announced, {len(lines) - 2} lines are there")
    vertices = np.array([words[:3] for words in lines[2 : 2 + count]], np.float64)
    faces = [[int(word) for word in words] for words in _leading(lines[2 + count : 2 + count + polygons])]
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
    if len(data) == 84 + 50 * count and count:
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
        corners = np.frombuffer(data, record, count, 84)["corners"].reshape(-1, 3)
    elif data.lstrip()[:5].lower() == b"solid":
        found = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data)
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
        source = np.array(source.split()).astype(np.float64)
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
    corners = np.concatenate(faces) if len(faces) else np.empty(0, int)
    sizes = np.array([len(one) for one in faces])
    return np.stack([np.asarray(vertex[axis], np.float64) for axis in "xyz"], 1), triangulate(corners, sizes)


def _ply_binary_rows(
    data: bytes, at: int, count: int, properties: Properties, order: str
) -> tuple[dict[str, Any], int]:
    """An element's columns by name, and where it ends; lists are lists of arrays."""
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
            columns[name].append(np.frombuffer(data, order + types[-1], int(number), at))
            at += int(number) * struct.calcsize(order + types[-1])
    return columns, at


def _ply_text_rows(numbers: np.ndarray, at: int, count: int, properties: Properties) -> tuple[dict[str, Any], int]:
    """The same of a text file's numbers."""
    if all(len(types) == 1 for _, types in properties):
        width = len(properties)
        table = numbers[at : at + count * width].reshape(count, width)
        return {name: table[:, column] for column, (name, _) in enumerate(properties)}, at + count * width
    columns: dict[str, Any] = {name: [] for name, _ in properties}
    for _row in range(count):
        for name, types in properties:
            number = 1
            if len(types) == 2:
                number, at = int(numbers[at]), at + 1
            columns[name].append(numbers[at : at + number].astype(np.int64 if types[-1] in "bBhHiI" else np.float64))
            at += number
    return columns, at


GLB_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
# Extensions that do not change where a mesh's corners are, or only store them in smaller numbers.
GLB_KNOWN = ("KHR_mesh_quantization", "KHR_materials_", "KHR_texture_", "KHR_lights_", "EXT_texture_")


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
    root, binary = json.loads(chunks[b"JSON"]), chunks.get(b"BIN\0", b"")
    unknown = [name for name in root.get("extensionsRequired", ()) if not name.startswith(GLB_KNOWN)]
    if unknown:
        raise MeshError(f"it needs {', '.join(unknown)}. Export it without (in Blender: compression off).")
    nodes, scenes = root["nodes"], root.get("scenes")
    if scenes:
        waiting = [(index, np.eye(4)) for index in scenes[root.get("scene", 0)].get("nodes", ())]
    else:
        children = {child for node in nodes for child in node.get("children", ())}
        waiting = [(index, np.eye(4)) for index in range(len(nodes)) if index not in children]
    vertices, faces, total, visits = [np.empty((0, 3))], [np.empty((0, 3), np.int64)], 0, 0
    while waiting:
        index, above = waiting.pop()
        visits += 1
        if visits > len(nodes):
            raise ValueError("its nodes are not a tree")
        node = nodes[index]
        matrix = above @ _node_matrix(node)
        waiting += [(child, matrix) for child in node.get("children", ())]
        primitives = root["meshes"][node["mesh"]]["primitives"] if "mesh" in node else ()
        for primitive in primitives:
            mode = primitive.get("mode", 4)
            if mode < 4:  # points and lines
                continue
            positions = _accessor(root, binary, primitive["attributes"]["POSITION"], 3).astype(np.float64)
            if "indices" in primitive:
                corners = _accessor(root, binary, primitive["indices"], 1)[:, 0].astype(np.int64)
            else:
                corners = np.arange(len(positions))
            triangles = _triangles(corners, mode)
            if len(triangles) and triangles.max() >= len(positions):
                raise ValueError(f"a face names vertex {triangles.max()} of {len(positions)}")
            if np.linalg.det(matrix[:3, :3]) < 0:
                triangles = triangles[:, ::-1]
            vertices.append(positions @ matrix[:3, :3].T + matrix[:3, 3])
            faces.append(triangles + total)
            total += len(positions)
    return np.concatenate(vertices), np.concatenate(faces)


def _node_matrix(node: dict[str, Any]) -> np.ndarray:
    """A node's place in its parent (4, 4)."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _accessor(root: dict[str, Any], binary: bytes, index: int, width: int) -> np.ndarray:
    """The numbers (count, width) that an accessor describes."""
    accessor = root["accessors"][index]
    if "sparse" in accessor or "bufferView" not in accessor:
        raise ValueError("sparse accessors are not supported")
    view = root["bufferViews"][accessor["bufferView"]]
    if view.get("buffer", 0) != 0 or "uri" in root["buffers"][0]:
        raise ValueError("its data lie in another file")
    kind = np.dtype(GLB_COMPONENTS[accessor["componentType"]])
    if accessor["type"] != {1: "SCALAR", 3: "VEC3"}[width]:
        raise ValueError(f"an accessor holds {accessor['type']}")
    count, row = int(accessor["count"]), kind.itemsize * width
    stride = int(view.get("byteStride", row))
    start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
    if count < 1 or stride < row or start < 0 or start + (count - 1) * stride + row > len(binary):
        raise ValueError("an accessor reaches past the data")
    found: np.ndarray = np.ndarray((count, width), kind, binary, start, (stride, kind.itemsize))
    if accessor.get("normalized"):
        return np.maximum(found / np.iinfo(kind).max, -1.0)
    return found


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
