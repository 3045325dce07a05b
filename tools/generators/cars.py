"""Varied closed parametric cars, to train and test a shape prior.

They are drawn in metres, nose at y = 0, and made about 1 long at last. Frame: +Z up, the bonnet towards -Y,
the wheels on z = 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import manifold3d as m3
import numpy as np

from .carbody import (
    Car,
    Glass,
    cabin_solid,
    case,
    draw,
    glazed,
    lower_body,
    on_wheels,
    opened,
    rounded,
    symmetric,
    wells,
    wheel_solid,
)
from .solids import (
    Array,
    Range,
    Rng,
    Solid,
    both,
    box,
    chance,
    ellipsoid,
    make_sound,
    pick,
    placed,
    plate,
    prism,
    rod,
    union,
    weighted,
)


def make_car(seed: int) -> tuple[Array, Array]:
    """Make one car: vertices (V, 3) and faces (F, 3), as `make_sound` describes them."""
    return make_sound(seed, _build)


def _build(rng: Rng) -> Solid:
    kind = KINDS[weighted(rng, [kind.weight for kind in KINDS])]
    return placed(kind.build(rng, kind))


@dataclass(frozen=True)
class Kind:
    """How often a kind is made, by what, in which ranges of `Car`'s sizes, and the chances of what is optional."""

    weight: float
    build: Callable[[Rng, "Kind"], Solid]
    ranges: Mapping[str, Range] = field(default_factory=dict)
    extras: Mapping[str, float] = field(default_factory=dict)


def _top(rng: Rng, kind: Kind, car: Car) -> Solid:
    """Return the closed cabin."""
    return glazed(car, _glass(rng, kind, car)) if chance(rng, kind.extras.get("windows", 0.92)) else cabin_solid(car)


def _glass(rng: Rng, kind: Kind, car: Car) -> Glass:
    """Draw the windows of two or four doors, with or without pillars and a broad pillar behind."""
    head, rear = float(car.lid_line[3, 0]), car.boot * car.length - 0.3
    if chance(rng, kind.extras.get("two_door", 0.2)):
        posts = [head + rng.uniform(0.5, 0.8) * (rear - head)]
    else:
        step = rng.uniform(0.75, 0.95)
        posts = list(np.arange(head + step, rear, step + 0.05))
    if not chance(rng, kind.extras.get("rear_window", 1)):
        return Glass(posts, posts[0], rear=False)
    stop, lean, rise = rear - rng.uniform(0.05, 0.35) * (rear - head), rng.uniform(-0.45, 0.15), rng.uniform(0.15, 0.45)
    return Glass(
        [] if chance(rng, 0.2) else posts,
        *((stop, lean) if chance(rng, 0.45) else (car.length, 0.0)),
        rise if chance(rng, 0.4) else 0.0,
    )


def _closed(rng: Rng, kind: Kind) -> Solid:
    """Make a car with a closed cabin."""
    car = draw(rng, kind.ranges)
    lower = lower_body(car)
    solid = on_wheels(rng, car, lower + _top(rng, kind, car))
    return union([solid, *_extras(rng, kind, car, lower)])


def _pickup(rng: Rng, kind: Kind) -> Solid:
    """Make a car with an open bed behind the cabin."""
    car = draw(rng, kind.ranges)
    lower = lower_body(car)
    wall, start, stop = 1.1 * car.thin, car.boot * car.length + 0.12, car.length - car.rear_lean
    half, floor = car.width / 2 - 0.03 - wall, rng.uniform(0.55, 0.7) * car.deck * car.height
    bed = box((-half, start, floor), (half, stop - wall, car.height))
    solid = on_wheels(rng, car, (lower - (bed - wells(car, car.axles[1:]))) + _top(rng, kind, car))
    if chance(rng, kind.extras["canopy"]):
        rise = rng.uniform(0.75, 1.0) * (car.drop - car.deck) * car.height
        solid += case(half + wall - 0.02, start, stop - 0.05, floor, car.deck * car.height + rise, 0.1)
    elif chance(rng, kind.extras["bar"]):
        hoop = box((-half - 0.02, start, floor), (half + 0.02, start + wall, 0.93 * car.height))
        hole = box((wall - half, 0, floor), (half - wall, car.length, 0.93 * car.height - wall))
        solid += hoop - hole
    return union([solid, *_extras(rng, kind, car, lower)])


