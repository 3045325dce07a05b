"""Varied closed parametric chairs, to train and test a shape prior.

Frame: +Z up, -Y front, the floor at z = 0. The builders work in metres; the finished chair is 1 in its largest extent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import manifold3d as m3
import numpy as np
from numpy.typing import ArrayLike

from .solids import SQUARE, Array, Rng, Solid, box, chance, circle, loft, make_sound, pick, plate, turned, union

ROUND = circle(10)
# Half of the thinnest bar, in metres: chairs are 0.8 to 1.2 in their largest extent.
LEAST = 0.0125
X, Y, Z = np.eye(3)
FLAT = (0.0, 0.0, 0.0)


def make_chair(seed: int) -> tuple[Array, Array]:
    """Make one chair: vertices (V, 3) and faces (F, 3), as `make_sound` describes them."""
    return make_sound(seed, _build)


def _build(rng: Rng) -> Solid:
    weights = np.array([weight for weight, _ in KINDS])
    _, build = KINDS[rng.choice(len(KINDS), p=weights / weights.sum())]
    solid = union(build(rng)).trim_by_plane((0, 0, 1), 0)
    low, high = np.reshape(solid.bounding_box(), (2, 3))
    return solid.translate((0, -(low[1] + high[1]) / 2, -low[2])).scale([1 / np.max(high - low)] * 3)


# --- Parts -----------------------------------------------------------------------------------------------------------


def _skin(rings: Array) -> Solid:
    """Close a stack (N, M, 3) of rings, each counter-clockwise as seen from the rings after it; M is even."""
    count = rings.shape[1]
    here = np.arange(count)
    after = (here + 1) % count
    a = np.arange(count // 2 - 1)
    b, c, d = a + 1, count - 2 - a, count - 1 - a
    cap = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    faces = [cap[:, ::-1], cap + (len(rings) - 1) * count]
    for base in range(0, (len(rings) - 1) * count, count):
        faces.append(base + np.column_stack([here, after, after + count]))
        faces.append(base + np.column_stack([here, after + count, here + count]))
    return Solid(m3.Mesh64(rings.reshape(-1, 3), np.concatenate(faces).astype(np.uint64)))


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _bar(path: ArrayLike, half: ArrayLike, section: Array = ROUND, other: ArrayLike | None = None) -> Solid:
    """Sweep a section along a path (N, 3); `half` is its half-width, `other` the one upwards (of a post: along y)."""
    points = np.asarray(path, float)
    sizes = np.column_stack([np.broadcast_to(size, len(points)) for size in (half, half if other is None else other)])
    steps = _unit(np.diff(points, axis=0))
    along = _unit(np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]]))
    side = np.cross(along[0], Y if abs(along[0, 2]) > 0.8 else Z)
    rings = []
    for point, ahead, size in zip(points, along, sizes, strict=True):
        side = _unit(side - ahead * (side @ ahead))
        rings.append(point + section * size @ np.stack([side, np.cross(ahead, side)]))
    return _skin(np.array(rings))


def _bent(corners: ArrayLike, radius: float, steps: int = 5) -> Array:
    """Return a polyline whose inner corners are rounded, by at most half of the shorter neighbour."""
    points = np.asarray(corners, float)
    path = [points[:1]]
    t = np.linspace(0, 1, steps + 1)[:, None]
    for before, here, after in zip(points[:-2], points[1:-1], points[2:], strict=True):
        reach = min(radius, 0.49 * np.linalg.norm(here - before), 0.49 * np.linalg.norm(after - here))
        start, end = here + _unit(before - here) * reach, here + _unit(after - here) * reach
        path.append((1 - t) ** 2 * start + 2 * t * (1 - t) * here + t**2 * end)
    return np.concatenate([*path, points[-1:]])


def _sheet(grid: Array, thick: ArrayLike) -> Solid:
    """Thicken a surface (N, M, 3) to both sides; `thick` is one number or (N, M)."""
    normals = _unit(np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1)))
    out = normals * np.broadcast_to(thick, grid.shape[:2])[..., None] / 2
    return _skin(np.concatenate([grid - out, (grid + out)[:, ::-1]], axis=1))


def _padding(u: Array, v: Array, thick: float, edge: float) -> Array:
    """Return the thickness of a padded sheet over -1..1 x -1..1, thinner at the edges."""
    return thick * (edge + (1 - edge) * np.sqrt(np.maximum((1 - u**4) * (1 - v**4), 0)))


def _rounded(u: Array, v: Array, k: float) -> tuple[Array, Array]:
    """Round the corners of the square -1..1: not at all at k = 0, to a disc at k = 1."""
    return u * np.sqrt(1 - k * v**2 / 2), v * np.sqrt(1 - k * u**2 / 2)


def _cushion(low: tuple[float, ...], high: tuple[float, ...], power: float = 6.0) -> Solid:
    """Return a superellipsoid in a box: a ball at power 2, a soft box at 10."""
    around, up = np.meshgrid(np.arange(32) * np.pi / 16, np.linspace(-np.pi / 2, np.pi / 2, 15))
    unit = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1).reshape(-1, 3)
    unit = np.sign(unit) * np.abs(unit) ** (2 / power)
    unit /= (np.abs(unit) ** power).sum(1, keepdims=True) ** (1 / power)
    middle, half = np.add(low, high) / 2, np.subtract(high, low) / 2
    return Solid.hull_points(unit * half + middle)


def _outline(half: float, depth: float, front: float = 4, rear: float = 4, taper: float = 1) -> Array:
    """Return a superellipse of other powers in front and rear, narrowed or widened towards the rear."""
    unit = circle(44)
    power = np.where(unit[:, 1:] > 0, rear, front)
    x, y = (np.sign(unit) * np.abs(unit) ** (2 / power)).T
    return np.column_stack([x * half * (1 + (taper - 1) * (y + 1) / 2), y * depth / 2])


def _pad(outline: Array, z0: float, z1: float, above: float, below: float) -> Solid:
    """Return a flat body over an outline, its upper and lower edges rounded by two radii."""
    arc = np.linspace(0, np.pi / 2, 4)
    insets = np.concatenate([below * (1 - np.sin(arc)), above * (1 - np.sin(arc[::-1]))])
    levels = np.concatenate([z0 + below * (1 - np.cos(arc)), z1 - above * (1 - np.cos(arc[::-1]))])
    half = np.ptp(outline, axis=0) / 2
    rings = [
        np.column_stack([outline * (1 - i / half), np.full(len(outline), z)])
        for i, z in zip(insets, levels, strict=True)
    ]
    return Solid.hull_points(np.concatenate(rings))


def _both(parts: list[Solid]) -> list[Solid]:
    """Add the mirror images on the other side."""
    return [*parts, *[part.mirror((1, 0, 0)) for part in parts]]


def _curve(knots: ArrayLike, count: int) -> Array:
    """Return a smooth curve through values at even steps."""
    values = np.asarray(knots, float)
    t = np.linspace(0, 1, len(values))
    return np.polyval(np.polyfit(t, values, len(values) - 1), np.linspace(0, 1, count))


@dataclass(frozen=True)
class _Back:
    """The curved surface that a back lies on: u runs from -1 to 1 across, t from 0 at the seat to 1 on top."""

    foot: float
    head: float
    y: float
    z0: float
    z1: float
    rake: float
    bend: float = 1.3
    bow: tuple[float, float] = (0.0, 0.0)

    def half(self, t: ArrayLike) -> Array:
        return self.foot + (self.head - self.foot) * np.asarray(t)

    def at(self, u: ArrayLike, t: ArrayLike) -> Array:
        u, t = np.broadcast_arrays(np.asarray(u, float), np.asarray(t, float))
        bow = self.bow[0] + (self.bow[1] - self.bow[0]) * t
        y = self.y + self.rake * np.sign(t) * np.abs(t) ** self.bend + bow * (1 - u**2)
        return np.stack([u * self.half(t), y, self.z0 + (self.z1 - self.z0) * t], -1)

    def band(self, low: ArrayLike, high: ArrayLike, thick: float, reach: float = 1.0) -> Solid:
        """Return a level board from t = low to t = high (numbers, or 13 of them across)."""
        rows = np.linspace(0, 1, 4)[:, None]
        return _sheet(self.at(np.linspace(-reach, reach, 13), low + (np.subtract(high, low)) * rows), thick)

    def panel(self, low: float, high: float, thick: float, edge: float, k: float, reach: float = 1.0) -> Solid:
        """Return a board or a pad with rounded corners."""
        u, v = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 15))
        a, b = _rounded(u, v, k)
        return _sheet(self.at(a * reach, low + (high - low) * (b + 1) / 2), _padding(u, v, thick, edge))

    def stave(self, u: float, low: float, high: float, half: ArrayLike, thick: float) -> Solid:
        """Return an upright board; `half` is its half-width, one number or 9 of them."""
        t = np.linspace(low, high, 9)
        across = (half / self.half(t))[:, None] * np.linspace(-1, 1, 4)
        return _sheet(self.at(u + across, t[:, None]), thick)

    def rod(
        self, start: tuple[float, float], end: tuple[float, float], half: ArrayLike, section: Array = ROUND
    ) -> Solid:
        return _bar(self.at(np.linspace(start[0], end[0], 9), np.linspace(start[1], end[1], 9)), half, section)


# --- Wooden frames ---------------------------------------------------------------------------------------------------


def _leg_shape(rng: Rng, thick: float) -> tuple[Array, Array, Array]:
    """Return heights in 0..1, half-widths and section of a leg."""
    style = pick(rng, straight=0.3, taper=0.38, turned=0.22, curved=0.1)
    section = SQUARE if style == "straight" or (style == "taper" and chance(rng, 0.5)) else ROUND
    if style == "turned":
        t, r = turned(rng, 13)
        return t, np.maximum(r * thick * 1.25, LEAST), section
    foot = thick if style == "straight" else max(LEAST, thick * rng.uniform(0.5, 0.8))
    return np.linspace(0, 1, 5), np.linspace(foot, thick, 5), section


def _stretchers(rng: Rng, legs: list[tuple[Array, Array]], half: float, low: float, high: float) -> list[Solid]:
    """Join four legs (foot, head), counter-clockwise from the front left one, by bars."""
    style = pick(rng, h=0.35, box=0.35, sides=0.15, cross=0.15)
    z = rng.uniform(low, high)
    a, b, c, d = [foot + (head - foot) * (z - foot[2]) / (head[2] - foot[2]) for foot, head in legs]
    pairs = {
        "h": [(a, d), (b, c), ((a + d) / 2, (b + c) / 2)],
        "box": [(a, b), (b, c), (c, d), (d, a)],
        "sides": [(a, d), (b, c)],
        "cross": [(a, c), (b, d)],
    }[style]
    rise = rng.uniform(-0.06, 0.06) if style == "box" and z > 0.15 else 0.0
    lift = [rise * Z if style == "box" and k % 2 else 0 * Z for k in range(len(pairs))]
    section = ROUND if chance(rng, 0.6) else SQUARE
    return [_bar([p + up, q + up], half, section) for (p, q), up in zip(pairs, lift, strict=True)]


def _crest(rng: Rng, back: _Back, low: float, thick: float) -> Solid:
    """Return the top rail, level, arched, or yoke-shaped."""
    u = np.linspace(-1, 1, 13)
    arch, yoke = (rng.uniform(0, 0.12), rng.uniform(-0.04, 0.04)) if chance(rng, 0.5) else (0, 0)
    shape = arch * (1 - u**2) + yoke * np.cos(2 * np.pi * u)
    return back.band(low + shape * rng.choice([0, 0.8]), 1 + shape, thick, rng.choice([1.0, 1.0, 1.12]))


def _fill(rng: Rng, back: _Back, style: str, thick: float) -> list[Solid]:
    """Return what lies between the posts of a back."""
    tall = back.z1 - back.z0
    board = max(2 * LEAST, thick * rng.uniform(1.0, 1.3))
    low, rail = rng.uniform(0.15, 0.4), min(0.5, rng.uniform(0.05, 0.11) / tall)
    if style == "slats":
        count = int(np.clip(rng.integers(2, 6), 2, tall / 0.09))
        edges = np.linspace(low, 1, count + 1)
        share = rng.uniform(0.3, min(0.75, 1 - 0.03 / tall / (edges[1] - edges[0])))
        tops = edges[1:]
        bulge = rng.uniform(0, 0.05) * (1 - np.linspace(-1, 1, 13) ** 2)
        return [back.band(top - share * (edges[1] - low) + bulge, top + bulge, board) for top in tops]
    if style == "rail":
        return [_crest(rng, back, rng.uniform(0.45, 0.75), board)]
    if style in ("solid", "padded"):
        low = rng.choice([-0.06, low])
        pad = board if style == "solid" else rng.uniform(0.04, 0.09)
        return [back.panel(low, 1.02, pad, max(0.4, 2 * LEAST / pad), rng.uniform(0, 0.25), rng.uniform(1.0, 1.1))]
    top = 1 - rail * rng.uniform(0.8, 1.8)
    parts, bottom = [_crest(rng, back, top, board)], -0.05
    if style != "spindles" and (top - low) * tall > 0.15 and chance(rng, 0.6):
        bottom = max(low * 0.8, rail / 2 + 0.03 / tall)
        parts.append(back.band(bottom - rail / 2, bottom + rail / 2, board))
    if style in ("staves", "spindles"):
        half = rng.uniform(LEAST, 0.03) if style == "staves" else rng.uniform(LEAST, 0.015)
        most = int(2 * back.foot / (2 * half + 0.03))
        spots = np.linspace(-1, 1, int(rng.integers(2, max(3, min(most, 8)))) + 2)[1:-1]
        if style == "staves":
            return parts + [back.stave(u, bottom, 0.97, half, 2 * LEAST) for u in spots]
        swell = half * (1 + 0.5 * rng.random() * np.sin(np.linspace(0, np.pi, 9)))
        fan = back.foot / back.half(1) * rng.uniform(0.8, 1.2)
        return parts + [back.rod((u * 0.92, bottom), (u * 0.92 * fan, 0.97), swell) for u in spots]
    if style == "splat":
        wide = rng.uniform(0.04, 0.085) * _curve(rng.uniform(0.45, 1, 5), 9)
        return [*parts, back.stave(0, bottom, 0.97, np.maximum(wide, 0.02), 2 * LEAST)]
    half, k = max(LEAST, 0.9 * thick), rng.choice([0.0, 0.35])
    return [*parts, *_both([back.rod((-1 + k, bottom), (1 - k, 0.96), half, SQUARE)])]


def _hoop(rng: Rng, back: _Back, thick: float) -> list[Solid]:
    """Return a bow with spindles, a splat, a pad, or a rail within."""
    power, angle = rng.uniform(2, 3.5), np.linspace(0, np.pi, 25)
    u = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power)
    t = np.abs(np.sin(angle)) ** (2 / power)
    t[[0, -1]] = -0.06
    parts = [_bar(back.at(u, t), max(LEAST, thick * 0.85))]
    style = pick(rng, spindles=0.55, splat=0.25, rail=0.2)
    if style == "spindles":
        most = int(1.8 * back.foot / (2 * LEAST + 0.025))
        spots = np.linspace(-1, 1, int(rng.integers(3, max(4, min(most, 8)))) + 2)[1:-1] * 0.98
        return parts + [back.rod((x * 0.9, -0.06), (x, (1 - abs(x) ** power) ** (1 / power)), LEAST) for x in spots]
    if style == "splat":
        wide = rng.uniform(0.05, 0.09) * _curve(rng.uniform(0.5, 1, 4), 9)
        return [*parts, back.stave(0, -0.06, 0.99, np.maximum(wide, 0.02), 2 * LEAST)]
    low, tall = rng.uniform((0.35, 0.1), (0.6, 0.2))
    return [*parts, back.band(low, low + tall, 2 * LEAST, (1 - (low + tall / 2) ** power) ** (1 / power))]


def _arms(rng: Rng, back: _Back, front: Array, rear: Array, thick: float) -> list[Solid]:
    """Return two arm rests from the back's edges to posts on the seat's sides."""
    rise = min(rng.uniform(0.18, 0.25), 0.85 * (back.z1 - back.z0))
    start = back.at(1, rise / (back.z1 - back.z0))
    foot = front + (rear - front) * rng.uniform(0, 0.4) - [0, 0, 0.02]
    top = foot + np.array([rng.uniform(0, 0.04), 0, rise + rng.uniform(-0.01, 0.03)])
    wide = rng.uniform(1, 2) * thick
    if chance(rng, 0.35):
        path = _bent([start, top, foot], rng.uniform(0.04, 0.15))
        return _both([_bar(path, max(LEAST, thick * 0.8))])
    end = top - [0, rng.uniform(0.02, 0.07), 0]
    path = _bent([start, (start + end) / 2 + [rng.uniform(0, 0.05), 0, 0], end], 0.12)
    post = _bar([foot, top], max(LEAST, thick * 0.8), ROUND if chance(rng, 0.6) else SQUARE)
    section = ROUND if chance(rng, 0.4) else SQUARE
    return _both([_bar(path, wide, section, max(LEAST, 0.7 * thick)), post])


# How a framed chair's seat height, half-width, depth and back height may run, and what its back is filled with.
FORMS = {
    "dining": ((0.42, 0.48), (0.19, 0.26), (0.38, 0.48), (0.34, 0.6)),
    "low": ((0.42, 0.47), (0.2, 0.27), (0.38, 0.46), (0.2, 0.32)),
    "bar": ((0.6, 0.78), (0.18, 0.23), (0.34, 0.42), (0.12, 0.42)),
    "rocking": ((0.38, 0.43), (0.22, 0.28), (0.42, 0.5), (0.5, 0.72)),
    "bench": ((0.42, 0.46), (0.45, 0.6), (0.38, 0.48), (0.35, 0.5)),
}


def _framed(form: str) -> Callable[[Rng], list[Solid]]:
    def build(rng: Rng) -> list[Solid]:
        z, half, depth, tall = (rng.uniform(*limits) for limits in FORMS[form])
        fill = pick(rng, slats=0.16, staves=0.14, spindles=0.13, splat=0.1, cross=0.06, rail=0.12, solid=0.1,
                    padded=0.14, hoop=0.14, oval=0.06)  # fmt: skip
        if tall < 0.33 or form == "bench":
            fill = pick(rng, slats=0.25, staves=0.2, spindles=0.2, rail=0.2, padded=0.15)
        free = fill in ("hoop", "oval") or chance(rng, 0.3)
        thick = rng.uniform(0.013, 0.024)
        front = rng.choice([2.5, 4, 8]) if form != "bench" else 10.0
        rear = rng.uniform(2.2, 4) if free and form != "bench" else 10.0
        taper = rng.uniform(0.75, 1.0) if form != "bench" else 1.0
        deep = rng.uniform(0.028, 0.045) if chance(rng, 0.5) else rng.uniform(0.05, 0.11)
        outline = _outline(half, depth, front, rear, taper)
        inset, spread = 1.3 * thick, rng.uniform(0.88, 1.15) * (1.15 if free else 1.0)
        fore, aft = 0.5 ** (1 / front), 0.5 ** (1 / rear)
        narrow = taper + (1 - taper) * 0.1
        corners = {
            -1: np.array([half * fore - inset, inset - depth / 2 * fore, z]),
            1: np.array([half * aft * narrow - inset, depth / 2 * aft - inset, z]),
        }
        x, y, _ = corners[1]
        rake, bend, bow = rng.uniform((0.05, 1, 0), (0.3, 1.7, 0.06))
        back = _Back(x, x * spread, y, z, z + tall, tall * rake, bend, (depth / 2 - inset - y if free else 0.0, bow))
        parts = [_pad(outline, z - deep, z, min(0.45 * deep, 0.03), min(0.3 * deep, 0.01))]
        parts += _standing(rng, form, corners, back, thick, free)
        if fill == "hoop":
            parts += _hoop(rng, back, thick)
        elif fill == "oval":
            parts += _oval(rng, back, thick)
        else:
            parts += _fill(rng, back, fill, 2 * thick * 0.8)
            if free:
                parts += _both([back.rod((1, -0.06), (1, 0.97), max(LEAST, 0.85 * thick))])
        armed = {"dining": 0.25, "low": 0.4, "bar": 0.1, "rocking": 0.75, "bench": 0.6}[form]
        if fill != "oval" and chance(rng, armed) and tall > 0.2:
            parts += _arms(rng, back, corners[-1], corners[1], thick)
        return parts

    return build


def _oval(rng: Rng, back: _Back, thick: float) -> list[Solid]:
    """Return a medallion back on two short posts."""
    wide, k = rng.uniform(0.85, 1.15), rng.uniform(0.85, 1)
    pad = back.panel(0.2, 1.02, rng.uniform(0.04, 0.07), 0.6, k, wide)
    return [pad, *_both([back.rod((0.75, -0.06), (0.6, 0.4), max(LEAST, thick * 0.9))])]


def _standing(rng: Rng, form: str, corners: dict[int, Array], back: _Back, thick: float, free: bool) -> list[Solid]:
    """Return four legs, their stretchers and rockers; unless `free`, the rear legs become the back's posts."""
    splay = rng.uniform(0.0, 0.03) if not free else rng.uniform(0.02, 0.09)
    splay *= back.z0 / 0.45
    t, radii, section = _leg_shape(rng, thick)
    inset = rng.uniform(0.75, 0.95) if free else 1.0
    rear, rock = rng.uniform(0.01, 0.1), form == "rocking"
    legs, parts = [], []
    for sx, sy in [(-1, -1), (1, -1), (1, 1), (-1, 1)]:
        head = corners[sy] * [sx * inset, inset, 1]
        head[2] -= 0.015
        foot = head + np.array([sx * splay * 0.8, sy * splay if free else max(0, sy) * rear, -head[2]])
        foot[2] = 0.035 + foot[1] ** 2 / 2.4 if rock else 0.0
        legs.append((foot, head))
        path = foot + (head - foot) * t[:, None]
        if not rock:
            path[0] -= 0.03 * _unit(head - foot)
        sizes = radii
        if sy > 0 and not free:
            path = np.concatenate([path, back.at(sx, np.linspace(0.05, 0.985, 8))])
            sizes = np.concatenate([radii, np.linspace(thick, max(LEAST, 0.8 * thick), 8)])
        parts.append(_bar(path, sizes, section))
    if rock:
        y = np.linspace(legs[0][0][1] - 0.12, legs[2][0][1] + rng.uniform(0.15, 0.3), 15)
        x = np.interp(y, [legs[1][0][1], legs[2][0][1]], [legs[1][0][0], legs[2][0][0]])
        path = np.column_stack([x, y, y**2 / 2.4 + 0.02])
        parts += _both([_bar(path, LEAST * 1.2, SQUARE, 0.018)])
    if chance(rng, {"bar": 1.0, "rocking": 0.8}.get(form, 0.45)):
        low, high = (0.2, 0.32) if form == "bar" else (0.12, 0.28)
        parts += _stretchers(rng, legs, max(LEAST, 0.75 * thick), low, high)
    return parts


