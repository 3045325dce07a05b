"""What sofas are built from: soft solids, feet, and seats with their backs and arms.

Frame: +Z up, -Y front (who sits looks along -Y), the floor at z = 0; all measures are metres.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .solids import (
    SQUARE,
    THIN,
    Array,
    Rng,
    Solid,
    box,
    chance,
    circle,
    cornered,
    loft,
    log,
    pick,
    rod,
    sheared,
    skin,
    turned,
    union,
    unit,
    walked,
)

Rect = tuple[float, float, float, float]


# --- Soft solids ---


def cushion(low: tuple[float, ...], high: tuple[float, ...], edge: float, puff: float = 0.0) -> Solid:
    """Return a box with edges rounded by `edge`, whose six sides bulge by up to `puff`."""
    half = np.subtract(high, low) / 2
    edge = min(edge, 0.9 * half.min())
    flat = half - edge
    counts = np.where(flat < 0.12, 3, 5) if puff else [2, 2, 2]
    steps = [
        np.concatenate([[-h, -f - 0.414 * edge], f * np.linspace(-1, 1, n), [f + 0.414 * edge, h]])
        for h, f, n in zip(half, flat, counts, strict=True)
    ]
    grid = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[(np.abs(grid) > half - 1e-9).any(1)]
    core = np.clip(grid, -flat, flat)
    out = grid - core
    points = core + edge * unit(out)
    u = points / half
    rest = 1 - u**2
    points += puff * u * np.column_stack([rest[:, 1] * rest[:, 2], rest[:, 0] * rest[:, 2], rest[:, 0] * rest[:, 1]])
    return Solid.hull_points(points + (np.array(low) + high) / 2)


def roll(axis: int, half: float, at: tuple[float, float], radius: float, edge: float, segments: int = 20) -> Solid:
    """Return a cylinder along an axis, at a place in the plane across it, the edges of its ends rounded by `edge`."""
    t = np.linspace(0, np.pi / 2, 4)
    along = half - edge + edge * np.sin(t)
    radii = radius - edge + edge * np.cos(t)
    points = np.empty((2, len(t), segments, 3))
    points[..., axis] = np.array([-1, 1])[:, None, None] * along[:, None]
    others = [i for i in range(3) if i != axis]
    points[..., others] = radii[:, None, None] * circle(segments) + at
    return Solid.hull_points(points.reshape(-1, 3))


def ribbon(axis: int, half: float, course: Iterable[tuple[float, float, float]], edge: float) -> Solid:
    """Join rolls (place in the plane across the axis, radius) into a bent upholstered slab."""
    rolls = [roll(axis, half, (a, b), radius, min(edge, 0.9 * radius)) for a, b, radius in course]
    return union([Solid.batch_hull(list(two)) for two in pairwise(rolls)])


def swept(
    path: Array,
    half: float,
    low: Array | float,
    high: Array | float,
    edge: float,
    lean: float = 0.0,
    cap: float | None = None,
) -> Solid:
    """Sweep an upright rounded section along a path of the plan.

    `half` is half the thickness, `low` and `high` the heights along the path, `edge` the rounding of the section and
    `cap` that of the two ends; `lean` moves the top to the left of the path, per height.
    """
    cap = edge if cap is None else cap
    length = walked(path)
    ends = cap * (1 - np.cos(np.radians([12, 35, 60, 90])))
    inner = length[(length > cap * 1.05) & (length < length[-1] - cap * 1.05)]
    s = np.concatenate([ends, inner, length[-1] - ends[::-1]])
    inset = cap - np.sqrt(np.maximum(cap**2 - np.maximum(cap - np.minimum(s, length[-1] - s), 0) ** 2, 0))
    along = np.gradient(path, length, axis=0)
    x, y, dx, dy = (np.interp(s, length, column) for column in (*path.T, *along.T))
    left = np.column_stack([-dy, dx]) / np.hypot(dx, dy)[:, None]
    feet, tops = (np.interp(s, length, np.broadcast_to(z, length.shape)) for z in (low, high))
    rings = []
    for at, side, foot, top, cut in zip(np.column_stack([x, y]), left, feet, tops, inset, strict=True):
        size = np.array([half, (top - foot) / 2])
        size -= np.minimum(cut, 0.9 * size)
        across, up = cornered(size, min(max(edge - cut, 0.2 * edge), 0.98 * size.min()), 4).T
        up = up + (top + foot) / 2
        rings.append(np.column_stack([at + side * (across + lean * (up - foot))[:, None], up]))
    return skin(np.array(rings))


# --- The look of a sofa ---


@dataclass(frozen=True)
class Look:
    """What all seats of one sofa share: measures in metres and the make of the cushions."""

    thin: float  # least thickness
    depth: float  # front to back
    lift: float  # clearance; 0 for a body down to the floor
    deck: float  # where the cushions begin
    seat: float  # top of the seat
    top: float  # top of the back's frame
    back: float  # thickness of the back's frame
    lean: float
    edge: float  # rounding of the cushions
    puff: float
    pad: float = 0.0  # thickness of the back's cushions; 0 for none
    rise: float = 0.0  # their top
    columns: int = 1  # of them, a seat
    rows: int = 1
    whole_seat: bool = False
    whole_back: bool = False
    tight: bool = False  # the seat's upholstery is the frame's
    crest: Callable[[Array], Array] = np.zeros_like  # added to the back's top, by the place in -1..1

    @property
    def squeeze(self) -> float:
        """How far neighbouring cushions reach into each other, so that the groove between them is no slit."""
        return 0.14 * self.edge


def draw_look(rng: Rng, length: float) -> Look:
    """Draw the measures of an upholstered sofa: low and deep, or high and upright."""
    low = rng.uniform()
    depth = 0.8 + 0.22 * low + rng.uniform(-0.04, 0.06)
    seat = 0.47 - 0.07 * low + rng.uniform(-0.03, 0.02)
    top = 0.92 - 0.24 * low + rng.uniform(-0.06, 0.06)
    # The length is a guess: the whole may come out a seventh longer.
    thin = 1.18 * THIN * length
    lift = max(1.2 * thin, log(rng, 0.05, 0.2))
    thick = rng.uniform(0.11, 0.2)
    deck = max(seat - thick, lift + 0.07)
    look = Look(
        thin, depth, lift, deck, max(seat, deck + 0.09), top, max(thin, rng.uniform(0.07, 0.2)),
        rng.uniform(0.0, 0.22), min(length * rng.uniform(0.018, 0.036), 0.09), rng.uniform(0.0, 0.04),
        whole_seat=chance(rng, 0.22), tight=chance(rng, 0.1),
    )  # fmt: skip
    return _backed(
        rng, look, pick(rng, split=0.42, whole=0.08, loose=0.16, tight=0.16, channels=0.07, biscuit=0.06, stacked=0.05)
    )


def _backed(rng: Rng, look: Look, style: str) -> Look:
    """Draw what covers the back."""
    pad, rise = rng.uniform(0.11, 0.2), look.top + rng.uniform(-0.07, 0.05)
    if style == "tight":
        return replace(look, back=look.back + 0.08, crest=crest_line(rng, 0.3))
    if style == "channels":
        return replace(look, pad=0.08, rise=look.top - 0.01, columns=int(rng.integers(3, 6)), edge=0.05)
    if style == "biscuit":
        return replace(look, pad=0.08, rise=look.top - 0.02, columns=int(rng.integers(2, 4)), rows=2, edge=0.05)
    if style == "stacked":
        return replace(look, pad=pad + 0.04, rise=look.top + 0.06, rows=int(rng.integers(2, 4)), edge=0.07, puff=0.04)
    if style == "loose":
        return replace(look, pad=pad, rise=rise, top=max(look.seat + 0.12, look.top - rng.uniform(0.1, 0.25)))
    return replace(look, pad=pad, rise=rise, whole_back=style == "whole")


def crest_line(rng: Rng, straight: float) -> Callable[[Array], Array]:
    """Draw the line of a back's top."""
    height = rng.uniform(0.06, 0.17)
    curves: dict[str, Callable[[Array], Array]] = {
        "straight": np.zeros_like,
        "camel": lambda u: height * (0.5 + 0.5 * np.cos(np.pi * np.clip(1.15 * u, -1, 1))) ** 1.3,
        "arch": lambda u: height * (1 - u**2),
        "humps": lambda u: 0.7 * height * np.sin(np.pi * np.abs(u)) ** 2,
        "dip": lambda u: 0.7 * height * u**2,
    }
    rest = 1 - straight
    return curves[pick(rng, straight=straight, camel=0.45 * rest, arch=0.3 * rest, humps=0.15 * rest, dip=0.1 * rest)]


