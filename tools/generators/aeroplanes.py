"""Varied closed parametric aeroplanes, to train and test a shape prior.

Frame: +Z up, -Y front (the nose), left-right symmetric, lowered onto z = 0, 1 long in the largest extent.
Builders put the nose at y = 0, the body's axis at z = 0 and the larger of length and span near 1.
"""

from collections.abc import Callable

import numpy as np

from .aeroplane_parts import (
    ROD,
    THICK,
    Body,
    fin_plan,
    floats,
    foil,
    fuselage,
    hung_jets,
    jet,
    landing_gear,
    oval_wing_plan,
    pod,
    propellers,
    pusher,
    rear_jets,
    station,
    tail_unit,
    wing_plan,
    wing_propellers,
)
from .solids import (
    Array,
    Range,
    Rng,
    Solid,
    both,
    chance,
    ellipsoid,
    log,
    make_sound,
    pick,
    placed,
    rod,
    union,
    weighted,
)


def make_aeroplane(seed: int) -> tuple[Array, Array]:
    """Make one aeroplane: vertices (V, 3) and faces (F, 3), as `make_sound` describes them."""
    return make_sound(seed, _build)


def _build(rng: Rng) -> Solid:
    _, build = KINDS[weighted(rng, [weight for weight, _ in KINDS])]
    return placed(union(build(rng)))


def _plump(rng: Rng) -> float:
    """Draw how much fatter than life a body is: toys and models are, most others hardly."""
    return float(np.exp(0.5 * rng.random() ** 2.2))


def _sizes(rng: Rng, low: float, high: float) -> tuple[float, float]:
    """Return length and half-span of an aeroplane whose larger extent is 1, from a range of span / length."""
    ratio = log(rng, low, high)
    length = min(1.0, 1 / ratio)
    return length, ratio * length / 2


def _airliner(engines: str) -> Callable[[Rng], list[Solid]]:
    """Return a builder of airliners and jet transports by their engines: two, four, rear, high (a high wing)."""

    def build(rng: Rng) -> list[Solid]:
        top = engines == "high"
        ratios = {"two": (0.75, 1.2), "four": (0.82, 1.2), "rear": (0.65, 1.0), "high": (0.9, 1.2)}
        (length, half), fat = _sizes(rng, *ratios[engines]), _plump(rng)
        wide = fat * (length * half) ** 0.5 * rng.uniform(0.055, 0.088) * (1.2 if top else 1)
        high = wide * rng.uniform(1.0, 1.15)
        nose = rng.uniform(2.4, 4) * wide / length
        body = fuselage(
            rng, length, wide, high, nose=(nose, nose), blunt=(0.45, 0.6), droop=(0.1, 0.5),
            tail=(0.28, 0.42), fine=(0.7, 1.0), end=(0.12, 0.25), rise=(0.5, 1.0),
        )  # fmt: skip
        start = length * (rng.uniform(0.36, 0.42) if engines == "rear" else rng.uniform(0.27, 0.34))
        sweep = rng.uniform(0.15, 0.6) if top else rng.uniform(0.42, 0.78)
        root, z = length * rng.uniform(0.18, 0.25), (0.75 if top else -rng.uniform(0.45, 0.7)) * high
        rows = wing_plan(
            start, z, half * 0.98, root, length * rng.uniform(0.05, 0.075), sweep=sweep,
            rise=rng.uniform(-0.1, 0.0) if top else rng.uniform(0.05, 0.14), thick=0.12 * fat**0.7,
            least=THICK * fat**0.7, kink=rng.uniform(0, 0.03), tiplet=_tiplet(rng, 0.4),
        )  # fmt: skip
        fairing = ellipsoid((0, start + 0.55 * root, z), (1.02 * wide, 0.75 * root, 0.5 * high))
        parts = [body.solid, foil(rows, rng.uniform(0.2, 0.6)), fairing]
        style = "t" if engines == "rear" else pick(rng, low=0.3, t=0.7) if top else pick(rng, low=0.95, cross=0.05)
        parts += tail_unit(
            rng, body, half, style, chord=(0.12, 0.16), span=(0.32, 0.42), sweep=(0.8 * sweep, sweep), taper=(0.35, 0.5)
        )
        radius = rng.uniform(0.026, 0.042) * length
        long = radius * rng.uniform(2.6, 3.8)
        if engines == "rear":
            parts += rear_jets(rng, body, radius, 1.2 * long, third=chance(rng, 0.25))
        elif chance(rng, 0.9):
            inner, outer = rng.uniform(0.28, 0.37), rng.uniform(0.56, 0.66)
            pairs = 1 if engines == "two" or (top and chance(rng, 0.35)) else 2
            scale, ahead = (1.15, 0.85)[pairs - 1], rng.uniform(0.45, 0.75)
            long, radius = scale * long, scale * radius
            drop = rng.uniform(0.6, 0.95) * radius if chance(rng, 0.5) else radius + rng.uniform(0.02, 0.025)
            parts += [hung_jets(rows, share * half, long, radius, ahead, drop) for share in (inner, outer)[:pairs]]
        if engines == "four" and chance(rng, 0.4):
            parts.append(ellipsoid((0, 0.2 * length, 0.55 * high), (0.85 * wide, 0.19 * length, 0.75 * high)))
        if top and chance(rng, 0.6):
            parts.append(_sponsons(start + 0.6 * root, wide, high))
        if engines != "rear" and chance(rng, 0.03):
            parts += _radar(length, body)
        if chance(rng, 0.18):
            parts += landing_gear(rng, body, start + 0.7 * root, 1.1 * wide, True)
        return parts

    return build


