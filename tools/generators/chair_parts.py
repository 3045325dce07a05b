"""What chairs are built from: bent sheets and pads, the surface of a back, bars, and what carries a seat.

Frame: +Z up, -Y front, the floor at z = 0; all measures are metres.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .solids import (
    ROUND,
    SQUARE,
    Array,
    Rng,
    Solid,
    bar,
    both,
    chance,
    circle,
    loft,
    powered,
    skin,
    unit,
    walked,
)

# Half of the thinnest bar: chairs are 0.8 to 1.2 in their largest extent.
LEAST = 0.0125
Z = np.array([0.0, 0.0, 1.0])


def bent(corners: ArrayLike, radius: float, steps: int = 5) -> Array:
    """Return a polyline whose inner corners are rounded, by at most half of the shorter neighbour."""
    points = np.asarray(corners, float)
    path = [points[:1]]
    t = np.linspace(0, 1, steps + 1)[:, None]
    for before, here, after in zip(points[:-2], points[1:-1], points[2:], strict=True):
        reach = min(radius, 0.49 * np.linalg.norm(here - before), 0.49 * np.linalg.norm(after - here))
        start, end = here + unit(before - here) * reach, here + unit(after - here) * reach
        path.append((1 - t) ** 2 * start + 2 * t * (1 - t) * here + t**2 * end)
    return np.concatenate([*path, points[-1:]])


def sheet(grid: Array, thick: ArrayLike) -> Solid:
    """Thicken a surface (N, M, 3) to both sides; `thick` is one number or (N, M)."""
    normals = unit(np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1)))
    out = normals * np.broadcast_to(thick, grid.shape[:2])[..., None] / 2
    return skin(np.concatenate([grid - out, (grid + out)[:, ::-1]], axis=1), sheet=True)


def padding(u: Array, v: Array, thick: float, edge: float) -> Array:
    """Return the thickness of a padded sheet over -1..1 x -1..1, thinner at the edges."""
    return thick * (edge + (1 - edge) * np.sqrt(np.maximum((1 - u**4) * (1 - v**4), 0)))


def rounded(u: Array, v: Array, k: float) -> tuple[Array, Array]:
    """Round the corners of the square -1..1: not at all at k = 0, to a disc at k = 1."""
    return u * np.sqrt(1 - k * v**2 / 2), v * np.sqrt(1 - k * u**2 / 2)


def moulded(
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
    path = bent(corners, radius, 8)
    walk = walked(path)
    fine = np.linspace(0, 1, 41)
    y, z = (np.interp(fine * walk[-1], walk, part) for part in path.T)
    start, end = np.arctan2(z[[4, -1]] - z[[0, -5]], y[[4, -1]] - y[[0, -5]])
    u, v = np.meshgrid(np.linspace(-1, 1, 17), np.linspace(-1, 1, 27))
    a, b = rounded(u, v, k)
    s = (b + 1) / 2
    turn = np.interp(s, fine, smooth(curls, 41)) * np.abs(a) ** 2.4
    # The sides turn up along a direction that swings evenly, since the profile's normals cross inside its bend.
    slope = start + (end - start) * s
    grid = np.stack(
        [
            a * np.interp(s, fine, smooth(widths, 41)),
            np.interp(s, fine, y) - turn * np.sin(slope),
            np.interp(s, fine, z) + turn * np.cos(slope),
        ],
        -1,
    )
    return sheet(grid, padding(u, v, thick, edge))


def superellipsoid(low: tuple[float, ...], high: tuple[float, ...], power: float = 6.0) -> Solid:
    """Return a superellipsoid in a box: a ball at power 2, a soft box at 10."""
    around, up = np.meshgrid(np.arange(32) * np.pi / 16, np.linspace(-np.pi / 2, np.pi / 2, 15))
    ball = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1).reshape(-1, 3)
    ball = powered(ball, 2 / power)
    ball /= (np.abs(ball) ** power).sum(1, keepdims=True) ** (1 / power)
    middle, half = np.add(low, high) / 2, np.subtract(high, low) / 2
    return Solid.hull_points(ball * half + middle)


def seat_outline(half: float, depth: float, front: float = 4, rear: float = 4, taper: float = 1) -> Array:
    """Return a superellipse of other powers in front and rear, narrowed or widened towards the rear."""
    points = circle(44)
    x, y = powered(points, 2 / np.where(points[:, 1:] > 0, rear, front)).T
    return np.column_stack([x * half * (1 + (taper - 1) * (y + 1) / 2), y * depth / 2])


def pad_over(outline: Array, z0: float, z1: float, above: float, below: float) -> Solid:
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


def smooth(knots: ArrayLike, count: int) -> Array:
    """Return a smooth curve through values at even steps."""
    values = np.asarray(knots, float)
    t = np.linspace(0, 1, len(values))
    return np.polyval(np.polyfit(t, values, len(values) - 1), np.linspace(0, 1, count))


@dataclass(frozen=True)
class Back:
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
        """Return half-widths at t."""
        return self.foot + (self.head - self.foot) * np.asarray(t)

    def at(self, u: ArrayLike, t: ArrayLike) -> Array:
        """Return points (..., 3) of the surface."""
        u, t = np.broadcast_arrays(np.asarray(u, float), np.asarray(t, float))
        bow = self.bow[0] + (self.bow[1] - self.bow[0]) * t
        y = self.y + self.rake * powered(t, self.bend) + bow * (1 - u**2)
        return np.stack([u * self.half(t), y, self.z0 + (self.z1 - self.z0) * t], -1)

    def band(self, low: ArrayLike, high: ArrayLike, thick: float, reach: float = 1.0) -> Solid:
        """Return a level board from t = low to t = high (numbers, or 13 of them across)."""
        rows = np.linspace(0, 1, 4)[:, None]
        return sheet(self.at(np.linspace(-reach, reach, 13), low + (np.subtract(high, low)) * rows), thick)

    def panel(self, low: float, high: float, thick: float, edge: float, k: float, reach: float = 1.0) -> Solid:
        """Return a board or a pad with rounded corners."""
        u, v = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 15))
        a, b = rounded(u, v, k)
        return sheet(self.at(a * reach, low + (high - low) * (b + 1) / 2), padding(u, v, thick, edge))

    def stave(self, u: float, low: float, high: float, half: ArrayLike, thick: float) -> Solid:
        """Return an upright board; `half` is its half-width, one number or 9 of them."""
        t = np.linspace(low, high, 9)
        across = (half / self.half(t))[:, None] * np.linspace(-1, 1, 4)
        return sheet(self.at(u + across, t[:, None]), thick)

    def rod(
        self, start: tuple[float, float], end: tuple[float, float], half: ArrayLike, section: Array = ROUND
    ) -> Solid:
        """Return a bar between two places (u, t); `half` is its half-width, one number or 9 of them."""
        return bar(self.at(np.linspace(start[0], end[0], 9), np.linspace(start[1], end[1], 9)), half, section)


def side_bar(
    x: float,
    points: ArrayLike,
    half: ArrayLike,
    radius: float = 0.05,
    section: Array = ROUND,
    other: ArrayLike | None = None,
) -> Solid:
    """Return a bar bent through points of (y, z) in a plane of constant x; `half` is along x, `other` in the plane."""
    return bar(bent([(x, *point) for point in np.asarray(points, float)], radius), half, section, other)


def rung(x: float, y: float, z: float, half: float) -> Solid:
    """Return one half of a cross bar."""
    return bar([(0, y, z), (x, y, z)], half)


def stand(rng: Rng, base: str, top: float, half: float, depth: float) -> list[Solid]:
    """Return what carries a shell: legs, sled, pedestal, star, or casters."""
    if base == "legs":
        return spread_legs(rng, top, half, depth)
    if base == "sled":
        return runners(rng, top, half, depth)
    column = pedestal(rng, top) if base == "pedestal" else star(rng, top, base == "casters")
    return [*column, pad_over(seat_outline(half * 0.6, depth * 0.6), top - 0.025, top + 0.02, 0.005, 0.005)]


def star(rng: Rng, z: float, casters: bool) -> list[Solid]:
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
        parts.append(bar([hub * Z, way * reach * 0.5 + (hub * 0.6 + tip * 0.4) * Z, way * reach + tip * Z],
                          [half * 1.4, half * 1.2, half], SQUARE))  # fmt: skip
        if casters:
            axle = np.cross(Z, way) * rng.uniform(0.016, 0.024)
            centre = way * (reach - 0.01) + 0.032 * Z
            parts.append(bar([centre - axle, centre + axle], 0.034, circle(16)))
    return parts


def pedestal(rng: Rng, z: float) -> list[Solid]:
    """Return a trumpet foot, or a column on a disc."""
    spread, waist = rng.uniform(0.2, 0.3), rng.uniform(0.02, 0.04)
    if chance(rng, 0.55):
        t = np.linspace(0, 1, 15)
        radii = waist + (spread - waist) * (1 - t) ** rng.uniform(4, 8) + rng.uniform(0.03, 0.12) * t**6
        return [loft(circle(32), np.concatenate([[0], 0.022 + t * (z - 0.022)]), np.concatenate([radii[:1], radii]))]
    disc = pad_over(circle(36) * spread, 0, rng.uniform(0.022, 0.03), 0.008, 0)
    return [disc, loft(circle(20), np.array([0.01, z]), np.full(2, waist))]


def spread_legs(rng: Rng, z: float, half: float, depth: float) -> list[Solid]:
    """Return four slanting legs that meet a plate under the seat."""
    thick, splay = rng.uniform(LEAST, 0.02), rng.uniform(0.03, 0.1)
    head = np.array([half * rng.uniform(0.5, 0.75), depth * rng.uniform(0.3, 0.38), z])
    foot = head + np.array([splay, splay, -z - 0.02])
    radii = np.linspace(max(LEAST, thick * rng.uniform(0.6, 1)), thick, 2)
    parts = [
        bar([foot * s, head * s], radii, ROUND) for s in np.array([(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, 1)])
    ]
    beams = [bar([head * [1, -1, 1], head], LEAST), bar([head * [-1, -1, 1], head * [-1, 1, 1]], LEAST)]
    beams += [bar([head * [-1, s, 1], head * [1, s, 1]], LEAST) for s in (-1, 1)]
    if chance(rng, 0.3):
        low = foot + (head - foot) * 0.5
        beams += [bar([low * [-1, s, 1], low * [1, s, 1]], LEAST) for s in (-1, 1)]
    return parts + beams


def runners(rng: Rng, z: float, half: float, depth: float) -> list[Solid]:
    """Return a sled: two bent tubes with their cross bars."""
    x, y0, y1 = half * rng.uniform(0.75, 0.95), -depth * rng.uniform(0.3, 0.42), depth * rng.uniform(0.38, 0.5)
    r, lean = rng.uniform(LEAST, 0.015), rng.uniform(0, 0.08)
    loop = [(x - 0.05, y0 + lean + 0.04, z), (x, y0, r), (x, y1, r), (x - 0.05, y1 - lean - 0.08, z)]
    path = bent(loop, 0.05)
    ends = [bar([(-x + 0.05, y, z), (x - 0.05, y, z)], r) for y in (loop[0][1], loop[3][1])]
    sides = [bar([loop[0], loop[3]], r)]
    return [both(bar(path, r), *sides), *ends]


def short_legs(rng: Rng, x: float, y: float, z: float) -> Solid:
    """Return four short legs up to a height z."""
    top, foot, lean = rng.uniform((0.018, 0.6, 0), (0.032, 1, 0.3))
    section = SQUARE if chance(rng, 0.5) else ROUND
    ends = np.array([(x - 0.04 + lean * z, y - 0.04 + lean * z, -0.02), (x - 0.04, y - 0.04, z + 0.03)])
    return both(*[bar(ends * [1, s, 1], [max(LEAST, top * foot), top], section) for s in (-1, 1)])