def _captain(rng: Rng) -> list[Solid]:
    """Make a low wooden armchair whose back and arms are one curved rail."""
    z, half, depth = rng.uniform((0.42, 0.23, 0.42), (0.46, 0.28, 0.48))
    thick = rng.uniform(0.014, 0.022)
    seat = _pad(_outline(half, depth, 3, 2.3, 0.95), z - rng.uniform(0.03, 0.07), z, 0.015, 0.008)
    corners = {s: np.array([half * 0.72, s * depth * 0.36, z]) for s in (-1, 1)}
    parts = [seat, *_standing(rng, "low", corners, _Back(half, half, 0, z, z + 0.3, 0), thick, True)]
    rise = rng.uniform(0.19, 0.28)
    angle = np.linspace(-0.12, 1.12, 25) * np.pi
    x, y = np.cos(angle), np.sin(angle)
    lift = np.maximum(y, 0) ** 2 * rng.uniform(0, 0.1)
    rail = np.column_stack([x * (half + 0.02), y * (depth / 2 + 0.02), z + rise + lift])
    rail[[0, -1], 1] -= rng.uniform(0, 0.08)
    tall = 0.014 + np.maximum(y, 0) ** 3 * rng.uniform(0, 0.05)
    parts.append(_bar(rail, rng.uniform(0.016, 0.03), SQUARE, tall))
    feet = np.column_stack([x * half * 0.86, y * depth / 2 * 0.86, np.full(25, z - 0.015)])
    spots = np.linspace(2, 22, int(rng.integers(3, 9))).round().astype(int)
    return parts + [_bar([feet[k], rail[k]], LEAST * rng.uniform(1, 1.2)) for k in spots]


