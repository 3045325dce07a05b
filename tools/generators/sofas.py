"""Varied closed parametric sofas, to train a shape prior.

Frame: +Z up, -Y front (who sits looks along -Y), the floor at z = 0. All measures here are metres; the finished
sofa is scaled to be 1 long and centred.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .sofa_parts import (
    FEET,
    Look,
    Rect,
    apart,
    bench,
    crest_line,
    cushion,
    draw_arm,
    draw_look,
    foot_solid,
    ribbon,
    roll,
    seat_borders,
    seat_cushion,
    stand,
    swept,
)
from .solids import (
    THIN,
    Array,
    Rng,
    Solid,
    both,
    box,
    chance,
    log,
    make_sound,
    pick,
    placed,
    prism,
    rod,
    sheared,
    union,
    unit,
    walked,
    weighted,
)


def make_sofa(seed: int) -> tuple[Array, Array]:
    """Make one sofa: vertices (V, 3) and faces (F, 3), as `make_sound` describes them."""
    return make_sound(seed, _build)


def _build(rng: Rng) -> Solid:
    _, build = KINDS[weighted(rng, [weight for weight, _ in KINDS])]
    solid = build(rng)
    x0, _, _, x1, _, _ = solid.bounding_box()
    return placed(solid.translate((-(x0 + x1) / 2, 0, 0)))


# --- Runs of seats ---


def _seats(left: str, right: str) -> Callable[[Rng], Solid]:
    """Return a builder of runs of seats by what is at their left and right: arm, none, chaise or return."""

    def build(rng: Rng) -> Solid:
        width = log(rng, 1.05, 2.6) if right in ("arm", "none") else log(rng, 1.2, 2.2)
        more = {"arm": 0.5, "none": 0.0, "chaise": 1.4, "return": 1.3}[right] + 0.8 * (left in ("chaise", "return"))
        look = draw_look(rng, width + more)
        style = pick(rng, **FEET, floor=0.15)
        if style == "floor":
            look = replace(look, lift=0.0)
        if right in ("chaise", "return"):
            style = "block" if style == "sled" else style
            look = replace(look, crest=np.zeros_like, puff=0.0 if look.columns * look.rows > 1 else look.puff)
        if right == "none" and chance(rng, 0.5):
            look = replace(look, edge=0.09, puff=0.06)
        arm, thick = draw_arm(rng, look)
        armed, half = right != "none" and (right == "arm" or chance(rng, 0.75)), width / 2
        ends = {"none": End([], 0.0, 0.0, [])}
        ends["arm"] = End([arm], 0.0, 0.6 * thick, []) if armed else ends["none"]
        if right == "chaise":
            ends[right] = _chaise_end(rng, look, ends["arm"])
        elif right == "return":
            ends[right] = _return_end(rng, look, ends["arm"])
        one, other = ends[left], ends[right]
        cells = seat_borders(rng, width)
        parts = bench(look, -half - one.frame, half + other.frame, cells)
        parts += [solid.translate((half, 0, 0)).mirror((1, 0, 0)) for solid in one.parts]
        parts += [solid.translate((half, 0, 0)) for solid in other.parts]
        x0, x1 = -half - one.frame - one.arm, half + other.frame + other.arm
        rects = [(x0, x1, -look.depth / 2, look.depth / 2)]
        rects += [(-half - x1, -half - x0, y0, y1) for x0, x1, y0, y1 in one.plan]
        rects += [(half + x0, half + x1, y0, y1) for x0, x1, y0, y1 in other.plan]
        if right == "arm" and not look.tight:
            extra = pick(rng, none=0.76, pillows=0.1, ottoman=0.07, console=0.07)
            if extra == "pillows":
                parts.append(_pillows(rng, look, half))
            elif extra == "console" and len(cells) % 2:
                parts.append(_console(rng, look, 0.42 * (cells[1] - cells[0])))
            elif extra == "ottoman":
                a, b = cells[-2:]
                reach = min(0.75, b - a) * rng.uniform(0.7, 1.0)
                rects.append((a, b, -look.depth / 2 - reach, -look.depth / 2))
                parts += _ottoman(look, rects[-1])
        if style != "floor":
            parts += stand(rng, look, rects, style, chance(rng, 0.3))
        solid = union(parts)
        return solid if chance(rng, 0.5) else solid.mirror((1, 0, 0))

    return build


@dataclass(frozen=True)
class End:
    """What closes a run of seats on its right, seen from there: how much of the run's `frame` it takes up, the foothold
    that its `arm` adds, and the `plan` of what stands out in front.
    """

    parts: list[Solid]
    frame: float
    arm: float
    plan: list[Rect]


def _chaise_end(rng: Rng, look: Look, arm: "End") -> "End":
    """Return a seat for the legs to the right of a run."""
    wide, reach = rng.uniform(0.75, 1.0), rng.uniform(0.45, 0.8)
    parts = bench(_thicker(look), 0, wide, np.array([0, wide]), reach, walled=False)
    parts += [solid.translate((wide, 0, 0)) for solid in arm.parts]
    return End(parts, wide, arm.arm, [(0, wide, -look.depth / 2 - reach, look.depth / 2)])


def _return_end(rng: Rng, look: Look, arm: "End") -> "End":
    """Return a corner and the seats in front of it, to the right of a run."""
    depth, reach = look.depth, log(rng, 0.6, 1.7)
    parts = bench(_thicker(look), 0, depth - 0.02, np.array([0, depth - look.back]), walled=False)
    side = bench(look, 0.005, depth + reach, depth + seat_borders(rng, reach) + reach / 2)
    side += [solid.translate((depth + reach, 0, 0)) for solid in arm.parts]
    parts += [solid.rotate((0, 0, -90)).translate((depth / 2, depth / 2, 0)) for solid in side]
    return End(parts, depth - 0.03, 0.0, [(0, depth, -depth / 2 - reach - arm.arm, depth / 2)])


def _thicker(look: Look) -> Look:
    """Change the back's cushions a little: four that meet in one point make slivers."""
    return replace(look, pad=look.pad and look.pad + 0.012)