def _tiplet(rng: Rng, probability: float) -> float:
    """Draw the height of a winglet, or 0."""
    return rng.uniform(0.03, 0.065) if chance(rng, probability) else 0.0


def _sponsons(y: float, wide: float, high: float) -> Solid:
    """Return the two fairings of a transport's wheels."""
    return both(ellipsoid((0.88 * wide, y, -0.7 * high), (0.038, 0.13, 0.038)))


def _radar(length: float, body: Body) -> list[Solid]:
    """Return a radar disc on a stand above the rear body."""
    y = 0.62 * length
    z = body.top(y) + 0.07
    return [rod([(0, y, z - 0.09), (0, y, z)], 0.02), ellipsoid((0, y, z), (0.1, 0.1, 0.018))]


def _business_jet(rng: Rng) -> list[Solid]:
    (length, half), fat = _sizes(rng, 0.85, 1.15), _plump(rng)
    wide = fat * length * rng.uniform(0.046, 0.064)
    high = wide * rng.uniform(1.0, 1.15)
    body = fuselage(
        rng, length, wide, high, nose=(0.18, 0.3), blunt=(0.55, 0.8), droop=(0.2, 0.7), tail=(0.4, 0.5),
        fine=(0.8, 1.1), end=(0.1, 0.25), rise=(0.3, 0.9),
    )  # fmt: skip
    sweep, root = rng.uniform(0.05, 0.65), length * rng.uniform(0.17, 0.24)
    start = length * rng.uniform(0.36, 0.42) - 0.15 * sweep * half
    rows = wing_plan(
        start, -rng.uniform(0.6, 0.85) * high, half * 0.98, root, root * rng.uniform(0.28, 0.45), sweep=sweep,
        rise=rng.uniform(0.03, 0.1), thick=0.12 * fat**0.7, least=THICK * fat**0.7, tiplet=_tiplet(rng, 0.45),
    )  # fmt: skip
    style = pick(rng, t=0.72, cross=0.16, v=0.05, h=0.07)
    lean = 0.3 + 0.5 * sweep
    radius = rng.uniform(0.032, 0.046) * length
    parts = [body.solid, foil(rows, 0.3)]
    parts += tail_unit(rng, body, half, style, span=(0.34, 0.44), sweep=(lean, lean), taper=(0.4, 0.6))
    parts += rear_jets(rng, body, radius, radius * rng.uniform(3.2, 4.6), third=style == "t" and chance(rng, 0.15))
    return parts + (landing_gear(rng, body, start + 0.7 * root, 2 * wide, True) if chance(rng, 0.18) else [])