# --- Bases for seats that stand on one column or under a shell -------------------------------------------------------


def _star(rng: Rng, z: float, casters: bool) -> list[Solid]:
    """Return a column on a star of four or five feet."""
    count = 5 if casters or chance(rng, 0.2) else 4
    reach, half = rng.uniform(0.26, 0.33), rng.uniform(0.014, 0.022)
    hub = rng.uniform(0.085, 0.12) if casters else rng.uniform(0.03, 0.12)
    tip = 0.066 if casters else half * 0.9
    start = np.pi / 4 if count == 4 else rng.choice([-0.5, 0.5]) * np.pi
    parts = [
        loft(circle(20), np.array([hub - 0.03, hub + 0.02, hub + 0.03, z]), np.array([0.035, 0.035, 0.025, 0.025]))
    ]
    for angle in start + np.arange(count) * 2 * np.pi / count:
        way = np.array([np.cos(angle), np.sin(angle), 0])
        parts.append(_bar([hub * Z, way * reach * 0.5 + (hub * 0.6 + tip * 0.4) * Z, way * reach + tip * Z],
                          [half * 1.4, half * 1.2, half], SQUARE))  # fmt: skip
        if casters:
            axle = np.cross(Z, way) * rng.uniform(0.016, 0.024)
            centre = way * (reach - 0.01) + 0.032 * Z
            parts.append(_bar([centre - axle, centre + axle], 0.034, circle(16)))
    return parts