def _ottoman(look: Look, rect: Rect) -> list[Solid]:
    """Return a stool that touches the front of a seat."""
    x0, x1, y0, y1 = rect
    body = cushion((x0, y0 + 0.015, look.lift), (x1, y1 + 0.05, min(look.deck, look.seat - 0.08)), 0.02)
    return [body, seat_cushion(look, x0, x1, y0, y1 + 2 * look.squeeze)]


def _console(rng: Rng, look: Look, wide: float) -> Solid:
    """Return the box between the middle seats of a sofa for watching films."""
    half, high = min(0.14, wide / 2) * rng.uniform(0.8, 1), look.seat + rng.uniform(0.08, 0.16)
    return cushion((-half, -look.depth / 2 + 0.02, look.lift), (half, look.depth / 2 - look.back, high), 0.03)


def _pillows(rng: Rng, look: Look, half: float) -> Solid:
    """Return two throw pillows, at the ends of a seat that reaches to +-half."""
    side = rng.uniform(0.36, 0.46)
    pillow = cushion((-side / 2, -0.045, 0), (side / 2, 0.045, side), 0.04, 0.05).rotate((-18, 0, 18))
    y = look.depth / 2 - look.back - look.pad - 0.06
    return both(pillow.translate((half - 0.55 * side, y, look.seat - 0.03)))


# --- Backs that run round ---


def _walled(rng: Rng) -> Solid:
    """Make a sofa whose back runs round into its arms: chesterfield, tub, camel back, winged settee."""
    half = log(rng, 0.65, 1.2)
    look = replace(draw_look(rng, 2 * half + 0.3), tight=False)
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
    crest = crest_line(rng, 0.0 if style == "camel" else 0.8)(path[:, 0] / half)
    tops = rest + (look.top - rest) * climb + crest * climb**2
    lean = rng.uniform(0, 0.15)
    shell = [swept(path, wall / 2, look.lift, tops, 0.45 * wall, lean)]
    if style in ("chesterfield", "camel") or chance(rng, 0.2):
        radius = rng.uniform(0.07, 0.1)
        out = path + _outward(path) * (0.6 * radius + lean * (look.top - look.lift))
        shell.append(swept(out, radius, tops - 2 * radius, tops, radius, cap=0.02))
    base = prism(path[::-1] + np.array([0, 0.03]), look.lift, look.deck)
    well = prism(path[::-1] - np.array([0, 0.2]), 0, 2)
    cells = seat_borders(rng, 2 * half - wall)
    cells = cells[[0, -1]] if look.whole_seat else cells
    seats = [seat_cushion(look, a, b, front - 0.01, rear) ^ well for a, b in pairwise(cells)]
    covers = _tufts(rng, look, path, tops, wall, lean) if style != "camel" and chance(rng, 0.45) else []
    feet = {**FEET, "sled": 0.0, "cabriole": 0.12}
    foot = pick(rng, **feet)
    room = 0.3 * turn if style == "tub" else 0.0
    rects = [(-half + room, half - room, front, rear - room)]
    return union([*shell, base, *seats, *covers, *stand(rng, look, rects, foot, half > 0.95)])