def _convertible(rng: Rng, kind: Kind) -> Solid:
    """Make a car without a roof."""
    car = draw(rng, kind.ranges)
    lower = lower_body(car)
    solid = on_wheels(rng, car, opened(rng, car, lower, rows=1 + chance(rng, kind.extras["rows"])))
    return union([solid, *_extras(rng, kind, car, lower)])


def _fendered(rng: Rng, kind: Kind) -> Solid:
    """Make a car whose fenders and headlamps bulge out of a narrower body."""
    car = draw(rng, kind.ranges)
    lower = lower_body(car)
    deep, high, bulges = rng.uniform(1.6, 2.1) * car.wheel, 2 * car.wheel + 2.2 * car.thin, []
    for y, long in zip(car.axles, (1.0, rng.uniform(1.05, 1.3)), strict=True):
        centre = (float(car.half(y)) - 0.06, y + (long - 1) * deep, car.wheel)
        bulge = ellipsoid(centre, (1.3 * car.tyre, deep * long, high - car.wheel))
        bulges.append(bulge.trim_by_plane((0, 0, 1), car.clear + 0.05))
    spot = (float(car.half(car.axles[0])) - 0.04, car.axles[0] - 0.66 * deep, car.wheel + 0.64 * (high - car.wheel))
    shell = union([lower, both(*bulges, ellipsoid(spot, (0.13, 0.169, 0.13), 12)), _top(rng, kind, car)])
    solid = on_wheels(rng, car, shell, 0.9 * car.tyre)
    return union([solid, *_extras(rng, kind, car, lower)])


def _truck(rng: Rng, kind: Kind) -> Solid:
    """Make a lorry: a cabin, a chassis, and what it carries."""
    car = draw(rng, kind.ranges)
    back, deck = car.boot * car.length, car.deck * car.height
    narrow = box((0.42, back + 0.1, 0), (9, 99, deck - 1.2 * car.thin))
    lower = lower_body(car) - both(narrow)
    solid = on_wheels(rng, car, lower + _top(rng, kind, car))
    start, half, low = back + rng.uniform(0.1, 0.2) + car.thin, car.width / 2, deck - car.thin
    load = pick(rng, box=0.55, tub=0.25, tank=0.2)
    if load == "box":
        cargo = case(half, start, car.length, low, rng.uniform(0.9, 1.35) * car.height, 0.08)
    elif load == "tub":
        high = deck + rng.uniform(0.3, 0.9)
        wall = 1.1 * car.thin
        cargo = box((-half, start, low), (half, car.length, high))
        cargo -= box((wall - half, start + wall, deck), (half - wall, car.length - wall, high + 1))
    else:
        rise = rng.uniform(0.55, 0.75)
        drum = Solid.cylinder(car.length - start, 1, circular_segments=40).rotate((-90, 0, 0))
        cargo = drum.scale((0.92 * half, 1, rise)).translate((0, start, deck + rise - 0.12))
    return union([solid, cargo, *_extras(rng, kind, car, lower)])


def _vintage(rng: Rng, kind: Kind) -> Solid:
    """Make a car with a narrow body between swept fenders and running boards."""
    car = draw(rng, kind.ranges)
    lower = lower_body(car)
    if chance(rng, kind.extras["open"]):
        parts = [opened(rng, car, lower, rows=1 + chance(rng, kind.extras["rows"]))]
    else:
        parts = [lower, _top(rng, kind, car)]
    thick, (front, rear), r = 1.15 * car.thin, car.axles, car.wheel
    outer = car.width / 2 + car.thin + car.tyre
    parts.append(both(box((0, front, r - 0.06), (0.3, rear, r + 0.1))))
    if not chance(rng, kind.extras["bare"]):
        arc, step = r + car.thin + thick / 2, 0.8 * r
        angles = np.radians(np.linspace(10, 135, 12))
        start = np.column_stack([front - arc * np.cos(angles), r + arc * np.sin(angles)])
        angles = np.radians(np.linspace(35, 170, 12))
        stop = np.column_stack([rear - arc * np.cos(angles), r + arc * np.sin(angles)])
        board = [(front + 1.55 * arc, step), (rear - 1.35 * arc, step)]
        line = rounded(np.vstack([start, board, stop]), 0.9, 3)
        line = np.vstack([line, np.add(line[::-1], (0, 1e-3))])
        strip = m3.CrossSection([line]).offset(thick / 2, m3.JoinType.Round)
        parts.append(both(plate(strip, "x", outer / 2 + 0.115, outer - 0.17)))
        lamp, z = 1.3 * car.thin, 0.85 * car.nose * car.height
        spot = (0.9 * outer * 0.62, 0.3 * front, z)
        parts.append(both(ellipsoid(spot, (lamp, lamp, lamp), 12), rod([(0, front * 0.5, z), spot], 0.6 * car.thin)))
    parts.append(wheel_solid(0.9 * r, 0.3, 0.03).rotate((0, 0, 90)).translate((0, car.length, 0.42 * car.height)))
    return on_wheels(rng, car, union(parts), outer + 0.05 - car.width / 2)