def _light(high_wing: bool) -> Callable[[Rng], list[Solid]]:
    """Return a builder of light propeller aeroplanes with one engine in the nose."""

    def build(rng: Rng) -> list[Solid]:
        (length, half), fat = _sizes(rng, *((1.15, 1.85) if high_wing else (1.0, 1.45))), _plump(rng)
        wide, high = fat * length * rng.uniform(0.055, 0.075), fat * length * rng.uniform(0.065, 0.09)
        body = fuselage(
            rng, length, wide, high, nose=(0.25, 0.4), blunt=(0.4, 0.6), start=(0.3, 0.6), droop=(0.1, 0.4),
            tail=(0.55, 0.68), fine=(0.9, 1.5), end=(0.15, 0.28), rise=(0.2, 0.8), square=(2.2, 4),
        )  # fmt: skip
        start, root = length * rng.uniform(0.24, 0.32), length * rng.uniform(0.18, 0.26)
        tip = root * (rng.uniform(0.85, 1.0) if chance(rng, 0.5) else rng.uniform(0.45, 0.75))
        glass = high * rng.uniform(0.3, 0.6)
        z, rise = (high + 0.8 * glass, (0.0, 0.03)) if high_wing else (-rng.uniform(0.6, 0.85) * high, (0.06, 0.12))
        rows = wing_plan(
            start, z, half * 0.98, root, tip, sweep=rng.uniform(0, 0.1), rise=rng.uniform(*rise),
            thick=0.14 * fat**0.5, least=THICK * fat**0.7,
        )  # fmt: skip
        cabin = ellipsoid((0, start + 0.45 * root, 0.8 * high), (0.85 * wide, 0.85 * root + 0.02, glass + 0.25 * high))
        parts = [body.solid, foil(rows, rng.uniform(0.1, 0.6)), cabin]
        style = pick(rng, low=0.8, t=0.08, cross=0.07, v=0.05)
        sweep, taper, cap = (0.05, 0.45), (0.55, 0.9), (0.15, 0.6)
        parts += tail_unit(rng, body, half, style, fin=(0.11, 0.17), sweep=sweep, taper=taper, cap=cap)
        if high_wing and chance(rng, 0.55):
            x = half * rng.uniform(0.4, 0.55)
            front, z, chord, _ = station(rows, x)
            y = front + 0.4 * chord
            parts.append(both(rod([(0.6 * wide, y, -0.6 * high), (x, y, z - 0.004)], ROD)))
        wide, high_nose, z = body.at(0)
        if chance(rng, 0.15):
            return [*parts, ellipsoid((0, 0, z), (0.97 * wide, 0.035, 0.97 * high_nose))]
        parts += propellers(rng, [np.array([0, 0, z])], length * rng.uniform(0.11, 0.14), 0.3 * high + 0.006)
        if chance(rng, 0.18 if high_wing else 0.04):
            return [*parts, floats(rng, body, start)]
        if chance(rng, 0.15):
            return parts
        tricycle = chance(rng, 0.65)
        main = start + (0.14 if tricycle else 0.02) * length
        return parts + landing_gear(rng, body, main, rng.uniform(0.1, 0.14), tricycle, pants=0.3)

    return build


def _propliner(kind: str) -> Callable[[Rng], list[Solid]]:
    """Return a builder of aeroplanes with two or four propellers on a high or low wing, or of old bombers."""

    def build(rng: Rng) -> list[Solid]:
        top, bomber = kind == "high", kind == "bomber"
        (length, half), fat = _sizes(rng, *((1.2, 1.5) if bomber else (1.0, 1.35))), _plump(rng)
        four = chance(rng, 0.45)
        wide = fat * length * rng.uniform(0.046, 0.066)
        high = wide * rng.uniform(1.0, 1.25)
        body = fuselage(
            rng, length, wide, high, nose=(0.14, 0.28), blunt=(0.4, 0.7), droop=(0.1, 0.6),
            tail=(0.55, 0.7) if bomber else (0.38, 0.55), fine=(0.8, 1.1), end=(0.15, 0.35) if bomber else (0.12, 0.25),
            rise=(0.5, 1.0) if top else (0.0, 0.8), square=(2, 3),
        )  # fmt: skip
        start, root = length * rng.uniform(0.28, 0.36), length * rng.uniform(0.16, 0.25 if bomber else 0.2)
        z = high * (0.9 if top else rng.uniform(-0.7, 0.3) if bomber else -rng.uniform(0.5, 0.8))
        rows = wing_plan(
            start, z, half * 0.98, root, root * rng.uniform(0.35, 0.65), sweep=rng.uniform(0.02, 0.16),
            bend=rng.uniform(0.3, 0.5), rise=rng.uniform(-0.01, 0.03) if top else rng.uniform(0.04, 0.1),
            thick=0.14, least=THICK * fat**0.7, kink=rng.uniform(0, 0.2) * root,
        )  # fmt: skip
        parts = [body.solid, foil(rows, rng.uniform(0.2, 0.8))]
        if bomber or (not four and chance(rng, 0.35)):
            seat, glass = rng.uniform(0.18, 0.25) * length, rng.uniform(0.025, 0.04)
            parts.append(ellipsoid((0, seat, body.top(seat) - 0.012), (0.75 * wide, 0.09 * length, glass)))
        styles = {"low": 0.65, "h": 0.35} if bomber else {"low": 0.85, "h": 0.15} if four else {"low": 0.4, "t": 0.6}
        style = pick(rng, **styles)
        parts += tail_unit(rng, body, half, style, fin=(0.13, 0.19), cap=(0.2, 0.7))
        parts += wing_propellers(rng, rows, wide, four)
        if top and chance(rng, 0.4):
            parts.append(_sponsons(start + 0.6 * root, wide, high))
        if not bomber and chance(rng, 0.2):
            parts += landing_gear(rng, body, start + 0.7 * root, 1.5 * wide, True)
        return parts

    return build


