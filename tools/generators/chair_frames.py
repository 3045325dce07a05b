"""Chairs with a wooden frame: four legs, a seat, and a back with staves, slats, a pad, a bow or a medallion.

Frame: +Z up, -Y front, the floor at z = 0; all measures are metres.
"""

from collections.abc import Callable

import numpy as np

from .chair_parts import LEAST, Back, Z, bent, pad_over, seat_outline, smooth
from .solids import ROUND, SQUARE, Array, Rng, Solid, bar, both, chance, pick, powered, turned, unit

# How a framed chair's seat height, half-width, depth and back height may run, and what its back is filled with.
FORMS = {
    "dining": ((0.42, 0.48), (0.19, 0.26), (0.38, 0.48), (0.34, 0.6)),
    "low": ((0.42, 0.47), (0.2, 0.27), (0.38, 0.46), (0.2, 0.32)),
    "bar": ((0.6, 0.78), (0.18, 0.23), (0.34, 0.42), (0.12, 0.42)),
    "rocking": ((0.38, 0.43), (0.22, 0.28), (0.42, 0.5), (0.5, 0.72)),
    "bench": ((0.42, 0.46), (0.45, 0.6), (0.38, 0.48), (0.35, 0.5)),
}


def framed(form: str) -> Callable[[Rng], list[Solid]]:
    """Return a builder of one of the `FORMS`."""

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
        outline = seat_outline(half, depth, front, rear, taper)
        inset, spread = 1.3 * thick, rng.uniform(0.88, 1.15) * (1.15 if free else 1.0)
        fore, aft = 0.5 ** (1 / front), 0.5 ** (1 / rear)
        narrow = taper + (1 - taper) * 0.1
        corners = {
            -1: np.array([half * fore - inset, inset - depth / 2 * fore, z]),
            1: np.array([half * aft * narrow - inset, depth / 2 * aft - inset, z]),
        }
        x, y, _ = corners[1]
        rake, bend, bow = rng.uniform((0.05, 1, 0), (0.3, 1.7, 0.06))
        back = Back(x, x * spread, y, z, z + tall, tall * rake, bend, (depth / 2 - inset - y if free else 0.0, bow))
        parts = [pad_over(outline, z - deep, z, min(0.45 * deep, 0.03), min(0.3 * deep, 0.01))]
        parts += _standing(rng, form, corners, back, thick, free)
        if fill == "hoop":
            parts += _hoop(rng, back, thick)
        elif fill == "oval":
            parts += _oval(rng, back, thick)
        else:
            parts += _fill(rng, back, fill, 2 * thick * 0.8)
            if free:
                parts.append(both(back.rod((1, -0.06), (1, 0.97), max(LEAST, 0.85 * thick))))
        armed = {"dining": 0.25, "low": 0.4, "bar": 0.1, "rocking": 0.75, "bench": 0.6}[form]
        if fill != "oval" and chance(rng, armed) and tall > 0.2:
            parts.append(_arms(rng, back, corners[-1], corners[1], thick))
        return parts

    return build


def captain(rng: Rng) -> list[Solid]:
    """Make a low wooden armchair whose back and arms are one curved rail."""
    z, half, depth = rng.uniform((0.42, 0.23, 0.42), (0.46, 0.28, 0.48))
    thick = rng.uniform(0.014, 0.022)
    seat = pad_over(seat_outline(half, depth, 3, 2.3, 0.95), z - rng.uniform(0.03, 0.07), z, 0.015, 0.008)
    corners = {s: np.array([half * 0.72, s * depth * 0.36, z]) for s in (-1, 1)}
    parts = [seat, *_standing(rng, "low", corners, Back(half, half, 0, z, z + 0.3, 0), thick, True)]
    rise = rng.uniform(0.19, 0.28)
    angle = np.linspace(-0.12, 1.12, 25) * np.pi
    x, y = np.cos(angle), np.sin(angle)
    lift = np.maximum(y, 0) ** 2 * rng.uniform(0, 0.1)
    rail = np.column_stack([x * (half + 0.02), y * (depth / 2 + 0.02), z + rise + lift])
    rail[[0, -1], 1] -= rng.uniform(0, 0.08)
    tall = 0.014 + np.maximum(y, 0) ** 3 * rng.uniform(0, 0.05)
    parts.append(bar(rail, rng.uniform(0.016, 0.03), SQUARE, tall))
    feet = np.column_stack([x * half * 0.86, y * depth / 2 * 0.86, np.full(25, z - 0.015)])
    spots = np.linspace(2, 22, int(rng.integers(3, 9))).round().astype(int)
    return parts + [bar([feet[k], rail[k]], LEAST * rng.uniform(1, 1.2)) for k in spots]


def _leg_shape(rng: Rng, thick: float) -> tuple[Array, Array, Array]:
    """Return heights in 0..1, half-widths and section of a leg."""
    style = pick(rng, straight=0.3, taper=0.38, turned=0.22, curved=0.1)
    section = SQUARE if style == "straight" or (style == "taper" and chance(rng, 0.5)) else ROUND
    if style == "turned":
        t, r = turned(rng, 13)
        return t, np.maximum(r * thick * 1.25, LEAST), section
    foot = thick if style == "straight" else max(LEAST, thick * rng.uniform(0.5, 0.8))
    return np.linspace(0, 1, 5), np.linspace(foot, thick, 5), section


