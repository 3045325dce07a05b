"""Varied closed parametric sofas, to train a shape prior.

Frame: +Z up, -Y front (who sits looks along -Y), the floor at z = 0. All measures here are metres; the finished
sofa is scaled to be 1 long and centred.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import manifold3d as m3
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
    make_sound,
    pick,
    prism,
    turned,
    union,
)

Rect = tuple[float, float, float, float]


def make_sofa(seed: int) -> tuple[Array, Array]:
    """Make one sofa: vertices (V, 3) and faces (F, 3), as `make_sound` describes them."""
    return make_sound(seed, _build)


def _build(rng: Rng) -> Solid:
    weights = np.array([weight for weight, _ in KINDS])
    solid = KINDS[rng.choice(len(KINDS), p=weights / weights.sum())][1](rng)
    low, high = np.split(np.array(solid.bounding_box()), 2)
    middle = (low + high) / 2
    return solid.translate((-middle[0], -middle[1], -low[2])).scale(np.full(3, 1 / (high - low).max()))


# --- soft solids ---


def _cushion(low: tuple[float, ...], high: tuple[float, ...], edge: float, puff: float = 0.0) -> Solid:
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
    points = core + edge * out / np.linalg.norm(out, axis=1, keepdims=True)
    u = points / half
    rest = 1 - u**2
    points += puff * u * np.column_stack([rest[:, 1] * rest[:, 2], rest[:, 0] * rest[:, 2], rest[:, 0] * rest[:, 1]])
    return Solid.hull_points(points + (np.array(low) + high) / 2)


def _rod(axis: int, half: float, at: tuple[float, float], radius: float, edge: float, segments: int = 20) -> Array:
    """Return points of a cylinder of a half-length along an axis, at a place in the plane across it."""
    t = np.linspace(0, np.pi / 2, 4)
    along = half - edge + edge * np.sin(t)
    radii = radius - edge + edge * np.cos(t)
    around = circle(segments)
    points = np.empty((2, len(t), segments, 3))
    points[..., axis] = np.array([-1, 1])[:, None, None] * along[:, None]
    others = [i for i in range(3) if i != axis]
    points[..., others] = radii[:, None, None] * around + at
    return points.reshape(-1, 3)


def _ribbon(axis: int, half: float, course: list[tuple[float, float, float]], edge: float) -> Solid:
    """Join cylinders (place in the plane across the axis, radius) into a bent upholstered slab."""
    rods = [_rod(axis, half, (a, b), radius, min(edge, 0.9 * radius)) for a, b, radius in course]
    return union([Solid.hull_points(np.concatenate(two)) for two in pairwise(rods)])


def _tube(course: list[tuple[float, float, float]], radius: float) -> Solid:
    """Return a round bar along a polyline."""
    balls = [Solid.sphere(radius, 12).translate(point) for point in course]
    return union([Solid.batch_hull(list(two)) for two in pairwise(balls)])


def _swept(
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
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
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
    return _skin(np.array(rings))


def _skin(rings: Array) -> Solid:
    """Return the solid inside rings (M, N, 3) that run along a path, its two ends closed by fans."""
    count, size = rings.shape[:2]
    here = np.arange(size)
    after = (here + 1) % size
    first, last = count * size, count * size + 1
    faces = [np.column_stack([np.full(size, first), here, after])]
    for base in range(0, (count - 1) * size, size):
        faces.append(base + np.column_stack([here, after + size, after]))
        faces.append(base + np.column_stack([here, here + size, after + size]))
    end = (count - 1) * size
    faces.append(np.column_stack([np.full(size, last), end + after, end + here]))
    vertices = np.concatenate([rings.reshape(-1, 3), rings[[0, -1]].mean(1)])
    corners = np.concatenate(faces)
    solid = Solid(m3.Mesh64(vertices, corners.astype(np.uint64)))
    return solid if solid.volume() > 0 else Solid(m3.Mesh64(vertices, corners[:, ::-1].astype(np.uint64)))


def _leaned(solid: Solid, lean: float, z: float) -> Solid:
    """Shear a solid backwards, per height above z."""
    return solid.transform(np.array([[1, 0, 0, 0], [0, 1, lean, -lean * z], [0, 0, 1, 0]]))


def _both(solid: Solid) -> Solid:
    return solid + solid.mirror((1, 0, 0))


# --- what carries a sofa ---


def _foot(rng: Rng, lift: float, thin: float, style: str) -> Solid:
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
    leg = loft(section, z, np.array([thin / 2, max(radius, 0.6 * thin)]))
    if style == "splayed":
        run = rng.uniform(0.15, 0.35)
        return leg.transform(np.array([[1, 0, -run, run * lift], [0, 1, run, -run * lift], [0, 0, 1, 0]]))
    return leg


def _feet(rng: Rng, look: "Look", rects: list[Rect], style: str, middle: bool = False) -> list[Solid]:
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
            loop = _tube([(0, a, high), (0, a, radius), (0, b, radius), (0, b, high)], radius)
            loops += [loop.translate((x, 0, 0)) for x in (x0 + 1.5 * inset, x1 - 1.5 * inset)]
        return loops
    foot = _foot(rng, look.lift, look.thin, style)
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


FEET = {"block": 0.27, "taper": 0.22, "splayed": 0.14, "bun": 0.08, "turned": 0.07, "plinth": 0.14, "sled": 0.08}


# --- seats with their backs ---


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


def _crest(rng: Rng, straight: float) -> Callable[[Array], Array]:
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


def _look(rng: Rng, length: float) -> Look:
    """Draw the measures of an upholstered sofa: low and deep, or high and upright."""
    low = rng.uniform()
    depth = 0.8 + 0.22 * low + rng.uniform(-0.04, 0.06)
    seat = 0.47 - 0.07 * low + rng.uniform(-0.03, 0.02)
    top = 0.92 - 0.24 * low + rng.uniform(-0.06, 0.06)
    thin = THIN * length
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
        return replace(look, back=look.back + 0.08, crest=_crest(rng, 0.3))
    if style == "channels":
        return replace(look, pad=0.08, rise=look.top - 0.01, columns=int(rng.integers(3, 6)), edge=0.05)
    if style == "biscuit":
        return replace(look, pad=0.08, rise=look.top - 0.02, columns=int(rng.integers(2, 4)), rows=2, edge=0.05)
    if style == "stacked":
        return replace(look, pad=pad + 0.04, rise=look.top + 0.06, rows=int(rng.integers(2, 4)), edge=0.07, puff=0.04)
    if style == "loose":
        return replace(look, pad=pad, rise=rise, top=max(look.seat + 0.12, look.top - rng.uniform(0.1, 0.25)))
    return replace(look, pad=pad, rise=rise, whole_back=style == "whole")


def _bench(look: Look, x0: float, x1: float, cells: Array, reach: float = 0.0, walled: bool = True) -> list[Solid]:
    """Return a run of seats between x0 and x1: frame, back, and cushions between the places `cells`.

    The front stands out by `reach`; without `walled`, the frame behind the front is left to another run.
    """
    front, rear = -look.depth / 2 - reach, look.depth / 2
    frame = look.seat if look.tight else look.deck
    parts = []
    if walled or reach:
        parts.append(
            _cushion((x0, front + 0.015, look.lift), (x1, rear - 0.01, frame), look.edge if look.tight else 0.02)
        )
    xs = np.linspace(x0, x1, 41)
    tops = look.top + look.crest(np.linspace(-1, 1, 41))
    path = np.column_stack([xs, np.full(41, rear - look.back / 2)])
    if walled:
        edge = min(look.edge, 0.45 * look.back)
        parts.append(_swept(path, look.back / 2, look.lift, tops, edge, look.lean, cap=0.02))
    face = rear - look.back
    if not look.tight:
        end = face + look.lean * (look.seat - look.lift) + 0.03
        for a, b in pairwise(cells[[0, -1]] if look.whole_seat else cells):
            parts.append(_seat_cushion(look, a, b, front, end))
    if look.pad:
        edges = cells[[0, -1]] if look.whole_back else cells
        edges = np.interp(np.arange((len(edges) - 1) * look.columns + 1) / look.columns, np.arange(len(edges)), edges)
        edges = _apart(edges)
        levels = np.linspace(look.seat - 1.3 * look.edge, look.rise, look.rows + 1)
        lap = look.squeeze
        for a, b in pairwise(edges):
            for z0, z1 in pairwise(levels):
                low, high = (a - lap, face - look.pad, z0 - 1.3 * lap), (b + lap, face + 0.05, z1 + 1.3 * lap)
                parts.append(_leaned(_cushion(low, high, look.edge, look.puff), look.lean, look.lift))
    return parts


def _apart(borders: Array) -> Array:
    """Move borders of the back's cushions a little inwards: four cushions that meet in one point make slivers."""
    inner = borders[1:-1]
    middle = (borders[0] + borders[-1]) / 2
    return np.concatenate([borders[:1], middle + 0.985 * (inner - middle), borders[-1:]])