def _warbird(rng: Rng) -> list[Solid]:
    """Make a propeller fighter of the 1940s."""
    (length, half), fat = _sizes(rng, 1.1, 1.35), _plump(rng)
    radial = chance(rng, 0.4)
    wide = fat * length * (rng.uniform(0.065, 0.08) if radial else rng.uniform(0.048, 0.06))
    high = wide * (1.1 if radial else rng.uniform(1.15, 1.4))
    body = fuselage(
        rng, length, wide, high, nose=(0.1, 0.14) if radial else (0.2, 0.35), blunt=(0.4, 0.55),
        start=(0.65, 0.75) if radial else (0.35, 0.5), tail=(0.65, 0.8), fine=(0.9, 1.2), end=(0.12, 0.22),
        rise=(0.1, 0.6),
    )  # fmt: skip
    start, root, z = length * rng.uniform(0.2, 0.26), length * rng.uniform(0.23, 0.28), -0.55 * high
    rise = rng.uniform(0.06, 0.12)
    if chance(rng, 0.4):
        gull = rng.uniform(0.04, 0.07) if chance(rng, 0.25) else 0.0
        rows = oval_wing_plan(start, z, half * 0.97, root, lead=rng.uniform(0.2, 0.5), rise=rise, gull=gull)
    else:
        rows = wing_plan(
            start, z, half * 0.98, root, root * rng.uniform(0.4, 0.55), sweep=rng.uniform(0.04, 0.15), rise=rise
        )
    seat = length * rng.uniform(0.4, 0.5)
    canopy = ellipsoid(
        (0, seat, body.top(seat) * 0.8), (0.033, rng.uniform(0.09, 0.15) * length, rng.uniform(0.04, 0.055))
    )
    parts = [body.solid, foil(rows, rng.uniform(0.2, 0.7)), canopy]
    shape: dict[str, Range] = {"fin": (0.11, 0.15), "chord": (0.15, 0.19), "taper": (0.45, 0.7), "cap": (0.3, 0.8)}
    parts += tail_unit(rng, body, half, "low", span=(0.34, 0.4), sweep=(0.1, 0.3), **shape)
    parts += propellers(rng, [np.zeros(3)], length * rng.uniform(0.13, 0.17), 0.45 * wide)
    if not radial and chance(rng, 0.4):
        parts.append(pod(0, 0.35 * length, -0.9 * high, 0.3 * length, 0.03, 0.04, nose=0.3, start=0.5, tail=0.6))
    return parts + (landing_gear(rng, body, start + 0.03, rng.uniform(0.12, 0.17), False) if chance(rng, 0.35) else [])


def _biplane(rng: Rng) -> list[Solid]:
    """Make a biplane, or a triplane, with struts between the wings."""
    length, half = _sizes(rng, 1.1, 1.4)
    wide = length * rng.uniform(0.055, 0.075)
    high = wide * rng.uniform(1.05, 1.35)
    body = fuselage(
        rng, length, wide, high, nose=(0.08, 0.2), blunt=(0.4, 0.5), start=(0.6, 0.85), tail=(0.6, 0.75),
        fine=(0.9, 1.2), end=(0.2, 0.35), rise=(0.2, 0.8), square=(2.2, 4),
    )  # fmt: skip
    start, root, levels = (
        length * rng.uniform(0.17, 0.24),
        length * rng.uniform(0.17, 0.23),
        3 if chance(rng, 0.15) else 2,
    )
    low = -rng.uniform(0.4, 0.8) * high
    gap = (root * rng.uniform(0.85, 1.1) + 0.4 * high) * (1.35 if levels == 3 else 1)
    stagger, short = root * rng.uniform(0, 0.35), rng.uniform(0.82, 1.0)
    tip, sweep, rise, cap = rng.uniform(0.85, 1.0), rng.uniform(0, 0.1), rng.uniform(0, 0.05), rng.uniform(0.1, 0.6)
    wings = []
    for up in np.linspace(0, 1, levels):
        span = half * 0.98 * (short + (1 - short) * up)
        wings.append(
            wing_plan(start + (1 - up) * stagger, low + up * gap, span, root, root * tip, sweep=sweep, rise=rise)
        )
    parts = [body.solid, *[foil(rows, cap) for rows in wings]]
    bays = (
        [rng.uniform(0.35, 0.45), rng.uniform(0.75, 0.85)]
        if levels == 2 and chance(rng, 0.25)
        else [rng.uniform(0.65, 0.75)]
    )
    for share in (0.2, 0.75):
        for bay in bays:
            x = bay * half * short
            (y0, z0, *_), (y1, z1, *_) = (station(rows, x) for rows in (wings[0], wings[-1]))
            parts.append(both(rod([(x, y0 + share * root, z0 + 0.005), (x, y1 + share * root, z1 - 0.005)], ROD)))
        y, z, *_ = station(wings[-1], wide)
        parts.append(both(rod([(0.5 * wide, y + share * root, 0.3 * high), (wide, y + share * root, z - 0.005)], ROD)))
    seat = start + root * rng.uniform(1.15, 1.35)
    parts.append(ellipsoid((0, seat, body.top(seat) - 0.005), (0.03, 0.07, 0.035)))
    shape: dict[str, Range] = {"chord": (0.14, 0.19), "taper": (0.6, 0.9), "cap": (0.3, 0.9)}
    parts += tail_unit(rng, body, half, "low", fin=(0.1, 0.14), span=(0.34, 0.42), sweep=(0.05, 0.3), **shape)
    parts += propellers(rng, [np.zeros(3)], length * rng.uniform(0.14, 0.18), 0.03)
    return parts + landing_gear(rng, body, start + 0.02, rng.uniform(0.09, 0.13), False, pants=0.2)


