"""What the generator of cars builds from: the sizes of a car, its body, cabin, windows, wheels and open tub.

Cars are drawn in metres, nose at y = 0. Frame: +Z up, the bonnet towards -Y, the wheels on z = 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import manifold3d as m3
import numpy as np

from .solids import (
    THIN,
    Array,
    Range,
    Rng,
    Solid,
    both,
    chance,
    cornered,
    ellipsoid,
    plate,
    prism,
    rectangle,
    rod,
    skin,
    union,
    unit,
)


@dataclass(frozen=True)
class Car:
    """Sizes of a car: metres, but places along it are shares of `length`, heights of edges shares of `height`.

    `front` and `base` place the axles; `nose`, `cowl`, `deck` and `tail` are the heights of the bonnet's two ends and
    of the boot's; `hood`, `roof` and `boot` are the places where bonnet, roof and rear window end; `drop` is the height
    of the roof's rear end; `screen` is the windscreen's run by its rise; `face` is how blunt nose and tail are; `taper`
    is the width of the nose; `haunch` says how far fenders rise over the wheels.
    """

    length: float
    width: float
    height: float
    clear: float
    base: float
    front: float
    wheel: float
    tyre: float
    nose: float
    cowl: float
    hood: float
    screen: float
    roof: float
    drop: float
    boot: float
    deck: float
    tail: float
    face: float
    lean: float
    rear_lean: float
    soft: float
    taper: float
    bow: float
    tumble: float
    inset: float
    flare: float
    haunch: float

    @property
    def thin(self) -> float:
        """The thinnest part and the narrowest gap."""
        return 1.06 * THIN * self.length

    @property
    def axles(self) -> tuple[float, float]:
        """Places of the front and the rear axle."""
        return self.front * self.length, (self.front + self.base) * self.length

    @cached_property
    def deck_line(self) -> Array:
        """Top of the lower body in the side view: (y, z) from nose to tail."""
        size, h = self.length, self.height
        low = self.clear + 0.1
        boot = min(self.boot * size, size - self.rear_lean - 0.08)
        points = [
            (0, low + self.face * (self.nose * h - low)),
            (self.lean, self.nose * h),
            (self.hood * size, self.cowl * h),
            (boot, self.deck * h),
            (size - self.rear_lean, self.tail * h),
            (size, low + self.face * (self.tail * h - low)),
        ]
        return rounded(np.array(points), self.soft)

    @cached_property
    def lid_line(self) -> Array:
        """Top of the cabin in the side view, both ends sunk into the lower body."""
        size, h = self.length, self.height
        cowl, boot = np.array((self.hood * size, self.cowl * h)), np.array((self.boot * size, self.deck * h))
        head = cowl + (0.96 * h - cowl[1]) * np.array((self.screen, 1))
        rear = np.array((min(max(self.roof * size, head[0] + 0.3), boot[0] - 0.03), self.drop * h))
        peak = np.array((0.55 * head[0] + 0.45 * rear[0], 1.015 * h))
        front, back = (0.12 / (top[1] - foot[1]) for top, foot in ((head, cowl), (rear, boot)))
        points = [cowl + front * (cowl - head), head, peak, rear, boot + min(back, 0.35) * (boot - rear)]
        return rounded(np.array(points), np.array([0.75 * self.soft, 0.9, 0.75 * self.soft]))

    def deck_at(self, y: Array | float) -> Array:
        """Heights of the lower body's top."""
        return np.interp(y, *self.deck_line.T)

    def half(self, y: Array | float) -> Array:
        """Half-widths in the plan."""
        size, w = self.length, self.width / 2
        a, b = self.axles
        tail = (0.35 + 0.65 * self.taper) * w
        points = [(0, self.taper * w), (0.7 * a, w), ((a + b) / 2, w), (0.4 * b + 0.6 * size, w), (size, tail)]
        return np.interp(y, *rounded(np.array(points), 0.9).T)

    def swell(self, y: Array) -> Array:
        """Return 1 over the axles and 0 away from them."""
        return sum(np.exp(-(((y - axle) / (1.25 * self.wheel)) ** 4)) for axle in self.axles)