def _seat_cushion(look: Look, x0: float, x1: float, front: float, rear: float) -> Solid:
    """Return a seat's cushion, half the rounding of whose underside is sunk in the frame."""
    lap = look.squeeze
    low = min(look.deck, look.seat - 0.08) - 0.5 * look.edge
    return _cushion((x0 - lap, front, low), (x1 + lap, rear, look.seat), look.edge, look.puff)


# --- arms: solids from x = 0 outwards, to the right of a seat ---


def _arm(rng: Rng, look: Look) -> tuple[Solid, float]:
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
        roll = Solid.hull_points(_rod(1, (rear - front) / 2, (radius, rest - radius), radius, 0.02, 28))
        panel = box((-0.01, 0.02 + front, look.lift), (radius * rng.uniform(0.9, 1.5), rear - 0.02, rest - radius))
        return panel + roll.translate((0, (front + rear) / 2, 0)), 2 * radius
    if style == "scooped":
        y = np.linspace(front, rear, 31)
        t = np.clip((y - front) / (rear - front), 0, 1)
        tops = rest + (look.top - rest) * t ** rng.uniform(1.2, 4)
        path = np.column_stack([np.full(31, width / 2), y])
        return _swept(path, width / 2 + 0.005, look.lift, tops, min(edge, 0.4 * width)), width
    if style == "padded":
        body = _cushion((-0.01, front + 0.03, look.lift), (0.8 * width + 0.06, rear, rest - 0.06), 0.02)
        pad = _cushion((-0.01, front, rest - 0.14), (0.8 * width + 0.09, rear - 0.02, rest), 0.06, 0.02)
        return body + pad, 0.8 * width + 0.09
    arm = _cushion((-0.01, front, look.lift), (width, rear, rest), edge, rng.uniform(0, 0.2 * width))
    if style == "sloped":
        fall = rng.uniform(0.08, 0.3)
        low = max(rest - fall * look.depth, look.seat + 0.02)
        corners = [(front + 0.04, low - 0.04), (rear - 0.04, rest), (front + 0.04, look.lift + 0.04),
                   (rear - 0.04, look.lift + 0.04)]  # fmt: skip
        rods = [_rod(0, width / 2 + 0.005, at, 0.04, 0.025, 12) for at in corners]
        return Solid.hull_points(np.concatenate(rods)).translate((width / 2, 0, 0)), width
    if style == "flared":
        out = rng.uniform(0.05, 0.15) / (rest - look.lift)
        arm = arm.transform(np.array([[1, 0, out, -out * look.lift], [0, 1, 0, 0], [0, 0, 1, 0]]))
        return arm, width
    return arm, width


