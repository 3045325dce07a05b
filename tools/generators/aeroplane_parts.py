"""Parts of aeroplanes: bodies, wings, tails, engines, propellers and wheels.

Frame: +Z up, -Y front; a body's nose is at y = 0 and its axis at z = 0; the whole is about 1 long.
"""

from dataclasses import dataclass

import numpy as np

from .solids import (
    Array,
    Range,
    Rng,
    Solid,
    both,
    chance,
    circle,
    cornered,
    ellipsoid,
    pick,
    plate,
    powered,
    rod,
    skin,
    union,
    unit,
)

# Builders are up to a tenth larger than 1 before they are scaled to 1, so a little more than THIN.
THICK = 0.0225
# Radius of struts and legs.
ROD = 0.0115

# Chord position and half-thickness of a thick wing section, and the least of its half-thickness, which
# keeps edges blunt enough for a learnt code to carry.
FOIL_U = np.array([0.0, 0.02, 0.07, 0.15, 0.3, 0.5, 0.75, 0.97, 1.0])
FOIL_THICK = np.array([0.0, 0.3, 0.6, 0.86, 1.0, 0.88, 0.5, 0.12, 0.08]) / 2
FOIL_LEAST = np.array([0.0, 0.45, 0.7, 0.9, 1.0, 0.97, 0.86, 0.7, 0.5]) / 2


@dataclass(frozen=True)
class Body:
    """A fuselage or pod along y; arrays run from nose to tail."""

    y: Array
    wide: Array
    high: Array
    middle: Array
    solid: Solid

    def at(self, y: float) -> tuple[float, float, float]:
        """Return half-width, half-height and z of the axis at a y."""
        wide, high, middle = (float(np.interp(y, self.y, v)) for v in (self.wide, self.high, self.middle))
        return wide, high, middle

    def top(self, y: float) -> float:
        """Return z of the upper side at a y."""
        _, high, middle = self.at(y)
        return middle + high


def shaped_body(
    length: float,
    wide: float,
    high: float,
    *,
    nose: float = 0.2,
    blunt: float = 0.5,
    start: float = 0.1,
    droop: float = 0.0,
    tail: float = 0.4,
    fine: float = 0.8,
    end: float = 0.2,
    rise: float = 0.0,
    square: float = 2.0,
    around: float = 32,
) -> Body:
    """Return a body of given half-width and half-height whose nose is at the origin.

    `nose` and `tail` are the shares of the length that taper to the shares `start` and `end` of the section,
    `blunt` and `fine` the powers of these tapers (0.5 elliptic, above 1 hollow). `rise` 1 makes the back
    straight towards the tail, `droop` 1 the belly towards the nose. `square` is the section's superellipse power.
    """
    count = int(around)
    t = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, count - 3))
    ahead, behind = np.clip(1 - t / nose, 0, 1), np.clip(1 - (1 - t) / tail, 0, 1)
    front = start + (1 - start) * (1 - ahead**2) ** blunt
    rear = end + (1 - end) * (1 - behind**2) ** fine
    middle = high * (rise * (1 - rear) - droop * (1 - front))
    section = powered(circle(count), 2 / square)
    swell = front * rear
    rings = np.zeros((len(t), count, 3))
    rings[:, :, 0] = section[:, 0] * wide * swell[:, None]
    rings[:, :, 1] = length * t[:, None]
    rings[:, :, 2] = section[:, 1] * high * swell[:, None] + middle[:, None]
    return Body(length * t, wide * swell, high * swell, middle, skin(rings))


def fuselage(rng: Rng, length: float, wide: float, high: float, **ranges: Range) -> Body:
    """Return a body whose shape is drawn from ranges."""
    return shaped_body(length, wide, high, **{name: rng.uniform(*limits) for name, limits in ranges.items()})


def pod(x: float, y: float, z: float, length: float, wide: float, high: float, **shape: float) -> Solid:
    """Return a small body whose nose is at a point."""
    return shaped_body(length, wide, high, around=20, **shape).solid.translate((x, y, z))