USUAL: dict[str, Range] = {
    "length": (4.1, 5.1), "width": (1.68, 1.95), "height": (1.36, 1.5), "clear": (0.15, 0.21), "base": (0.57, 0.62),
    "front": (0.165, 0.205), "wheel": (0.29, 0.345), "tyre": (0.19, 0.25), "nose": (0.46, 0.53), "cowl": (0.62, 0.68),
    "hood": (0.23, 0.3), "screen": (1.0, 1.9), "roof": (0.64, 0.72), "drop": (0.93, 0.97), "boot": (0.82, 0.9),
    "deck": (0.64, 0.7), "tail": (0.6, 0.67), "face": (0.4, 0.8), "lean": (0.08, 0.3), "rear_lean": (0.05, 0.25),
    "soft": (0.1, 0.9), "taper": (0.72, 0.9), "bow": (0.03, 0.09), "tumble": (0.2, 0.42), "inset": (0.03, 0.1),
    "flare": (0.0, 0.05), "haunch": (1.0, 1.0),
}  # fmt: skip
BY_SIZE = ("length", "width", "height", "wheel", "tyre", "clear")


def draw(rng: Rng, ranges: Mapping[str, Range]) -> Car:
    """Draw a car's sizes; those that grow with the car go together."""
    size = rng.random()
    values = {}
    for name, usual in USUAL.items():
        low, high = ranges.get(name, usual)
        share = rng.random()
        values[name] = low + (high - low) * (0.7 * size + 0.3 * share if name in BY_SIZE else share)
    return Car(**values)


def rounded(points: Array, soft: float | Array, steps: int = 5) -> Array:
    """Round the corners of open polylines of shape (..., N, 2): near 0 they stay, near 1 a smooth curve comes out."""
    ends = np.expand_dims(np.clip(soft, 0.05, 0.95), -1) / 2
    corner = points[..., 1:-1, :]
    start, stop = corner + ends * (points[..., :-2, :] - corner), corner + ends * (points[..., 2:, :] - corner)
    t = np.linspace(0, 1, steps)[:, None]
    start, corner, stop = (p[..., None, :] for p in (start, corner, stop))
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * stop
    curve = curve.reshape(*points.shape[:-2], -1, 2)
    return np.concatenate([points[..., :1, :], curve, points[..., -1:, :]], -2)


def symmetric(ys: Array, halves: Array, dome: float, bow: float) -> Solid:
    """Skin left-right symmetric sections that stand at `ys`.

    `halves` of shape (S, N, 2) are the right halves (x, z) from the bottom to the top of the middle plane. The ends
    bulge by `dome`; at the widest place, the length is shorter by the share `bow`.
    """
    loops = np.concatenate([halves * [-1, 1], halves[:, -2:0:-1]], 1)
    rings = np.dstack([loops[..., 0], np.broadcast_to(ys[:, None], loops.shape[:2]), loops[..., 1]])
    sizes = np.array([0.08, 0.45, 0.75, 0.93])[:, None, None]
    ends = []
    for ring, way in ((rings[0], -1), (rings[-1], 1)):
        centre = (ring.min(0) + ring.max(0)) / 2
        ends.append(centre + (ring - centre) * sizes + [0, way * dome, 0] * np.sqrt(1 - sizes**2))
    rings = np.concatenate([ends[0], rings, ends[1][::-1]])
    middle, wide = rings[..., 1].mean(), np.abs(rings[..., 0]).max()
    rings[..., 1] = middle + (rings[..., 1] - middle) * (1 - bow * (rings[..., 0] / wide) ** 2)
    return skin(rings)


def _stations(start: float, stop: float, count: int) -> Array:
    """Return places that lie closer towards both ends."""
    t = np.linspace(0, 1, count)
    return start + (stop - start) * (0.45 * t + 0.55 * (1 - np.cos(np.pi * t)) / 2)


def lower_body(car: Car) -> Solid:
    """Return the body below the windows, without wheel arches."""
    size = car.length
    ys = _stations(0, size, 34)
    ends = [(0, car.clear + 0.1), (0.1 * size, car.clear), (0.88 * size, car.clear), (size, car.clear + 0.12)]
    floor = rounded(np.array(ends), 0.5)
    low, high, w = np.interp(ys, *floor.T), car.deck_at(ys), car.half(ys)
    need = 2 * car.wheel + 2.1 * car.thin
    lift = sum(
        np.exp(-(((ys - axle) / (1.5 * car.wheel)) ** 4)) * max(0.0, car.haunch * need - float(car.deck_at(axle)))
        for axle in car.axles
    )
    h, wide, zero = high - low, w + car.flare * car.swell(ys), np.zeros_like(w)
    right = [
        (zero, low),
        (0.86 * wide, low),
        (0.99 * wide, low + 0.2 * h),
        (wide, low + 0.6 * h),
        (0.97 * w + 0.5 * (wide - w), high - 0.12 * h + lift),
        (0.78 * w, high - 0.01 * h + lift),
        (zero, high + 0.5 * lift),
    ]
    points = np.stack([np.stack(p, -1) for p in right], 1)
    soft = np.array([0.6, 0.6, 0.9, 0.4 + 0.5 * car.soft, 0.4 + 0.5 * car.soft])
    return symmetric(ys, rounded(points, soft, 4), 0.05, car.bow)


