"""Varied closed parametric chairs, to train and test a shape prior.

Frame: +Z up, -Y front, the floor at z = 0. The builders work in metres; the finished chair is 1 in its largest extent.
"""

from collections.abc import Callable

import numpy as np

from .chair_frames import captain, framed
from .chair_parts import (
    LEAST,
    Back,
    bent,
    moulded,
    pad_over,
    padding,
    rung,
    seat_outline,
    sheet,
    short_legs,
    side_bar,
    smooth,
    spread_legs,
    stand,
    star,
    superellipsoid,
)
from .solids import (
    ROUND,
    SQUARE,
    Array,
    Rng,
    Solid,
    bar,
    both,
    box,
    chance,
    circle,
    loft,
    make_sound,
    pick,
    placed,
    plate,
    powered,
    skin,
    union,
    weighted,
)

FLAT = (0.0, 0.0, 0.0)


def make_chair(seed: int) -> tuple[Array, Array]:
    """Make one chair: vertices (V, 3) and faces (F, 3), as `make_sound` describes them."""
    return make_sound(seed, _build)


def _build(rng: Rng) -> Solid:
    _, build = KINDS[weighted(rng, [weight for weight, _ in KINDS])]
    return placed(union(build(rng)).trim_by_plane((0, 0, 1), 0))


# --- Shells ---


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
    return [_bowl(rng, half, depth, tall, z, style), *stand(rng, base, z - 0.02, half, depth)]


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
        return moulded(corners, 0.16, [half * 0.85, half * 0.95, half, half, half * 0.8],
                      [0.03, arm * 0.7, arm, arm * 0.9, 0.05], thick, rng.uniform(0.3, 0.8), edge)  # fmt: skip
    if style == "egg":
        arm = rng.uniform(0.18, 0.26)
        return moulded(corners, 0.18, [half * 0.9, half, half * 1.05, half, half * 0.75],
                      [0.02, arm * 0.8, arm, arm, arm * 0.8], thick, rng.uniform(0.4, 0.8), edge)  # fmt: skip
    waist = rng.uniform(0.35, 0.75) if style == "ply" else rng.uniform(0.85, 1.0)
    curl = rng.uniform(0.0, 0.03) if style == "ply" else rng.uniform(0.03, 0.08)
    top = rng.uniform(0.7, 1.0)
    return moulded(corners, rng.uniform(0.08, 0.16), [half * 0.92, half, half * waist, half * top, half * top * 0.9],
                  [curl * 0.3, curl, curl, curl, curl * 0.8], thick, rng.uniform(0.1, 0.7), edge)  # fmt: skip


def _bar_stool(rng: Rng) -> list[Solid]:
    """Make a bar chair with a small shell on legs, or on a column with a foot rest."""
    z, half, depth, tall = rng.uniform((0.62, 0.18, 0.34, 0.16), (0.8, 0.23, 0.4, 0.32))
    bowl = _bowl(rng, half, depth, tall, z, pick(rng, side=0.5, tub=0.35, ply=0.15))
    if chance(rng, 0.4):
        return [bowl, *spread_legs(rng, z - 0.02, half * 1.2, depth)]
    base = stand(rng, "pedestal" if chance(rng, 0.7) else "star", z - 0.02, half, depth)
    reach, low = rng.uniform((0.11, 0.22), (0.15, 0.34))
    loop = [(0, 0.02, low), (reach, 0, low), (reach, -reach * 1.6, low), (0, -reach * 1.6, low)]
    return [bowl, *base, both(bar(bent(loop, reach * 0.9), LEAST))]


# --- Upholstery ------------------------------------------------------------------------------------------------------