def foil(stations: Array, cap: float = 0.3, half: bool = False) -> Solid:
    """Return a wing or fin from stations (x, y, z of the leading edge, chord, thickness), root first.

    `cap` is the depth of the rounded tip relative to its chord. Unless it is only a `half`, it
    goes on from the root to the other side.
    """
    tip, step = stations[-1], stations[-1] - stations[-2]
    long = np.hypot(step[0], step[2])
    depth = min(max(cap, 0.05) * tip[3], 0.6 * long)
    arc = np.radians([0, 25, 50, 70, 85])
    ends = tip - np.outer(1 - np.sin(arc), step) * depth / long
    lost = ends[:, 3] * 0.85 * (1 - np.cos(arc))
    ends[:, 1] += 0.45 * lost
    ends[:, 3] -= lost
    ends[:, 4] *= 0.7 + 0.3 * np.cos(arc)
    rows = np.concatenate([stations[:-1], ends])
    if not half:
        rows = np.concatenate([rows[:0:-1] * [-1, 1, 1, 1, 1], rows])
    normals = unit(np.gradient(rows[:, [0, 2]], axis=0)[:, ::-1] * [-1, 1])
    thick = rows[:, 4:]
    upper = np.maximum(thick * FOIL_THICK, np.minimum(thick, THICK) * FOIL_LEAST)
    across = np.concatenate([upper, -upper[:, :0:-1]], axis=1)
    rings = np.repeat(rows[:, None, :3], across.shape[1], axis=1)
    rings[:, :, 1] += rows[:, 3:4] * np.concatenate([FOIL_U, FOIL_U[:0:-1]])
    rings[:, :, [0, 2]] += across[:, :, None] * normals[:, None]
    return skin(rings)


def wing_plan(
    y: float,
    z: float,
    half: float,
    root: float,
    tip: float,
    *,
    sweep: float = 0.0,
    rise: float = 0.0,
    thick: float = 0.13,
    least: float = THICK,
    kink: float = 0.0,
    bend: float = 0.3,
    tiplet: float = 0.0,
) -> Array:
    """Return the stations of a tapered wing of half-span `half`, from the middle of the aeroplane to the tip.

    `sweep` and `rise` are slopes of the leading edge, `thick` the thickness relative to the chord, `kink` what
    the trailing edge gains at the share `bend` of the span, `tiplet` the height of an upturned tip.
    """
    s = np.array([0, bend, 1])
    chord = root + (tip - root) * s + np.array([0, kink, 0])
    rows = np.column_stack(
        [half * s, y + sweep * half * s, z + rise * half * s, chord, np.maximum(thick * chord, least)]
    )
    if tiplet:
        steps = np.array([(0.3, 0.35, 0.4, 0, 0), (0.5, 1, 1, 0, 0)]) * tiplet
        steps[:, 3] = -0.1 * tip, -0.35 * tip
        rows = np.concatenate([rows, rows[-1] + steps])
    return rows


def oval_wing_plan(
    y: float,
    z: float,
    half: float,
    root: float,
    *,
    lead: float,
    rise: float = 0.0,
    thick: float = 0.12,
    gull: float = 0.0,
) -> Array:
    """Return the stations of an elliptic wing; `lead` is the share of the taper that the leading edge takes."""
    angles = np.radians([0, 20, 38, 54, 68, 78])
    s, chord = np.sin(angles) / np.sin(angles[-1]), root * np.cos(angles) ** 0.9
    height = z + rise * half * s - gull * np.interp(s, [0, 0.34, 1], [0, 1, 0])
    return np.column_stack([half * s, y + lead * (root - chord), height, chord, np.maximum(thick * chord, THICK)])


def station(stations: Array, x: float) -> tuple[float, float, float, float]:
    """Return leading edge y, middle z, chord and thickness of a wing at an x."""
    y, z, chord, thick = (float(np.interp(x, stations[:, 0], stations[:, k])) for k in (1, 2, 3, 4))
    return y, z, chord, thick


def fin_plan(
    y: float, z0: float, z1: float, root: float, tip: float, sweep: float, fillet: float = 0.0, least: float = THICK
) -> Array:
    """Return the stations of a fin from z0 to z1; `fillet` is how far its foot reaches forward."""
    s = np.array([0, 0.3, 1]) if fillet else np.array([0, 1])
    chord = root + (tip - root) * s
    rows = np.column_stack(
        [0 * s, y + sweep * (z1 - z0) * s, z0 + (z1 - z0) * s, chord, np.maximum(0.1 * chord, least)]
    )
    rows[0, [1, 3]] += [-fillet, fillet]
    return rows