def cabin_solid(car: Car, inset: float = 0.0) -> Solid:
    """Return the solid of roof and windows, sunk into the lower body; `inset` makes it smaller all round."""
    line = car.lid_line
    steps = np.gradient(line, axis=0)
    line = line - inset * unit(np.column_stack([-steps[:, 1], steps[:, 0]]))
    ys = _stations(line[0, 0], line[-1, 0], 28)
    top, belt = np.interp(ys, *line.T), car.deck_at(ys)
    base = np.minimum(belt, top) - 0.1
    w = car.half(ys) - car.inset - inset
    rise = np.maximum(top - belt, 0)
    zero = np.zeros_like(w)
    right = [
        (zero, base),
        (w, base),
        (w - 0.4 * car.tumble * rise, base + 0.55 * (top - base)),
        (w - 0.92 * car.tumble * rise, base + 0.93 * (top - base)),
        (0.5 * w, top),
        (zero, top),
    ]
    points = np.stack([np.stack(p, -1) for p in right], 1)
    soft = np.array([0.1, 0.8, 0.3 + 0.6 * car.soft, 0.9])
    return symmetric(ys, rounded(points, soft, 4), 0.02, 2.2 * car.bow)


@dataclass(frozen=True)
class Glass:
    """Which windows a cabin has besides the windscreen.

    The pillars of the sides stand at `posts`. Their glass ends at `stop`, in a pillar that runs back by `lean` to the
    roof; there, its lower edge has risen by the share `rise` of the cabin's height. `rear` is a window behind.
    """

    posts: list[float]
    stop: float
    lean: float = 0.0
    rise: float = 0.0
    rear: bool = True


def glazed(car: Car, glass: Glass) -> Solid:
    """Return the cabin with sunken windows."""
    frame = car.thin
    cabin = cabin_solid(car)
    lid, deck = car.lid_line, car.deck_line
    # The plan is bowed: at the sides, the cabin is shorter than in the middle.
    middle = (lid[0, 0] + lid[-1, 0]) / 2
    lid = np.column_stack([middle + (1 - 2.2 * car.bow) * (lid[:, 0] - middle), lid[:, 1]])
    whole = m3.CrossSection([np.vstack([(lid[0, 0], 0), lid, (lid[-1, 0], 0)])[::-1]])
    below = m3.CrossSection([(np.vstack([(0, 0), deck, (car.length, 0)]) - [0, 0.5 * frame])[::-1]])
    side = (whole - below).offset(-1.05 * frame, m3.JoinType.Round)
    start = lid[0, 0]
    foot, low = car.deck_at(np.array([start, glass.stop]))
    high = low + glass.rise * (car.height - low)
    top = glass.stop + glass.lean
    side ^= m3.CrossSection([[(start, foot), (glass.stop, high), (top, car.height), (start, car.height)]])
    for post in glass.posts:
        side -= m3.CrossSection([rectangle(post - 0.55 * frame, post + 0.55 * frame, 0, 9)])
    # What is left narrower than a frame is no window.
    side = side.offset(-0.4 * frame, m3.JoinType.Miter).offset(0.4 * frame, m3.JoinType.Round).simplify(2e-3)
    holes = [plate(side, "x", 0, 2 * car.width), _screen(cabin, float(car.lid_line[3, 0]), 0.0, frame)]
    if glass.rear:
        holes.append(_screen(cabin, float(car.lid_line[-4, 0]), car.length, frame))
    # Less deep than the pillars are wide, so that these stand on it.
    return cabin_solid(car, 0.92 * car.thin) + (cabin - union(holes))


def _screen(cabin: Solid, edge: float, end: float, frame: float) -> Solid:
    """Return what to cut away for the window between the roof's edge and an end of the car."""
    outline = cabin.rotate((90, 0, 0)).slice(edge).offset(-1.4 * frame, m3.JoinType.Round).simplify(2e-3)
    hole = Solid.extrude(outline, abs(edge - end)).rotate((-90, 0, 0)).translate((0, min(edge, end), 0))
    plan = cabin.project().simplify(2e-3)
    x0, y0, x1, y1 = plan.bounds()
    # Narrower than the cabin by a pillar on each side, but no shorter.
    shares = 1 - 2.4 * frame / (x1 - x0), 1.02
    middle = (y0 + y1) / 2
    return hole ^ prism(plan.translate((0, -middle)).scale(shares).translate((0, middle)), 0, 9)