def _club(rng: Rng) -> list[Solid]:
    """Make an upholstered armchair."""
    z, seat, depth, wide, arm, tall = rng.uniform(
        (0.38, 0.25, 0.7, 0.07, 0.14, 0.36), (0.44, 0.3, 0.84, 0.17, 0.24, 0.55)
    )
    power, deep, lip, rake, thick = rng.uniform((5, 0.1, -0.01, 4, 0.14), (12, 0.16, 0.06, 16, 0.22))
    lift = rng.uniform(0.05, 0.16) if chance(rng, 0.55) else 0.0
    y, x = depth / 2, seat + wide
    parts = [pad_over(seat_outline(x - 0.01, depth - 0.04, 12, 12), lift, z - deep + 0.03, 0.01, 0.01)]
    parts.append(superellipsoid((-seat - 0.01, lip - y, z - deep), (seat + 0.01, y - 0.12, z + 0.01), power))
    back = superellipsoid((-seat - 0.02, -thick / 2, -0.2), (seat + 0.02, thick / 2, tall), power)
    parts.append(back.rotate((-rake, 0, 0)).translate((0, y - thick / 2 - 0.06, z)))
    if chance(rng, 0.5):
        frame = superellipsoid((-x + 0.01, -0.06, lift - z + 0.01), (x - 0.01, 0.06, tall * rng.uniform(0.6, 0.95)), 10)
        parts.append(frame.rotate((-rake * 0.6, 0, 0)).translate((0, y - 0.06, z)))
    parts.append(_club_arms(rng, x, y, lift, z + arm, wide, power))
    return [*parts, short_legs(rng, x, y - 0.03, lift)] if lift else parts


def _club_arms(rng: Rng, x: float, y: float, base: float, top: float, wide: float, power: float) -> Solid:
    style = pick(rng, block=0.4, rolled=0.3, sloped=0.3)
    if style == "block":
        return both(superellipsoid((x - wide, -y, base), (x, y - 0.03, top), power))
    if style == "rolled":
        r = max(0.05, wide * rng.uniform(0.5, 0.65))
        roll = side_bar(x - r * 0.7, [(-y, top - r), (y - 0.05, top - r * 0.8)], r, 0, circle(24))
        return both(superellipsoid((x - wide, -y + 0.01, base), (x - 0.01, y - 0.03, top - r * 0.7), 10), roll)
    drop, out, rise = rng.uniform((0.02, 0, 0), (0.12, 0.06, 0.1))
    low, high = top - drop, top + rise
    rings = [
        [(x - wide + o / 2, -y, z0), (x + o, -y, z0), (x + o, y - 0.04, z1), (x - wide + o / 2, y - 0.04, z1)]
        for o, z0, z1 in [(0, base, base), (out, low, high)]
    ]
    return both(skin(np.array(rings)))


def _tub(rng: Rng) -> list[Solid]:
    """Make a round armchair: one padded wall around the seat."""
    half, deep, z, arm, more = rng.uniform((0.31, 0.32, 0.38, 0.1, 0), (0.4, 0.4, 0.44, 0.24, 0.32))
    wall, flare, stretch, square, peak = rng.uniform((0.06, 0, 0.1, 0.75, 1), (0.13, 0.2, 0.35, 1, 4))
    lift = rng.uniform(0.06, 0.2) if chance(rng, 0.55) else 0.0
    angle = np.linspace(-stretch, 1 + stretch, 31) * np.pi
    inside = np.clip(angle, 0, np.pi)
    x = powered(np.cos(inside), square) * half
    y = np.abs(np.sin(inside)) ** square * deep - np.abs(angle - inside) * 0.4
    u, t = np.meshgrid(np.linspace(-1, 1, 31), np.linspace(0, 1, 9))
    low = lift + 0.01
    top = z + arm + more * np.sin(inside) ** peak
    spread = 1 + flare * t**2
    grid = np.stack([x * spread, y * spread, low + (top - low) * t], -1)
    parts = [sheet(grid[:, ::-1], wall * padding(0.97 * u, 2 * t - 1, 1, 0.55) * (0.7 + 0.3 * t))]
    outline = np.column_stack([x, y])
    parts.append(pad_over(outline, lift, z - 0.06, 0.01, 0.01))
    parts.append(pad_over(outline - [0, 0.015], z - 0.1, z + 0.02, 0.03, 0.03))
    if not lift:
        return parts
    if chance(rng, 0.25):
        return [*parts, loft(circle(32), np.array([0, 0.03, 0.04, lift + 0.03]), np.array([0.22, 0.2, 0.04, 0.04]))]
    feet = short_legs(rng, half * 0.72, (deep - y.min()) * 0.36, lift)
    return [*parts, feet.translate((0, (y.min() + deep) / 2, 0))]