def _pedestal(rng: Rng, z: float) -> list[Solid]:
    """Return a trumpet foot, or a column on a disc."""
    spread, waist = rng.uniform(0.2, 0.3), rng.uniform(0.02, 0.04)
    if chance(rng, 0.55):
        t = np.linspace(0, 1, 15)
        radii = waist + (spread - waist) * (1 - t) ** rng.uniform(4, 8) + rng.uniform(0.03, 0.12) * t**6
        return [loft(circle(32), np.concatenate([[0], 0.022 + t * (z - 0.022)]), np.concatenate([radii[:1], radii]))]
    disc = _pad(circle(36) * spread, 0, rng.uniform(0.022, 0.03), 0.008, 0)
    return [disc, loft(circle(20), np.array([0.01, z]), np.full(2, waist))]


def _spread_legs(rng: Rng, z: float, half: float, depth: float) -> list[Solid]:
    """Return four slanting legs that meet a plate under the seat."""
    thick, splay = rng.uniform(LEAST, 0.02), rng.uniform(0.03, 0.1)
    head = np.array([half * rng.uniform(0.5, 0.75), depth * rng.uniform(0.3, 0.38), z])
    foot = head + np.array([splay, splay, -z - 0.02])
    radii = np.linspace(max(LEAST, thick * rng.uniform(0.6, 1)), thick, 2)
    parts = [
        _bar([foot * s, head * s], radii, ROUND) for s in np.array([(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, 1)])
    ]
    beams = [_bar([head * [1, -1, 1], head], LEAST), _bar([head * [-1, -1, 1], head * [-1, 1, 1]], LEAST)]
    beams += [_bar([head * [-1, s, 1], head * [1, s, 1]], LEAST) for s in (-1, 1)]
    if chance(rng, 0.3):
        low = foot + (head - foot) * 0.5
        beams += [_bar([low * [-1, s, 1], low * [1, s, 1]], LEAST) for s in (-1, 1)]
    return parts + beams


def _runners(rng: Rng, z: float, half: float, depth: float) -> list[Solid]:
    """Return a sled: two bent tubes with their cross bars."""
    x, y0, y1 = half * rng.uniform(0.75, 0.95), -depth * rng.uniform(0.3, 0.42), depth * rng.uniform(0.38, 0.5)
    r, lean = rng.uniform(LEAST, 0.015), rng.uniform(0, 0.08)
    loop = [(x - 0.05, y0 + lean + 0.04, z), (x, y0, r), (x, y1, r), (x - 0.05, y1 - lean - 0.08, z)]
    path = _bent(loop, 0.05)
    ends = [_bar([(-x + 0.05, y, z), (x - 0.05, y, z)], r) for y in (loop[0][1], loop[3][1])]
    sides = [_bar([loop[0], loop[3]], r)]
    return _both([_bar(path, r), *sides]) + ends


# --- Shells ----------------------------------------------------------------------------------------------------------