# --- What carries a sofa ---


FEET = {"block": 0.27, "taper": 0.22, "splayed": 0.14, "bun": 0.08, "turned": 0.07, "plinth": 0.14, "sled": 0.08}


def stand(rng: Rng, look: "Look", rects: list[Rect], style: str, middle: bool = False) -> list[Solid]:
    """Return what stands under rectangles (x0, x1, y0, y1) of the plan."""
    if style == "plinth":
        inset = rng.uniform(0.03, 0.1)
        return [
            box((x0 + inset, y0 + inset, 0), (x1 - inset, y1 - inset, look.lift + 0.03)) for x0, x1, y0, y1 in rects
        ]
    inset = rng.uniform(0.06, 0.13)
    if style == "sled":
        radius = max(look.thin / 2, rng.uniform(0.018, 0.03))
        loops = []
        for x0, x1, y0, y1 in rects:
            a, b, high = y0 + inset, y1 - inset, look.lift + 0.03
            loop = rod([(0, a, high), (0, a, radius), (0, b, radius), (0, b, high)], radius)
            loops += [loop.translate((x, 0, 0)) for x in (x0 + 1.5 * inset, x1 - 1.5 * inset)]
        return loops
    foot = foot_solid(rng, look.lift, look.thin, style)
    spots: list[tuple[float, float]] = []
    for x0, x1, y0, y1 in rects:
        columns = [x0 + inset, (x0 + x1) / 2, x1 - inset] if middle and x1 - x0 > 1.5 else [x0 + inset, x1 - inset]
        for spot in [(x, y) for x in columns for y in (y0 + inset, y1 - inset)]:
            if all(np.hypot(spot[0] - x, spot[1] - y) > 0.25 for x, y in spots):
                spots.append(spot)
    x_mid = (min(r[0] for r in rects) + max(r[1] for r in rects)) / 2
    y_mid = (min(r[2] for r in rects) + max(r[3] for r in rects)) / 2
    solids = []
    for x, y in spots:
        turned_foot = foot if x > x_mid - 1e-6 else foot.mirror((1, 0, 0))
        solids.append((turned_foot if y < y_mid else turned_foot.mirror((0, 1, 0))).translate((x, y, 0)))
    return solids