def _wing(rng: Rng) -> list[Solid]:
    """Make a wing chair."""
    z, half, depth, tall, lift = rng.uniform((0.4, 0.25, 0.58, 0.58, 0.12), (0.46, 0.3, 0.68, 0.74, 0.24))
    rake, out, wall, lip, head, thick = rng.uniform((0.1, 0, 0.05, 0, 0.9, 0.09), (0.2, 0.06, 0.08, 0.04, 1.1, 0.14))
    y = depth / 2
    parts = [short_legs(rng, half + 0.02, y, lift)]
    parts.append(pad_over(seat_outline(half + wall * 0.5, depth, 10, 10), lift, z - 0.08, 0.01, 0.01))
    parts.append(superellipsoid((-half - 0.01, -y - lip, z - 0.13), (half + 0.01, y - 0.02, z + 0.02), 6))
    back = Back(half + 0.02, half * head, y - 0.03, z, z + tall, rake, 1.1, (0, rng.uniform(0, 0.04)))
    parts.append(back.panel(-0.4, 1, thick, 0.5, rng.uniform(0.0, 0.12)))
    reach = smooth(rng.uniform((0.1, 0.12, 0.14, 0.05), (0.26, 0.22, 0.22, 0.14)), 13)[:, None]
    s, t = np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 13))
    side = back.at(0.97, 0.14 / tall + (0.97 - 0.14 / tall) * t)
    side += np.stack([out * s * t, -reach * s, -0.05 * s * t], -1)
    parts.append(both(sheet(side, wall * padding(2 * s - 1, 2 * t - 1, 1, 0.6))))
    arm, r, short = rng.uniform((0.17, 0.04, 0.02), (0.23, 0.055, 0.08))
    x, arm = half + wall * 0.3, z + arm
    wing = superellipsoid((x - 0.03, -y + short, lift + 0.01), (x + 0.04, y, arm - 0.01), 9)
    roll = side_bar(x + 0.01, [(-y + 0.02, arm - r), (y, arm - r)], r, 0, circle(20))
    return [*parts, both(wing, roll)]


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
    pads = [moulded(profile, 0.2, [half] * 3, FLAT, thick, 0.15, max(0.5, 2 * LEAST / thick)) for profile in profiles]
    rear = y + rake * (arm - z + drop) / tall
    level = z - 0.2 * thick
    hold = [
        rung(x, -y * 0.7, level - 0.15 * drop, r),
        rung(x, y * 0.8, level - 0.9 * drop, r),
        rung(x, rear, arm, r),
    ]
    if chance(rng, 0.6):
        front = side_bar(x, [(-y, -0.02), (-y * 0.7, z - 0.3 * drop), (-y * 0.75, arm)], r, 0.05, section)
        back = side_bar(x, [(y + kick, -0.02), (y * 0.8, z - drop), (rear + 0.01, arm + 0.01)], r, 0.05, section)
        rest = [(x, rear + 0.05, arm), (x + 0.02, 0, arm + 0.02), (x, -y - 0.02, arm + 0.03)]
        wood = bar(bent(rest, 0.2), rng.uniform(1, 2.2) * r, SQUARE, r)
        return [*pads, both(*hold, front, back, wood)]
    loop = [(rear, arm), (-y * 0.95, arm + 0.03), (-y, r), (y + 0.1, r), (rear, arm), (0, arm + 0.015)]
    return [*pads, both(*hold, rung(x, -y * 0.98, level, r), side_bar(x, loop, r, rng.uniform(0.06, 0.15), section))]


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
    pads = [moulded(profile, 0.1, [half] * 3, curl, thick, k, 0.5) for profile in profiles]
    low, behind = z - 0.4 * thick, np.array([0.35 * thick, 0.0])
    spine = [(0, low), (hip[0] + 0.03, low - dip), waist + behind, (waist + top) / 2 + behind]
    parts = [*pads, side_bar(0, spine, rng.uniform(0.03, 0.06), 0.06, SQUARE, 0.016)]
    parts += star(rng, z - 0.3 * thick, False)
    if chance(rng, 0.75):
        y = hip[0] + up[0] * (z + rise - hip[1])
        rest = superellipsoid((half - 0.03, -0.17, z + rise - 0.03), (half + 0.06, y + 0.06, z + rise + 0.03), 5)
        stem = bent([(0, 0, low), (half + 0.02, 0, low), (half + 0.02, 0, z + rise)], 0.06)
        parts.append(both(rest, bar(stem, 0.022, SQUARE, 0.016)))
    return parts