def _shell(
    corners: ArrayLike,
    radius: float,
    widths: ArrayLike,
    curls: ArrayLike,
    thick: float,
    k: float = 0.3,
    edge: float = 1.0,
) -> Solid:
    """Return a bent sheet along a profile of (y, z) corners from the front of the seat to the top of the back.

    `widths` are its half-widths and `curls` how far its sides turn up out of the profile, at even steps along it.
    """
    path = _bent(corners, radius, 8)
    walk = np.concatenate([[0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    fine = np.linspace(0, 1, 41)
    y, z = (np.interp(fine * walk[-1], walk, part) for part in path.T)
    start, end = np.arctan2(z[[4, -1]] - z[[0, -5]], y[[4, -1]] - y[[0, -5]])
    u, v = np.meshgrid(np.linspace(-1, 1, 17), np.linspace(-1, 1, 27))
    a, b = _rounded(u, v, k)
    s = (b + 1) / 2
    turn = np.interp(s, fine, _curve(curls, 41)) * np.abs(a) ** 2.4
    # The sides turn up along a direction that swings evenly, since the profile's normals cross inside its bend.
    slope = start + (end - start) * s
    grid = np.stack(
        [
            a * np.interp(s, fine, _curve(widths, 41)),
            np.interp(s, fine, y) - turn * np.sin(slope),
            np.interp(s, fine, z) + turn * np.cos(slope),
        ],
        -1,
    )
    return _sheet(grid, _padding(u, v, thick, edge))


def _bowl(rng: Rng, half: float, depth: float, tall: float, z: float, style: str) -> Solid:
    """Return a one-piece seat: a side shell, a tub with arms, a high egg, or a waisted plywood sheet."""
    rake = tall * rng.uniform(0.15, 0.35)
    y = depth / 2
    corners = [
        (-y, z - rng.uniform(0, 0.02)),
        (-y * 0.75, z),
        (y * 0.8, z - rng.uniform(0.01, 0.03)),
        (y + rake, z + tall),
    ]
    thick = rng.uniform(0.024, 0.032) if chance(rng, 0.6) else rng.uniform(0.04, 0.08)
    edge = max(0.45, 2 * LEAST / thick)
    if style == "tub":
        arm = min(rng.uniform(0.14, 0.22), 0.75 * half)
        return _shell(corners, 0.16, [half * 0.85, half * 0.95, half, half, half * 0.8],
                      [0.03, arm * 0.7, arm, arm * 0.9, 0.05], thick, rng.uniform(0.3, 0.8), edge)  # fmt: skip
    if style == "egg":
        arm = rng.uniform(0.18, 0.26)
        return _shell(corners, 0.18, [half * 0.9, half, half * 1.05, half, half * 0.75],
                      [0.02, arm * 0.8, arm, arm, arm * 0.8], thick, rng.uniform(0.4, 0.8), edge)  # fmt: skip
    waist = rng.uniform(0.35, 0.75) if style == "ply" else rng.uniform(0.85, 1.0)
    curl = rng.uniform(0.0, 0.03) if style == "ply" else rng.uniform(0.03, 0.08)
    top = rng.uniform(0.7, 1.0)
    return _shell(corners, rng.uniform(0.08, 0.16), [half * 0.92, half, half * waist, half * top, half * top * 0.9],
                  [curl * 0.3, curl, curl, curl, curl * 0.8], thick, rng.uniform(0.1, 0.7), edge)  # fmt: skip


def _shell_chair(rng: Rng) -> list[Solid]:
    style = pick(rng, side=0.35, tub=0.3, ply=0.2, egg=0.15)
    z, half, depth, tall = rng.uniform((0.42, 0.2, 0.4, 0.32), (0.47, 0.25, 0.47, 0.45))
    if style in ("tub", "egg"):
        half, depth = rng.uniform((0.25, 0.44), (0.32, 0.54))
    if style == "egg":
        tall = rng.uniform(0.55, 0.8)
    if style == "egg" or chance(rng, 0.15):
        z -= 0.09
    base = pick(rng, legs=0.42, star=0.14, casters=0.08, pedestal=0.2, sled=0.16)
    return [_bowl(rng, half, depth, tall, z, style), *_base(rng, base, z - 0.02, half, depth)]


def _base(rng: Rng, base: str, top: float, half: float, depth: float) -> list[Solid]:
    if base == "legs":
        return _spread_legs(rng, top, half, depth)
    if base == "sled":
        return _runners(rng, top, half, depth)
    column = _pedestal(rng, top) if base == "pedestal" else _star(rng, top, base == "casters")
    return [*column, _pad(_outline(half * 0.6, depth * 0.6), top - 0.025, top + 0.02, 0.005, 0.005)]


def _bar_stool(rng: Rng) -> list[Solid]:
    """Make a bar chair with a small shell on legs, or on a column with a foot rest."""
    z, half, depth, tall = rng.uniform((0.62, 0.18, 0.34, 0.16), (0.8, 0.23, 0.4, 0.32))
    bowl = _bowl(rng, half, depth, tall, z, pick(rng, side=0.5, tub=0.35, ply=0.15))
    if chance(rng, 0.4):
        return [bowl, *_spread_legs(rng, z - 0.02, half * 1.2, depth)]
    base = _base(rng, "pedestal" if chance(rng, 0.7) else "star", z - 0.02, half, depth)
    reach, low = rng.uniform((0.11, 0.22), (0.15, 0.34))
    loop = [(0, 0.02, low), (reach, 0, low), (reach, -reach * 1.6, low), (0, -reach * 1.6, low)]
    return [bowl, *base, *_both([_bar(_bent(loop, reach * 0.9), LEAST)])]


# --- Offices and tubes -----------------------------------------------------------------------------------------------


def _side(
    x: float,
    points: ArrayLike,
    half: ArrayLike,
    radius: float = 0.05,
    section: Array = ROUND,
    other: ArrayLike | None = None,
) -> Solid:
    """Return a bar bent through points of (y, z) in a plane of constant x; `half` is along x, `other` in the plane."""
    return _bar(_bent([(x, *point) for point in np.asarray(points, float)], radius), half, section, other)


def _rung(x: float, y: float, z: float, half: float) -> Solid:
    """Return one half of a cross bar."""
    return _bar([(0, y, z), (x, y, z)], half)


def _office(rng: Rng) -> list[Solid]:
    z, half, depth = rng.uniform((0.43, 0.22, 0.43), (0.52, 0.27, 0.5))
    style = pick(rng, task=0.45, executive=0.35, mesh=0.2)
    low, tall, thick, edge, deep = {
        "task": rng.uniform((0.12, 0.36, 0.04, 0.6, 0.05), (0.4, 0.52, 0.07, 0.7, 0.12)),
        "executive": rng.uniform((0.0, 0.6, 0.06, 0.5, 0.07), (0.05, 0.75, 0.11, 0.6, 0.13)),
        "mesh": rng.uniform((0.05, 0.5, 0.025, 1.0, 0.04), (0.25, 0.65, 0.028, 1.0, 0.07)),
    }[style]
    outline = _outline(half, depth, *rng.uniform((2.5, 2.5, 0.85), (6, 6, 1)))
    under = z - deep
    parts = [*_star(rng, under + 0.01, chance(rng, 0.9)), _pad(outline, under, z, 0.4 * deep, 0.3 * deep)]
    parts.append(box((-0.09, -0.1, under - 0.025), (0.09, 0.12, under + 0.01)))
    foot, head, rake, bend, bow = rng.uniform((0.8, 0.7, 0.1, 1.2, 0), (1.05, 1.0, 0.28, 2, 0.06))
    wide, y = half * foot, depth / 2 + rng.uniform(-0.03, 0.03)
    back = _Back(wide, wide * head, y, z, z + tall, tall * rake, bend, (bow, bow))
    parts.append(back.panel(low, 1, thick, edge, rng.uniform(0.15, 0.8)))
    spine = back.at(0, np.linspace(low + 0.12, low + 0.4, 4))[:, 1:] + [0.4 * thick, 0]
    hips = [(0, under - 0.01), (spine[0, 0] + 0.02, under - 0.01)]
    parts.append(_side(0, [*hips, *spine], rng.uniform(0.02, 0.045), 0.06, SQUARE, 0.014))
    if style == "executive" and chance(rng, 0.4):
        parts.append(back.panel(0.8, 1.02, thick * 1.4, 0.5, 0.5, 0.75))
    return parts + (_office_arms(rng, half, z, under + 0.005) if chance(rng, 0.75) else [])


def _office_arms(rng: Rng, half: float, z: float, low: float) -> list[Solid]:
    out, rise, r, long, wide = rng.uniform((0.05, 0.17, 0.014, 0.11, 0.024), (0.075, 0.24, 0.022, 0.15, 0.04))
    x, top = half + out, z + rise
    pad = _cushion((x - wide, -long, top - 0.015), (x + 0.035, long, top + 0.02), 5)
    if chance(rng, 0.5):
        return _both([pad, _bar(_bent([(0, 0.02, low), (x, 0.02, low), (x, 0.02, top)], 0.05), 1.3 * r, SQUARE, r)])
    ways = np.array([(0, 0.1, low), (x, 0.1, low), (x, long * 0.9, top)])
    return _both([pad, _bar(_bent([*ways, *(ways[::-1] * [1, -1, 1])], 0.05), r)])


def _cantilever(rng: Rng) -> list[Solid]:
    """Make a tube chair without rear legs."""
    z, x, depth, tall = rng.uniform((0.42, 0.21, 0.42, 0.33), (0.47, 0.26, 0.52, 0.5))
    r, rake, long, pad, round_off = rng.uniform((LEAST, 0.06, 0.4, 0.024, 0.06), (0.016, 0.16, 0.52, 0.06, 0.13))
    y, wide, arm = depth / 2, x, z + rng.uniform(0.18, 0.24)
    runner, level = [(-y, r), (depth * long, r)], z - pad / 2
    if chance(rng, 0.3):
        # Without tubes under it, the seat hangs between the front bends, and the back between the arms.
        front = rng.uniform(-y, -0.7 * y)
        parts = [_side(x, [(y + rake * 0.5, arm), (front, arm), *runner], r, round_off)]
        at = -y + (front + y) * (level / arm) + 0.01
        parts += [_rung(x, at, level, LEAST), _rung(x, y * 0.5, level, LEAST)]
        parts.append(_side(x - 0.005, [(y * 0.5, level), (y * 0.6, arm)], LEAST))
    else:
        wide = x - r
        parts = [_side(x, [(y + rake, z + tall - 0.02), (y, z - r), (-y, z - r), *runner], r, round_off)]
        if chance(rng, 0.3):
            parts.append(_side(x, [(y + 0.4 * rake, arm), (-y * 0.6, arm), (-y * 0.65, z - r)], r, 0.08))
    parts.append(_rung(x, depth * long, r, r))
    k, edge = rng.uniform(0, 0.4), max(0.5, 2 * LEAST / pad)
    if chance(rng, 0.3):
        sling = [(-y, z), (y - 0.01, z), (y + rake, z + tall)]
        return [_shell(sling, 0.1, [wide + r] * 3, FLAT, pad, k * 0.5, edge), *_both(parts)]
    seat = _pad(_outline(wide + r, depth * 0.96, 8, 8), z - pad, z + 0.01, 0.4 * pad, 0.3 * pad)
    back = _Back(wide + r, wide + r, y, z, z + tall, rake, 1.0, (0, rng.uniform(0, 0.05)))
    return [seat, back.panel(rng.uniform(0.1, 0.55), 1.0, pad, edge, k), *_both(parts)]


def _stacking(rng: Rng) -> list[Solid]:
    """Make a conference or school chair: panels on a frame of four tube legs or a sled."""
    z, x, depth, tall = rng.uniform((0.42, 0.19, 0.38, 0.3), (0.47, 0.25, 0.46, 0.45))
    r, rake, pad, rear, low = rng.uniform((LEAST, 0.05, 0.026, 0.0, 0.3), (0.016, 0.14, 0.06, 0.1, 0.6))
    y, level = depth / 2, z - 0.5 * pad
    back = _Back(x, x, y, z, z + tall, rake, 1.3, (0, rng.uniform(0, 0.06)))
    post = back.at(1, np.linspace(0.06, 0.95, 8))[:, 1:]
    if chance(rng, 0.3):
        sled = [(y, level), (-y * 0.9, level), (-y, r), (y + rear, r), (y * 0.8, level)]
        parts = [_side(x, [*post[::-1], *sled], r), _rung(x, y + rear - 0.06, r, r)]
    else:
        parts = [_side(x, [(y, level), (-y * 0.92, level), (-y, -0.02)], r)]
        parts.append(_side(x, [(y + rear, -0.02), (y, level), *post], r))
    if chance(rng, 0.3):
        arm = z + rng.uniform(0.18, 0.22)
        parts.append(_side(x, [(y * 0.9, level), (y * 0.8, arm), (-y * 0.5, arm), (-y * 0.7, level)], r))
    if chance(rng, 0.25):
        parts.append(_rung(x, -y * 0.96, 0.35 * z, r))
    seat = _pad(_outline(x + r, depth, rng.uniform(3, 8), 8), z - pad, z + 0.01, 0.4 * pad, 0.2 * pad)
    return [seat, back.panel(low, 1, pad, max(0.5, 2 * LEAST / pad), rng.uniform(0, 0.6), 1.02), *_both(parts)]


def _garden(rng: Rng) -> list[Solid]:
    """Make a stackable plastic chair: one shell with arms, tapering legs and slots in its back."""
    z, half, depth, tall = rng.uniform((0.4, 0.2, 0.42, 0.36), (0.44, 0.24, 0.47, 0.5))
    lean, top, k, arm, wide, splay = rng.uniform((0.2, 0.7, 0.2, 0.17, 0.018, 0.02), (0.35, 1.0, 0.7, 0.22, 0.03, 0.06))
    y, rake, arm = depth / 2, tall * lean, z + arm
    corners = [(-y, z - 0.02), (-y * 0.8, z), (y, z - 0.02), (y + rake, z + tall)]
    shell = _shell(corners, 0.1, [half] * 4 + [half * top], [0.0, 0.02, 0.04, 0.05, 0.05], 0.025, k)
    low, high, step = z + tall * rng.uniform(0.25, 0.4), z + tall * rng.uniform(0.75, 0.85), rng.uniform(0.055, 0.065)
    count = int(rng.integers(0, 5))
    for x in (np.arange(count) - (count - 1) / 2) * step:
        shell -= box((x - 0.013, 0, low), (x + 0.013, 1, high))
    taper = [0.014, 0.02], ROUND, [0.018, 0.03]
    out = half + splay
    parts = [_bar([(out + 0.02, y + splay + 0.04, -0.02), (half * 0.8, y * 0.6, z - 0.01)], *taper)]
    if chance(rng, 0.25):
        return [shell, *_both([*parts, _bar([(out, -y - splay, -0.02), (half * 0.8, -y * 0.7, z - 0.005)], *taper)])]
    x = half + 0.05
    rest = [(half * 0.95, y + rake * 0.55, arm + 0.04), (x, 0, arm + 0.01), (x, -y * 0.75, arm)]
    leg = [(x, -y * 0.9, arm - 0.08), (out + 0.015, -y - splay, -0.02)]
    parts.append(_bar(_bent([*rest, *leg], 0.1), wide, ROUND, 0.014))
    return [shell, *_both([*parts, _bar([(half - 0.03, -y * 0.8, z - 0.015), (x, -y * 0.95, z - 0.03)], 0.015)])]


def _folding(rng: Rng) -> list[Solid]:
    """Make a folding chair whose side frames are an X."""
    z, x, top, r = rng.uniform((0.42, 0.19, 0.76, LEAST), (0.47, 0.24, 0.9, 0.016))
    foot, rear, head, deep, grip = rng.uniform((-0.27, 0.18, 0.12, 0.33, 0.06), (-0.2, 0.26, 0.22, 0.39, 0.12))
    section = ROUND if chance(rng, 0.5) else SQUARE
    hinge = foot + (head - foot) * (z + 0.02) / (top + 0.02)
    inner, front = x - 1.8 * r, hinge - deep + grip
    parts = [_side(x, [(foot, -0.02), (head, top)], r, 0, section)]
    parts.append(_side(inner, [(rear, -0.02), (front, z - 0.01)], r, 0, section))
    for reach, low, start, end in [(x, 0.1, foot, hinge), (inner, 0.08, rear, front)]:
        parts.append(_rung(reach, start + (end - start) * (low + 0.02) / (z + 0.02), low, LEAST))
    slab = _pad(_outline(x + 0.2 * r, deep, 8, 8), z - 0.014, z + rng.uniform(0.012, 0.03), 0.008, 0.008)
    count = int(rng.integers(2, 6)) if chance(rng, 0.4) else 0
    for y in deep * (np.arange(1, count) / count - 0.5):
        slab -= box((-inner + 2 * r, y - 0.012, 0), (inner - 2 * r, y + 0.012, 2))
    back = _Back(x, x, hinge, z, top, head - hinge, 1.0, (0, rng.uniform(0, 0.03)))
    tops = np.linspace(1, 0.55, int(rng.integers(2, 4))) if chance(rng, 0.4) else [1.0]
    share = rng.uniform(0.1, 0.14) if len(tops) > 1 else rng.uniform(0.25, 0.65)
    bands = [back.band(at - share, at, 2 * LEAST) for at in tops]
    return [slab.translate((0, hinge + 0.02 - deep / 2, 0)), *bands, *_both(parts)]


def _director(rng: Rng) -> list[Solid]:
    """Make a folding armchair with X legs seen from the front and a sling for seat and back."""
    z, x, y, tall = rng.uniform((0.42, 0.24, 0.18, 0.34), (0.6, 0.29, 0.23, 0.48))
    r, rise, sag, low = rng.uniform((0.013, 0.18, 0.01, 0.45), (0.018, 0.22, 0.06, 0.62))
    arm = z + rise
    legs = [_bar([(x, s * y, r), (-x, s * y * 0.9, z)], r, SQUARE) for s in (-1, 1)]
    rails = [_side(x, [(-y - 0.03, r), (y + 0.03, r)], 1.1 * r, 0, SQUARE), _side(x, [(-y, z), (y, z)], r, 0, SQUARE)]
    rails.append(_side(x, [(-y - 0.03, arm), (y + 0.04, arm)], 0.025, 0, SQUARE, 0.013))
    posts = [((-y * 0.85, z), (-y * 0.85, arm)), ((y * 0.85, z), (y * 0.85 + 0.03, z + tall))]
    u, v = np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 5))
    seat = _sheet(np.stack([u * x, v * y, z - sag * (1 - u**2)], -1), 2 * LEAST)
    back = _Back(x, x, y * 0.85, z, z + tall, 0.03, 1, (0.03, 0.03)).band(low, 1, 2 * LEAST)
    return [seat, back, *_both([*legs, *rails, *[_side(x, post, r, 0, SQUARE) for post in posts]])]


# --- Upholstery ------------------------------------------------------------------------------------------------------


def _feet(rng: Rng, x: float, y: float, z: float) -> list[Solid]:
    """Return four short legs up to a height z."""
    top, foot, lean = rng.uniform((0.018, 0.6, 0), (0.032, 1, 0.3))
    section = SQUARE if chance(rng, 0.5) else ROUND
    ends = np.array([(x - 0.04 + lean * z, y - 0.04 + lean * z, -0.02), (x - 0.04, y - 0.04, z + 0.03)])
    return _both([_bar(ends * [1, s, 1], [max(LEAST, top * foot), top], section) for s in (-1, 1)])


def _club(rng: Rng) -> list[Solid]:
    """Make an upholstered armchair."""
    z, seat, depth, wide, arm, tall = rng.uniform(
        (0.38, 0.25, 0.7, 0.07, 0.14, 0.36), (0.44, 0.3, 0.84, 0.17, 0.24, 0.55)
    )
    power, deep, lip, rake, thick = rng.uniform((5, 0.1, -0.01, 4, 0.14), (12, 0.16, 0.06, 16, 0.22))
    lift = rng.uniform(0.05, 0.16) if chance(rng, 0.55) else 0.0
    y, x = depth / 2, seat + wide
    parts = [_pad(_outline(x - 0.01, depth - 0.04, 12, 12), lift, z - deep + 0.03, 0.01, 0.01)]
    parts.append(_cushion((-seat - 0.01, lip - y, z - deep), (seat + 0.01, y - 0.12, z + 0.01), power))
    back = _cushion((-seat - 0.02, -thick / 2, -0.2), (seat + 0.02, thick / 2, tall), power)
    parts.append(back.rotate((-rake, 0, 0)).translate((0, y - thick / 2 - 0.06, z)))
    if chance(rng, 0.5):
        frame = _cushion((-x + 0.01, -0.06, lift - z + 0.01), (x - 0.01, 0.06, tall * rng.uniform(0.6, 0.95)), 10)
        parts.append(frame.rotate((-rake * 0.6, 0, 0)).translate((0, y - 0.06, z)))
    parts += _club_arms(rng, x, y, lift, z + arm, wide, power)
    return parts + (_feet(rng, x, y - 0.03, lift) if lift else [])


def _club_arms(rng: Rng, x: float, y: float, base: float, top: float, wide: float, power: float) -> list[Solid]:
    style = pick(rng, block=0.4, rolled=0.3, sloped=0.3)
    if style == "block":
        return _both([_cushion((x - wide, -y, base), (x, y - 0.03, top), power)])
    if style == "rolled":
        r = max(0.05, wide * rng.uniform(0.5, 0.65))
        roll = _side(x - r * 0.7, [(-y, top - r), (y - 0.05, top - r * 0.8)], r, 0, circle(24))
        return _both([_cushion((x - wide, -y + 0.01, base), (x - 0.01, y - 0.03, top - r * 0.7), 10), roll])
    drop, out, rise = rng.uniform((0.02, 0, 0), (0.12, 0.06, 0.1))
    low, high = top - drop, top + rise
    rings = [
        [(x - wide + o / 2, -y, z0), (x + o, -y, z0), (x + o, y - 0.04, z1), (x - wide + o / 2, y - 0.04, z1)]
        for o, z0, z1 in [(0, base, base), (out, low, high)]
    ]
    return _both([_skin(np.array(rings))])


def _tub(rng: Rng) -> list[Solid]:
    """Make a round armchair: one padded wall around the seat."""
    half, deep, z, arm, more = rng.uniform((0.31, 0.32, 0.38, 0.1, 0), (0.4, 0.4, 0.44, 0.24, 0.32))
    wall, flare, stretch, square, peak = rng.uniform((0.06, 0, 0.1, 0.75, 1), (0.13, 0.2, 0.35, 1, 4))
    lift = rng.uniform(0.06, 0.2) if chance(rng, 0.55) else 0.0
    angle = np.linspace(-stretch, 1 + stretch, 31) * np.pi
    inside = np.clip(angle, 0, np.pi)
    x = np.sign(np.cos(inside)) * np.abs(np.cos(inside)) ** square * half
    y = np.abs(np.sin(inside)) ** square * deep - np.abs(angle - inside) * 0.4
    u, t = np.meshgrid(np.linspace(-1, 1, 31), np.linspace(0, 1, 9))
    low = lift + 0.01
    top = z + arm + more * np.sin(inside) ** peak
    spread = 1 + flare * t**2
    grid = np.stack([x * spread, y * spread, low + (top - low) * t], -1)
    parts = [_sheet(grid[:, ::-1], wall * _padding(0.97 * u, 2 * t - 1, 1, 0.55) * (0.7 + 0.3 * t))]
    outline = np.column_stack([x, y])
    parts.append(_pad(outline, lift, z - 0.06, 0.01, 0.01))
    parts.append(_pad(outline - [0, 0.015], z - 0.1, z + 0.02, 0.03, 0.03))
    if not lift:
        return parts
    if chance(rng, 0.25):
        return [*parts, loft(circle(32), np.array([0, 0.03, 0.04, lift + 0.03]), np.array([0.22, 0.2, 0.04, 0.04]))]
    feet = _feet(rng, half * 0.72, (deep - y.min()) * 0.36, lift)
    return parts + [foot.translate((0, (y.min() + deep) / 2, 0)) for foot in feet]


def _wing(rng: Rng) -> list[Solid]:
    """Make a wing chair."""
    z, half, depth, tall, lift = rng.uniform((0.4, 0.25, 0.58, 0.58, 0.12), (0.46, 0.3, 0.68, 0.74, 0.24))
    rake, out, wall, lip, head, thick = rng.uniform((0.1, 0, 0.05, 0, 0.9, 0.09), (0.2, 0.06, 0.08, 0.04, 1.1, 0.14))
    y = depth / 2
    parts = _feet(rng, half + 0.02, y, lift)
    parts.append(_pad(_outline(half + wall * 0.5, depth, 10, 10), lift, z - 0.08, 0.01, 0.01))
    parts.append(_cushion((-half - 0.01, -y - lip, z - 0.13), (half + 0.01, y - 0.02, z + 0.02), 6))
    back = _Back(half + 0.02, half * head, y - 0.03, z, z + tall, rake, 1.1, (0, rng.uniform(0, 0.04)))
    parts.append(back.panel(-0.4, 1, thick, 0.5, rng.uniform(0.0, 0.12)))
    reach = _curve(rng.uniform((0.1, 0.12, 0.14, 0.05), (0.26, 0.22, 0.22, 0.14)), 13)[:, None]
    s, t = np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 13))
    side = back.at(0.97, 0.14 / tall + (0.97 - 0.14 / tall) * t)
    side += np.stack([out * s * t, -reach * s, -0.05 * s * t], -1)
    parts += _both([_sheet(side, wall * _padding(2 * s - 1, 2 * t - 1, 1, 0.6))])
    arm, r, short = rng.uniform((0.17, 0.04, 0.02), (0.23, 0.055, 0.08))
    x, arm = half + wall * 0.3, z + arm
    wing = _cushion((x - 0.03, -y + short, lift + 0.01), (x + 0.04, y, arm - 0.01), 9)
    return parts + _both([wing, _side(x + 0.01, [(-y + 0.02, arm - r), (y, arm - r)], r, 0, circle(20))])