def wheel_solid(radius: float, width: float, dish: float) -> Solid:
    """Return a wheel about the x axis through the origin, symmetric, with sunken discs."""
    bevel, rim = 0.12 * radius, 0.62 * radius
    h = width / 2
    profile = [(0, dish - h), (0.9 * rim, dish - h), (rim, -h), (radius - bevel, -h), (radius, bevel - h)]
    profile += [(r, -x) for r, x in reversed(profile)]
    return Solid.revolve(m3.CrossSection([profile]), 24).rotate((0, 90, 0))


def on_wheels(rng: Rng, car: Car, body: Solid, out: float = 0.0) -> Solid:
    """Cut the wheel arches into a body and add the wheels, whose inner faces meet the arches' walls.

    The wheels stand farther out than usual by `out`.
    """
    dish, reach = rng.uniform(0.75, 1.1) * car.thin, car.tyre + 0.03
    niche = Solid.cylinder(1, car.wheel + car.thin, circular_segments=32).rotate((0, 90, 0))
    wheel = wheel_solid(car.wheel, reach, dish).translate((-reach / 2, 0, 0))
    spots = [(float(car.half(y)) + 0.7 * car.flare + out - 0.05, y, car.wheel) for y in car.axles]
    body -= both(*[niche.translate(spot).translate((-car.tyre, 0, 0)) for spot in spots])
    hubs = np.subtract(spots, (reach / 2, 0, 0))
    axles = [rod([hub * [-1, 1, 1], hub], max(0.05, 0.55 * car.thin)) for hub in hubs]
    return union([body, both(*[wheel.translate(spot) for spot in spots]), *axles])


def wells(car: Car, axles: tuple[float, ...]) -> Solid:
    """Return what must stay around the wheel arches when a body is hollowed."""
    over = Solid.cylinder(car.width, car.wheel + 2.1 * car.thin, circular_segments=32).rotate((0, 90, 0))
    inner = car.width / 2 - car.tyre - 2 * car.thin
    return both(*[over.translate((inner, y, car.wheel)) for y in axles])


def case(half: float, y0: float, y1: float, z0: float, z1: float, edge: float) -> Solid:
    """Return a box with rounded edges along y."""
    size = np.array([half, (z1 - z0) / 2])
    return plate(np.add(cornered(size, edge, 4), (0, (z0 + z1) / 2)), "y", (y0 + y1) / 2, y1 - y0)


def opened(rng: Rng, car: Car, lower: Solid, rows: int) -> Solid:
    """Cut a tub with seats into a body and put a windscreen before it."""
    half = float(car.half(car.axles[0] + 0.5 * car.wheel)) - 1.3 * car.thin - 0.03
    start, floor = car.hood * car.length + 0.25, car.clear + car.thin
    stop = min(start + 0.75 + 0.85 * rows, car.boot * car.length)
    plan = np.add(cornered(np.array([half, (stop - start) / 2]), 0.15, 5), (0, (start + stop) / 2))
    tub = prism(plan, floor, car.height)
    belt = float(car.deck_at(stop))
    parts = [lower - (tub - wells(car, car.axles) if car.haunch else tub)]
    high = max(belt, 0.7) + rng.uniform(0.08, 0.2)
    for row in range(rows):
        y, rise = stop - 0.05 - 0.85 * row, high - floor
        seat = [(0.85, 0), (0.9, 0.38), (0.42, 0.32), (0.24, 1), (0.1, 1), (0.05, 0)]
        profile = np.array([(y - ahead, floor - 0.02 + up * rise) for ahead, up in seat])[::-1]
        parts.append(both(plate(profile, "x", 0.5 * half, 0.66 * half)))
    cabin = cabin_solid(car)
    lean = 1.25 * car.thin * float(np.hypot(1, car.screen))
    screen = cabin - cabin.translate((0, lean, 0))
    rise = rng.uniform(0.75, 0.95)
    level = car.cowl * car.height * (1 - rise) + car.height * 0.97 * rise
    head = car.hood * car.length + (level - car.cowl * car.height) * car.screen
    parts.append(screen.trim_by_plane((0, 0, -1), -level).trim_by_plane((0, -1, 0), -head - lean))
    if chance(rng, 0.3):
        parts.append(ellipsoid((0, stop + 0.2, float(car.deck_at(stop + 0.2))), (0.95 * half, 0.28, 0.16)))
    return union(parts)