# --- Offices and tubes -----------------------------------------------------------------------------------------------


def _office(rng: Rng) -> list[Solid]:
    z, half, depth = rng.uniform((0.43, 0.22, 0.43), (0.52, 0.27, 0.5))
    style = pick(rng, task=0.45, executive=0.35, mesh=0.2)
    low, tall, thick, edge, deep = {
        "task": rng.uniform((0.12, 0.36, 0.04, 0.6, 0.05), (0.4, 0.52, 0.07, 0.7, 0.12)),
        "executive": rng.uniform((0.0, 0.6, 0.06, 0.5, 0.07), (0.05, 0.75, 0.11, 0.6, 0.13)),
        "mesh": rng.uniform((0.05, 0.5, 0.025, 1.0, 0.04), (0.25, 0.65, 0.028, 1.0, 0.07)),
    }[style]
    outline = seat_outline(half, depth, *rng.uniform((2.5, 2.5, 0.85), (6, 6, 1)))
    under = z - deep
    parts = [*star(rng, under + 0.01, chance(rng, 0.9)), pad_over(outline, under, z, 0.4 * deep, 0.3 * deep)]
    parts.append(box((-0.09, -0.1, under - 0.025), (0.09, 0.12, under + 0.01)))
    foot, head, rake, bend, bow = rng.uniform((0.8, 0.7, 0.1, 1.2, 0), (1.05, 1.0, 0.28, 2, 0.06))
    wide, y = half * foot, depth / 2 + rng.uniform(-0.03, 0.03)
    back = Back(wide, wide * head, y, z, z + tall, tall * rake, bend, (bow, bow))
    parts.append(back.panel(low, 1, thick, edge, rng.uniform(0.15, 0.8)))
    spine = back.at(0, np.linspace(low + 0.12, low + 0.4, 4))[:, 1:] + [0.4 * thick, 0]
    hips = [(0, under - 0.01), (spine[0, 0] + 0.02, under - 0.01)]
    parts.append(side_bar(0, [*hips, *spine], rng.uniform(0.02, 0.045), 0.06, SQUARE, 0.014))
    if style == "executive" and chance(rng, 0.4):
        parts.append(back.panel(0.8, 1.02, thick * 1.4, 0.5, 0.5, 0.75))
    return [*parts, _office_arms(rng, half, z, under + 0.005)] if chance(rng, 0.75) else parts