def _easy(rng: Rng) -> list[Solid]:
    """Make a lounge chair: slanting cushions in an open frame of wood or tube."""
    z, half, depth, tall, thick = rng.uniform((0.34, 0.25, 0.5, 0.42, 0.06), (0.4, 0.3, 0.58, 0.62, 0.13))
    lean, drop, r, rise, out, kick = rng.uniform(
        (0.3, 0.03, 0.014, 0.14, 0, 0.03), (0.55, 0.09, 0.022, 0.22, 0.012, 0.12)
    )
    y, x, arm, rake = depth / 2, half + out, z + rise, tall * lean
    section = ROUND if chance(rng, 0.5) else SQUARE
    seat = [(-y, z), (y, z - drop), (y + rake, z - drop + tall)]
    profiles = [seat[:2], [(y - 0.03, z - drop - 0.02), seat[2]]] if chance(rng, 0.6) else [seat]
    pads = [_shell(profile, 0.2, [half] * 3, FLAT, thick, 0.15, max(0.5, 2 * LEAST / thick)) for profile in profiles]
    rear = y + rake * (arm - z + drop) / tall
    level = z - 0.2 * thick
    hold = [
        _rung(x, -y * 0.7, level - 0.15 * drop, r),
        _rung(x, y * 0.8, level - 0.9 * drop, r),
        _rung(x, rear, arm, r),
    ]
    if chance(rng, 0.6):
        front = _side(x, [(-y, -0.02), (-y * 0.7, z - 0.3 * drop), (-y * 0.75, arm)], r, 0.05, section)
        back = _side(x, [(y + kick, -0.02), (y * 0.8, z - drop), (rear + 0.01, arm + 0.01)], r, 0.05, section)
        rest = [(x, rear + 0.05, arm), (x + 0.02, 0, arm + 0.02), (x, -y - 0.02, arm + 0.03)]
        wood = _bar(_bent(rest, 0.2), rng.uniform(1, 2.2) * r, SQUARE, r)
        return [*pads, *_both([*hold, front, back, wood])]
    loop = [(rear, arm), (-y * 0.95, arm + 0.03), (-y, r), (y + 0.1, r), (rear, arm), (0, arm + 0.015)]
    return [*pads, *_both([*hold, _rung(x, -y * 0.98, level, r), _side(x, loop, r, rng.uniform(0.06, 0.15), section)])]