def _fighter(plan: str) -> Callable[[Rng], list[Solid]]:
    """Return a builder of jet fighters by plan: swept, twin (fins and engines) or delta."""

    def build(rng: Rng) -> list[Solid]:
        _, half = _sizes(rng, 0.56, 0.85)
        delta, twin = plan == "delta", plan == "twin"
        wide = rng.uniform(0.045, 0.058) * _plump(rng) ** 0.6
        high = wide * rng.uniform(1.0, 1.25)
        intake = "twin" if twin else pick(rng, mouth=0.15 if delta else 0.33, belly=0.3, sides=0.4)
        mouth = intake == "mouth"
        body = fuselage(
            rng, 1.0, wide, high, nose=(0.25, 0.3) if mouth else (0.32, 0.42),
            start=(0.6, 0.7) if mouth else (0.1, 0.1), blunt=(0.5, 0.5) if mouth else (0.65, 0.85),
            droop=(0, 0.3), tail=(0.3, 0.45), fine=(0.9, 0.9), end=(0.25, 0.4) if twin else (0.55, 0.75),
        )  # fmt: skip
        seat = rng.uniform(0.23, 0.32)
        canopy = ellipsoid(
            (0, seat, body.top(seat) - 0.012), (0.032, rng.uniform(0.08, 0.12), rng.uniform(0.034, 0.045))
        )
        hole, _, lip = body.at(0)
        dent = ellipsoid((0, 0, lip), (0.68 * hole, 0.03, 0.68 * hole))
        parts = [body.solid - dent if mouth else body.solid, canopy, *_intakes(rng, intake, wide, high)]
        z, rise = rng.uniform(-0.4, 0.3) * high, rng.uniform(-0.08, 0.05)
        if delta:
            sweep, root = rng.uniform(0.95, 1.5), rng.uniform(0.46, 0.56)
            start, tip = rng.uniform(0.92, 0.96) - root, max(0.05, root - half * sweep + rng.uniform(-0.02, 0.03))
        else:
            sweep, root = rng.uniform(0.2, 1.0), rng.uniform(0.26, 0.44 if twin else 0.38)
            start, tip = rng.uniform(0.37, 0.44), root * rng.uniform(0.2, 0.4)
        rows = wing_plan(start, z, half, root, tip, sweep=sweep, rise=rise, thick=rng.uniform(0.05, 0.08))
        parts.append(foil(rows, rng.uniform(0.1, 0.3)))
        if not delta and chance(rng, 0.45):
            parts.append(foil(wing_plan(start - 0.16, z, rng.uniform(0.09, 0.12), 0.45, 0.2, sweep=2.2), 0.1))
        if chance(rng, 0.55 if delta else 0.05):
            front, out = rng.uniform(0.24, 0.3), rng.uniform(0.14, 0.19)
            parts.append(
                foil(wing_plan(front, rng.uniform(0.2, 0.5) * high, out, 0.13, 0.05, sweep=rng.uniform(0.6, 1.1)), 0.2)
            )
        parts += _fighter_tail(
            rng, body, half, min(sweep, 0.9), fins=twin or (delta and chance(rng, 0.15)), plane=not delta
        )
        y, z, chord, _ = station(rows, half)
        if chance(rng, 0.3):
            front, long = y - 0.4 * chord - 0.03, 1.7 * chord + 0.04
            parts.append(both(pod(half, front, z, long, 0.014, 0.014, nose=0.25, tail=0.1, end=0.7)))
        y, z, chord, _ = station(rows, 0.5 * half)
        if chance(rng, 0.15):
            tank = pod(0.5 * half, y - 0.08, z - 0.05, 0.26, 0.026, 0.026, nose=0.4, blunt=0.6, tail=0.5)
            stem = rod([(0.5 * half, y + 0.4 * chord, z - 0.003), (0.5 * half, y + 0.4 * chord, z - 0.05)], ROD)
            parts.append(both(tank + stem))
        return parts

    return build