def tail_unit(
    rng: Rng,
    body: Body,
    half: float,
    style: str,
    *,
    fin: Range = (0.12, 0.18),
    span: Range = (0.32, 0.4),
    chord: Range = (0.13, 0.18),
    sweep: Range = (0.1, 0.35),
    taper: Range = (0.5, 0.7),
    cap: Range = (0.2, 0.5),
) -> list[Solid]:
    """Return fin and tailplane: style low, cross, t, v or h (fins near the ends of the plane).

    `fin` is the height above the body and `chord` the fin's root, relative to the body's length, `span` the
    half-span of the tailplane relative to the wing's `half`, `sweep` the slope of the leading edges.
    """
    long, lean = body.y[-1], rng.uniform(*sweep)
    rise, root, out = long * rng.uniform(*fin), long * rng.uniform(*chord), half * rng.uniform(*span)
    narrow, blunt = rng.uniform(*taper), rng.uniform(*cap)
    plane = root * rng.uniform(0.75, 0.95)
    y = long - plane * rng.uniform(0.85, 1.1)
    _, high, middle = body.at(y + plane / 2)
    z = middle + high * rng.uniform(0.0, 0.4)
    tip = max(plane * narrow, 0.045)
    if style == "v":
        rows = wing_plan(y, z, 0.8 * out, plane, tip, sweep=lean + 0.2, rise=rng.uniform(0.55, 0.9))
        return [foil(rows, blunt)]
    if style == "h":
        at = out * rng.uniform(0.85, 0.97)
        rows = wing_plan(y, z, out, plane, max(tip, 0.7 * plane), sweep=0.3 * lean, rise=rng.uniform(0, 0.1))
        front, middle, wide, _ = station(rows, at)
        upright = fin_plan(front, middle - 0.45 * rise, middle + 0.7 * rise, 1.1 * wide, 0.7 * wide, 0.5 * lean)
        return [foil(rows, blunt), both(foil(upright, blunt, half=True).translate((at, 0, 0)))]
    steep = lean * rng.uniform(0.9, 1.4) + 0.1
    foot = long - root * rng.uniform(1.0, 1.15) - 0.4 * steep * rise
    z0, z1 = body.at(foot + root / 2)[2], body.top(foot + root / 2) + rise
    fillet = rng.uniform(0.3, 1.0) * root if chance(rng, 0.35) else 0.0
    top = root * (rng.uniform(0.6, 0.8) if style == "t" else narrow * rng.uniform(0.8, 1.1))
    upright = fin_plan(foot, z0, z1, root, max(top, 0.045), steep, fillet)
    slope = rng.uniform(0.0, 0.12)
    if style in ("cross", "t"):
        share = rng.uniform(0.35, 0.55) if style == "cross" else 0.97
        z, slope = z1 - (1 - share) * rise, 0.0
        y = float(np.interp(z, upright[:, 2], upright[:, 1])) + 0.1 * root * (style == "cross")
    rows = wing_plan(y, z, out, plane, tip, sweep=lean, rise=slope)
    return [foil(rows, blunt), foil(upright, blunt, half=True)]


def propellers(rng: Rng, spots: list[Array], radius: float, cone: float) -> list[Solid]:
    """Return equal propellers before the points of noses: spinner only, disc, or 2 to 4 blades."""
    lone = len(spots) == 1
    style = pick(rng, none=0.2, disc=0.2, two=0.25 if lone else 0.08, three=0.2, four=0.15)
    parts = [ellipsoid((0, 0, 0), (cone, 0.065, cone))]
    if style == "disc":
        parts.append(Solid.cylinder(THICK, radius, -1, 32).rotate((90, 0, 0)).translate((0, -0.022, 0)))
    elif style != "none":
        count = {"two": 2, "three": 3, "four": 4}[style]
        half = np.array([rng.uniform(0.0125, 0.018), radius / 2])
        outline = cornered(half, 0.6 * half[0], 3) + np.array([0, radius / 2 - 0.005])
        blade = plate(outline, "y", -0.033, THICK)
        first = 90 * (count == 2) + 45 * (count == 4 and lone)
        parts += [blade.rotate((0, first + turn * 360 / count, 0)) for turn in range(count)]
    one = union(parts)
    return [one.translate(spot) for spot in spots]


def pusher(rng: Rng, body: Body, radius: float) -> Solid:
    """Return a propeller behind a body."""
    end = body.y[-1]
    return propellers(rng, [np.zeros(3)], radius, 0.024)[0].rotate((0, 0, 180)).translate((0, end, body.at(end)[2]))


def wing_propellers(rng: Rng, rows: Array, wide: float, four: bool) -> list[Solid]:
    """Return two or four nacelles with propellers on a wing; `wide` is the body's half-width."""
    half = rows[:, 0].max()
    shares = [rng.uniform(0.29, 0.34), rng.uniform(0.6, 0.67)] if four else [rng.uniform(0.28, 0.38)]
    free = min([shares[0] * half - wide, *np.diff(shares) * half / 2]) - 0.011
    size, ahead, hang = rng.uniform(0.024, 0.033), rng.uniform(0.07, 0.12), rng.uniform(0.1, 0.4)
    reach, square = rng.uniform(0.75, 1.25), rng.uniform(2, 3)
    shape = {"nose": 0.3, "start": 0.55, "tail": 0.6, "end": 0.3, "square": square}
    parts, spots = [], []
    for share in shares:
        x = share * half
        y, z, chord, thick = station(rows, x)
        y, z = y - ahead, z - hang * thick
        parts.append(both(pod(x, y, z, ahead + chord * reach, size, 1.15 * size, **shape)))
        spots += [np.array([x, y, z]), np.array([-x, y, z])]
    return parts + propellers(rng, spots, min(rng.uniform(0.075, 0.1), free), 0.019)