def _recliner(rng: Rng) -> list[Solid]:
    """Make a swivel lounge chair of three padded shells and arm pads."""
    z, half, thick, lean, tall, dip = rng.uniform(
        (0.36, 0.26, 0.08, 0.25, 0.28, 0.03), (0.41, 0.31, 0.12, 0.45, 0.36, 0.07)
    )
    curl, k, rise, gap = (
        [rng.uniform(0.0, 0.07)] * 3,
        rng.uniform(0.1, 0.4),
        rng.uniform(0.12, 0.17),
        0.03 + thick * 0.3,
    )
    up = np.array([np.sin(lean), np.cos(lean)])
    hip = np.array([0.2, z - dip + gap])
    waist = hip + up * tall
    head, top = waist + up * 0.025, waist + up * rng.uniform(0.22, 0.34)
    profiles = [(-0.3, z), (0.2, z - dip)], [hip, waist], [head, top]
    pads = [_shell(profile, 0.1, [half] * 3, curl, thick, k, 0.5) for profile in profiles]
    low, behind = z - 0.4 * thick, np.array([0.35 * thick, 0.0])
    spine = [(0, low), (hip[0] + 0.03, low - dip), waist + behind, (waist + top) / 2 + behind]
    parts = [*pads, _side(0, spine, rng.uniform(0.03, 0.06), 0.06, SQUARE, 0.016)]
    parts += _star(rng, z - 0.3 * thick, False)
    if chance(rng, 0.75):
        y = hip[0] + up[0] * (z + rise - hip[1])
        rest = _cushion((half - 0.03, -0.17, z + rise - 0.03), (half + 0.06, y + 0.06, z + rise + 0.03), 5)
        stem = _bent([(0, 0, low), (half + 0.02, 0, low), (half + 0.02, 0, z + rise)], 0.06)
        parts += _both([rest, _bar(stem, 0.022, SQUARE, 0.016)])
    return parts