def _outward(path: Array) -> Array:
    along = np.gradient(path, axis=0)
    return unit(np.column_stack([-along[:, 1], along[:, 0]]))


def _tufts(rng: Rng, look: Look, path: Array, tops: Array, wall: float, lean: float) -> list[Solid]:
    """Return the upright channels on the inner side of a wall that runs round a seat."""
    length = walked(path)
    count = max(6, round(length[-1] / rng.uniform(0.16, 0.24)))
    s = (np.arange(count) + 0.5) / count * length[-1]
    inward = -_outward(path)
    columns = []
    for x, y, nx, ny, top in zip(*(np.interp(s, length, c) for c in (*path.T, *inward.T, tops)), strict=True):
        radius = 0.56 * length[-1] / count
        low, high = look.seat - 0.1, top - 0.05
        bulge = min(0.05, 0.6 * radius)
        column = cushion((-radius, -bulge, low), (radius, bulge, high), 0.9 * bulge)
        turn = np.degrees(np.arctan2(-nx, ny))
        column = sheared(column, 0, -lean, look.lift).rotate((0, 0, turn))
        columns.append(column.translate((x + nx * wall * 0.5, y + ny * wall * 0.5, 0)))
    return columns


def _curved(rng: Rng) -> Solid:
    """Make a sofa along an arc."""
    depth = rng.uniform(0.8, 1.0)
    span, radius = np.radians(rng.uniform(50, 150)), log(rng, 1.1, 2.4)
    span = np.clip(span, 1.7 / radius, 3.4 / radius)
    look = draw_look(rng, 2 * radius * np.sin(span / 2) + 0.5)
    look = replace(look, depth=depth, lean=0.5 * look.lean, pad=look.pad if look.columns == look.rows == 1 else 0.0)
    angles = np.linspace(-span / 2, span / 2, 61)

    def arc(r: float, a: Array = angles) -> Array:
        return np.column_stack([r * np.sin(a), r * np.cos(a)])

    parts = [swept(arc(radius), depth / 2 - 0.01, look.lift, look.deck, 0.03)]
    count = 1 if look.whole_seat else max(2, round(span * radius / rng.uniform(0.65, 1.0)))
    u = angles / angles[-1]
    drop = rng.uniform(0, 0.2) * np.abs(u) ** rng.uniform(2, 5)
    outer = radius + depth / 2 - look.back / 2
    deep = depth - look.back + 0.03
    inner = radius - (depth - deep) / 2
    wall = min(0.045, 0.45 * look.back)
    parts.append(swept(arc(outer), look.back / 2, look.lift, look.top - drop, wall, look.lean))
    borders = np.linspace(angles[0], angles[-1], count + 1)
    lap = look.squeeze / radius
    for a, b in pairwise(borders):
        some = np.linspace(a - lap, b + lap, 21)
        parts.append(swept(arc(inner, some), deep / 2, look.deck - 0.03, look.seat, look.edge))
    if look.pad:
        for a, b in pairwise(apart(borders)):
            some = np.linspace(a - lap, b + lap, 21)
            pad = arc(outer - look.back / 2 - look.pad / 2 + 0.02, some)
            tops = look.rise - np.interp(some, angles, drop)
            parts.append(
                swept(pad, look.pad / 2 + 0.02, look.seat - 1.3 * look.edge, tops, min(look.edge, 0.06), look.lean)
            )
    if chance(rng, 0.4):
        arm, _ = draw_arm(rng, replace(look, top=look.top - float(drop[0])))
        turn = np.degrees(span / 2)
        end = arc(radius, angles[-1:])[0]
        parts.append(both(arm.rotate((0, 0, -turn)).translate((*end, 0))))
    if chance(rng, 0.4):
        parts.append(swept(arc(radius, 0.93 * angles), depth / 2 - 0.08, 0, look.lift + 0.03, 0.02))
    else:
        foot = foot_solid(rng, look.lift, look.thin, pick(rng, block=0.3, taper=0.4, bun=0.3))
        for a in (0.88 * angles[0], 0.0, 0.88 * angles[-1]):
            parts += [
                foot.translate((*arc(r, np.array([a]))[0], 0)) for r in (radius - 0.36 * depth, radius + 0.36 * depth)
            ]
    return union(parts)


