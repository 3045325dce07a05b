"""Closed solids and random numbers that the generators of all classes are made of.

Frame: +Z up, -Y front. A part that another carries reaches into it, so that their union is one piece.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeAlias

import manifold3d as m3
import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray
Rng = np.random.Generator
Range: TypeAlias = tuple[float, float]
Solid: TypeAlias = m3.Manifold

# Thinnest part worth modelling, relative to the largest extent.
THIN = 0.02
TRIANGLES = 10_000
ATTEMPTS = 50


# --- Whole shapes ----------------------------------------------------------------------------------------------------


def make_sound(seed: int, build: Callable[[Rng], Solid]) -> tuple[Array, Array]:
    """Build a shape that is one connected closed manifold standing on z = 0; the same seed gives the same shape.

    Parameters
    ----------
    seed
        Any non-negative integer.
    build
        Draws a shape.

    Returns
    -------
    vertices
        Positions, shape (V, 3), float64.
    faces
        Vertex indices of outward-facing triangles, shape (F, 3), int32; at most `TRIANGLES`.

    Raises
    ------
    RuntimeError
        None of the first `ATTEMPTS` draws was sound.
    """
    for attempt in range(ATTEMPTS):
        solid = build(np.random.default_rng([seed, attempt]))
        # An invalid part makes the whole empty.
        if solid.is_empty():
            continue
        main, tolerance = max(solid.decompose(), key=Solid.volume), 1e-5
        while (main := main.simplify(tolerance)).num_tri() > TRIANGLES:
            tolerance *= 2
        mesh = main.to_mesh64()
        vertices = np.array(mesh.vert_properties[:, :3], np.float64)
        faces = np.array(mesh.tri_verts, np.int32)
        whole = main.volume() > 0.999 * solid.volume()
        stands = abs(vertices[:, 2].min()) < 1e-6
        # Vertices coincide where parts touch along an edge.
        clean = len(np.unique(vertices.round(7), axis=0)) == len(vertices)
        if whole and stands and clean:
            return vertices, faces
    raise RuntimeError(f"no sound shape for seed {seed}")


def placed(solid: Solid) -> Solid:
    """Move a solid onto z = 0 and its middle to y = 0, and scale it to 1 in its largest extent."""
    low, high = np.reshape(solid.bounding_box(), (2, 3))
    solid = solid.translate((0, -(low[1] + high[1]) / 2, -low[2]))
    return solid.scale(np.full(3, 1 / (high - low).max()))


# --- Solids ----------------------------------------------------------------------------------------------------------


def box(low: ArrayLike, high: ArrayLike) -> Solid:
    """Return a box between two corners."""
    return Solid.cube(np.subtract(high, low)).translate(low)


def ellipsoid(centre: ArrayLike, half: ArrayLike, segments: int = 24) -> Solid:
    """Return an ellipsoid of three half-axes."""
    return Solid.sphere(1, segments).scale(half).translate(centre)


def prism(outline: Array | m3.CrossSection, z0: float, z1: float) -> Solid:
    """Extrude an outline of (x, y) from z0 to z1."""
    section = m3.CrossSection([outline]) if isinstance(outline, Array) else outline
    return Solid.extrude(section, z1 - z0).translate((0, 0, z0))


def plate(profile: Array | m3.CrossSection, axis: str, at: float, thickness: float) -> Solid:
    """Extrude a profile of (y, z) along x, or of (x, z) along y, centred on `at`."""
    solid = prism(profile, -thickness / 2, thickness / 2)
    if axis == "x":
        return solid.rotate((90, 0, 90)).translate((at, 0, 0))
    return solid.rotate((90, 0, 0)).translate((0, at, 0))


def rail(start: Array, end: Array, width: float, z0: float, z1: float) -> Solid:
    """Return a level bar between two points of the plan."""
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([-along[1], along[0]]) * width / 2
    return prism(np.array([start - side, end - side, end + side, start + side]), z0, z1)


def skin(rings: Array, sheet: bool = False) -> Solid:
    """Return the solid between rings of points, closed by flat ends.

    Parameters
    ----------
    rings
        One ring after the other, all turning the same way, shape (R, S, 3); the first and the last are convex.
    sheet
        Each ring runs along one side of a thin sheet and back along the other, S is even, and no ring need be convex.
    """
    rows, count = rings.shape[:2]
    here = np.arange(count)
    after = (here + 1) % count
    if sheet:
        a = here[: count // 2 - 1]
        b, c, d = a + 1, count - 2 - a, count - 1 - a
        end = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    else:
        end = np.column_stack([np.zeros_like(here[2:]), here[1:-1], here[2:]])
    faces = [end[:, [0, 2, 1]]]
    for base in range(0, (rows - 1) * count, count):
        faces.append(base + np.column_stack([here, after, after + count]))
        faces.append(base + np.column_stack([here, after + count, here + count]))
    faces.append((rows - 1) * count + end)
    points, triangles = rings.reshape(-1, 3), np.concatenate(faces).astype(np.uint64)
    inside_out = np.linalg.det(points[triangles]).sum() < 0
    return Solid(m3.Mesh64(points, triangles[:, ::-1].copy() if inside_out else triangles))


def loft(section: Array, zs: Array, radii: Array, shifts: Array | None = None) -> Solid:
    """Stack copies of a convex section, scaled by `radii` and moved in x by `shifts`."""
    shifts = np.zeros_like(zs) if shifts is None else shifts
    rings = [
        np.column_stack([section * r + [x, 0], np.full(len(section), z)])
        for z, r, x in zip(zs, radii, shifts, strict=True)
    ]
    return skin(np.array(rings))


def bar(path: ArrayLike, half: ArrayLike, section: Array | None = None, other: ArrayLike | None = None) -> Solid:
    """Sweep a convex section, round unless given, along a path (N, 3).

    `half` is its half-width, one number or N of them, and `other` the one upwards (of a post: along y).
    """
    points = np.asarray(path, float)
    section = ROUND if section is None else section
    sizes = np.column_stack([np.broadcast_to(size, len(points)) for size in (half, half if other is None else other)])
    steps = unit(np.diff(points, axis=0))
    along = unit(np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]]))
    side = np.cross(along[0], [0, 1, 0] if abs(along[0, 2]) > 0.8 else [0, 0, 1])
    rings = []
    for point, ahead, size in zip(points, along, sizes, strict=True):
        side = unit(side - ahead * (side @ ahead))
        rings.append(point + section * size @ np.stack([side, np.cross(ahead, side)]))
    return skin(np.array(rings))


def rod(path: Iterable[ArrayLike], radius: float) -> Solid:
    """Return a round bar along a polyline of points (x, y, z), with balls as its joints and ends."""
    balls = [Solid.sphere(radius, 12).translate(point) for point in path]
    return union([Solid.batch_hull(list(pair)) for pair in pairwise(balls)])


def union(parts: list[Solid]) -> Solid:
    """Join parts that reach into each other."""
    return Solid.batch_boolean(parts, m3.OpType.Add)


def both(*parts: Solid) -> Solid:
    """Join parts and their mirror images on the other side."""
    return union([*parts, *[part.mirror((1, 0, 0)) for part in parts]])


def sheared(solid: Solid, x: float, y: float, level: float = 0.0) -> Solid:
    """Lean a solid: what lies above z = `level` moves by x and y per height."""
    return solid.transform(np.array([[1, 0, x, -x * level], [0, 1, y, -y * level], [0, 0, 1, 0]]))


# --- Outlines and lines ----------------------------------------------------------------------------------------------


def slanted(foot: float, head: float, z0: float, z1: float, width: float) -> Array:
    """Return the profile of a slanted strip whose ends are cut level."""
    half = width / 2
    return np.array([(foot - half, z0), (foot + half, z0), (head + half, z1), (head - half, z1)])


def rectangle(x0: float, x1: float, z0: float, z1: float) -> Array:
    """Return the profile of an upright rectangle."""
    return np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)])


def circle(segments: int) -> Array:
    """Return the unit circle as a polygon."""
    angles = (np.arange(segments) + 0.5) * 2 * np.pi / segments
    return np.column_stack([np.cos(angles), np.sin(angles)])


SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
ROUND = circle(10)


def cornered(half: Array, cut: float, steps: int) -> Array:
    """Return a rectangle whose corners are replaced by arcs of `steps` segments."""
    arc = np.linspace(0, np.pi / 2, steps + 1)
    corners = [
        np.array(sign) * (half - cut) + cut * np.column_stack([np.cos(arc + turn), np.sin(arc + turn)])
        for sign, turn in zip([(1, 1), (-1, 1), (-1, -1), (1, -1)], np.arange(4) * np.pi / 2, strict=True)
    ]
    return np.concatenate(corners)


def powered(values: Array, power: ArrayLike) -> Array:
    """Raise values to a power but keep their signs: at 2 / n, this makes a circle a superellipse of power n."""
    return np.sign(values) * np.abs(values) ** power


def unit(vectors: Array) -> Array:
    """Scale vectors (..., D) to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def walked(path: Array) -> Array:
    """Return how far along a path (N, D) its points lie."""
    return np.concatenate([[0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])


# --- Random numbers --------------------------------------------------------------------------------------------------


def log(rng: Rng, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))