def _pillows(rng: Rng, look: Look, half: float) -> list[Solid]:
    """Return two throw pillows, at the ends of a seat that reaches to +-half."""
    side = rng.uniform(0.36, 0.46)
    pillow = _cushion((-side / 2, -0.045, 0), (side / 2, 0.045, side), 0.04, 0.05).rotate((-18, 0, 18))
    y = look.depth / 2 - look.back - look.pad - 0.06
    return [_both(pillow.translate((half - 0.55 * side, y, look.seat - 0.03)))]


# --- kinds of sofa ---


def _cells(rng: Rng, width: float) -> Array:
    """Return the borders of the seats of a run as wide as that."""
    return np.linspace(-width / 2, width / 2, max(1, round(width / rng.uniform(0.55, 0.85))) + 1)


def _seats(rng: Rng, ends: str) -> Solid:
    """Make a run of seats; `ends` names its left and right one: arm, none, chaise or return."""
    left, right = ends[0], ends[1]
    width = log(rng, 1.05, 2.6) if right in "an" else log(rng, 1.2, 2.2)
    look = _look(rng, width + {"a": 0.5, "n": 0.0, "c": 1.4, "r": 1.3}[right] + {"c": 0.8, "r": 0.8}.get(left, 0.0))
    style = pick(rng, **FEET, floor=0.15)
    if style == "floor":
        look = replace(look, lift=0.0)
    if right in "cr":
        style = "block" if style == "sled" else style
        look = replace(look, crest=np.zeros_like, puff=0.0 if look.columns * look.rows > 1 else look.puff)
    if right == "n" and chance(rng, 0.5):
        look = replace(look, edge=0.09, puff=0.06)
    arm, thick = _arm(rng, look)
    armed, half = right != "n" and (right == "a" or chance(rng, 0.75)), width / 2
    pieces = {"n": End([], 0.0, 0.0, []), "a": End([arm] if armed else [], 0.0, 0.6 * thick if armed else 0.0, [])}
    if right == "c":
        pieces["c"] = _chaise_end(rng, look, pieces["a"])
    if right == "r":
        pieces["r"] = _return_end(rng, look, pieces["a"])
    one, other = pieces[left], pieces[right]
    cells = _cells(rng, width)
    parts = _bench(look, -half - one.frame, half + other.frame, cells)
    parts += [solid.translate((half, 0, 0)).mirror((1, 0, 0)) for solid in one.parts]
    parts += [solid.translate((half, 0, 0)) for solid in other.parts]
    x0, x1 = -half - one.frame - one.arm, half + other.frame + other.arm
    rects = [(x0, x1, -look.depth / 2, look.depth / 2)]
    rects += [(-half - x1, -half - x0, y0, y1) for x0, x1, y0, y1 in one.plan]
    rects += [(half + x0, half + x1, y0, y1) for x0, x1, y0, y1 in other.plan]
    if right == "a" and not look.tight:
        extra = pick(rng, none=0.76, pillows=0.1, ottoman=0.07, console=0.07)
        if extra == "pillows":
            parts += _pillows(rng, look, half)
        elif extra == "console" and len(cells) % 2:
            parts.append(_console(rng, look, 0.42 * (cells[1] - cells[0])))
        elif extra == "ottoman":
            a, b = cells[-2:]
            reach = min(0.75, b - a) * rng.uniform(0.7, 1.0)
            rects.append((a, b, -look.depth / 2 - reach, -look.depth / 2))
            parts += _ottoman(look, rects[-1])
    if style != "floor":
        parts += _feet(rng, look, rects, style, chance(rng, 0.3))
    solid = union(parts)
    return solid if chance(rng, 0.5) else solid.mirror((1, 0, 0))


@dataclass(frozen=True)
class End:
    """What closes a run of seats on its right, seen from there: how much of the run's `frame` it takes up, the foothold
    that its `arm` adds, and the `plan` of what stands out in front.
    """

    parts: list[Solid]
    frame: float
    arm: float
    plan: list[Rect]


def _ottoman(look: Look, rect: Rect) -> list[Solid]:
    """Return a stool that touches the front of a seat."""
    x0, x1, y0, y1 = rect
    body = _cushion((x0, y0 + 0.015, look.lift), (x1, y1 + 0.05, min(look.deck, look.seat - 0.08)), 0.02)
    return [body, _seat_cushion(look, x0, x1, y0, y1 + 2 * look.squeeze)]


def _console(rng: Rng, look: Look, wide: float) -> Solid:
    """Return the box between the middle seats of a sofa for watching films."""
    half, high = min(0.14, wide / 2) * rng.uniform(0.8, 1), look.seat + rng.uniform(0.08, 0.16)
    return _cushion((-half, -look.depth / 2 + 0.02, look.lift), (half, look.depth / 2 - look.back, high), 0.03)


def _chaise_end(rng: Rng, look: Look, arm: "End") -> "End":
    """Return a seat for the legs to the right of a run."""
    wide, reach = rng.uniform(0.75, 1.0), rng.uniform(0.45, 0.8)
    parts = _bench(_thicker(look), 0, wide, np.array([0, wide]), reach, walled=False)
    parts += [solid.translate((wide, 0, 0)) for solid in arm.parts]
    return End(parts, wide, arm.arm, [(0, wide, -look.depth / 2 - reach, look.depth / 2)])