# --- Frames of wood and steel ---


def _wooden(rng: Rng) -> Solid:
    """Make a sofa with loose cushions on an open frame of wood, or a futon."""
    half = log(rng, 0.6, 1.05)
    thin = 2.5 * THIN * half
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
        parts.append(both(box((half - 0.01, front, 0), (half + bar, depth / 2, rest))))
    else:
        run = rng.uniform(0, 0.12) if style == "paddle" else 0.0
        hs = bar / 2
        fore = rod([(x, front + 0.05 - run, hs), (x, front + 0.05, rest - hs)], hs)
        aft = rod([(x, back_leg + run, hs), (x, back_leg, rest - hs)], hs)
        if style != "paddle":
            fore = box((half - 0.01, front, 0), (half + bar, front + 1.3 * bar, rest))
            aft = box((half - 0.01, back_leg - bar, 0), (half + bar, back_leg + bar, rest))
        arm = cushion((x - wide / 2, front - 0.02, rest - bar), (x + wide / 2, depth / 2, rest), 0.3 * bar)
        rail = box((half - 0.01, front + 0.05, deck - 0.06), (half + bar, back_leg, deck - 0.06 + bar))
        side = [fore, aft, arm, rail]
        if style == "loop":
            side.append(box((half - 0.01, front, 0), (half + bar, back_leg, bar)))
        if style == "slats":
            count = int(rng.integers(3, 6))
            for y in np.linspace(front + 0.05, back_leg, count + 2)[1:-1]:
                side.append(box((x - bar / 2, y - bar / 2, deck - 0.06), (x + bar / 2, y + bar / 2, rest - bar / 2)))
        parts.append(both(*side))
    ladder = [box((-inner, rear, top - 1.5 * bar), (inner, rear + bar, top))]
    if chance(rng, 0.6):
        count = max(3, round(2 * inner / rng.uniform(0.13, 0.25)))
        for at in np.linspace(-inner + bar / 2, inner - bar / 2, count):
            ladder.append(box((at - bar / 2, rear, deck - 0.03), (at + bar / 2, rear + bar, top - bar)))
    else:
        ladder += [box((-inner, rear, z), (inner, rear + bar, z + 1.4 * bar)) for z in (seat - 0.02, (seat + top) / 2)]
        ladder.append(both(box((inner - bar, rear, deck - 0.03), (inner, rear + bar, top))))
    parts += [sheared(piece, 0, lean, deck) for piece in ladder]
    edge, puff = rng.uniform(0.035, 0.06), rng.uniform(0, 0.03)
    cells = seat_borders(rng, 2 * half)
    cells = cells[[0, -1]] if futon or chance(rng, 0.2) else cells
    lap = 0.14 * edge
    pad, rise = rng.uniform(0.1, 0.16), top + rng.uniform(-0.05, 0.06)
    for a, b in pairwise(cells):
        low = (a - lap, front - 0.02, deck - 0.4 * edge)
        parts.append(cushion(low, (b + lap, rear + 0.02, seat), edge, puff))
        a, b = 0.985 * a, 0.985 * b
        back = cushion((a - lap, rear - pad, seat - 1.3 * edge), (b + lap, rear + 0.012, rise), edge, puff)
        parts.append(sheared(back, 0, lean, deck))
    return union(parts)