def _intakes(rng: Rng, style: str, wide: float, high: float) -> list[Solid]:
    """Return the air intakes of a fighter below or beside its body, for twin with an engine behind each."""
    box = {"nose": 0.25, "start": 0.85, "tail": 0.5, "end": 0.6, "square": rng.uniform(2.6, 4)}
    front = rng.uniform(0.32, 0.42)
    if style == "belly":
        return [pod(0, front - 0.04, -0.7 * high, 0.5, 0.8 * wide, 0.6 * high, **box)]
    if style == "sides":
        return [both(pod(0.85 * wide, front, 0, rng.uniform(0.4, 0.5), 0.033, 0.8 * high, **box))]
    if style == "twin":
        x = rng.uniform(0.9, 1.15) * wide
        return [both(pod(x, front, -0.2 * high, 1.0 - front, 0.045, 0.8 * high, **box | {"tail": 0.35, "end": 0.75}))]
    return []


def _fighter_tail(rng: Rng, body: Body, half: float, sweep: float, fins: bool, plane: bool) -> list[Solid]:
    """Return one fin or, with `fins`, two, and with `plane` a low tailplane."""
    rise, chord, lean = rng.uniform(0.12, 0.18) * (0.8 if fins else 1), rng.uniform(0.16, 0.22), rng.uniform(0.6, 1.0)
    foot = 0.97 - chord - 0.5 * lean * rise
    upright = foil(fin_plan(foot, 0, body.top(0.75) + rise, chord, chord * rng.uniform(0.3, 0.5), lean), 0.2, half=True)
    if fins:
        upright = both(upright.rotate((0, rng.uniform(0, 28), 0)).translate((0.05 * rng.uniform(0.9, 1.4), 0, 0)))
    if not plane:
        return [upright]
    out, root = half * rng.uniform(0.5, 0.62), 0.85 * chord
    z = rng.uniform(-0.02, 0.015)
    return [upright, foil(wing_plan(0.99 - root * rng.uniform(1.0, 1.15), z, out, root, 0.4 * root, sweep=sweep), 0.2)]


def _flying_wing(rng: Rng) -> list[Solid]:
    half, sweep, root = 0.5, rng.uniform(0.35, 0.8), rng.uniform(0.28, 0.45)
    s = np.array([0, 0.12, 0.3, 0.65, 1])
    chord = np.interp(s, [0, rng.uniform(0.3, 0.55), 1], [root, rng.uniform(0.13, 0.18), rng.uniform(0.055, 0.1)])
    thick = np.interp(s, [0, 0.3, 1], [rng.uniform(0.06, 0.09), 0.035, THICK])
    rows = np.column_stack([half * s, sweep * half * s, rng.uniform(0, 0.06) * s, chord, thick])
    wide, high, front = rng.uniform(0.05, 0.09), rng.uniform(0.035, 0.06), rng.uniform(0.0, 0.05)
    centre = pod(0, -front, 0.01, root + front - 0.01, wide, high, nose=0.5, tail=0.6, fine=1.0, end=0.2)
    parts = [foil(rows, rng.uniform(0.1, 0.5)), centre]
    x = rng.uniform(0.11, 0.16)
    y, z, chord_at, _ = station(rows, x)
    style = pick(rng, humps=0.4, fins=0.25, jets=0.15, plain=0.2)
    if style == "humps":
        shape = {"nose": 0.3, "start": 0.6, "tail": 0.7, "end": 0.2}
        parts.append(both(pod(x, y + 0.05, z + 0.01, 0.85 * chord_at, 0.04, 0.034, **shape)))
    elif style == "jets":
        parts.append(both(jet(x, y + 0.45 * chord_at, z + 0.035, 0.13, 0.036)))
    elif style == "fins":
        at = rng.uniform(0.4, 0.97) * half
        y, z, chord_at, _ = station(rows, at)
        fin = fin_plan(y + 0.2 * chord_at, z, z + rng.uniform(0.07, 0.12), 0.85 * chord_at, 0.5 * chord_at, 0.5)
        parts.append(both(foil(fin, 0.2, half=True).translate((at, 0, 0))))
    return parts