def _office_arms(rng: Rng, half: float, z: float, low: float) -> Solid:
    out, rise, r, long, wide = rng.uniform((0.05, 0.17, 0.014, 0.11, 0.024), (0.075, 0.24, 0.022, 0.15, 0.04))
    x, top = half + out, z + rise
    pad = superellipsoid((x - wide, -long, top - 0.015), (x + 0.035, long, top + 0.02), 5)
    if chance(rng, 0.5):
        return both(pad, bar(bent([(0, 0.02, low), (x, 0.02, low), (x, 0.02, top)], 0.05), 1.3 * r, SQUARE, r))
    ways = np.array([(0, 0.1, low), (x, 0.1, low), (x, long * 0.9, top)])
    return both(pad, bar(bent([*ways, *(ways[::-1] * [1, -1, 1])], 0.05), r))


def _cantilever(rng: Rng) -> list[Solid]:
    """Make a tube chair without rear legs."""
    z, x, depth, tall = rng.uniform((0.42, 0.21, 0.42, 0.33), (0.47, 0.26, 0.52, 0.5))
    r, rake, long, pad, round_off = rng.uniform((LEAST, 0.06, 0.4, 0.024, 0.06), (0.016, 0.16, 0.52, 0.06, 0.13))
    y, wide, arm = depth / 2, x, z + rng.uniform(0.18, 0.24)
    runner, level = [(-y, r), (depth * long, r)], z - pad / 2
    if chance(rng, 0.3):
        # Without tubes under it, the seat hangs between the front bends, and the back between the arms.
        front = rng.uniform(-y, -0.7 * y)
        parts = [side_bar(x, [(y + rake * 0.5, arm), (front, arm), *runner], r, round_off)]
        at = -y + (front + y) * (level / arm) + 0.01
        parts += [rung(x, at, level, LEAST), rung(x, y * 0.5, level, LEAST)]
        parts.append(side_bar(x - 0.005, [(y * 0.5, level), (y * 0.6, arm)], LEAST))
    else:
        wide = x - r
        parts = [side_bar(x, [(y + rake, z + tall - 0.02), (y, z - r), (-y, z - r), *runner], r, round_off)]
        if chance(rng, 0.3):
            parts.append(side_bar(x, [(y + 0.4 * rake, arm), (-y * 0.6, arm), (-y * 0.65, z - r)], r, 0.08))
    parts.append(rung(x, depth * long, r, r))
    k, edge = rng.uniform(0, 0.4), max(0.5, 2 * LEAST / pad)
    if chance(rng, 0.3):
        sling = [(-y, z), (y - 0.01, z), (y + rake, z + tall)]
        return [moulded(sling, 0.1, [wide + r] * 3, FLAT, pad, k * 0.5, edge), both(*parts)]
    seat = pad_over(seat_outline(wide + r, depth * 0.96, 8, 8), z - pad, z + 0.01, 0.4 * pad, 0.3 * pad)
    back = Back(wide + r, wide + r, y, z, z + tall, rake, 1.0, (0, rng.uniform(0, 0.05)))
    return [seat, back.panel(rng.uniform(0.1, 0.55), 1.0, pad, edge, k), both(*parts)]


def _stacking(rng: Rng) -> list[Solid]:
    """Make a conference or school chair: panels on a frame of four tube legs or a sled."""
    z, x, depth, tall = rng.uniform((0.42, 0.19, 0.38, 0.3), (0.47, 0.25, 0.46, 0.45))
    r, rake, pad, rear, low = rng.uniform((LEAST, 0.05, 0.026, 0.0, 0.3), (0.016, 0.14, 0.06, 0.1, 0.6))
    y, level = depth / 2, z - 0.5 * pad
    back = Back(x, x, y, z, z + tall, rake, 1.3, (0, rng.uniform(0, 0.06)))
    post = back.at(1, np.linspace(0.06, 0.95, 8))[:, 1:]
    if chance(rng, 0.3):
        sled = [(y, level), (-y * 0.9, level), (-y, r), (y + rear, r), (y * 0.8, level)]
        parts = [side_bar(x, [*post[::-1], *sled], r), rung(x, y + rear - 0.06, r, r)]
    else:
        parts = [side_bar(x, [(y, level), (-y * 0.92, level), (-y, -0.02)], r)]
        parts.append(side_bar(x, [(y + rear, -0.02), (y, level), *post], r))
    if chance(rng, 0.3):
        arm = z + rng.uniform(0.18, 0.22)
        parts.append(side_bar(x, [(y * 0.9, level), (y * 0.8, arm), (-y * 0.5, arm), (-y * 0.7, level)], r))
    if chance(rng, 0.25):
        parts.append(rung(x, -y * 0.96, 0.35 * z, r))
    seat = pad_over(seat_outline(x + r, depth, rng.uniform(3, 8), 8), z - pad, z + 0.01, 0.4 * pad, 0.2 * pad)
    return [seat, back.panel(low, 1, pad, max(0.5, 2 * LEAST / pad), rng.uniform(0, 0.6), 1.02), both(*parts)]