def _jeep(rng: Rng, kind: Kind) -> Solid:
    """Make a jeep: a box, a narrow bonnet between flat fenders, open or with a hard top."""
    car = draw(rng, kind.ranges)
    hood, belt, w = car.hood * car.length, car.cowl * car.height, car.width / 2 - 0.03
    over = 2 * car.wheel + car.thin
    parts = [
        case(w, hood - 0.05, car.length, car.clear, belt, 0.06),
        case(0.56 * w, 0.1, hood, car.clear, belt - 0.02, 0.08),
        box((-w, car.front * car.length - 1.25 * car.wheel, over), (w, hood, over + 1.3 * car.thin)),
        box((-0.9 * w, 0, 0.5), (0.9 * w, 0.25, 0.65)),
    ]
    lower = union(parts)
    if chance(rng, kind.extras["open"]):
        solid = opened(rng, car, lower, rows=1 + chance(rng, 0.5))
        y, thick, high = car.length * rng.uniform(0.72, 0.8), 1.1 * car.thin, 0.98 * car.height
        hoop = box((-w + 0.02, y, 0.6), (w - 0.02, y + thick, high))
        solid += hoop - box((thick + 0.02 - w, 0, 0), (w - 0.02 - thick, 99, high - thick))
    else:
        solid = lower + _top(rng, kind, car)
    return union([on_wheels(rng, car, solid), *_extras(rng, kind, car, lower)])


def _formula(rng: Rng, kind: Kind) -> Solid:
    """Make a single-seater with open wheels, of today or, without wings, of the sixties."""
    modern = chance(rng, 0.75)
    front, rear, long = rng.uniform(0.95, 1.1), rng.uniform(3.7, 4.1), rng.uniform(4.6, 4.9)
    r, tyre, wide = rng.uniform(0.31, 0.35), rng.uniform(0.24, 0.36), rng.uniform(0.8, 0.95)
    thin, low = 0.11, rng.uniform(0.1, 0.14)
    seat = rng.uniform(0.45, 0.52) * long
    ys = np.array([0.1, front, seat - 0.5, seat + 0.4, rear - 0.4, long - 0.2])
    widths = np.array([0.12, 0.22, 0.38, 0.42, 0.28, 0.16]) * rng.uniform(0.9, 1.1)
    tops = np.array([0.36, 0.52, 0.68, 0.74, 0.66, 0.5])
    parts = [_pod(ys, widths, np.full(6, low), tops) - ellipsoid((0, seat, 0.72), (0.29, 0.5, 0.36), 28)]
    parts.append(rod([(0, seat + 0.08, 0.3), (0, seat + 0.08, 0.78)], 0.15))
    for y, size in ((front, r), (rear, r * 1.04)):
        wheel = wheel_solid(size, tyre * size / r, 0.07).translate((wide - tyre / 2, y, size))
        hub = (wide - tyre / 2, y, size)
        arms = [rod([(0, at, z), hub], 0.06) for at, z in ((y, size), (y + (0.45 if y == front else -0.45), 0.4))]
        parts.append(both(wheel, *arms))
    if modern:
        pods = np.array([seat - 0.15, seat + 0.2, rear - 0.9, rear - 0.45])
        parts.append(_pod(pods, np.array([0.66, 0.72, 0.6, 0.3]), np.full(4, low), np.array([0.48, 0.5, 0.46, 0.4])))
        tail = np.array([seat + 0.38, seat + 0.75, rear - 0.2])
        parts.append(_pod(tail, np.array([0.16, 0.16, 0.08]), np.full(3, 0.3), np.array([0.98, 0.95, 0.62])))
        parts += [box((-wide, -0.05, 0.08), (wide, 0.33, 0.2)), box((-0.1, 0.05, 0.1), (0.1, 0.4, 0.32))]
        parts.append(both(box((wide - thin, -0.05, 0.08), (wide, 0.4, 0.34))))
        height = rng.uniform(0.8, 1.0)
        parts.append(both(box((0.5 - thin, long - 0.35, 0.35), (0.5, long + 0.1, height))))
        parts.append(box((-0.5, long - 0.3, height - 0.12), (0.5, long + 0.1, height)))
        parts.append(box((-0.5, long - 0.3, 0.35), (0.5, long - 0.05, 0.47)))
    return union(parts)