def jet(x: float, y: float, z: float, length: float, radius: float) -> Solid:
    """Return a jet engine with a dent for its intake; its mouth is centred on a point."""
    shell = pod(x, y, z, length, radius, radius, nose=0.3, start=0.86, tail=0.6, end=0.5, fine=1.0)
    return shell - ellipsoid((x, y, z), (0.68 * radius, 0.5 * radius, 0.68 * radius))


def hung_jets(rows: Array, x: float, length: float, radius: float, ahead: float, drop: float) -> Solid:
    """Return jets on pylons under both wings at ±x, `ahead` of the wing by a share of their length."""
    y, z, chord, thick = station(rows, x)
    front, low = y - ahead * length, z - thick / 2 - drop
    pylon = np.array([(front + 0.3 * length, low), (y + 0.6 * chord, low), (y + 0.6 * chord, z), (y + 0.02, z)])
    return both(jet(x, front, low, length, radius) + plate(pylon, "x", x, THICK))


def rear_jets(rng: Rng, body: Body, radius: float, long: float, third: bool) -> list[Solid]:
    """Return two jets at the sides of the rear body, and with `third` one at the root of the fin."""
    y = body.y[-1] * rng.uniform(0.64, 0.74)
    wide, high, middle = body.at(y + 0.3 * long)
    z = middle + rng.uniform(0.2, 0.6) * high
    x = max(wide, 0.03) + (rng.uniform(0.6, 0.95) * radius if chance(rng, 0.5) else radius + rng.uniform(0.02, 0.03))
    stub = wing_plan(y + 0.3 * long, z, x, 0.5 * long, 0.5 * long)
    parts = [both(jet(x, y, z, long, radius)), foil(stub, 0.1)]
    if third:
        front = y + 0.4 * long
        parts.append(jet(0, front, body.top(front) + 0.4 * radius, body.y[-1] - front, radius))
    return parts


def _wheel(hip: tuple[float, ...], hub: tuple[float, ...], radius: float, pant: bool = False) -> Solid:
    """Return a leg from hip to hub with a wheel, or with a streamlined pant over it."""
    x, y, z = hub
    if pant:
        foot = pod(x, y - 1.9 * radius, z, 5 * radius, 0.75 * radius, 1.05 * radius, nose=0.4, tail=0.6, end=0.25)
    else:
        tyre = Solid.cylinder(max(THICK, 0.9 * radius), radius, -1, 20, True)
        foot = tyre.rotate((0, 90, 0)).translate(hub)
    return rod([hip, hub], ROD) + foot


def landing_gear(rng: Rng, body: Body, main: float, track: float, tricycle: bool, pants: float = 0.0) -> list[Solid]:
    """Return wheels on legs, the main ones at y = `main` and x = ±`track`; `pants` is the chance of these."""
    radius, pant = rng.uniform(0.02, 0.03), chance(rng, pants)
    wide, high, middle = body.at(main)
    low = middle - high - rng.uniform(0.05, 0.08)
    hip = (0.3 * wide + 0.3 * (track - wide), main, middle - 0.6 * high)
    parts = [both(_wheel(hip, (max(track, wide), main, low), radius, pant))]
    if tricycle:
        y = body.y[-1] * rng.uniform(0.08, 0.14)
        return [*parts, _wheel((0, y, body.at(y)[2]), (0, y, low), 0.9 * radius, pant)]
    y = 0.94 * body.y[-1]
    z = body.at(y)[2]
    return [*parts, _wheel((0, y - 0.02, z), (0, y, z - 0.045), 0.018)]


def floats(rng: Rng, body: Body, start: float) -> Solid:
    """Return two floats on struts below a light aeroplane whose wing starts at y = `start`."""
    long, (wide, high, _) = body.y[-1], body.at(start + 0.1)
    length, x, radius = rng.uniform(0.6, 0.75) * long, rng.uniform(0.1, 0.14), rng.uniform(0.026, 0.034)
    front, low = rng.uniform(-0.02, 0.06), -high - rng.uniform(0.08, 0.11)
    shape = {"nose": 0.35, "droop": -0.5, "tail": 0.5, "end": 0.3, "rise": 0.5, "square": 2.8}
    legs = [front + share * length for share in (0.3, 0.62)]
    struts = [rod([(0.4 * wide, y, -0.6 * high), (x, y, low)], ROD) for y in legs]
    return both(pod(x, front, low, length, radius, radius, **shape), *struts)