def _garden(rng: Rng) -> list[Solid]:
    """Make a stackable plastic chair: one shell with arms, tapering legs and slots in its back."""
    z, half, depth, tall = rng.uniform((0.4, 0.2, 0.42, 0.36), (0.44, 0.24, 0.47, 0.5))
    lean, top, k, arm, wide, splay = rng.uniform((0.2, 0.7, 0.2, 0.17, 0.018, 0.02), (0.35, 1.0, 0.7, 0.22, 0.03, 0.06))
    y, rake, arm = depth / 2, tall * lean, z + arm
    corners = [(-y, z - 0.02), (-y * 0.8, z), (y, z - 0.02), (y + rake, z + tall)]
    shell = moulded(corners, 0.1, [half] * 4 + [half * top], [0.0, 0.02, 0.04, 0.05, 0.05], 0.025, k)
    low, high, step = z + tall * rng.uniform(0.25, 0.4), z + tall * rng.uniform(0.75, 0.85), rng.uniform(0.055, 0.065)
    count = int(rng.integers(0, 5))
    for x in (np.arange(count) - (count - 1) / 2) * step:
        shell -= box((x - 0.013, 0, low), (x + 0.013, 1, high))
    taper = [0.014, 0.02], ROUND, [0.018, 0.03]
    out = half + splay
    parts = [bar([(out + 0.02, y + splay + 0.04, -0.02), (half * 0.8, y * 0.6, z - 0.01)], *taper)]
    if chance(rng, 0.25):
        return [shell, both(*parts, bar([(out, -y - splay, -0.02), (half * 0.8, -y * 0.7, z - 0.005)], *taper))]
    x = half + 0.05
    rest = [(half * 0.95, y + rake * 0.55, arm + 0.04), (x, 0, arm + 0.01), (x, -y * 0.75, arm)]
    leg = [(x, -y * 0.9, arm - 0.08), (out + 0.015, -y - splay, -0.02)]
    parts.append(bar(bent([*rest, *leg], 0.1), wide, ROUND, 0.014))
    return [shell, both(*parts, bar([(half - 0.03, -y * 0.8, z - 0.015), (x, -y * 0.95, z - 0.03)], 0.015))]