def _pod(ys: Array, widths: Array, lows: Array, highs: Array) -> Solid:
    """Return a smooth rounded hull along y."""
    at = np.linspace(ys[0], ys[-1], 28)
    w, low, high = (np.interp(at, *rounded(np.column_stack([ys, v]), 0.9).T) for v in (widths, lows, highs))
    zero, deep = np.zeros_like(w), high - low
    right = [(zero, low), (0.9 * w, low), (w, low + 0.4 * deep), (0.75 * w, high - 0.02 * deep), (zero, high)]
    return symmetric(at, rounded(np.stack([np.stack(p, -1) for p in right], 1), np.array([0.6, 0.8, 0.9])), 0.1, 0.0)


def _extras(rng: Rng, kind: Kind, car: Car, lower: Solid) -> list[Solid]:
    """Return mirrors, bumpers, wings and the like, as the kind has them."""
    return [part(rng, car, lower) for name, part in EXTRAS.items() if chance(rng, kind.extras.get(name, 0))]


def _mirrors(rng: Rng, car: Car, lower: Solid) -> Solid:
    y = car.hood * car.length + 0.35 * car.screen * (1 - car.cowl) * car.height
    out = float(car.half(y)) - car.inset + 0.4 * car.thin
    centre = (out, y, float(car.deck_at(y)) + 0.6 * car.thin)
    return both(ellipsoid(centre, (1.3 * car.thin, 0.7 * car.thin, 0.85 * car.thin), 12))


def _bumpers(rng: Rng, car: Car, lower: Solid) -> Solid:
    z, deep = rng.uniform(0.4, 0.5) * car.nose * car.height + 0.12, max(car.thin, rng.uniform(0.1, 0.2))
    ring = lower.slice(z).offset(0.08, m3.JoinType.Round)
    gap = car.wheel + car.thin
    return prism(ring, z - deep / 2, z + deep / 2) - box((-9, car.axles[0] - gap, 0), (9, car.axles[1] + gap, 9))


def _sills(rng: Rng, car: Car, lower: Solid) -> Solid:
    ring = lower.slice(car.clear + 0.1).offset(rng.uniform(0.06, 0.14), m3.JoinType.Round)
    low, gap = car.clear + 0.02, car.wheel + car.thin
    return prism(ring, low, low + car.thin) ^ box((-9, car.axles[0] + gap, 0), (9, car.axles[1] - gap, 9))


def _wing(rng: Rng, car: Car, lower: Solid) -> Solid:
    chord, thick = rng.uniform(0.26, 0.36), 1.1 * car.thin
    y = car.length - rng.uniform(0.2, 0.3)
    z = float(car.deck_at(y)) + rng.uniform(1.2, 3.0) * car.thin
    half = car.width / 2 * rng.uniform(0.75, 0.92)
    blade = box((-half, y - chord / 2, z), (half, y + chord / 2, z + thick))
    strut = box((0.6 * half, y - 0.12, 0.6 * z), (0.6 * half + car.thin, y + 0.08, z + thick / 2))
    return blade + both(strut)


def _lip(rng: Rng, car: Car, lower: Solid) -> Solid:
    """Return a spoiler that goes on from the roof, or from the boot's edge."""
    y, z = car.lid_line[-4]
    half, thick = 0.75 * car.width / 2, 1.1 * car.thin
    if y < 0.8 * car.length:
        y, z = car.length - car.rear_lean - 0.12, car.tail * car.height + 0.4 * thick
    profile = np.array([(y - 0.25, z - thick), (y + 0.2, z - 0.6 * thick), (y + 0.2, z + 0.4 * thick), (y - 0.25, z)])
    return plate(profile, "x", 0, 2 * half)


def _rack(rng: Rng, car: Car, lower: Solid) -> Solid:
    """Return roof rails or a roof box, lying on the roof."""
    y0, y1 = car.lid_line[5, 0] + 0.1, car.lid_line[-5, 0] - 0.1
    y0, y1 = min(y0, y1 - 0.6), max(y1, y0 + 0.6)
    if chance(rng, 0.7):
        half = car.width / 2 - car.inset - car.tumble * (1 - car.deck) * car.height - 0.12
        rail = box((half - car.thin, y0, 0.9 * car.height), (half, y1, car.height + 0.4 * car.thin))
        return both(rail)
    return case(0.4, y0, y1, 0.95 * car.height, car.height + rng.uniform(0.2, 0.35), 0.1)