def _standing(rng: Rng, form: str, corners: dict[int, Array], back: Back, thick: float, free: bool) -> list[Solid]:
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
            path[0] -= 0.03 * unit(head - foot)
        sizes = radii
        if sy > 0 and not free:
            path = np.concatenate([path, back.at(sx, np.linspace(0.05, 0.985, 8))])
            sizes = np.concatenate([radii, np.linspace(thick, max(LEAST, 0.8 * thick), 8)])
        parts.append(bar(path, sizes, section))
    if rock:
        y = np.linspace(legs[0][0][1] - 0.12, legs[2][0][1] + rng.uniform(0.15, 0.3), 15)
        x = np.interp(y, [legs[1][0][1], legs[2][0][1]], [legs[1][0][0], legs[2][0][0]])
        path = np.column_stack([x, y, y**2 / 2.4 + 0.02])
        parts.append(both(bar(path, LEAST * 1.2, SQUARE, 0.018)))
    if chance(rng, {"bar": 1.0, "rocking": 0.8}.get(form, 0.45)):
        low, high = (0.2, 0.32) if form == "bar" else (0.12, 0.28)
        parts += _stretchers(rng, legs, max(LEAST, 0.75 * thick), low, high)
    return parts


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
    return [bar([p + up, q + up], half, section) for (p, q), up in zip(pairs, lift, strict=True)]


def _crest(rng: Rng, back: Back, low: float, thick: float) -> Solid:
    """Return the top rail, level, arched, or yoke-shaped."""
    u = np.linspace(-1, 1, 13)
    arch, yoke = (rng.uniform(0, 0.12), rng.uniform(-0.04, 0.04)) if chance(rng, 0.5) else (0, 0)
    shape = arch * (1 - u**2) + yoke * np.cos(2 * np.pi * u)
    return back.band(low + shape * rng.choice([0, 0.8]), 1 + shape, thick, rng.choice([1.0, 1.0, 1.12]))


def _fill(rng: Rng, back: Back, style: str, thick: float) -> list[Solid]:
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
        wide = rng.uniform(0.04, 0.085) * smooth(rng.uniform(0.45, 1, 5), 9)
        return [*parts, back.stave(0, bottom, 0.97, np.maximum(wide, 0.02), 2 * LEAST)]
    half, k = max(LEAST, 0.9 * thick), rng.choice([0.0, 0.35])
    return [*parts, both(back.rod((-1 + k, bottom), (1 - k, 0.96), half, SQUARE))]


def _hoop(rng: Rng, back: Back, thick: float) -> list[Solid]:
    """Return a bow with spindles, a splat, a pad, or a rail within."""
    power, angle = rng.uniform(2, 3.5), np.linspace(0, np.pi, 25)
    u = powered(np.cos(angle), 2 / power)
    t = np.abs(np.sin(angle)) ** (2 / power)
    t[[0, -1]] = -0.06
    parts = [bar(back.at(u, t), max(LEAST, thick * 0.85))]
    style = pick(rng, spindles=0.55, splat=0.25, rail=0.2)
    if style == "spindles":
        most = int(1.8 * back.foot / (2 * LEAST + 0.025))
        spots = np.linspace(-1, 1, int(rng.integers(3, max(4, min(most, 8)))) + 2)[1:-1] * 0.98
        return parts + [back.rod((x * 0.9, -0.06), (x, (1 - abs(x) ** power) ** (1 / power)), LEAST) for x in spots]
    if style == "splat":
        wide = rng.uniform(0.05, 0.09) * smooth(rng.uniform(0.5, 1, 4), 9)
        return [*parts, back.stave(0, -0.06, 0.99, np.maximum(wide, 0.02), 2 * LEAST)]
    low, tall = rng.uniform((0.35, 0.1), (0.6, 0.2))
    return [*parts, back.band(low, low + tall, 2 * LEAST, (1 - (low + tall / 2) ** power) ** (1 / power))]


def _oval(rng: Rng, back: Back, thick: float) -> list[Solid]:
    """Return a medallion back on two short posts."""
    wide, k = rng.uniform(0.85, 1.15), rng.uniform(0.85, 1)
    pad = back.panel(0.2, 1.02, rng.uniform(0.04, 0.07), 0.6, k, wide)
    return [pad, both(back.rod((0.75, -0.06), (0.6, 0.4), max(LEAST, thick * 0.9)))]


def _arms(rng: Rng, back: Back, front: Array, rear: Array, thick: float) -> Solid:
    """Return two arm rests from the back's edges to posts on the seat's sides."""
    rise = min(rng.uniform(0.18, 0.25), 0.85 * (back.z1 - back.z0))
    start = back.at(1, rise / (back.z1 - back.z0))
    foot = front + (rear - front) * rng.uniform(0, 0.4) - [0, 0, 0.02]
    top = foot + np.array([rng.uniform(0, 0.04), 0, rise + rng.uniform(-0.01, 0.03)])
    wide = rng.uniform(1, 2) * thick
    if chance(rng, 0.35):
        path = bent([start, top, foot], rng.uniform(0.04, 0.15))
        return both(bar(path, max(LEAST, thick * 0.8)))
    end = top - [0, rng.uniform(0.02, 0.07), 0]
    path = bent([start, (start + end) / 2 + [rng.uniform(0, 0.05), 0, 0], end], 0.12)
    post = bar([foot, top], max(LEAST, thick * 0.8), ROUND if chance(rng, 0.6) else SQUARE)
    section = ROUND if chance(rng, 0.4) else SQUARE
    return both(bar(path, wide, section, max(LEAST, 0.7 * thick)), post)