def _folding(rng: Rng) -> list[Solid]:
    """Make a folding chair whose side frames are an X."""
    z, x, top, r = rng.uniform((0.42, 0.19, 0.76, LEAST), (0.47, 0.24, 0.9, 0.016))
    foot, rear, head, deep, grip = rng.uniform((-0.27, 0.18, 0.12, 0.33, 0.06), (-0.2, 0.26, 0.22, 0.39, 0.12))
    section = ROUND if chance(rng, 0.5) else SQUARE
    hinge = foot + (head - foot) * (z + 0.02) / (top + 0.02)
    inner, front = x - 1.8 * r, hinge - deep + grip
    parts = [side_bar(x, [(foot, -0.02), (head, top)], r, 0, section)]
    parts.append(side_bar(inner, [(rear, -0.02), (front, z - 0.01)], r, 0, section))
    for reach, low, start, end in [(x, 0.1, foot, hinge), (inner, 0.08, rear, front)]:
        parts.append(rung(reach, start + (end - start) * (low + 0.02) / (z + 0.02), low, LEAST))
    slab = pad_over(seat_outline(x + 0.2 * r, deep, 8, 8), z - 0.014, z + rng.uniform(0.012, 0.03), 0.008, 0.008)
    count = int(rng.integers(2, 6)) if chance(rng, 0.4) else 0
    for y in deep * (np.arange(1, count) / count - 0.5):
        slab -= box((-inner + 2 * r, y - 0.012, 0), (inner - 2 * r, y + 0.012, 2))
    back = Back(x, x, hinge, z, top, head - hinge, 1.0, (0, rng.uniform(0, 0.03)))
    tops = np.linspace(1, 0.55, int(rng.integers(2, 4))) if chance(rng, 0.4) else [1.0]
    share = rng.uniform(0.1, 0.14) if len(tops) > 1 else rng.uniform(0.25, 0.65)
    bands = [back.band(at - share, at, 2 * LEAST) for at in tops]
    return [slab.translate((0, hinge + 0.02 - deep / 2, 0)), *bands, both(*parts)]


def _director(rng: Rng) -> list[Solid]:
    """Make a folding armchair with X legs seen from the front and a sling for seat and back."""
    z, x, y, tall = rng.uniform((0.42, 0.24, 0.18, 0.34), (0.6, 0.29, 0.23, 0.48))
    r, rise, sag, low = rng.uniform((0.013, 0.18, 0.01, 0.45), (0.018, 0.22, 0.06, 0.62))
    arm = z + rise
    legs = [bar([(x, s * y, r), (-x, s * y * 0.9, z)], r, SQUARE) for s in (-1, 1)]
    rails = [
        side_bar(x, [(-y - 0.03, r), (y + 0.03, r)], 1.1 * r, 0, SQUARE),
        side_bar(x, [(-y, z), (y, z)], r, 0, SQUARE),
    ]
    rails.append(side_bar(x, [(-y - 0.03, arm), (y + 0.04, arm)], 0.025, 0, SQUARE, 0.013))
    posts = [((-y * 0.85, z), (-y * 0.85, arm)), ((y * 0.85, z), (y * 0.85 + 0.03, z + tall))]
    u, v = np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 5))
    seat = sheet(np.stack([u * x, v * y, z - sag * (1 - u**2)], -1), 2 * LEAST)
    back = Back(x, x, y * 0.85, z, z + tall, 0.03, 1, (0.03, 0.03)).band(low, 1, 2 * LEAST)
    return [seat, back, both(*legs, *rails, *[side_bar(x, post, r, 0, SQUARE) for post in posts])]


# --- Rarer types -----------------------------------------------------------------------------------------------------


def _adirondack(rng: Rng) -> list[Solid]:
    half, z, tall, rear, arm = rng.uniform((0.25, 0.34, 0.6, 0.4, 0.17), (0.29, 0.38, 0.75, 0.5, 0.22))
    lean, fan, crown, front, arm = *rng.uniform((0.3, 1, 0), (0.5, 1.25, 0.25)), -0.32, z + arm
    slope = -(z - 0.07) / (rear - front)
    hip = (0.16, z + slope * (0.16 - front))
    back = Back(half - 0.03, (half - 0.03) * fan, hip[0] - 0.02, hip[1], hip[1] + tall, tall * lean, 1.0)
    y = back.at(0, (arm - hip[1]) / tall)[1]
    frame = [side_bar(half - 0.02, [(front, z - 0.05), (rear, 0.02)], 0.013, 0, SQUARE, 0.045)]
    frame += [side_bar(half, [(at, -0.02), (at, arm)], 0.014, 0, SQUARE, 0.045) for at in (front + 0.06, y)]
    frame.append(bar([(half + 0.01, front - 0.02, arm), (half + 0.02, y + 0.06, arm)], 0.06, SQUARE, 0.013))
    frame.append(rung(half, y + 0.02, arm - 0.01, 0.016))
    count = int(rng.integers(4, 7))
    wide = back.foot / count - 0.011
    grow = np.linspace(wide, wide * fan, 9)
    staves = [back.stave(u, -0.05, 1 - crown * u**2, grow, 2 * LEAST) for u in (np.arange(count) * 2 + 1) / count - 1]
    tilt = np.degrees(np.arctan(slope))
    board = box((-half, -0.038, -0.0125), (half, 0.038, 0.0125)).rotate((tilt, 0, 0))
    spots = np.linspace(front + 0.02, hip[0] - 0.05, 5)
    return [*[board.translate((0, at, z - 0.01 + slope * (at - front))) for at in spots], *staves, both(*frame)]