def _delta(rng: Rng) -> list[Solid]:
    """Make a supersonic airliner, a delta bomber or a fast reconnaissance jet."""
    length, half = _sizes(rng, 0.42, 0.95)
    slim = rng.uniform(0.026, 0.042)
    body = fuselage(
        rng, length, slim, slim * 1.1, nose=(0.2, 0.35), blunt=(0.6, 0.8), droop=(0, 0.3), tail=(0.3, 0.4),
        end=(0.25, 0.35), rise=(0.2, 0.6),
    )  # fmt: skip
    root, tip, curve = rng.uniform(0.55, 0.7), rng.uniform(0.05, 0.12), rng.uniform(0.6, 1.0)
    s = np.array([0, 0.1, 0.2, 0.35, 0.5, 0.7, 1])
    back = (root - tip) * s**curve
    chord = np.maximum(root - back - rng.uniform(0, 0.06) * s, 0.05)
    thick = np.maximum(0.05 * chord, THICK)
    rows = np.column_stack([half * s, 0.93 - root + back, np.full(len(s), -0.4 * slim), chord, thick])
    parts = [body.solid, foil(rows, 0.2)]
    x = half * rng.uniform(0.3, 0.45)
    y, z, *_ = station(rows, x)
    if chance(rng, 0.65):
        shape = {"nose": 0.2, "start": 0.85, "tail": 0.3, "end": 0.8, "square": 4}
        engine = pod(x, 0.7, z - 0.025, 0.25, rng.uniform(0.035, 0.05), 0.028, **shape)
        fin = fin_plan(0.7, 0, body.top(0.8) + rng.uniform(0.1, 0.15), 0.24, 0.08, 1.0)
        parts += [both(engine), foil(fin, 0.2, half=True)]
    else:
        x = max(x, 0.1)
        engine = pod(x, y - 0.02, z, 0.97 - y, 0.038, 0.038, nose=0.3, start=0.3, tail=0.4, end=0.6)
        fin = fin_plan(0.76, z, z + 0.13, 0.15, 0.08, 0.6)
        parts += [both(engine), both(foil(fin, 0.2, half=True).translate((x, 0, 0)))]
    if chance(rng, 0.2):
        parts.append(foil(wing_plan(rng.uniform(0.2, 0.26), 0.3 * slim, 0.12, 0.11, 0.05, sweep=0.8), 0.2))
    return parts


def _glider(rng: Rng) -> list[Solid]:
    """Make a sailplane, or a drone with a propeller behind."""
    length, half = _sizes(rng, 1.8, 2.4)
    drone = chance(rng, 0.25)
    wide = log(rng, 0.026, 0.042)
    body = fuselage(
        rng, length, wide, wide * rng.uniform(1.1, 1.4), nose=(0.3, 0.45), blunt=(0.5, 0.7), droop=(0, 0.5),
        tail=(0.6, 0.75), fine=(1.0, 2.0), end=(0.4, 0.48), rise=(0, 0.6),
    )  # fmt: skip
    root, start, z = log(rng, 0.055, 0.11), length * rng.uniform(0.28, 0.4), rng.uniform(0.3, 0.95) * wide
    sweep, rise, tip = rng.uniform(-0.02, 0.04), rng.uniform(0.02, 0.08), rng.uniform(0.6, 0.85)
    rows = wing_plan(start, z, half, root, root * tip, sweep=sweep, rise=rise, bend=0.6, kink=0.1 * root)
    glass = ellipsoid((0, 0.22 * length, 0.5 * wide), (0.8 * wide, 0.17 * length, 0.9 * wide))
    parts = [body.solid, foil(rows, rng.uniform(0.2, 0.6)), glass]
    style = pick(rng, v=0.6, low=0.2, h=0.2) if drone else pick(rng, t=0.6, cross=0.1, low=0.22, v=0.08)
    shape: dict[str, Range] = {"chord": (0.12, 0.15), "sweep": (0.02, 0.25), "taper": (0.65, 0.85)}
    parts += tail_unit(rng, body, half, style, fin=(0.13, 0.18), span=(0.2, 0.26), **shape)
    return [*parts, pusher(rng, body, 0.06)] if drone and chance(rng, 0.6) else parts


def _flying_boat(rng: Rng) -> list[Solid]:
    """Make a seaplane with a hull and a high wing that carries engines and floats."""
    length, half = _sizes(rng, 1.2, 1.6)
    wide, high = length * rng.uniform(0.06, 0.075), length * rng.uniform(0.07, 0.09)
    body = fuselage(
        rng, length, wide, high, nose=(0.25, 0.4), blunt=(0.5, 0.7), droop=(-0.5, 0), tail=(0.5, 0.65),
        fine=(0.9, 1.2), end=(0.2, 0.3), rise=(0.6, 1.0), square=(2.2, 3),
    )  # fmt: skip
    start, root = length * rng.uniform(0.26, 0.33), length * rng.uniform(0.18, 0.23)
    z, tip = high * 0.85 + max(0.0, rng.uniform(-0.08, 0.09)), root * rng.uniform(0.5, 0.9)
    rows = wing_plan(start, z, half * 0.98, root, tip, sweep=rng.uniform(0, 0.1), rise=rng.uniform(0, 0.04))
    pylon = fin_plan(start + 0.1 * root, 0, z, 0.8 * root, 0.8 * root, 0.0, least=0.045)
    parts = [body.solid, foil(rows, rng.uniform(0.2, 0.7)), foil(pylon, half=True)]
    x = half * rng.uniform(0.65, 0.9)
    y, z, chord, _ = station(rows, x)
    hull = pod(x, y - 0.03, -0.5 * high, 0.2 * length, 0.025, 0.028, nose=0.4, tail=0.6, droop=-0.4)
    y += 0.4 * chord
    parts.append(both(hull + rod([(x, y, z - 0.004), (x, y, -0.5 * high)], ROD)))
    style = pick(rng, low=0.3, cross=0.5, h=0.2)
    parts += tail_unit(rng, body, half, style, fin=(0.14, 0.19), taper=(0.5, 0.8), cap=(0.3, 0.8))
    return parts + wing_propellers(rng, rows, 0.6 * wide, chance(rng, 0.3))