def _sign(rng: Rng, car: Car, lower: Solid) -> Solid:
    """Return a taxi's sign or a light bar."""
    y, half = car.lid_line[8, 0], rng.choice([0.25, 0.55])
    return case(half, y - 0.11, y + 0.11, 0.94 * car.height, car.height + rng.uniform(0.1, 0.16), 0.05)


def _spare(rng: Rng, car: Car, lower: Solid) -> Solid:
    wheel = wheel_solid(0.95 * car.wheel, 0.3, 0.03).rotate((0, 0, 90))
    return wheel.translate((0, car.length + 0.02, 0.6 * car.height))


def _fins(rng: Rng, car: Car, lower: Solid) -> Solid:
    """Return tail fins."""
    stop, rise = car.length - 0.02, rng.uniform(0.06, 0.16)
    start, z = stop - rng.uniform(0.8, 1.2), car.tail * car.height
    profile = np.array([(start, 0.8 * z), (stop - 0.1, 0.8 * z), (stop, z + rise), (start, z - 0.03)])
    return both(plate(profile, "x", 0.9 * float(car.half(stop)) - 0.05, 1.2 * car.thin))


EXTRAS: dict[str, Callable[[Rng, Car, Solid], Solid]] = {
    "mirrors": _mirrors, "bumpers": _bumpers, "sills": _sills, "wing": _wing, "lip": _lip, "rack": _rack, "sign": _sign,
    "spare": _spare, "fins": _fins,
}  # fmt: skip