def _crossed(rng: Rng) -> list[Solid]:
    """Make a lounge chair of two cushions on curved X legs."""
    half, depth, tall, z, rake, thick = rng.uniform(
        (0.3, 0.55, 0.42, 0.38, 0.15, 0.08), (0.38, 0.65, 0.52, 0.42, 0.28, 0.12)
    )
    y, x, r = depth / 2, half * rng.uniform(0.75, 0.9), rng.uniform(0.018, 0.026)
    profiles = [(-y, z), (y - 0.02, z - 0.05)], [(y - 0.02, z + 0.02), (y + rake, z + tall)]
    pads = [moulded(profile, 0.1, [half] * 3, FLAT, thick, 0.08, 0.6) for profile in profiles]
    t = np.linspace(0, 1, 13)
    rear = np.column_stack([y * 0.95 - depth * 0.85 * t + 0.1 * np.sin(np.pi * t), z * t**1.3 - 0.01])
    fore = np.column_stack([-y * 0.95 + (depth + rake * 0.85) * t, (z + tall * 0.85) * t**1.7 - 0.01])
    legs = [bar(np.column_stack([np.full(13, x), path]), r, SQUARE, LEAST) for path in (rear, fore)]
    return [*pads, both(*legs)]


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
    return [moulded(corners, radius, [half * rng.uniform(1, 1.15), half, half, half], FLAT, thick, 0.05)]


def _slab(rng: Rng) -> list[Solid]:
    """Make a chair of boards: whole sides, seat and back."""
    z, half, depth, tall, board, deep = rng.uniform(
        (0.4, 0.22, 0.42, 0.3, 0.024, 0.025), (0.45, 0.3, 0.55, 0.5, 0.05, 0.1)
    )
    y, arm = depth / 2, z + rng.choice([0.0, rng.uniform(0.14, 0.2)])
    kick, lean = rng.uniform((0, 0), (0.06, 0.12)) if chance(rng, 0.4) else (0.0, 0.0)
    sides = both(plate(np.array([(-y, 0), (y + kick, 0), (y, arm), (lean - y, arm)]), "x", half, board))
    if chance(rng, 0.6):
        low = 0.0 if chance(rng, 0.5) else rng.uniform(0.05, 0.12)
        hole = box((-1, -y + 0.07, low), (1, y - 0.07, z - deep - 0.04))
        sides -= hole
    back = Back(half, half, y - board, z, z + tall, rng.uniform(0.0, 0.15), 1.0)
    seat = pad_over(seat_outline(half + 0.01, depth - 0.02, 14, 14), z - deep, z + 0.005, 0.01, 0.005)
    return [sides, seat, back.panel(-0.1, 1, board, 1.0, 0.0)]


# Weight, builder.
KINDS: tuple[tuple[float, Callable[[Rng], list[Solid]]], ...] = (
    (0.31, framed("dining")),
    (0.04, framed("low")),
    (0.05, framed("bar")),
    (0.035, framed("rocking")),
    (0.025, framed("bench")),
    (0.03, captain),
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