def _tubular(rng: Rng) -> Solid:
    """Make box cushions held by a cage of steel tubes."""
    half, depth, rest = log(rng, 0.62, 1.1), rng.uniform(0.7, 0.8), rng.uniform(0.58, 0.68)
    arm, seat = rng.uniform(0.14, 0.2), rng.uniform(0.38, 0.44)
    radius = 0.011 * (2 * half + 2 * arm + 0.1)
    lift, edge = rng.uniform(0.08, 0.14), rng.uniform(0.035, 0.055)
    top = rest + rng.choice([0.0, 0.1])
    x, y = half + arm, depth / 2
    parts = [both(cushion((half - 0.01, -y, lift), (x, y, rest), edge))]
    parts.append(cushion((-half - 0.01, y - 0.17, lift), (half + 0.01, y, top), edge))
    deck = lift + 0.14
    parts.append(box((-half, 0.02 - y, lift), (half, y - 0.1, deck)))
    for a, b in pairwise(seat_borders(rng, 2 * half)):
        parts.append(cushion((a - 0.14 * edge, -y, deck - 0.02), (b + 0.14 * edge, y - 0.15, seat), edge, 0.02))
    low, high = lift + 0.03, rest - rng.uniform(0.02, 0.12)
    x += 0.4 * radius
    y += 0.4 * radius
    for s in (-1, 1):
        parts.append(rod([(s * half, -y, high), (s * x, -y, high), (s * x, y, high), (0, y, high)], radius))
        parts.append(rod([(0, -y, low), (s * x, -y, low), (s * x, y, low), (0, y, low)], radius))
        parts += [rod([(s * x, w * y, radius), (s * x, w * y, high)], radius) for w in (-1, 1)]
        parts += [rod([(s * half, -y, low), (s * half, -y, high)], radius)]
    return union(parts).trim_by_plane((0, 0, 1), 0.3 * radius)


# --- Light and rare types ---


def _settee(rng: Rng) -> Solid:
    """Make a parlour settee: upholstered seat and shaped back on tall legs, open or no arms."""
    half, depth = log(rng, 0.55, 0.9), rng.uniform(0.6, 0.72)
    look = draw_look(rng, 2 * half + 0.15)
    look = replace(
        look, depth=depth, lift=rng.uniform(0.22, 0.32), deck=0.36, seat=rng.uniform(0.42, 0.48), tight=True, pad=0.0,
        top=rng.uniform(0.78, 1.0), back=rng.uniform(0.07, 0.12), crest=crest_line(rng, 0.1),
        lean=rng.uniform(0.1, 0.25), edge=0.035,
    )  # fmt: skip
    parts = bench(look, -half, half, np.array([-half, half]))
    radius = max(look.thin / 2 + 0.002, rng.uniform(0.02, 0.032))
    rest = look.seat + rng.uniform(0.18, 0.27)
    x, front, rear = half - radius, -depth / 2 + 0.06, depth / 2 - look.back / 2
    style = pick(rng, scroll=0.45, square=0.25, none=0.3)
    aft = rear + look.lean * (rest - look.lift)
    if style == "scroll":
        t = np.linspace(0, 1, 9)
        course = [(x + 0.05 * np.sin(np.pi * u), aft + u * (front - aft), rest - 0.05 * np.sin(np.pi * u)) for u in t]
        post = [(x, front, rest), (x, front + 0.06, (rest + look.seat) / 2), (x, front + 0.02, look.seat - 0.04)]
        parts.append(both(rod(course + post, radius)))
    elif style == "square":
        parts.append(both(rod([(x, aft, rest), (x, front, rest), (x, front, look.seat - 0.04)], radius)))
    if chance(rng, 0.35) and half > 0.6:
        parts.append(_bolsters(look.seat, half - 0.05, 0.09, depth))
    foot = pick(rng, cabriole=0.4, turned=0.2, taper=0.3, splayed=0.1)
    return union([*parts, *stand(rng, look, [(-half, half, -depth / 2, depth / 2)], foot, half > 0.8)])