SALOON: dict[str, Range] = {}
HATCH: dict[str, Range] = {
    "length": (3.6, 4.4), "width": (1.6, 1.85), "height": (1.4, 1.56), "base": (0.6, 0.65), "hood": (0.2, 0.27),
    "screen": (1.0, 1.9), "roof": (0.78, 0.88), "drop": (0.9, 0.96), "boot": (0.95, 0.98), "deck": (0.62, 0.68),
    "tail": (0.58, 0.64), "rear_lean": (0.04, 0.1), "wheel": (0.28, 0.33),
}  # fmt: skip
ESTATE = HATCH | {
    "length": (4.3, 5.0), "width": (1.7, 1.9), "roof": (0.88, 0.93), "base": (0.56, 0.6), "drop": (0.94, 0.98),
    "hood": (0.23, 0.29),
}  # fmt: skip
SQUARE = {
    "soft": (0.05, 0.15), "screen": (0.7, 1.3), "taper": (0.9, 0.97), "bow": (0.0, 0.03), "face": (0.75, 0.95),
    "lean": (0.02, 0.08), "rear_lean": (0.02, 0.08), "inset": (0.06, 0.12), "tumble": (0.2, 0.35), "flare": (0.0, 0.02),
    "height": (1.38, 1.48), "wheel": (0.29, 0.32), "cowl": (0.64, 0.69), "nose": (0.55, 0.62),
}  # fmt: skip
COUPE: dict[str, Range] = {
    "length": (4.1, 4.8), "width": (1.7, 1.92), "height": (1.25, 1.38), "hood": (0.28, 0.37), "screen": (1.3, 2.2),
    "roof": (0.58, 0.66), "drop": (0.92, 0.98), "boot": (0.82, 0.95), "clear": (0.12, 0.17), "flare": (0.0, 0.07),
    "wheel": (0.3, 0.345),
}  # fmt: skip
SUV: dict[str, Range] = {
    "length": (4.0, 5.0), "width": (1.75, 2.0), "height": (1.6, 1.85), "clear": (0.22, 0.32), "wheel": (0.34, 0.4),
    "tyre": (0.22, 0.28), "nose": (0.52, 0.6), "cowl": (0.62, 0.67), "hood": (0.22, 0.28), "screen": (0.6, 1.4),
    "roof": (0.82, 0.92), "drop": (0.92, 0.98), "boot": (0.95, 0.98), "deck": (0.62, 0.68), "tail": (0.58, 0.64),
    "rear_lean": (0.03, 0.1), "tumble": (0.15, 0.35), "soft": (0.15, 0.8), "flare": (0.0, 0.07), "face": (0.6, 0.9),
}  # fmt: skip
BOXY = SUV | {
    "length": (3.6, 4.8), "height": (1.75, 2.0), "screen": (0.1, 0.5), "soft": (0.05, 0.15), "roof": (0.93, 0.95),
    "drop": (0.97, 1.0), "tumble": (0.05, 0.15), "face": (0.8, 0.95), "lean": (0.05, 0.1), "taper": (0.9, 0.97),
    "nose": (0.58, 0.63), "cowl": (0.63, 0.67), "bow": (0.0, 0.02),
}  # fmt: skip
PICKUP = SUV | {
    "length": (4.9, 5.8), "height": (1.7, 1.95), "base": (0.57, 0.62), "front": (0.155, 0.19), "hood": (0.21, 0.27),
    "roof": (0.48, 0.64), "boot": (0.5, 0.66), "drop": (0.95, 0.99), "deck": (0.6, 0.66), "tail": (0.6, 0.66),
    "rear_lean": (0.02, 0.06), "taper": (0.85, 0.95), "screen": (0.6, 1.3), "soft": (0.1, 0.6),
}  # fmt: skip
VAN: dict[str, Range] = {
    "length": (4.3, 5.9), "width": (1.75, 2.05), "height": (1.85, 2.6), "clear": (0.18, 0.25), "wheel": (0.31, 0.36),
    "base": (0.56, 0.64), "front": (0.16, 0.19), "nose": (0.42, 0.5), "cowl": (0.5, 0.56), "hood": (0.06, 0.19),
    "screen": (0.35, 0.9), "roof": (0.94, 0.96), "drop": (0.97, 1.0), "boot": (0.97, 0.985), "deck": (0.48, 0.54),
    "tail": (0.46, 0.52), "rear_lean": (0.02, 0.05), "tumble": (0.04, 0.14), "soft": (0.1, 0.6), "lean": (0.05, 0.15),
    "taper": (0.84, 0.95), "inset": (0.02, 0.05), "face": (0.6, 0.95),
}  # fmt: skip
MINIVAN = HATCH | {
    "length": (4.2, 5.1), "height": (1.6, 1.8), "hood": (0.17, 0.23), "screen": (1.2, 2.0), "roof": (0.86, 0.93),
    "cowl": (0.6, 0.66), "nose": (0.44, 0.5), "width": (1.75, 1.95), "wheel": (0.3, 0.35), "deck": (0.56, 0.62),
}  # fmt: skip
SPORTS: dict[str, Range] = {
    "length": (4.1, 4.75), "width": (1.82, 2.05), "height": (1.08, 1.26), "clear": (0.1, 0.14), "wheel": (0.31, 0.355),
    "tyre": (0.25, 0.33), "base": (0.56, 0.61), "front": (0.19, 0.23), "nose": (0.4, 0.52), "cowl": (0.66, 0.74),
    "hood": (0.22, 0.3), "screen": (2.0, 2.8), "roof": (0.52, 0.6), "drop": (0.95, 0.99), "boot": (0.84, 0.96),
    "deck": (0.68, 0.76), "tail": (0.66, 0.74), "face": (0.2, 0.6), "lean": (0.15, 0.4), "soft": (0.4, 0.95),
    "flare": (0.02, 0.08), "bow": (0.05, 0.12), "tumble": (0.4, 0.6), "inset": (0.06, 0.14), "haunch": (1.0, 1.08),
}  # fmt: skip
WEDGE = SPORTS | {
    "soft": (0.05, 0.12),
    "nose": (0.36, 0.44),
    "face": (0.3, 0.6),
    "screen": (1.5, 2.4),
    "hood": (0.24, 0.32),
}
GT = SPORTS | {
    "height": (1.18, 1.32), "hood": (0.36, 0.44), "screen": (1.2, 1.8), "roof": (0.6, 0.68), "boot": (0.86, 0.97),
    "nose": (0.46, 0.54), "base": (0.58, 0.62), "front": (0.16, 0.2), "deck": (0.66, 0.72), "tail": (0.6, 0.68),
}  # fmt: skip
PROTOTYPE = SPORTS | {
    "length": (4.4, 4.8), "height": (0.98, 1.1), "inset": (0.3, 0.42), "hood": (0.28, 0.36), "roof": (0.52, 0.58),
    "boot": (0.9, 0.97), "nose": (0.38, 0.46), "cowl": (0.6, 0.68), "deck": (0.6, 0.68), "tail": (0.55, 0.66),
    "haunch": (1.08, 1.16), "screen": (1.4, 2.2), "clear": (0.09, 0.12),
}  # fmt: skip
OPEN = COUPE | {
    "length": (3.8, 4.7),
    "boot": (0.78, 0.84),
    "screen": (0.9, 1.6),
    "hood": (0.28, 0.36),
    "cowl": (0.64, 0.7),
}
AMERICAN: dict[str, Range] = {
    "length": (4.9, 5.7), "width": (1.9, 2.05), "height": (1.38, 1.55), "base": (0.55, 0.59), "front": (0.17, 0.2),
    "hood": (0.29, 0.34), "screen": (0.6, 1.2), "roof": (0.62, 0.68), "boot": (0.7, 0.78), "nose": (0.55, 0.63),
    "cowl": (0.65, 0.7), "tail": (0.62, 0.68), "soft": (0.15, 0.5), "taper": (0.9, 0.97), "face": (0.6, 0.9),
    "wheel": (0.32, 0.36), "lean": (0.04, 0.12), "inset": (0.08, 0.14),
}  # fmt: skip
LIMOUSINE = SALOON | {
    "length": (6.2, 8.0), "width": (1.85, 2.0), "base": (0.66, 0.7), "front": (0.13, 0.15), "hood": (0.18, 0.21),
    "roof": (0.78, 0.83), "boot": (0.87, 0.91), "wheel": (0.33, 0.36), "height": (1.45, 1.6), "screen": (0.9, 1.5),
}  # fmt: skip
MICRO = HATCH | {
    "length": (2.6, 3.3), "width": (1.45, 1.66), "height": (1.4, 1.6), "base": (0.62, 0.66), "front": (0.17, 0.18),
    "wheel": (0.26, 0.29), "tyre": (0.17, 0.2), "hood": (0.15, 0.24), "cowl": (0.58, 0.66), "nose": (0.45, 0.55),
    "clear": (0.16, 0.2), "soft": (0.4, 0.95), "bow": (0.05, 0.1),
}  # fmt: skip
ROUND: dict[str, Range] = {
    "length": (3.4, 4.6), "width": (1.4, 1.62), "height": (1.48, 1.62), "clear": (0.2, 0.25), "wheel": (0.32, 0.36),
    "tyre": (0.17, 0.2), "nose": (0.46, 0.56), "cowl": (0.6, 0.66), "hood": (0.28, 0.35), "screen": (0.4, 0.9),
    "roof": (0.58, 0.68), "drop": (0.9, 0.96), "boot": (0.86, 0.97), "deck": (0.52, 0.6), "tail": (0.45, 0.53),
    "soft": (0.85, 0.95), "taper": (0.6, 0.75), "tumble": (0.2, 0.4), "lean": (0.1, 0.3), "face": (0.4, 0.7),
    "flare": (0.0, 0.0), "inset": (0.02, 0.06),
}  # fmt: skip
FENDERED = ROUND | {"width": (1.36, 1.5), "taper": (0.5, 0.65)}
TRUCK = VAN | {
    "length": (5.2, 7.5), "width": (2.0, 2.3), "height": (2.2, 2.7), "wheel": (0.38, 0.46), "tyre": (0.25, 0.32),
    "base": (0.56, 0.62), "front": (0.14, 0.17), "hood": (0.04, 0.15), "nose": (0.42, 0.47), "cowl": (0.5, 0.54),
    "screen": (0.15, 0.5), "boot": (0.3, 0.36), "roof": (0.3, 0.36), "deck": (0.46, 0.49), "tail": (0.46, 0.49),
    "clear": (0.3, 0.4),
}  # fmt: skip
VINTAGE: dict[str, Range] = {
    "length": (3.5, 4.6), "width": (1.15, 1.32), "height": (1.62, 1.85), "clear": (0.26, 0.3), "wheel": (0.36, 0.43),
    "tyre": (0.13, 0.17), "base": (0.6, 0.66), "front": (0.16, 0.19), "nose": (0.56, 0.62), "cowl": (0.6, 0.66),
    "hood": (0.34, 0.42), "screen": (0.05, 0.35), "roof": (0.76, 0.88), "drop": (0.92, 0.98), "boot": (0.84, 0.95),
    "deck": (0.58, 0.64), "tail": (0.42, 0.58), "face": (0.75, 0.95), "lean": (0.02, 0.06), "soft": (0.1, 0.6),
    "taper": (0.42, 0.6), "bow": (0.0, 0.01), "tumble": (0.02, 0.12), "inset": (0.01, 0.03), "flare": (0.0, 0.0),
    "haunch": (0.0, 0.0),
}  # fmt: skip
ROADSTER = VINTAGE | {
    "length": (3.3, 4.1), "height": (1.2, 1.36), "wheel": (0.3, 0.35), "nose": (0.62, 0.68), "cowl": (0.66, 0.72),
    "clear": (0.18, 0.22), "screen": (0.2, 0.5), "hood": (0.4, 0.48), "boot": (0.78, 0.84), "deck": (0.6, 0.66),
    "width": (1.1, 1.22),
}  # fmt: skip
JEEP = BOXY | {
    "length": (3.3, 4.1), "width": (1.5, 1.7), "height": (1.65, 1.85), "wheel": (0.34, 0.4), "hood": (0.34, 0.4),
    "screen": (0.1, 0.4), "nose": (0.57, 0.6), "cowl": (0.58, 0.61), "deck": (0.58, 0.61), "taper": (0.97, 1.0),
    "front": (0.17, 0.2), "base": (0.58, 0.62), "clear": (0.26, 0.32), "flare": (0.0, 0.0), "boot": (0.97, 0.98),
}  # fmt: skip