def _return_end(rng: Rng, look: Look, arm: "End") -> "End":
    """Return a corner and the seats in front of it, to the right of a run."""
    depth, reach = look.depth, log(rng, 0.6, 1.7)
    parts = _bench(_thicker(look), 0, depth - 0.02, np.array([0, depth - look.back]), walled=False)
    side = _bench(look, 0.005, depth + reach, depth + _cells(rng, reach) + reach / 2)
    side += [solid.translate((depth + reach, 0, 0)) for solid in arm.parts]
    parts += [solid.rotate((0, 0, -90)).translate((depth / 2, depth / 2, 0)) for solid in side]
    return End(parts, depth - 0.03, 0.0, [(0, depth, -depth / 2 - reach - arm.arm, depth / 2)])


def _thicker(look: Look) -> Look:
    """Change the back's cushions a little: four that meet in one point make slivers."""
    return replace(look, pad=look.pad and look.pad + 0.012)


def _walled(rng: Rng) -> Solid:
    """Make a sofa whose back runs round into its arms: chesterfield, tub, camel back, winged settee."""
    half = log(rng, 0.65, 1.2)
    look = replace(_look(rng, 2 * half + 0.3), tight=False)
    style = pick(rng, chesterfield=0.35, tub=0.3, camel=0.2, wing=0.15)
    turn = {"tub": rng.uniform(0.35, 0.6), "camel": 0.16}.get(style, rng.uniform(0.14, 0.25))
    wall = max(look.thin, rng.uniform(0.09, 0.15))
    top = {"wing": rng.uniform(0.95, 1.15), "camel": rng.uniform(0.75, 0.85), "chesterfield": rng.uniform(0.7, 0.78)}
    look = replace(look, top=top.get(style, rng.uniform(0.68, 0.9)), pad=0.0, back=wall)
    front, rear = -look.depth / 2, look.depth / 2 - wall / 2
    arc = np.linspace(0, np.pi / 2, 13)
    bend = np.column_stack([-half + turn - turn * np.cos(arc), rear - turn + turn * np.sin(arc)])
    straight = np.column_stack([np.full(9, -half), np.linspace(front, rear - turn, 10)[:-1]])
    left = np.concatenate([straight, bend])
    across = np.column_stack([np.linspace(bend[-1, 0], -bend[-1, 0], 35)[1:-1], np.full(33, rear)])
    path = np.concatenate([left, across, left[::-1] * [-1, 1]])
    rest = look.top if style == "chesterfield" else look.seat + rng.uniform(0.1, 0.25)
    climb = np.clip((path[:, 1] - front) / (rear - front), 0, 1)
    if style == "wing":
        climb = 1 / (1 + np.exp(-14 * (climb - rng.uniform(0.45, 0.65))))
    else:
        climb = climb ** rng.uniform(1.0, 3.5)
    crest = _crest(rng, 0.0 if style == "camel" else 0.8)(path[:, 0] / half)
    tops = rest + (look.top - rest) * climb + crest * climb**2
    lean = rng.uniform(0, 0.15)
    shell = [_swept(path, wall / 2, look.lift, tops, 0.45 * wall, lean)]
    if style in ("chesterfield", "camel") or chance(rng, 0.2):
        radius = rng.uniform(0.07, 0.1)
        out = path + _outward(path) * (0.6 * radius + lean * (look.top - look.lift))
        shell.append(_swept(out, radius, tops - 2 * radius, tops, radius, cap=0.02))
    base = prism(path[::-1] + np.array([0, 0.03]), look.lift, look.deck)
    well = prism(path[::-1] - np.array([0, 0.2]), 0, 2)
    cells = _cells(rng, 2 * half - wall)
    cells = cells[[0, -1]] if look.whole_seat else cells
    seats = [_seat_cushion(look, a, b, front - 0.01, rear) ^ well for a, b in pairwise(cells)]
    covers = _tufts(rng, look, path, tops, wall, lean) if style != "camel" and chance(rng, 0.45) else []
    feet = {**FEET, "sled": 0.0, "cabriole": 0.12}
    foot = pick(rng, **feet)
    room = 0.3 * turn if style == "tub" else 0.0
    rects = [(-half + room, half - room, front, rear - room)]
    return union([*shell, base, *seats, *covers, *_feet(rng, look, rects, foot, half > 0.95)])


def _outward(path: Array) -> Array:
    along = np.gradient(path, axis=0)
    return np.column_stack([-along[:, 1], along[:, 0]]) / np.linalg.norm(along, axis=1, keepdims=True)