def _twin_boom(rng: Rng) -> list[Solid]:
    """Make an aeroplane whose tail hangs on two booms."""
    length, half = _sizes(rng, 1.15, 1.5)
    wide, high = length * rng.uniform(0.055, 0.075), length * rng.uniform(0.06, 0.09)
    body = fuselage(
        rng, length * rng.uniform(0.5, 0.62), wide, high, nose=(0.35, 0.45), tail=(0.4, 0.6), end=(0.25, 0.35),
        blunt=(0.45, 0.65), rise=(0, 0.4),
    )  # fmt: skip
    start, root, z = length * rng.uniform(0.22, 0.28), length * rng.uniform(0.2, 0.25), rng.uniform(-0.5, 0.9) * high
    tip, rise = root * rng.uniform(0.45, 0.8), rng.uniform(0, 0.06)
    rows = wing_plan(start, z, half * 0.98, root, tip, sweep=rng.uniform(0, 0.1), rise=rise)
    x, fore = half * rng.uniform(0.29, 0.38), rng.uniform(0.06, 0.1)
    y, z, *_ = station(rows, x)
    boom = pod(x, y - fore, z, length - y + fore, 0.032, 0.036, nose=0.2, start=0.5, tail=0.7, fine=1.2, end=0.4)
    back = length - 0.13
    plane = wing_plan(back, z, x * rng.uniform(1.0, 1.35), 0.11, 0.1)
    fin = foil(fin_plan(back - 0.02, z - 0.02, z + rng.uniform(0.09, 0.14), 0.14, 0.08, 0.35), 0.4, half=True)
    glass = ellipsoid((0, 0.2 * length, 0.6 * high), (0.75 * wide, 0.12, 0.8 * high))
    parts = [
        body.solid,
        foil(rows, 0.4),
        both(boom),
        foil(plane, 0.3),
        both(fin.translate((x, 0, 0))),
        glass,
    ]
    if chance(rng, 0.3):
        return [*parts, pusher(rng, body, 0.08)]
    spots = [np.array([s * x, y - fore, z]) for s in (-1, 1)]
    return parts + propellers(rng, spots, min(0.09, x - wide - 0.02), 0.02)


def _canard(rng: Rng) -> list[Solid]:
    """Make a light aeroplane with its main wing and propeller behind and a small wing in front."""
    length, half = _sizes(rng, 1.2, 1.6)
    wide, high = length * rng.uniform(0.055, 0.07), length * rng.uniform(0.06, 0.08)
    body = fuselage(
        rng, length, wide, high, nose=(0.45, 0.6), blunt=(0.6, 0.8), tail=(0.4, 0.4), end=(0.35, 0.5), droop=(0, 0.4)
    )
    root, sweep, tiplet = length * rng.uniform(0.24, 0.34), rng.uniform(0.25, 0.6), rng.uniform(0.07, 0.11)
    rows = wing_plan(length * 0.92 - root - 0.05, 0, half * 0.94, root, 0.08, sweep=sweep, tiplet=tiplet)
    front, out = length * rng.uniform(0.08, 0.15), half * rng.uniform(0.35, 0.5)
    fore = wing_plan(front, 0, out, 0.075, 0.06, sweep=rng.uniform(0, 0.15))
    glass = ellipsoid((0, 0.42 * length, 0.6 * high), (0.75 * wide, 0.2 * length, 0.75 * high))
    parts = [body.solid, foil(rows, 0.2), foil(fore, 0.3), glass, pusher(rng, body, 0.1)]
    return parts + (landing_gear(rng, body, 0.68 * length, 0.12, True, pants=0.5) if chance(rng, 0.5) else [])


# Weight and builder.
KINDS: tuple[tuple[float, Callable[[Rng], list[Solid]]], ...] = (
    (0.165, _airliner("two")),
    (0.05, _airliner("four")),
    (0.05, _airliner("rear")),
    (0.045, _airliner("high")),
    (0.065, _business_jet),
    (0.09, _light(True)),
    (0.055, _light(False)),
    (0.045, _propliner("high")),
    (0.022, _propliner("low")),
    (0.028, _propliner("bomber")),
    (0.055, _warbird),
    (0.045, _biplane),
    (0.045, _fighter("swept")),
    (0.045, _fighter("twin")),
    (0.04, _fighter("delta")),
    (0.025, _flying_wing),
    (0.025, _delta),
    (0.04, _glider),
    (0.025, _flying_boat),
    (0.02, _twin_boom),
    (0.02, _canard),
)