def foot_solid(rng: Rng, lift: float, thin: float, style: str) -> Solid:
    """Return a foot at the origin that bends towards +x and -y, and reaches above `lift`."""
    high = lift + 0.03
    radius = max(thin / 2, log(rng, 0.02, 0.045))
    z = np.array([0, high])
    if style == "block":
        return loft(SQUARE * [1, rng.uniform(1, 1.6)], z, np.full(2, max(radius, 0.03)))
    if style == "bun":
        t = np.linspace(0, 1, 9)
        return loft(circle(16), t * high, np.maximum(1.4 * radius * np.sin(np.pi * (0.15 + 0.75 * t)), thin / 2))
    if style == "turned":
        t, r = turned(rng)
        return loft(circle(16), t * high, np.maximum(1.2 * radius * r, thin / 2))
    if style == "cabriole":
        t = np.linspace(0, 1, 11)
        radii = np.maximum(0.65 * thin, 1.1 * radius * (0.6 + 0.8 * t**2))
        shifts = 0.2 * lift * (0.8 * (1 - t) ** 3 + np.sin(np.pi * t**2))
        return loft(circle(12), t * high, radii, shifts).rotate((0, 0, -45))
    section = circle(14) if chance(rng, 0.7) else SQUARE
    leg = loft(section, z, np.array([0.58 * thin, max(radius, 0.62 * thin)]))
    if style == "splayed":
        run = rng.uniform(0.15, 0.35)
        return sheared(leg, -run, run, lift)
    return leg


# --- Seats with their backs, and arms ---


def bench(look: Look, x0: float, x1: float, cells: Array, reach: float = 0.0, walled: bool = True) -> list[Solid]:
    """Return a run of seats between x0 and x1: frame, back, and cushions between the places `cells`.

    The front stands out by `reach`; without `walled`, the frame behind the front is left to another run.
    """
    front, rear = -look.depth / 2 - reach, look.depth / 2
    frame = look.seat if look.tight else look.deck
    parts = []
    if walled or reach:
        parts.append(
            cushion((x0, front + 0.015, look.lift), (x1, rear - 0.01, frame), look.edge if look.tight else 0.02)
        )
    xs = np.linspace(x0, x1, 41)
    tops = look.top + look.crest(np.linspace(-1, 1, 41))
    path = np.column_stack([xs, np.full(41, rear - look.back / 2)])
    if walled:
        edge = min(look.edge, 0.45 * look.back)
        parts.append(swept(path, look.back / 2, look.lift, tops, edge, look.lean, cap=0.02))
    face = rear - look.back
    if not look.tight:
        end = face + look.lean * (look.seat - look.lift) + 0.03
        for a, b in pairwise(cells[[0, -1]] if look.whole_seat else cells):
            parts.append(seat_cushion(look, a, b, front, end))
    if look.pad:
        edges = cells[[0, -1]] if look.whole_back else cells
        edges = np.interp(np.arange((len(edges) - 1) * look.columns + 1) / look.columns, np.arange(len(edges)), edges)
        edges = apart(edges)
        levels = np.linspace(look.seat - 1.3 * look.edge, look.rise, look.rows + 1)
        lap = look.squeeze
        for a, b in pairwise(edges):
            for z0, z1 in pairwise(levels):
                low, high = (a - lap, face - look.pad, z0 - 1.3 * lap), (b + lap, face + 0.05, z1 + 1.3 * lap)
                parts.append(sheared(cushion(low, high, look.edge, look.puff), 0, look.lean, look.lift))
    return parts