def _recamier(rng: Rng) -> Solid:
    """Make a day couch with one or two raised scroll ends."""
    half, depth = rng.uniform(0.75, 1.0), rng.uniform(0.62, 0.78)
    look = replace(draw_look(rng, 2 * half + 0.5), depth=depth, tight=True, pad=0.0, lift=rng.uniform(0.1, 0.28))
    look = replace(look, seat=max(look.seat, look.lift + 0.14))
    out, rise, radius = rng.uniform(0.08, 0.26), rng.uniform(0.25, 0.5), rng.uniform(0.055, 0.09)
    t = np.linspace(0, 1, 8)
    two = chance(rng, 0.35)

    def end(height: float) -> Solid:
        swing = half - radius + out * (t**2 - 0.15 * np.sin(np.pi * t))
        heights = look.lift + radius + t * (look.seat - look.lift - radius + height)
        thick = radius * (1 + 0.5 * t**6)
        return ribbon(1, depth / 2, zip(swing, heights, thick, strict=True), 0.03)

    body = cushion((-half, -depth / 2 + 0.01, look.lift), (half, depth / 2 - 0.01, look.seat - 0.06), 0.02)
    mattress = cushion((-half, -depth / 2, look.seat - 0.09), (half, depth / 2, look.seat), 0.045, look.puff)
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
        parts.append(swept(path, wall / 2, look.lift, tops, 0.45 * wall, 0.0))
    if chance(rng, 0.3):
        parts.append(roll(1, 0.45 * depth, (half - 0.14, look.seat + 0.06), 0.08, 0.03))
    feet = pick(rng, cabriole=0.3, turned=0.25, taper=0.2, splayed=0.15, block=0.1)
    solid = union([*parts, *stand(rng, look, [(-half, half, -depth / 2, depth / 2)], feet)])
    return solid if chance(rng, 0.5) else solid.mirror((1, 0, 0))


def _daybed(rng: Rng) -> Solid:
    """Make a mattress on a frame, with low ends, a low back, or bolsters."""
    half, depth = rng.uniform(0.9, 1.05), rng.uniform(0.75, 0.95)
    look = replace(draw_look(rng, 2 * half + 0.15), depth=depth, lift=rng.uniform(0.12, 0.25))
    wall = max(look.thin, rng.uniform(0.045, 0.09))
    thick = rng.uniform(0.1, 0.2)
    deck = look.lift + max(look.thin, rng.uniform(0.05, 0.1))
    seat = deck + thick
    parts = [cushion((-half, -depth / 2, look.lift), (half, depth / 2, deck), 0.015)]
    x = half - wall
    cells = np.linspace(-x, x, 1 + int(rng.choice([1, 1, 2, 3, 6])))
    parts += [
        cushion((a - 0.006, 0.01 - depth / 2, deck - 0.02), (b + 0.006, depth / 2 - 0.01, seat), 0.05, 0.01)
        for a, b in pairwise(cells)
    ]
    style = pick(rng, ends=0.4, bolsters=0.3, back=0.3)
    rise = seat + rng.uniform(0.15, 0.4)
    if style in ("ends", "back"):
        lean = rng.uniform(0, 0.25)
        side = cushion((x, -depth / 2, look.lift), (half, depth / 2, rise), 0.4 * wall)
        side = sheared(side, lean, 0, look.lift)
        parts.append(both(side) if style == "ends" or chance(rng, 0.6) else side)
    if style == "back":
        path = np.column_stack([np.linspace(-half, half, 31), np.full(31, (depth - wall) / 2)])
        tops = rise + rng.uniform(0, 0.1) + crest_line(rng, 0.4)(np.linspace(-1, 1, 31))
        parts.append(swept(path, wall / 2, look.lift, tops, 0.45 * wall))
    if style == "bolsters" or chance(rng, 0.5):
        rolls = _bolsters(seat, x, rng.uniform(0.08, 0.11), depth)
        single = roll(1, 0.47 * depth, (x - 0.1, seat + 0.08), 0.1, 0.03)
        parts.append(rolls if style != "bolsters" or chance(rng, 0.4) else single)
    feet = {**FEET, "cabriole": 0.06}
    return union([*parts, *stand(rng, look, [(-half, half, -depth / 2, depth / 2)], pick(rng, **feet))])


def _bolsters(seat: float, half: float, radius: float, depth: float) -> Solid:
    """Return two rolls lying across the ends of a seat."""
    return both(roll(1, 0.45 * depth, (half - radius, seat + 0.8 * radius), radius, 0.03))


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
    seat = ribbon(0, each / 2 + 0.01, core, 0.08)
    if ribs:
        for y, z, r in course:
            seat += roll(0, each / 2 + 0.015, (y, z), min(r, 0.15), 0.07)
    block = cushion((-each / 2, -depth, 0), (each / 2, 0.8 * depth, low + 0.02), 0.06)
    seat += block
    parts = [seat.translate(((i - (count - 1) / 2) * each, 0, 0)) for i in range(count)]
    if chance(rng, 0.3):
        x = count * each / 2
        arm = cushion((x - 0.03, -depth, 0), (x + 0.22, 0.9 * depth, low + thick + 0.16), 0.1, 0.02)
        parts.append(both(arm))
    return union(parts).trim_by_plane((0, 0, 1), 0.02)