KINDS = (
    Kind(0.06, _closed, SALOON | SQUARE, {"bumpers": 0.6, "sign": 0.15, "mirrors": 0.2}),
    Kind(0.03, _closed, ESTATE | SQUARE, {"bumpers": 0.6, "rack": 0.3, "mirrors": 0.2}),
    Kind(0.04, _closed, HATCH | SQUARE, {"bumpers": 0.5, "two_door": 0.6, "mirrors": 0.2}),
    Kind(0.10, _closed, SALOON, {"mirrors": 0.35, "lip": 0.12, "sign": 0.08, "bumpers": 0.15}),
    Kind(0.08, _closed, HATCH, {"mirrors": 0.35, "lip": 0.3, "two_door": 0.5, "bumpers": 0.1}),
    Kind(0.04, _closed, ESTATE, {"two_door": 0, "mirrors": 0.35, "rack": 0.4, "bumpers": 0.15}),
    Kind(0.07, _closed, COUPE, {"mirrors": 0.35, "lip": 0.2, "wing": 0.15, "two_door": 1}),
    Kind(0.07, _convertible, OPEN, {"mirrors": 0.3, "rows": 0.4, "bumpers": 0.2}),
    Kind(0.08, _closed, SUV, {"two_door": 0, "mirrors": 0.35, "rack": 0.35, "sills": 0.25, "lip": 0.2}),
    Kind(0.04, _closed, BOXY, {"windows": 0.85, "rack": 0.25, "sills": 0.3, "spare": 0.5, "bumpers": 0.6}),
    Kind(0.06, _pickup, PICKUP, {"canopy": 0.12, "bar": 0.2, "mirrors": 0.4, "bumpers": 0.4, "sills": 0.3}),
    Kind(
        0.05,
        _closed,
        VAN,
        {"two_door": 0, "windows": 0.85, "rear_window": 0.6, "mirrors": 0.4, "bumpers": 0.2, "rack": 0.1},
    ),
    Kind(0.04, _closed, MINIVAN, {"two_door": 0, "windows": 0.75, "mirrors": 0.35, "rack": 0.2}),
    Kind(0.05, _closed, SPORTS, {"mirrors": 0.3, "wing": 0.3, "two_door": 1}),
    Kind(0.02, _closed, WEDGE, {"mirrors": 0.2, "wing": 0.3, "two_door": 1}),
    Kind(0.03, _closed, GT, {"mirrors": 0.3, "lip": 0.2, "two_door": 1}),
    Kind(0.02, _closed, PROTOTYPE, {"wing": 0.9, "two_door": 1}),
    Kind(0.03, _closed, AMERICAN, {"bumpers": 0.8, "fins": 0.5, "two_door": 0.5}),
    Kind(0.02, _closed, LIMOUSINE, {"two_door": 0, "windows": 0.8, "mirrors": 0.2}),
    Kind(0.03, _closed, MICRO, {"two_door": 1, "mirrors": 0.3}),
    Kind(0.02, _closed, ROUND, {"two_door": 0.7, "bumpers": 0.6}),
    Kind(0.03, _fendered, FENDERED, {"two_door": 0.7, "bumpers": 0.5}),
    Kind(0.03, _truck, TRUCK, {"windows": 0.8, "mirrors": 0.3, "bumpers": 0.4}),
    Kind(0.03, _vintage, VINTAGE, {"open": 0.3, "rows": 0.8, "bare": 0.15, "two_door": 0.5, "windows": 0.75}),
    Kind(0.02, _vintage, ROADSTER, {"open": 0.9, "rows": 0.0, "bare": 0.1, "two_door": 1}),
    Kind(0.03, _jeep, JEEP, {"open": 0.5, "spare": 0.8, "windows": 0.8}),
    Kind(0.025, _formula),
)