def chance(rng: Rng, probability: float) -> bool:
    """Draw True with a probability."""
    return bool(rng.random() < probability)


def weighted(rng: Rng, weights: Iterable[float]) -> int:
    """Draw the place of one of the weights."""
    shares = np.array(list(weights))
    return int(rng.choice(len(shares), p=shares / shares.sum()))


def pick(rng: Rng, **weights: float) -> str:
    """Draw one of the names, by their weights."""
    return list(weights)[weighted(rng, weights.values())]


def turned(rng: Rng, samples: int = 15) -> tuple[Array, Array]:
    """Draw heights in 0..1 and relative radii of a turned post."""
    t = np.linspace(0, 1, samples)
    style = pick(rng, knots=0.4, waist=0.15, bulge=0.2, beads=0.1, vase=0.15)
    if style == "knots":
        knots = rng.uniform(0.4, 1.0, rng.integers(4, 7))
        r = np.interp(t, np.linspace(0, 1, len(knots)), knots)
    elif style == "waist":
        r = 1 - rng.uniform(0.3, 0.6) * np.sin(np.pi * t)
    elif style == "bulge":
        r = 0.5 + 0.5 * np.sin(np.pi * t) ** rng.uniform(0.7, 3)
    elif style == "beads":
        r = 0.75 + 0.25 * np.cos(2 * np.pi * rng.integers(2, 4) * t)
    else:
        r = 0.5 + 0.5 * np.exp(-(((t - rng.uniform(0.2, 0.7)) / 0.2) ** 2))
    if chance(rng, 0.5):
        r[t > 0.85] = 1
    return t, r / r.max()