def _plump(rng: Rng) -> Solid:
    """Make an overstuffed sofa: fat rolls and cushions down to the floor."""
    half, depth, low = log(rng, 0.6, 1.15), rng.uniform(0.92, 1.1), rng.uniform(0.14, 0.22)
    seat, top, thick = low + rng.uniform(0.16, 0.24), rng.uniform(0.66, 0.92), rng.uniform(0.22, 0.32)
    edge, puff = rng.uniform(0.08, 0.125), rng.uniform(0.02, 0.06)
    front, rear = -depth / 2, depth / 2
    parts = [cushion((0.02 - half, front + 0.06, 0), (half - 0.02, rear - 0.05, low + 0.1), 0.05)]
    cells = seat_borders(rng, 2 * half)
    lap = 0.16 * edge
    rows = int(rng.choice([1, 1, 2, 3]))
    levels = np.linspace(low + 0.06, top, rows + 1)
    lean = rng.uniform(0, 0.2)
    for a, b in pairwise(cells):
        parts.append(cushion((a - lap, front, low - 0.05), (b + lap, rear - 0.6 * thick, seat), edge, puff))
        for z0, z1 in pairwise(levels):
            roll = cushion((a - lap, rear - thick, z0 - lap), (b + lap, rear, z1 + lap), edge, puff)
            parts.append(sheared(roll, 0, lean, low))
    style = pick(rng, block=0.35, rolls=0.35, none=0.3)
    rest = seat + rng.uniform(0.08, 0.22)
    levels = np.linspace(0, rest, 1 + (2 if style == "rolls" else 1))
    if style != "none":
        for z0, z1 in pairwise(levels):
            at = (half - 2 * lap, front + 0.03, z0), (half + 0.9 * thick, rear - 0.05, z1 + lap)
            parts.append(both(cushion(*at, edge, puff)))
    return union(parts).trim_by_plane((0, 0, 1), 0.03)


def _lounger(rng: Rng) -> Solid:
    """Make a chaise longue that faces forward: a bent slab on legs or a plinth."""
    wide, thick = rng.uniform(0.28, 0.38), rng.uniform(0.05, 0.09)
    seat, lift = rng.uniform(0.3, 0.4), rng.uniform(0.12, 0.2)
    tall, wave = rng.uniform(0.3, 0.5), rng.uniform(0.0, 0.12)
    y = np.linspace(-0.85, 0.75, 15)
    back = np.clip((y - 0.15) / 0.6, 0, 1)
    z = seat - thick + tall * back**1.3 + wave * np.sin(np.pi * np.clip((y + 0.85) / 1.0, 0, 1)) - 0.2 * wave
    course = zip(y, z, np.full(15, thick), strict=True)
    parts = [ribbon(0, wide, course, 0.04)]
    top = float(z[0])
    parts.append(cushion((-0.9 * wide, -0.75, lift), (0.9 * wide, 0.5, top), 0.02))
    look = replace(draw_look(rng, 1.7), lift=lift)
    if chance(rng, 0.3):
        arm = cushion((wide - 0.02, -0.2, lift), (wide + 0.12, 0.55, seat + 0.2), 0.05)
        parts.append(arm if chance(rng, 0.5) else arm.mirror((1, 0, 0)))
    rects = [(-0.9 * wide, 0.9 * wide, -0.75, 0.5)]
    return union([*parts, *stand(rng, look, rects, pick(rng, taper=0.35, splayed=0.2, block=0.2, plinth=0.25))])


# Weight, builder.
KINDS: tuple[tuple[float, Callable[[Rng], Solid]], ...] = (
    (0.35, _seats("arm", "arm")),
    (0.04, _seats("none", "none")),
    (0.07, _seats("arm", "chaise")),
    (0.07, _seats("arm", "return")),
    (0.02, _seats("chaise", "chaise")),
    (0.02, _seats("return", "return")),
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