def _tufts(rng: Rng, look: Look, path: Array, tops: Array, wall: float, lean: float) -> list[Solid]:
    """Return the upright channels on the inner side of a wall that runs round a seat."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    count = max(6, round(length[-1] / rng.uniform(0.16, 0.24)))
    s = (np.arange(count) + 0.5) / count * length[-1]
    inward = -_outward(path)
    columns = []
    for x, y, nx, ny, top in zip(*(np.interp(s, length, c) for c in (*path.T, *inward.T, tops)), strict=True):
        radius = 0.56 * length[-1] / count
        low, high = look.seat - 0.1, top - 0.05
        bulge = min(0.05, 0.6 * radius)
        column = _cushion((-radius, -bulge, low), (radius, bulge, high), 0.9 * bulge)
        turn = np.degrees(np.arctan2(-nx, ny))
        column = _leaned(column, -lean, look.lift).rotate((0, 0, turn))
        columns.append(column.translate((x + nx * wall * 0.5, y + ny * wall * 0.5, 0)))
    return columns


def _curved(rng: Rng) -> Solid:
    """Make a sofa along an arc."""
    depth = rng.uniform(0.8, 1.0)
    span, radius = np.radians(rng.uniform(50, 150)), log(rng, 1.1, 2.4)
    span = np.clip(span, 1.7 / radius, 3.4 / radius)
    look = _look(rng, 2 * radius * np.sin(span / 2) + 0.5)
    look = replace(look, depth=depth, lean=0.5 * look.lean, pad=look.pad if look.columns == look.rows == 1 else 0.0)
    angles = np.linspace(-span / 2, span / 2, 61)

    def arc(r: float, a: Array = angles) -> Array:
        return np.column_stack([r * np.sin(a), r * np.cos(a)])

    parts = [_swept(arc(radius), depth / 2 - 0.01, look.lift, look.deck, 0.03)]
    count = 1 if look.whole_seat else max(2, round(span * radius / rng.uniform(0.65, 1.0)))
    u = angles / angles[-1]
    drop = rng.uniform(0, 0.2) * np.abs(u) ** rng.uniform(2, 5)
    outer = radius + depth / 2 - look.back / 2
    deep = depth - look.back + 0.03
    inner = radius - (depth - deep) / 2
    wall = min(0.045, 0.45 * look.back)
    parts.append(_swept(arc(outer), look.back / 2, look.lift, look.top - drop, wall, look.lean))
    borders = np.linspace(angles[0], angles[-1], count + 1)
    lap = look.squeeze / radius
    for a, b in pairwise(borders):
        some = np.linspace(a - lap, b + lap, 21)
        parts.append(_swept(arc(inner, some), deep / 2, look.deck - 0.03, look.seat, look.edge))
    if look.pad:
        for a, b in pairwise(_apart(borders)):
            some = np.linspace(a - lap, b + lap, 21)
            pad = arc(outer - look.back / 2 - look.pad / 2 + 0.02, some)
            tops = look.rise - np.interp(some, angles, drop)
            parts.append(
                _swept(pad, look.pad / 2 + 0.02, look.seat - 1.3 * look.edge, tops, min(look.edge, 0.06), look.lean)
            )
    if chance(rng, 0.4):
        arm, _ = _arm(rng, replace(look, top=look.top - float(drop[0])))
        turn = np.degrees(span / 2)
        end = arc(radius, angles[-1:])[0]
        parts.append(_both(arm.rotate((0, 0, -turn)).translate((*end, 0))))
    if chance(rng, 0.4):
        parts.append(_swept(arc(radius, 0.93 * angles), depth / 2 - 0.08, 0, look.lift + 0.03, 0.02))
    else:
        foot = _foot(rng, look.lift, look.thin, pick(rng, block=0.3, taper=0.4, bun=0.3))
        for a in (0.88 * angles[0], 0.0, 0.88 * angles[-1]):
            parts += [
                foot.translate((*arc(r, np.array([a]))[0], 0)) for r in (radius - 0.36 * depth, radius + 0.36 * depth)
            ]
    return union(parts)


def _wooden(rng: Rng) -> Solid:
    """Make a sofa with loose cushions on an open frame of wood, or a futon."""
    half = log(rng, 0.6, 1.05)
    thin = THIN * 2.1 * half + 0.002
    bar = max(thin, rng.uniform(0.04, 0.06))
    depth, seat, rest = rng.uniform(0.72, 0.88), rng.uniform(0.38, 0.45), rng.uniform(0.54, 0.64)
    thick, top = rng.uniform(0.1, 0.16), rng.uniform(0.7, 0.88)
    lean, futon = rng.uniform(0.15, 0.35), chance(rng, 0.25)
    deck, front, rear = seat - thick, -depth / 2, depth / 2 - 0.12
    inner = half - 0.004
    parts = [box((-inner, front + 0.02, deck - max(thin, 0.05)), (inner, rear + 0.05, deck))]
    style = pick(rng, paddle=0.35, loop=0.25, slats=0.25, panel=0.15)
    x, wide = half + 0.5 * bar, rng.uniform(bar, 0.1)
    back_leg = rear + 0.04
    if style == "panel":
        parts.append(_both(box((half - 0.01, front, 0), (half + bar, depth / 2, rest))))
    else:
        run = rng.uniform(0, 0.12) if style == "paddle" else 0.0
        hs = bar / 2
        fore = _tube([(x, front + 0.05 - run, hs), (x, front + 0.05, rest - hs)], hs)
        aft = _tube([(x, back_leg + run, hs), (x, back_leg, rest - hs)], hs)
        if style != "paddle":
            fore = box((half - 0.01, front, 0), (half + bar, front + 1.3 * bar, rest))
            aft = box((half - 0.01, back_leg - bar, 0), (half + bar, back_leg + bar, rest))
        arm = _cushion((x - wide / 2, front - 0.02, rest - bar), (x + wide / 2, depth / 2, rest), 0.3 * bar)
        rail = box((half - 0.01, front + 0.05, deck - 0.06), (half + bar, back_leg, deck - 0.06 + bar))
        side = [fore, aft, arm, rail]
        if style == "loop":
            side.append(box((half - 0.01, front, 0), (half + bar, back_leg, bar)))
        if style == "slats":
            count = int(rng.integers(3, 6))
            for y in np.linspace(front + 0.05, back_leg, count + 2)[1:-1]:
                side.append(box((x - bar / 2, y - bar / 2, deck - 0.06), (x + bar / 2, y + bar / 2, rest - bar / 2)))
        parts.append(_both(union(side)))
    ladder = [box((-inner, rear, top - 1.5 * bar), (inner, rear + bar, top))]
    if chance(rng, 0.6):
        count = max(3, round(2 * inner / rng.uniform(0.13, 0.25)))
        for at in np.linspace(-inner + bar / 2, inner - bar / 2, count):
            ladder.append(box((at - bar / 2, rear, deck - 0.03), (at + bar / 2, rear + bar, top - bar)))
    else:
        ladder += [box((-inner, rear, z), (inner, rear + bar, z + 1.4 * bar)) for z in (seat - 0.02, (seat + top) / 2)]
        ladder.append(_both(box((inner - bar, rear, deck - 0.03), (inner, rear + bar, top))))
    parts += [_leaned(piece, lean, deck) for piece in ladder]
    edge, puff = rng.uniform(0.035, 0.06), rng.uniform(0, 0.03)
    cells = _cells(rng, 2 * half)
    cells = cells[[0, -1]] if futon or chance(rng, 0.2) else cells
    lap = 0.14 * edge
    pad, rise = rng.uniform(0.1, 0.16), top + rng.uniform(-0.05, 0.06)
    for a, b in pairwise(cells):
        low = (a - lap, front - 0.02, deck - 0.4 * edge)
        parts.append(_cushion(low, (b + lap, rear + 0.02, seat), edge, puff))
        a, b = 0.985 * a, 0.985 * b
        back = _cushion((a - lap, rear - pad, seat - 1.3 * edge), (b + lap, rear + 0.012, rise), edge, puff)
        parts.append(_leaned(back, lean, deck))
    return union(parts)


def _tubular(rng: Rng) -> Solid:
    """Make box cushions held by a cage of steel tubes."""
    half, depth, rest = log(rng, 0.62, 1.1), rng.uniform(0.7, 0.8), rng.uniform(0.58, 0.68)
    arm, seat = rng.uniform(0.14, 0.2), rng.uniform(0.38, 0.44)
    radius = 0.011 * (2 * half + 2 * arm + 0.1)
    lift, edge = rng.uniform(0.08, 0.14), rng.uniform(0.035, 0.055)
    top = rest + rng.choice([0.0, 0.1])
    x, y = half + arm, depth / 2
    parts = [_both(_cushion((half - 0.01, -y, lift), (x, y, rest), edge))]
    parts.append(_cushion((-half - 0.01, y - 0.17, lift), (half + 0.01, y, top), edge))
    deck = lift + 0.14
    parts.append(box((-half, 0.02 - y, lift), (half, y - 0.1, deck)))
    for a, b in pairwise(_cells(rng, 2 * half)):
        parts.append(_cushion((a - 0.14 * edge, -y, deck - 0.02), (b + 0.14 * edge, y - 0.15, seat), edge, 0.02))
    low, high = lift + 0.03, rest - rng.uniform(0.02, 0.12)
    x += 0.4 * radius
    y += 0.4 * radius
    for s in (-1, 1):
        parts.append(_tube([(s * half, -y, high), (s * x, -y, high), (s * x, y, high), (0, y, high)], radius))
        parts.append(_tube([(0, -y, low), (s * x, -y, low), (s * x, y, low), (0, y, low)], radius))
        parts += [_tube([(s * x, w * y, radius), (s * x, w * y, high)], radius) for w in (-1, 1)]
        parts += [_tube([(s * half, -y, low), (s * half, -y, high)], radius)]
    return union(parts).trim_by_plane((0, 0, 1), 0.3 * radius)


def _settee(rng: Rng) -> Solid:
    """Make a parlour settee: upholstered seat and shaped back on tall legs, open or no arms."""
    half, depth = log(rng, 0.55, 0.9), rng.uniform(0.6, 0.72)
    look = _look(rng, 2 * half + 0.15)
    look = replace(
        look, depth=depth, lift=rng.uniform(0.22, 0.32), deck=0.36, seat=rng.uniform(0.42, 0.48), tight=True, pad=0.0,
        top=rng.uniform(0.78, 1.0), back=rng.uniform(0.07, 0.12), crest=_crest(rng, 0.1), lean=rng.uniform(0.1, 0.25),
        edge=0.035,
    )  # fmt: skip
    parts = _bench(look, -half, half, np.array([-half, half]))
    radius = max(look.thin / 2 + 0.002, rng.uniform(0.02, 0.032))
    rest = look.seat + rng.uniform(0.18, 0.27)
    x, front, rear = half - radius, -depth / 2 + 0.06, depth / 2 - look.back / 2
    style = pick(rng, scroll=0.45, square=0.25, none=0.3)
    aft = rear + look.lean * (rest - look.lift)
    if style == "scroll":
        t = np.linspace(0, 1, 9)
        course = [(x + 0.05 * np.sin(np.pi * u), aft + u * (front - aft), rest - 0.05 * np.sin(np.pi * u)) for u in t]
        post = [(x, front, rest), (x, front + 0.06, (rest + look.seat) / 2), (x, front + 0.02, look.seat - 0.04)]
        parts.append(_both(_tube(course + post, radius)))
    elif style == "square":
        parts.append(_both(_tube([(x, aft, rest), (x, front, rest), (x, front, look.seat - 0.04)], radius)))
    if chance(rng, 0.35) and half > 0.6:
        parts += _bolsters(look.seat, half - 0.05, 0.09, depth)
    foot = pick(rng, cabriole=0.4, turned=0.2, taper=0.3, splayed=0.1)
    return union([*parts, *_feet(rng, look, [(-half, half, -depth / 2, depth / 2)], foot, half > 0.8)])


def _bolsters(seat: float, half: float, radius: float, depth: float) -> list[Solid]:
    """Return two rolls lying across the ends of a seat."""
    roll = Solid.hull_points(_rod(1, 0.45 * depth, (half - radius, seat + 0.8 * radius), radius, 0.03))
    return [_both(roll)]


def _recamier(rng: Rng) -> Solid:
    """Make a day couch with one or two raised scroll ends."""
    half, depth = rng.uniform(0.75, 1.0), rng.uniform(0.62, 0.78)
    look = replace(_look(rng, 2 * half + 0.5), depth=depth, tight=True, pad=0.0, lift=rng.uniform(0.1, 0.28))
    look = replace(look, seat=max(look.seat, look.lift + 0.14))
    out, rise, radius = rng.uniform(0.08, 0.26), rng.uniform(0.25, 0.5), rng.uniform(0.055, 0.09)
    t = np.linspace(0, 1, 8)
    two = chance(rng, 0.35)

    def end(height: float) -> Solid:
        swing = half - radius + out * (t**2 - 0.15 * np.sin(np.pi * t))
        heights = look.lift + radius + t * (look.seat - look.lift - radius + height)
        thick = radius * (1 + 0.5 * t**6)
        return _ribbon(1, depth / 2, list(zip(swing, heights, thick, strict=True)), 0.03)

    body = _cushion((-half, -depth / 2 + 0.01, look.lift), (half, depth / 2 - 0.01, look.seat - 0.06), 0.02)
    mattress = _cushion((-half, -depth / 2, look.seat - 0.09), (half, depth / 2, look.seat), 0.045, look.puff)
    parts = [body, mattress, end(rise)]
    if two:
        parts.append(end(rise).mirror((1, 0, 0)))
    elif chance(rng, 0.3):
        parts.append(end(0.45 * rise).mirror((1, 0, 0)))
    if chance(rng, 0.6):
        wall = max(look.thin, 0.06)
        xs = np.linspace(half, -half * (1.0 if two else rng.uniform(-0.3, 0.8)), 31)[::-1]
        u = np.linspace(0, 1, 31)
        tops = look.seat + rise * ((0.65 + 0.3 * (2 * u - 1) ** 2) if two else 0.1 + 0.85 * u ** rng.uniform(0.7, 2))
        path = np.column_stack([xs, np.full(31, depth / 2 - wall / 2)])
        parts.append(_swept(path, wall / 2, look.lift, tops, 0.45 * wall, 0.0))
    if chance(rng, 0.3):
        roll = Solid.hull_points(_rod(1, 0.45 * depth, (half - 0.14, look.seat + 0.06), 0.08, 0.03))
        parts.append(roll)
    feet = pick(rng, cabriole=0.3, turned=0.25, taper=0.2, splayed=0.15, block=0.1)
    solid = union([*parts, *_feet(rng, look, [(-half, half, -depth / 2, depth / 2)], feet)])
    return solid if chance(rng, 0.5) else solid.mirror((1, 0, 0))


def _daybed(rng: Rng) -> Solid:
    """Make a mattress on a frame, with low ends, a low back, or bolsters."""
    half, depth = rng.uniform(0.9, 1.05), rng.uniform(0.75, 0.95)
    look = replace(_look(rng, 2 * half + 0.15), depth=depth, lift=rng.uniform(0.12, 0.25))
    wall = max(look.thin, rng.uniform(0.045, 0.09))
    thick = rng.uniform(0.1, 0.2)
    deck = look.lift + max(look.thin, rng.uniform(0.05, 0.1))
    seat = deck + thick
    parts = [_cushion((-half, -depth / 2, look.lift), (half, depth / 2, deck), 0.015)]
    x = half - wall
    cells = np.linspace(-x, x, 1 + int(rng.choice([1, 1, 2, 3, 6])))
    parts += [
        _cushion((a - 0.006, 0.01 - depth / 2, deck - 0.02), (b + 0.006, depth / 2 - 0.01, seat), 0.05, 0.01)
        for a, b in pairwise(cells)
    ]
    style = pick(rng, ends=0.4, bolsters=0.3, back=0.3)
    rise = seat + rng.uniform(0.15, 0.4)
    if style in ("ends", "back"):
        lean = rng.uniform(0, 0.25)
        side = _cushion((x, -depth / 2, look.lift), (half, depth / 2, rise), 0.4 * wall)
        side = side.transform(np.array([[1, 0, lean, -lean * look.lift], [0, 1, 0, 0], [0, 0, 1, 0]]))
        parts.append(_both(side) if style == "ends" or chance(rng, 0.6) else side)
    if style == "back":
        path = np.column_stack([np.linspace(-half, half, 31), np.full(31, (depth - wall) / 2)])
        tops = rise + rng.uniform(0, 0.1) + _crest(rng, 0.4)(np.linspace(-1, 1, 31))
        parts.append(_swept(path, wall / 2, look.lift, tops, 0.45 * wall))
    if style == "bolsters" or chance(rng, 0.5):
        rolls = _bolsters(seat, x, rng.uniform(0.08, 0.11), depth)
        single = Solid.hull_points(_rod(1, 0.47 * depth, (x - 0.1, seat + 0.08), 0.1, 0.03))
        parts += rolls if style != "bolsters" or chance(rng, 0.4) else [single]
    feet = {**FEET, "cabriole": 0.06}
    return union([*parts, *_feet(rng, look, [(-half, half, -depth / 2, depth / 2)], pick(rng, **feet))])


def _lounge(rng: Rng) -> Solid:
    """Make soft floor seats without a frame: seat and back are one bent slab, smooth or ribbed."""
    count = int(rng.choice([2, 2, 3, 3, 4]))
    each = rng.uniform(0.6, 0.85) if count < 4 else 0.6
    thick, low = rng.uniform(0.12, 0.18), rng.uniform(0.16, 0.22)
    depth, rise = rng.uniform(0.42, 0.5), rng.uniform(0.3, 0.46)
    knots = np.array([
        (-depth, low, thick), (-0.1, low - 0.01, thick), (0.5 * depth, low + 0.03, 1.05 * thick),
        (0.85 * depth, low + 0.5 * rise, 0.95 * thick), (depth, low + rise, 0.75 * thick),
    ])  # fmt: skip
    ribs = chance(rng, 0.4)
    steps = int(rng.integers(7, 10)) if ribs else 7
    course = np.column_stack([np.interp(np.linspace(0, 4, steps), np.arange(5), column) for column in knots.T])
    core = course * [1, 1, 0.8 if ribs else 1.0]
    seat = _ribbon(0, each / 2 + 0.01, [tuple(c) for c in core], 0.08)
    if ribs:
        for y, z, r in course:
            seat += Solid.hull_points(_rod(0, each / 2 + 0.015, (y, z), min(r, 0.15), 0.07))
    block = _cushion((-each / 2, -depth, 0), (each / 2, 0.8 * depth, low + 0.02), 0.06)
    seat += block
    parts = [seat.translate(((i - (count - 1) / 2) * each, 0, 0)) for i in range(count)]
    if chance(rng, 0.3):
        x = count * each / 2
        arm = _cushion((x - 0.03, -depth, 0), (x + 0.22, 0.9 * depth, low + thick + 0.16), 0.1, 0.02)
        parts.append(_both(arm))
    return union(parts).trim_by_plane((0, 0, 1), 0.02)


def _plump(rng: Rng) -> Solid:
    """Make an overstuffed sofa: fat rolls and cushions down to the floor."""
    half, depth, low = log(rng, 0.6, 1.15), rng.uniform(0.92, 1.1), rng.uniform(0.14, 0.22)
    seat, top, thick = low + rng.uniform(0.16, 0.24), rng.uniform(0.66, 0.92), rng.uniform(0.22, 0.32)
    edge, puff = rng.uniform(0.08, 0.125), rng.uniform(0.02, 0.06)
    front, rear = -depth / 2, depth / 2
    parts = [_cushion((0.02 - half, front + 0.06, 0), (half - 0.02, rear - 0.05, low + 0.1), 0.05)]
    cells = _cells(rng, 2 * half)
    lap = 0.16 * edge
    rows = int(rng.choice([1, 1, 2, 3]))
    levels = np.linspace(low + 0.06, top, rows + 1)
    lean = rng.uniform(0, 0.2)
    for a, b in pairwise(cells):
        parts.append(_cushion((a - lap, front, low - 0.05), (b + lap, rear - 0.6 * thick, seat), edge, puff))
        for z0, z1 in pairwise(levels):
            roll = _cushion((a - lap, rear - thick, z0 - lap), (b + lap, rear, z1 + lap), edge, puff)
            parts.append(_leaned(roll, lean, low))
    style = pick(rng, block=0.35, rolls=0.35, none=0.3)
    rest = seat + rng.uniform(0.08, 0.22)
    levels = np.linspace(0, rest, 1 + (2 if style == "rolls" else 1))
    if style != "none":
        for z0, z1 in pairwise(levels):
            at = (half - 2 * lap, front + 0.03, z0), (half + 0.9 * thick, rear - 0.05, z1 + lap)
            parts.append(_both(_cushion(*at, edge, puff)))
    return union(parts).trim_by_plane((0, 0, 1), 0.03)


def _lounger(rng: Rng) -> Solid:
    """Make a chaise longue that faces forward: a bent slab on legs or a plinth."""
    wide, thick = rng.uniform(0.28, 0.38), rng.uniform(0.05, 0.09)
    seat, lift = rng.uniform(0.3, 0.4), rng.uniform(0.12, 0.2)
    tall, wave = rng.uniform(0.3, 0.5), rng.uniform(0.0, 0.12)
    y = np.linspace(-0.85, 0.75, 15)
    back = np.clip((y - 0.15) / 0.6, 0, 1)
    z = seat - thick + tall * back**1.3 + wave * np.sin(np.pi * np.clip((y + 0.85) / 1.0, 0, 1)) - 0.2 * wave
    course = list(zip(y, z, np.full(15, thick), strict=True))
    parts = [_ribbon(0, wide, course, 0.04)]
    top = float(z[0])
    parts.append(_cushion((-0.9 * wide, -0.75, lift), (0.9 * wide, 0.5, top), 0.02))
    look = replace(_look(rng, 1.7), lift=lift)
    if chance(rng, 0.3):
        arm = _cushion((wide - 0.02, -0.2, lift), (wide + 0.12, 0.55, seat + 0.2), 0.05)
        parts.append(arm if chance(rng, 0.5) else arm.mirror((1, 0, 0)))
    rects = [(-0.9 * wide, 0.9 * wide, -0.75, 0.5)]
    return union([*parts, *_feet(rng, look, rects, pick(rng, taper=0.35, splayed=0.2, block=0.2, plinth=0.25))])


# Weight, builder.
KINDS: tuple[tuple[float, Callable[[Rng], Solid]], ...] = (
    (0.36, lambda rng: _seats(rng, "aa")),
    (0.04, lambda rng: _seats(rng, "nn")),
    (0.07, lambda rng: _seats(rng, "ac")),
    (0.07, lambda rng: _seats(rng, "ar")),
    (0.01, lambda rng: _seats(rng, "cc")),
    (0.02, lambda rng: _seats(rng, "rr")),
    (0.12, _walled),
    (0.05, _curved),
    (0.07, _wooden),
    (0.02, _tubular),
    (0.04, _settee),
    (0.04, _recamier),
    (0.03, _daybed),
    (0.03, _lounge),
    (0.03, _plump),
    (0.02, _lounger),
)