# --- Rarer types -----------------------------------------------------------------------------------------------------


def _adirondack(rng: Rng) -> list[Solid]:
    half, z, tall, rear, arm = rng.uniform((0.25, 0.34, 0.6, 0.4, 0.17), (0.29, 0.38, 0.75, 0.5, 0.22))
    lean, fan, crown, front, arm = *rng.uniform((0.3, 1, 0), (0.5, 1.25, 0.25)), -0.32, z + arm
    slope = -(z - 0.07) / (rear - front)
    hip = (0.16, z + slope * (0.16 - front))
    back = _Back(half - 0.03, (half - 0.03) * fan, hip[0] - 0.02, hip[1], hip[1] + tall, tall * lean, 1.0)
    y = back.at(0, (arm - hip[1]) / tall)[1]
    frame = [_side(half - 0.02, [(front, z - 0.05), (rear, 0.02)], 0.013, 0, SQUARE, 0.045)]
    frame += [_side(half, [(at, -0.02), (at, arm)], 0.014, 0, SQUARE, 0.045) for at in (front + 0.06, y)]
    frame.append(_bar([(half + 0.01, front - 0.02, arm), (half + 0.02, y + 0.06, arm)], 0.06, SQUARE, 0.013))
    frame.append(_rung(half, y + 0.02, arm - 0.01, 0.016))
    count = int(rng.integers(4, 7))
    wide = back.foot / count - 0.011
    grow = np.linspace(wide, wide * fan, 9)
    staves = [back.stave(u, -0.05, 1 - crown * u**2, grow, 2 * LEAST) for u in (np.arange(count) * 2 + 1) / count - 1]
    tilt = np.degrees(np.arctan(slope))
    board = box((-half, -0.038, -0.0125), (half, 0.038, 0.0125)).rotate((tilt, 0, 0))
    spots = np.linspace(front + 0.02, hip[0] - 0.05, 5)
    return [*[board.translate((0, at, z - 0.01 + slope * (at - front))) for at in spots], *staves, *_both(frame)]


def _crossed(rng: Rng) -> list[Solid]:
    """Make a lounge chair of two cushions on curved X legs."""
    half, depth, tall, z, rake, thick = rng.uniform(
        (0.3, 0.55, 0.42, 0.38, 0.15, 0.08), (0.38, 0.65, 0.52, 0.42, 0.28, 0.12)
    )
    y, x, r = depth / 2, half * rng.uniform(0.75, 0.9), rng.uniform(0.018, 0.026)
    profiles = [(-y, z), (y - 0.02, z - 0.05)], [(y - 0.02, z + 0.02), (y + rake, z + tall)]
    pads = [_shell(profile, 0.1, [half] * 3, FLAT, thick, 0.08, 0.6) for profile in profiles]
    t = np.linspace(0, 1, 13)
    rear = np.column_stack([y * 0.95 - depth * 0.85 * t + 0.1 * np.sin(np.pi * t), z * t**1.3 - 0.01])
    fore = np.column_stack([-y * 0.95 + (depth + rake * 0.85) * t, (z + tall * 0.85) * t**1.7 - 0.01])
    legs = [_bar(np.column_stack([np.full(13, x), path]), r, SQUARE, LEAST) for path in (rear, fore)]
    return [*pads, *_both(legs)]


def _ball(rng: Rng) -> list[Solid]:
    """Make a hollow ball, open in front, on a round foot."""
    r, wall, z, cut, sill = rng.uniform((0.42, 0.04, 0.5, 0.4, 0.12), (0.5, 0.07, 0.56, 0.62, 0.2))
    tilt = np.radians(rng.uniform(10, 30))
    ball = Solid.sphere(r, 48) - Solid.sphere(r - wall, 48)
    ball = ball.trim_by_plane((0, np.cos(tilt), -np.sin(tilt)), -r * cut)
    seat = Solid.sphere(r - 0.5 * wall, 48).trim_by_plane((0, 0, -1), sill).trim_by_plane((0, 1, 0), -r * 0.55)
    low = z - r + 0.02
    foot = loft(circle(32), np.array([0, 0.03, max(0.06, low - 0.01), low + 0.03]), np.array([0.27, 0.25, 0.09, 0.12]))
    return [ball.translate((0, 0, z)), seat.translate((0, 0, z)), foot]


def _ribbon(rng: Rng) -> list[Solid]:
    """Make a chair of one bent sheet: a Z, an S, or a C."""
    z, half, depth, tall, thick = rng.uniform((0.4, 0.18, 0.4, 0.33, 0.026), (0.45, 0.25, 0.48, 0.45, 0.05))
    y, low, rake = depth / 2, thick / 2, rng.uniform(0.03, 0.15)
    style = pick(rng, z=0.35, s=0.4, c=0.25)
    lower = {
        "z": [(-y, low), (y * 0.95, low)],
        "c": [(y * 0.95, low), (-y, low)],
        "s": [(-y * 1.05, low), (y * 0.3, low + 0.03)],
    }[style]
    radius = 0.012 if style == "z" else rng.uniform(0.06, 0.14)
    corners = [*lower, (-y, z), (y, z - 0.01), (y + rake, z + tall)]
    return [_shell(corners, radius, [half * rng.uniform(1, 1.15), half, half, half], FLAT, thick, 0.05)]


def _slab(rng: Rng) -> list[Solid]:
    """Make a chair of boards: whole sides, seat and back."""
    z, half, depth, tall, board, deep = rng.uniform(
        (0.4, 0.22, 0.42, 0.3, 0.024, 0.025), (0.45, 0.3, 0.55, 0.5, 0.05, 0.1)
    )
    y, arm = depth / 2, z + rng.choice([0.0, rng.uniform(0.14, 0.2)])
    kick, lean = rng.uniform((0, 0), (0.06, 0.12)) if chance(rng, 0.4) else (0.0, 0.0)
    sides = _both([plate(np.array([(-y, 0), (y + kick, 0), (y, arm), (lean - y, arm)]), "x", half, board)])
    if chance(rng, 0.6):
        low = 0.0 if chance(rng, 0.5) else rng.uniform(0.05, 0.12)
        hole = box((-1, -y + 0.07, low), (1, y - 0.07, z - deep - 0.04))
        sides = [piece - hole for piece in sides]
    back = _Back(half, half, y - board, z, z + tall, rng.uniform(0.0, 0.15), 1.0)
    seat = _pad(_outline(half + 0.01, depth - 0.02, 14, 14), z - deep, z + 0.005, 0.01, 0.005)
    return [*sides, seat, back.panel(-0.1, 1, board, 1.0, 0.0)]


# Weight, builder.
KINDS: tuple[tuple[float, Callable[[Rng], list[Solid]]], ...] = (
    (0.31, _framed("dining")),
    (0.04, _framed("low")),
    (0.05, _framed("bar")),
    (0.035, _framed("rocking")),
    (0.025, _framed("bench")),
    (0.03, _captain),
    (0.09, _shell_chair),
    (0.04, _bar_stool),
    (0.11, _office),
    (0.05, _cantilever),
    (0.045, _stacking),
    (0.03, _garden),
    (0.03, _folding),
    (0.025, _director),
    (0.065, _club),
    (0.04, _tub),
    (0.035, _wing),
    (0.045, _easy),
    (0.025, _adirondack),
    (0.025, _recliner),
    (0.025, _crossed),
    (0.025, _ball),
    (0.025, _ribbon),
    (0.025, _slab),
)
