"""Closed solids and random numbers that the generators of all classes are made of.

Frame: +Z up, -Y front. A part that another carries reaches into it, so that their union is one piece.
"""

from collections.abc import Callable
from typing import TypeAlias

import manifold3d as m3
import numpy as np

Array = np.ndarray
Rng = np.random.Generator
Solid: TypeAlias = m3.Manifold

# Thinnest part worth modelling, relative to the largest extent.
THIN = 0.02
ATTEMPTS = 50


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
        Vertex indices of outward-facing triangles, shape (F, 3), int32.

    Raises
    ------
    RuntimeError
        None of the first `ATTEMPTS` draws was sound.
    """
    for attempt in range(ATTEMPTS):
        solid = build(np.random.default_rng([seed, attempt]))
        main = max(solid.decompose(), key=Solid.volume).simplify(1e-5)
        mesh = main.to_mesh64()
        vertices = np.asarray(mesh.vert_properties[:, :3], np.float64)
        faces = np.asarray(mesh.tri_verts, np.int32)
        whole = main.volume() > 0.999 * solid.volume()
        stands = abs(vertices[:, 2].min()) < 1e-6
        # Vertices coincide where parts touch along an edge.
        clean = len(np.unique(vertices.round(7), axis=0)) == len(vertices)
        if whole and stands and clean:
            return vertices, faces
    raise RuntimeError(f"no sound shape for seed {seed}")


def box(low: tuple[float, ...], high: tuple[float, ...]) -> Solid:
    """Return a box between two corners."""
    return Solid.cube(np.subtract(high, low)).translate(low)


def union(parts: list[Solid]) -> Solid:
    """Join parts that reach into each other."""
    return Solid.batch_boolean(parts, m3.OpType.Add)


def prism(outline: Array, z0: float, z1: float) -> Solid:
    """Extrude an outline of (x, y) from z0 to z1."""
    return Solid.extrude(m3.CrossSection([outline]), z1 - z0).translate((0, 0, z0))


def plate(profile: Array, axis: str, at: float, thickness: float) -> Solid:
    """Extrude a profile of (y, z) along x, or of (x, z) along y, centred on `at`."""
    solid = prism(profile, -thickness / 2, thickness / 2)
    if axis == "x":
        return solid.rotate((90, 0, 90)).translate((at, 0, 0))
    return solid.rotate((90, 0, 0)).translate((0, at, 0))


def slanted(foot: float, head: float, z0: float, z1: float, width: float) -> Array:
    """Return the profile of a slanted strip whose ends are cut level."""
    half = width / 2
    return np.array([(foot - half, z0), (foot + half, z0), (head + half, z1), (head - half, z1)])


def rectangle(x0: float, x1: float, z0: float, z1: float) -> Array:
    """Return the profile of an upright rectangle."""
    return np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)])


def rail(start: Array, end: Array, width: float, z0: float, z1: float) -> Solid:
    """Return a level bar between two points of the plan."""
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([-along[1], along[0]]) * width / 2
    return prism(np.array([start - side, end - side, end + side, start + side]), z0, z1)


def loft(section: Array, zs: Array, radii: Array, shifts: Array | None = None) -> Solid:
    """Stack copies of a convex section, scaled by `radii` and moved in x by `shifts`."""
    shifts = np.zeros_like(zs) if shifts is None else shifts
    count = len(section)
    vertices = np.concatenate(
        [np.column_stack([section * r + [x, 0], np.full(count, z)]) for z, r, x in zip(zs, radii, shifts, strict=True)]
    )
    here = np.arange(count)
    after = (here + 1) % count
    faces = [np.column_stack([np.zeros(count - 2), here[2:], here[1:-1]])]
    for base in range(0, len(vertices) - count, count):
        faces.append(base + np.column_stack([here, after, after + count]))
        faces.append(base + np.column_stack([here, after + count, here + count]))
    last = len(vertices) - count
    faces.append(last + np.column_stack([np.zeros(count - 2), here[1:-1], here[2:]]))
    return Solid(m3.Mesh64(vertices, np.concatenate(faces).astype(np.uint64)))


def circle(segments: int) -> Array:
    """Return the unit circle as a polygon."""
    angles = (np.arange(segments) + 0.5) * 2 * np.pi / segments
    return np.column_stack([np.cos(angles), np.sin(angles)])


SQUARE = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


def log(rng: Rng, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))


def chance(rng: Rng, probability: float) -> bool:
    """Draw True with a probability."""
    return bool(rng.random() < probability)


def pick(rng: Rng, **weights: float) -> str:
    """Draw one of the names, by their weights."""
    shares = np.array(list(weights.values()))
    return str(rng.choice(list(weights), p=shares / shares.sum()))


def cornered(half: Array, cut: float, steps: int) -> Array:
    """Return a rectangle whose corners are replaced by arcs of `steps` segments."""
    arc = np.linspace(0, np.pi / 2, steps + 1)
    corners = [
        np.array(sign) * (half - cut) + cut * np.column_stack([np.cos(arc + turn), np.sin(arc + turn)])
        for sign, turn in zip([(1, 1), (-1, 1), (-1, -1), (1, -1)], np.arange(4) * np.pi / 2, strict=True)
    ]
    return np.concatenate(corners)


def turned(rng: Rng, samples: int = 15) -> tuple[Array, Array]:
    """Return heights in 0..1 and relative radii of a turned post."""
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