def apart(borders: Array) -> Array:
    """Move borders of the back's cushions a little inwards: four cushions that meet in one point make slivers."""
    inner = borders[1:-1]
    middle = (borders[0] + borders[-1]) / 2
    return np.concatenate([borders[:1], middle + 0.985 * (inner - middle), borders[-1:]])


def seat_cushion(look: Look, x0: float, x1: float, front: float, rear: float) -> Solid:
    """Return a seat's cushion, half the rounding of whose underside is sunk in the frame."""
    lap = look.squeeze
    low = min(look.deck, look.seat - 0.08) - 0.5 * look.edge
    return cushion((x0 - lap, front, low), (x1 + lap, rear, look.seat), look.edge, look.puff)


def seat_borders(rng: Rng, width: float) -> Array:
    """Return the borders of the seats of a run as wide as that."""
    return np.linspace(-width / 2, width / 2, max(1, round(width / rng.uniform(0.55, 0.85))) + 1)


def draw_arm(rng: Rng, look: Look) -> tuple[Solid, float]:
    """Draw an arm; also return its width."""
    style = pick(rng, track=0.4, rolled=0.2, sloped=0.1, scooped=0.1, flared=0.08, padded=0.12)
    rest = look.seat + rng.uniform(0.12, 0.26)
    if chance(rng, 0.15):
        rest = look.top
    front, rear = -look.depth / 2, look.depth / 2
    front += rng.uniform(0.06, 0.16) if chance(rng, 0.15) else -0.005
    width, edge = log(rng, max(0.08, look.thin), 0.28), rng.uniform(0.015, 0.06)
    if style == "rolled":
        radius = rng.uniform(0.085, 0.14)
        bolster = roll(1, (rear - front) / 2, (radius, rest - radius), radius, 0.02, 28)
        panel = box((-0.01, 0.02 + front, look.lift), (radius * rng.uniform(0.9, 1.5), rear - 0.02, rest - radius))
        return panel + bolster.translate((0, (front + rear) / 2, 0)), 2 * radius
    if style == "scooped":
        y = np.linspace(front, rear, 31)
        t = np.clip((y - front) / (rear - front), 0, 1)
        tops = rest + (look.top - rest) * t ** rng.uniform(1.2, 4)
        path = np.column_stack([np.full(31, width / 2), y])
        return swept(path, width / 2 + 0.005, look.lift, tops, min(edge, 0.4 * width)), width
    if style == "padded":
        body = cushion((-0.01, front + 0.03, look.lift), (0.8 * width + 0.06, rear, rest - 0.06), 0.02)
        pad = cushion((-0.01, front, rest - 0.14), (0.8 * width + 0.09, rear - 0.02, rest), 0.06, 0.02)
        return body + pad, 0.8 * width + 0.09
    arm = cushion((-0.01, front, look.lift), (width, rear, rest), edge, rng.uniform(0, 0.2 * width))
    if style == "sloped":
        fall = rng.uniform(0.08, 0.3)
        low = max(rest - fall * look.depth, look.seat + 0.02)
        corners = [(front + 0.04, low - 0.04), (rear - 0.04, rest), (front + 0.04, look.lift + 0.04),
                   (rear - 0.04, look.lift + 0.04)]  # fmt: skip
        edges = [roll(0, width / 2 + 0.005, at, 0.04, 0.025, 12) for at in corners]
        return Solid.batch_hull(edges).translate((width / 2, 0, 0)), width
    if style == "flared":
        out = rng.uniform(0.05, 0.15) / (rest - look.lift)
        return sheared(arm, out, 0, look.lift), width
    return arm, width
