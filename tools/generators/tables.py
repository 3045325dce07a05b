"""Varied closed parametric tables, to train and test a shape prior.

Frame: +Z up, -Y front, the floor at z = 0; most tables are about 1 long along X.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    plate,
    powered,
    prism,
    rail,
    rectangle,
    sheared,
    slanted,
    turned,
    union,
    weighted,
)


def make_table(seed: int) -> tuple[Array, Array]:
    """Make one table: vertices (V, 3) and faces (F, 3), as `make_sound` describes them."""
    return make_sound(seed, _build)


def _build(rng: Rng) -> Solid:
    _, outlines, build = KINDS[weighted(rng, [weight for weight, _, _ in KINDS])]
    return build(rng, outlines)


@dataclass(frozen=True)
class Plan:
    """What the supports must know of the top above them.

    `outline` is the convex polygon of its underside, `height` the height of that underside,
    `bite` how far parts reach into the top, and `size` the table's largest extent.
    """

    outline: Array
    height: float
    bite: float
    size: float
    curved: bool

    @property
    def length(self) -> float:
        """Extent of the underside along x."""
        return float(np.ptp(self.outline[:, 0]))

    @property
    def width(self) -> float:
        """Extent of the underside along y."""
        return float(np.ptp(self.outline[:, 1]))

    def _edges(self) -> tuple[Array, Array]:
        steps = np.roll(self.outline, -1, axis=0) - self.outline
        normals = np.column_stack([steps[:, 1], -steps[:, 0]])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return normals, (normals * self.outline).sum(1)

    def reach(self, direction: Array, margin: float) -> Array:
        """Return the farthest point in a direction that keeps a margin to the outline."""
        normals, offsets = self._edges()
        towards = normals @ direction
        ahead = towards > 1e-9
        steps = (offsets - margin)[ahead] / towards[ahead]
        return direction * max(steps.min(), 0.05 * (offsets[ahead] / towards[ahead]).min())

    def through(self, point: Array) -> Array:
        """Return the outline shrunk so that it passes through a point."""
        normals, offsets = self._edges()
        return self.outline * ((normals @ point) / offsets).max()


def _outline(rng: Rng, kind: str, length: float, width: float) -> Array:
    half = np.array([length, width]) / 2
    if kind == "rectangle":
        return SQUARE * half
    if kind == "polygon":
        return circle(int(rng.choice([6, 8]))) * half
    if kind == "ellipse":
        return circle(48) * half
    if kind == "superellipse":
        return powered(circle(48), 2 / rng.uniform(2.4, 5)) * half
    if kind == "boat":
        x = np.linspace(-1, 1, 13)
        y = 1 - rng.uniform(0.12, 0.4) * x**2
        return np.concatenate([np.column_stack([x, -y]), np.column_stack([-x, y])]) * half
    if kind == "chamfered":
        cut = rng.uniform(0.1, 0.35) * half.min()
        return cornered(half, cut, 1)
    if kind == "stadium":
        return cornered(half, half.min() * 0.99, 12)
    if kind == "half":
        angles = np.linspace(np.pi, 2 * np.pi, 25)
        return np.column_stack([np.cos(angles), 2 * np.sin(angles) + 1]) * half
    return cornered(half, rng.uniform(0.1, 0.6) * half.min(), 6)


def _height(rng: Rng, width: float, low: float, tall: float, lowest: float) -> float:
    """Draw the height of a coffee, dining or bar table whose top is 1 long."""
    span = float(np.sqrt(width))
    regime = pick(rng, low=low, normal=1 - low - tall, tall=tall)
    limits = {"low": (lowest, 0.45), "normal": (0.45, 0.95), "tall": (0.95, 2.0)}[regime]
    return span * log(rng, *limits)


def _top(
    rng: Rng,
    outlines: dict[str, float],
    low: float,
    tall: float,
    lowest: float = 0.15,
    thickest: float = 0.1,
) -> tuple[Solid, Plan]:
    """Make a table top, 1 long, and the plan for what carries it.

    `low` and `tall` are the shares of coffee and bar tables, `lowest` the least height and
    `thickest` the greatest thickness, relative to the top's extent.
    """
    kind = pick(rng, **outlines)
    aspect = 1.0 if chance(rng, 0.25) else log(rng, 1.05, 3.0)
    if kind in ("ellipse", "polygon") and chance(rng, 0.6):
        aspect = 1.0
    if kind in ("boat", "half", "stadium"):
        aspect = log(rng, 1.5, 3.0)
    width = 1 / aspect
    height = _height(rng, width, low, tall, lowest)
    size = max(1.0, height)
    thickness = min(size * log(rng, 0.016, thickest), 0.3 * max(width, height))
    outline = _outline(rng, kind, 1.0, width)
    edge = pick(rng, straight=0.5, bevel=0.2, round=0.15, lens=0.15)
    inset = min(thickness * rng.uniform(0.4, 2.5), 0.12 * width)
    profiles: dict[str, list[tuple[float, float]]] = {
        "straight": [(0, 0), (1, 0)],
        "bevel": [(0, inset), (rng.uniform(0.3, 0.8), 0), (1, 0)],
        "round": [(0, 0.3), (0.1, 0.13), (0.3, 0), (0.7, 0), (0.9, 0.13), (1, 0.3)],
        "lens": [(0, inset), (0.5, 0), (1, inset / 2)],
    }
    levels = profiles[edge]
    if edge == "round":
        levels = [(z, r * thickness) for z, r in levels]
    rings = [
        np.column_stack([outline * (1 - 2 * r / np.array([1, width])), np.full(len(outline), z)]) for z, r in levels
    ]
    points = np.concatenate(rings) * [1, 1, thickness] + [0, 0, height]
    under = rings[0][:, :2]
    curved = kind not in ("rectangle", "chamfered", "rounded")
    plan = Plan(under, height, 0.4 * thickness, size, curved)
    top = Solid.hull_points(points)
    if kind == "rectangle" and height > 0.4 and chance(rng, 0.05):
        top += _riser(rng, width, height + thickness, size)
    return top, plan


def _riser(rng: Rng, width: float, z: float, size: float) -> Solid:
    """Return a raised shelf along the back of the top."""
    wall, rise = size * rng.uniform(THIN, 0.035), rng.uniform(0.1, 0.4)
    depth, half = width * rng.uniform(0.25, 0.45), 0.5 * rng.uniform(0.7, 0.97)
    back = 0.47 * width
    solid = box((-half, back - depth, z - wall / 4), (half, back, z + rise))
    hole = box((wall - half, back - 2 * depth, z - 1), (half - wall, back - wall, z + rise - wall))
    return solid - hole


@dataclass(frozen=True)
class Leg:
    """A leg standing at the origin, bending towards +x; `radius` is its half-width on top."""

    solid: Solid
    radius: float
    straight: bool


def _leg(rng: Rng, plan: Plan, thick: float) -> Leg:
    """Make a leg of about the given half-width that reaches into the top."""
    height = plan.height + plan.bite
    least = THIN / 2 * plan.size
    disc = circle(int(rng.choice([8, 16, 20])))
    style = pick(rng, square=0.22, round=0.16, taper_square=0.16, taper_round=0.16, turned=0.18, curved=0.12)
    if style in ("square", "round"):
        section = SQUARE if style == "square" else disc
        if style == "square" and chance(rng, 0.2):
            section = SQUARE * [1, max(0.5, least / thick)]
        solid = loft(section, np.array([0, height]), np.array([thick, thick]))
    elif style.startswith("taper"):
        section = SQUARE if style == "taper_square" else disc
        foot = max(least, thick * rng.uniform(0.3, 0.75))
        knee = rng.choice([0.9, 0.7, 0.5]) * height
        solid = loft(section, np.array([0, knee, height]), np.array([foot, thick, thick]))
        if chance(rng, 0.2):
            solid = solid.mirror((0, 0, 1)).translate((0, 0, height))
    elif style == "turned":
        t, r = turned(rng)
        solid = loft(circle(16), t * height, np.maximum(r * thick, least))
        if chance(rng, 0.4):
            low = height * rng.uniform(0.6, 0.85)
            solid += box((-thick, -thick, low), (thick, thick, height))
    else:
        t = np.linspace(0, 1, 11)
        sway = min(height, 0.5 * plan.width) * rng.uniform(0.08, 0.25)
        bend = np.sin(np.pi * t) if chance(rng, 0.4) else -np.sin(2 * np.pi * t)
        shifts = sway * bend * rng.choice([-1, 1])
        radii = np.maximum(thick * (0.5 + 0.5 * t), least)
        section = circle(12) if chance(rng, 0.6) else SQUARE
        solid = loft(section, t * height, radii, shifts)
    return Leg(_with_foot(rng, plan, solid, thick), thick, style not in ("curved",))


def _with_foot(rng: Rng, plan: Plan, leg: Solid, thick: float) -> Solid:
    """Sometimes add a ball, a pad or a flange to a leg."""
    extra = pick(rng, none=0.78, ball=0.09, pad=0.07, flange=0.06)
    radius = thick * rng.uniform(1.15, 1.6)
    if extra == "none" or radius > 0.3 * plan.height:
        return leg
    where = leg.slice(1e-4).bounds() if extra != "flange" else leg.slice(plan.height).bounds()
    x = (where[0] + where[2]) / 2
    if extra == "ball":
        ball = Solid.sphere(radius, 16).translate((x, 0, 0.8 * radius))
        return leg + ball.trim_by_plane((0, 0, 1), 0)
    depth = THIN * plan.size
    if extra == "pad":
        return leg + Solid.cylinder(depth, radius, radius, 16).translate((x, 0, 0))
    flare = Solid.cylinder(2 * depth, thick / 2, 1.2 * radius, 16)
    return leg + flare.translate((x, 0, plan.height + plan.bite - 2 * depth))


def _directions(rng: Rng, plan: Plan, count: int) -> list[Array]:
    """Return the plan directions of the legs, counter-clockwise."""
    half = np.array([plan.length, plan.width]) / 2
    if count == 4 and not (plan.curved and chance(rng, 0.2)):
        return [np.array(sign) * half for sign in [(-1, -1), (1, -1), (1, 1), (-1, 1)]]
    start = rng.choice([-np.pi / 2, np.pi / 2]) if count == 3 else np.pi / count
    angles = start + np.arange(count) * 2 * np.pi / count
    if count == 4:
        angles = np.arange(4) * np.pi / 2
    return list(np.column_stack([np.cos(angles), np.sin(angles)]) * half)


def _legs(rng: Rng, plan: Plan, count: int) -> list[Solid]:
    """Return legs and what joins them: apron, shelf, stretchers."""
    across = min(plan.width, 0.6)
    thick = log(rng, THIN / 2 * plan.size, max(0.13 * across, THIN * plan.size))
    if plan.height < 0.45 * across:
        thick = log(rng, 0.04 * across, 0.17 * across)
    thick = max(thick, THIN / 2 * plan.size)
    leg = _leg(rng, plan, thick)
    inset = 1.0 if chance(rng, 0.55) else rng.uniform(0.65, 0.97)
    splay = 0.0
    if chance(rng, 0.35):
        splay = min(plan.height, 0.5) * rng.uniform(0.08, 0.45)
        inset *= 0.78
    margin = thick + 1e-3
    if count == 6 and plan.length > 1.4 * plan.width:
        corner = plan.reach(np.array([plan.length, plan.width]), margin) * inset
        ways = [(-1, -1), (0, -1), (1, -1), (1, 1), (0, 1), (-1, 1)]
        heads = [np.array(way) * corner for way in ways]
    else:
        heads = [plan.reach(way, margin) * inset for way in _directions(rng, plan, count)]
    outward = [head / np.linalg.norm(head) for head in heads]
    feet = [head + way * splay for head, way in zip(heads, outward, strict=True)]
    radial = plan.curved or not leg.straight or chance(rng, 0.1)
    parts = []
    for head, foot, way in zip(heads, feet, outward, strict=True):
        turn = np.degrees(np.arctan2(way[1], way[0])) if radial else 0.0
        slope = (head - foot) / plan.height
        standing = sheared(leg.solid.rotate((0, 0, turn)), *slope).translate((*foot, 0))
        parts.append(_below_lid(plan, standing))
    level = _Level(heads, feet, plan)
    drop = 0.0
    if chance(rng, 0.5):
        drop = min(plan.size * log(rng, 0.035, 0.14), 0.45 * plan.height)
        parts += _apron(rng, level, drop)
    if leg.straight:
        parts += _joins(rng, level, thick, drop)
    if count == 4 and chance(rng, 0.05):
        parts.append(leg.solid)
    return parts


def _below_lid(plan: Plan, solid: Solid) -> Solid:
    """Cut off what would come out of the top's upper side."""
    return solid.trim_by_plane((0, 0, -1), -plan.height - 1.3 * plan.bite)


@dataclass(frozen=True)
class _Level:
    """The axes of the legs, to be asked for their places at a height."""

    heads: list[Array]
    feet: list[Array]
    plan: Plan

    def at(self, z: float) -> list[Array]:
        t = z / self.plan.height
        return [f + t * (h - f) for h, f in zip(self.heads, self.feet, strict=True)]

    def area(self, z: float) -> Array:
        """Return the polygon spanned by the legs, rounded under a rounded top."""
        points = self.at(z)
        return self.plan.through(points[0]) if self.plan.curved else np.array(points)


def _apron(rng: Rng, level: _Level, drop: float) -> list[Solid]:
    plan = level.plan
    wall = plan.size * rng.uniform(THIN, 0.03)
    low, high = plan.height - drop, plan.height + plan.bite
    if plan.curved or chance(rng, 0.25):
        outline = m3.CrossSection([level.area(plan.height)])
        outer = outline.offset(wall / 2, m3.JoinType.Miter)
        if chance(rng, 0.7):
            outer -= outline.offset(-wall / 2, m3.JoinType.Miter)
        return [prism(outer, low, high)]
    corners = level.at(plan.height)
    rails = zip(corners, corners[1:] + corners[:1], strict=True)
    return [rail(start, end, wall, low, high) for start, end in rails]


def _joins(rng: Rng, level: _Level, thick: float, drop: float) -> list[Solid]:
    """Return a shelf, stretchers, or nothing."""
    plan, count = level.plan, len(level.heads)
    bar = max(THIN * plan.size, min(thick * rng.uniform(0.7, 1.6), 0.05 * plan.size))
    room = plan.height - drop
    kind = pick(rng, none=0.58, shelf=0.2, box=0.09, h=0.08, cross=0.05)
    z = room * rng.uniform(0.1, 0.6)
    if kind == "none" or room < 8 * bar:
        return []
    if kind == "shelf":
        slab = plan.size * rng.uniform(THIN, 0.04)
        return [prism(level.area(z), z - slab / 2, z + slab / 2)]
    corners = level.at(z)
    low, high = z - bar / 2, z + bar / 2
    if kind == "cross" and count in (4, 6):
        half = count // 2
        pairs = list(zip(corners[:half], corners[half:], strict=True))
    elif kind == "cross":
        pairs = [(corner, np.zeros(2)) for corner in corners]
    elif kind == "h" and count == 4:
        front, right, back, left = corners
        pairs = [(front, left), (right, back), ((front + left) / 2, (right + back) / 2)]
    else:
        pairs = list(zip(corners, corners[1:] + corners[:1], strict=True))
    return [rail(np.array(a), np.array(b), bar, low, high) for a, b in pairs]


def _legged(count: int) -> Callable[[Rng, dict[str, float]], Solid]:
    def build(rng: Rng, outlines: dict[str, float]) -> Solid:
        top, plan = _top(rng, outlines, low=0.35, tall=0.2)
        return union([top, *_legs(rng, plan, count)])

    return build


def _column(rng: Rng, plan: Plan, across: float) -> tuple[Solid, float]:
    """Return a column at the origin and its half-width near the floor."""
    thick = max(0.016 * plan.size, across * log(rng, 0.035, 0.16))
    height = plan.height + plan.bite
    style = pick(rng, round=0.3, square=0.12, turned=0.38, cone=0.1, hourglass=0.1)
    if style == "turned":
        thick *= 1.5
        t, r = turned(rng, 19)
        radii = np.maximum(r * thick, 0.012 * plan.size)
        return loft(circle(24), t * height, radii), float(radii[0])
    if style == "hourglass":
        t = np.linspace(0, 1, 13)
        waist, foot, head = thick, across * rng.uniform(0.15, 0.4), across * rng.uniform(0.1, 0.4)
        bend = np.abs(2 * t - 1) ** rng.uniform(1.3, 3)
        radii = waist + np.where(t < 0.5, foot, head) * bend
        section = circle(28) if chance(rng, 0.75) else SQUARE * 0.8
        return loft(section, t * height, radii), float(radii[0])
    section = SQUARE if style == "square" else circle(int(rng.choice([6, 8, 24, 24])))
    foot = thick * (rng.uniform(1.3, 3) if style == "cone" else 1)
    ends = np.array([foot, thick])
    if style == "cone" and chance(rng, 0.3):
        ends = ends[::-1]
    return loft(section, np.array([0, height]), ends), float(ends[0])


def _base(rng: Rng, plan: Plan, across: float, column: float) -> list[Solid]:
    """Return the foot of a pedestal, centred on the origin."""
    spread = max(across * rng.uniform(0.22, 0.42), min(column * 1.3, 0.5 * across))
    rise = max(min(plan.height * rng.uniform(0.03, 0.12), 0.1), 0.022 * plan.size)
    slim = 0.3 if column < 0.1 * across else 0.0
    style = pick(rng, disc=0.25, dome=0.15, plinth=0.15, cross=0.6 * slim, feet=slim)
    if style in ("disc", "plinth"):
        section = circle(36) if style == "disc" else SQUARE * 0.85
        slope = rng.choice([1.0, 1.0, 0.85, 0.6])
        return [loft(section, np.array([0, rise]), spread * np.array([1, slope]))]
    if style == "dome":
        t = np.linspace(0, 1, 7)
        neck = min(column, 0.6 * spread) * 0.9
        radii = neck + (spread - neck) * (1 - t) ** rng.uniform(1.3, 2.5)
        lip = 0.02 * plan.size
        rise = min(rise * rng.uniform(1.5, 3.5), 0.5 * plan.height)
        zs = np.concatenate([[0], lip + t * rise])
        return [loft(circle(36), zs, np.concatenate([radii[:1], radii]))]
    count = 4 if style == "cross" else int(rng.choice([3, 3, 4, 4, 5, 6]))
    half = max(0.011 * plan.size, min(column * rng.uniform(0.4, 0.9), 0.05 * across))
    foot = _bar_foot if style == "cross" else _curved_foot
    solid = foot(rng, plan, spread * 1.15, rise, half)
    start = rng.choice([0, 180 / count]) + (90 if count == 3 else 0)
    return [solid.rotate((0, 0, start + k * 360 / count)) for k in range(count)]


def _bar_foot(rng: Rng, plan: Plan, spread: float, rise: float, half: float) -> Solid:
    tip = max(rise * rng.uniform(0.4, 1), 0.02 * plan.size)
    profile = np.array([(0, 0), (spread, 0), (spread, tip), (0, max(rise, tip))])
    return plate(profile, "y", 0, 2 * half)


def _curved_foot(rng: Rng, plan: Plan, spread: float, rise: float, half: float) -> Solid:
    """Return a foot that leaves the column above the floor and arches down to it."""
    start = plan.height * rng.uniform(0.15, 0.4)
    deep = max(0.025 * plan.size, min(rise, 0.06))
    t = np.linspace(0, 1, 9)
    power = rng.uniform(0.8, 2.2)
    drop = (1 - t) ** power if chance(rng, 0.5) else 1 - t**power
    x, z = spread * t, start * drop
    upper = np.column_stack([x, z + deep])
    lower = np.column_stack([x, z])
    return plate(np.concatenate([lower, upper[::-1]]), "y", 0, 2 * half)


def _head(rng: Rng, plan: Plan, across: float, column: float) -> list[Solid]:
    """Return what spreads the load of the top: arms, a plate, a cone, or nothing."""
    style = pick(rng, none=0.6, arms=0.15, plate=0.15, cone=0.1)
    depth = max(0.02 * plan.size, min(0.06 * plan.height, 0.05))
    z, spread = plan.height, min(across * rng.uniform(0.2, 0.36), 0.4 * across)
    top = plan.height + plan.bite
    if style == "arms":
        half = max(0.011 * plan.size, 0.5 * column)
        arm = box((-spread, -half, z - depth), (spread, half, top))
        return [arm, arm.rotate((0, 0, 90))]
    if style == "plate":
        return [loft(circle(24), np.array([z - depth, top]), np.full(2, spread * 0.8))]
    if style == "cone":
        radii = np.array([0.012 * plan.size, spread])
        return [loft(circle(24), np.array([z - min(0.4 * z, 2 * spread), top]), radii)]
    return []


def _pedestal(rng: Rng, plan: Plan, across: float) -> Solid:
    column, radius = _column(rng, plan, across)
    parts = [column]
    if radius < 0.12 * across or chance(rng, 0.2):
        parts += _base(rng, plan, across, radius)
    elif chance(rng, 0.5):
        parts.append(loft(circle(32), np.array([0, 0.03 * plan.size]), np.full(2, radius * 1.1)))
    parts += _head(rng, plan, across, radius)
    return _below_lid(plan, union(parts))


def _one_pedestal(rng: Rng, outlines: dict[str, float]) -> Solid:
    top, plan = _top(rng, outlines, low=0.2, tall=0.35, lowest=0.27)
    post = _pedestal(rng, plan, plan.width)
    stretch = plan.length / plan.width
    if stretch > 1.4 and chance(rng, 0.5):
        post = post.scale((rng.uniform(1, stretch), 1, 1))
    return top + post


def _two_pedestals(rng: Rng, outlines: dict[str, float]) -> Solid:
    top, plan = _top(rng, outlines, low=0.2, tall=0.1, lowest=0.22)
    across = min(plan.width, 0.5 * plan.length)
    post = _pedestal(rng, plan, across)
    if chance(rng, 0.3):
        post = post.scale((0.7, 1, 1))
    x = plan.length * rng.uniform(0.22, 0.32)
    parts = [top, post.translate((-x, 0, 0)), post.translate((x, 0, 0))]
    if chance(rng, 0.35):
        parts.append(_spar(rng, plan, x, rng.uniform(0.08, 0.6) * plan.height))
    return union(parts)


def _spar(rng: Rng, plan: Plan, x: float, z: float) -> Solid:
    """Return the long bar that joins the two ends of a table."""
    half = plan.size * np.array([rng.uniform(0.01, 0.02), rng.uniform(0.011, 0.035)])
    return box((-x, -half[0], max(0, z - half[1])), (x, half[0], z + half[1]))


def _trestle(rng: Rng, outlines: dict[str, float]) -> Solid:
    top, plan = _top(rng, outlines, low=0.15, tall=0.1, lowest=0.22)
    wide = 2 * abs(plan.reach(np.array([1.0, plan.width * 0.8]), 0.0)[1]) * rng.uniform(0.75, 1)
    thick = log(rng, 0.024 * plan.size, 0.07)
    stave = max(0.024 * plan.size, wide * log(rng, 0.06, 0.2))
    style = pick(rng, a=0.22, x=0.24, t=0.22, v=0.08, y=0.08, loop=0.16)
    profiles = _frame(rng, plan, style, wide, stave)
    end = union([plate(profile, "x", 0, thick) for profile in profiles])
    x = (plan.length - thick) / 2 * rng.uniform(0.55, 0.95)
    lean = rng.uniform(-0.25, 0.25) if chance(rng, 0.2) else 0.0
    right = sheared(end, lean, 0, plan.height).translate((x * 0.9 if lean else x, 0, 0))
    parts = [top, right, right.mirror((1, 0, 0))]
    if style not in ("loop", "v") and not lean and chance(rng, 0.65):
        z = {"x": 0.5, "a": profiles[-1][:, 1].mean() / plan.height}.get(style, rng.uniform(0.2, 0.7))
        parts.append(_spar(rng, plan, x, z * plan.height))
    elif style == "loop" and chance(rng, 0.25):
        parts.append(_spar(rng, plan, x, 0.01))
    return union(parts)


def _frame(rng: Rng, plan: Plan, style: str, wide: float, stave: float) -> list[Array]:
    """Return the (y, z) profiles of an end frame."""
    half, top = (wide - stave) / 2, plan.height + plan.bite
    bar = max(0.022 * plan.size, min(stave, 0.12 * plan.height))
    low, high = (
        rectangle(-wide / 2, wide / 2, 0, bar),
        rectangle(-wide / 2, wide / 2, plan.height - bar, top),
    )
    if style == "x":
        cross = [slanted(s * half, -s * half, 0, top, stave * 1.2) for s in (-1, 1)]
        return cross + ([low, high] if chance(rng, 0.25) else [])
    if style in ("a", "v"):
        foot, head = (half, half * rng.uniform(0.1, 0.6))[:: 1 if style == "a" else -1]
        legs = [slanted(s * foot, s * head, 0, top, stave) for s in (-1, 1)]
        t = rng.uniform(0.25, 0.65)
        reach = foot + (head - foot) * t
        middle = t * plan.height
        return [*legs, rectangle(-reach, reach, middle - bar / 2, middle + bar / 2)]
    if style == "loop":
        sides = [slanted(s * half, s * half, 0, top, stave) for s in (-1, 1)]
        return [*sides, low, *([high] if chance(rng, 0.6) else [])]
    if style == "y":
        fork = rng.uniform(0.3, 0.6) * plan.height
        arms = [slanted(0, s * half, fork, top, stave * 1.3) for s in (-1, 1)]
        return [low, slanted(0, 0, 0, fork + stave / 3, stave * 1.3), *arms]
    posts = [0.0] if chance(rng, 0.6) else [-half * 0.45, half * 0.45]
    staves = [slanted(y, y, 0, top, stave * 1.3) for y in posts]
    return [*staves, low, *([high] if chance(rng, 0.6) else [])]


def _crossed(rng: Rng, outlines: dict[str, float]) -> Solid:
    """Carry the top on two large X frames, seen from the front."""
    top, plan = _top(rng, outlines, low=0.15, tall=0.2, lowest=0.25)
    stave = log(rng, 0.025 * plan.size, 0.07)
    half = (plan.length - 3 * stave) / 2 * rng.uniform(0.5, 0.95)
    thick = log(rng, 0.024 * plan.size, 0.05)
    y = (plan.width - thick) / 2 * rng.uniform(0.5, 0.95)
    strips = [slanted(s * half, -s * half, 0, plan.height + plan.bite, stave * 1.3) for s in (-1, 1)]
    parts = [top]
    parts += [plate(strip, "y", at, thick) for strip in strips for at in (-y, y)]
    if chance(rng, 0.6):
        bar = 0.012 * plan.size
        middle = plan.height / 2
        parts.append(box((-bar, -y, middle - bar), (bar, y, middle + bar)))
    return union(parts)


def _sled(rng: Rng, outlines: dict[str, float]) -> Solid:
    """Carry the top on a C, on runners, or on a floor frame."""
    top, plan = _top(rng, outlines, low=0.15, tall=0.25, lowest=0.25)
    bar = log(rng, 0.022 * plan.size, 0.06)
    x = plan.length / 2 * rng.uniform(0.7, 0.98) - bar / 2
    y = plan.width / 2 * rng.uniform(0.75, 0.98)
    high = plan.height + plan.bite
    runners = [box((s * x - bar / 2, -y, 0), (s * x + bar / 2, y, bar)) for s in (-1, 1)]
    style = pick(rng, c=0.4, frame=0.3, z=0.3)
    if style == "c":
        posts = [box((s * x - bar / 2, y - bar, 0), (s * x + bar / 2, y, high)) for s in (-1, 1)]
        arms = [runner.translate((0, 0, plan.height - bar)) for runner in runners]
        back = box((-x, y - bar, 0), (x, y, bar))
        return union([top, *runners, *posts, *arms, *([back] if chance(rng, 0.6) else [])])
    if style == "z":
        strip = slanted(y - bar, bar - y, 0, high, 1.5 * bar)
        posts = [plate(strip, "x", s * x, bar) for s in (-1, 1)]
        back = box((-x, y - bar, 0), (x, y, bar))
        return union([top, *runners, *posts, back])
    y -= bar / 2
    corners = [
        loft(SQUARE, np.array([0, high]), np.full(2, bar / 2)).translate((a * x, b * y, 0))
        for a in (-1, 1)
        for b in (-1, 1)
    ]
    ends = [box((-x, b * y - bar / 2, 0), (x, b * y + bar / 2, bar)) for b in (-1, 1)]
    return union([top, *runners, *corners, *ends])


def _slab_sides(rng: Rng, outlines: dict[str, float]) -> Solid:
    top, plan = _top(rng, outlines, low=0.3, tall=0.15)
    wall = log(rng, 0.022 * plan.size, 0.09)
    flush = chance(rng, 0.4)
    x = plan.length / 2 * (1 if flush else rng.uniform(0.6, 0.95)) - wall / 2 - 1e-3
    y = plan.width / 2 * (1 if flush else rng.uniform(0.6, 0.98)) - 1e-3
    lean = rng.uniform(-0.2, 0.3) * min(plan.height, 0.4) if chance(rng, 0.2) else 0.0
    strip = slanted(x - max(lean, 0), x - max(lean, 0), 0, plan.height + plan.bite, wall)
    strip[:2, 0] += lean
    end = plate(strip, "y", 0, 2 * y)
    parts = [top, end, end.mirror((1, 0, 0))]
    reach = x - max(lean, 0) + min(lean, 0)
    thin = plan.size * rng.uniform(THIN, 0.03)
    if not lean and chance(rng, 0.35):
        low = plan.height * rng.choice([0.0, 0.3, 0.6])
        at = rng.choice([0.0, y - thin])
        parts.append(box((-x, at, low), (x, at + thin, plan.height + plan.bite)))
    if not lean and plan.height > 0.25 and chance(rng, 0.35):
        for z in [[0.5], [0.12], [0.33, 0.66]][rng.integers(3)]:
            parts.append(box((-reach, -y, z * plan.height), (reach, y, z * plan.height + thin)))
    return union(parts)


def _block(rng: Rng, outlines: dict[str, float]) -> Solid:
    """Make a cube, drum or hollow-box coffee table."""
    top, plan = _top(rng, outlines, low=0.6, tall=0.05)
    body_scale, foot_scale = rng.uniform(0.6, 0.98), rng.choice([1.0, 1.0, 0.7, 0.85])
    t = np.array([0, plan.height + plan.bite])
    section = plan.outline * body_scale
    style = pick(rng, solid=0.3, tunnel=0.3, open=0.25, legs=0.15)
    body = loft(section, t, np.array([foot_scale, 1.0]))
    wall = plan.size * rng.uniform(0.022, 0.05)
    if style == "tunnel":
        x = plan.length * body_scale / 2 * min(foot_scale, 0.9) - wall
        low, high = wall, max(2 * wall, plan.height - wall)
        back = 2 if chance(rng, 0.6) else 0.2 * plan.width
        body -= box((-0.85 * x, -2, low), (0.85 * x, back, high))
    elif style == "open":
        shares = rng.uniform(0.5, 0.8, 2)
        x, y = plan.length * body_scale * foot_scale / 2, plan.width * body_scale * foot_scale / 2
        low, high = rng.choice([-1.0, wall]), max(2 * wall, plan.height * rng.uniform(0.7, 0.95))
        body -= box((-x * shares[0], -2, low), (x * shares[0], 2, high))
        body -= box((-2, -y * shares[1], low), (2, y * shares[1], high))
    elif style == "legs":
        lift = plan.height * rng.uniform(0.15, 0.5)
        half = plan.size * rng.uniform(0.012, 0.03)
        body = body.trim_by_plane((0, 0, 1), lift)
        ways = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * [plan.length, plan.width]
        spots = [plan.reach(way / 2, half * 2.5) * body_scale * foot_scale for way in ways]
        leg = loft(SQUARE, np.array([0, lift + wall / 2]), np.full(2, half))
        return union([top, body, *[leg.translate((*spot, 0)) for spot in spots]])
    return top + body


def _drawers(rng: Rng, low: tuple[float, ...], high: tuple[float, ...]) -> Solid:
    """Return a chest whose fronts stand out a little towards -y."""
    count, gap, proud = int(rng.integers(2, 5)), 0.014, 0.012
    chest = box(low, high)
    if chance(rng, 0.5):
        return chest
    edges = np.linspace(low[2], high[2], count + 1)
    fronts = [
        box((low[0] + gap, low[1] - proud, z0 + gap), (high[0] - gap, low[1] + 0.01, z1 - gap))
        for z0, z1 in pairwise(edges)
        if z1 - z0 > 4 * gap
    ]
    return union([chest, *fronts])


def _desk(rng: Rng, outlines: dict[str, float]) -> Solid:
    """Make a desk with drawers at one or both ends."""
    top, plan = _top(rng, outlines, low=0.0, tall=0.05, thickest=0.05)
    wall = plan.size * rng.uniform(0.022, 0.035)
    x, y = plan.length / 2 * rng.uniform(0.9, 0.99), plan.width / 2 * rng.uniform(0.88, 0.97)
    high = plan.height + plan.bite
    lift = rng.choice([0.0, 0.0, 0.15, 0.5]) * plan.height
    chest = rng.uniform(0.2, 0.34) * plan.length
    parts = [top, _drawers(rng, (-x, -y, lift), (chest - x, y, high))]
    blocks = [(-x, chest - x)]
    side = pick(rng, drawers=0.4, panel=0.3, legs=0.3)
    if side == "drawers":
        blocks.append((x - chest, x))
        parts.append(_drawers(rng, (x - chest, -y, lift), (x, y, high)))
    elif side == "panel":
        parts.append(box((x - wall, -y, 0), (x, y, high)))
    half = max(0.012 * plan.size, rng.uniform(0.01, 0.025))
    inner = half + 1e-3
    stands = [at for x0, x1 in blocks for at in (x0 + inner, x1 - inner)] if lift else []
    if side == "legs":
        stands.append(x - inner)
    leg = loft(SQUARE, np.array([0, high]), np.full(2, half))
    parts += [leg.translate((at, s * (y - inner), 0)) for at in stands for s in (-1, 1)]
    if chance(rng, 0.5):
        low = max(lift, plan.height * rng.choice([0.1, 0.5]))
        parts.append(box((wall / 2 - x, y - 1.5 * wall, low), (x - wall / 2, y - wall / 2, high)))
    if chance(rng, 0.3):
        parts.append(box((-x, wall - y, 0.82 * plan.height), (x, y - wall, high)))
    return union(parts) if chance(rng, 0.5) else union(parts).mirror((1, 0, 0))


def _corner_desk(rng: Rng, outlines: dict[str, float]) -> Solid:
    """Make an L-shaped desk on legs or panels."""
    depth, arm = rng.uniform(0.3, 0.45), rng.uniform(0.6, 1.0)
    height, slab = rng.uniform(0.4, 0.65), rng.uniform(0.02, 0.04)
    shape = np.array(
        [
            (-0.5, -arm),
            (depth - 0.5, -arm),
            (depth - 0.5, -depth),
            (0.5, -depth),
            (0.5, 0),
            (-0.5, 0),
        ]
    )
    high = height + slab / 2
    half = rng.uniform(0.011, 0.03)
    m = half + rng.uniform(0.005, 0.03)
    spots = [
        (m - 0.5, m - arm),
        (depth - 0.5 - m, m - arm),
        (0.5 - m, m - depth),
        (0.5 - m, -m),
        (m - 0.5, -m),
    ]
    parts = [prism(shape, height, height + slab)]
    if chance(rng, 0.5):
        parts += [box((x - half, y - half, 0), (x + half, y + half, high)) for x, y in spots]
    else:
        parts.append(box((m - 0.5, m - arm, 0), (depth - 0.5 - m, m - arm + 2 * half, high)))
        parts.append(box((0.5 - m - 2 * half, m - depth, 0), (0.5 - m, -m, high)))
        parts.append(box((m - 0.5, -m - 2 * half, 0.3 * height), (0.5 - m, -m, high)))
        parts.append(box((m - 0.5, m - arm, 0.3 * height), (m - 0.5 + 2 * half, -m, high)))
    solid = union(parts)
    return solid if chance(rng, 0.5) else solid.mirror((1, 0, 0))


def _picnic(rng: Rng, outlines: dict[str, float]) -> Solid:
    """Make a picnic table with its two benches."""
    width, height, slab = rng.uniform(0.35, 0.5), rng.uniform(0.35, 0.5), rng.uniform(0.02, 0.035)
    out, seat = width / 2 + rng.uniform(0.16, 0.24), height * rng.uniform(0.5, 0.62)
    bench, thick = rng.uniform(0.12, 0.17), rng.uniform(0.03, 0.045)
    x = rng.uniform(0.28, 0.4)
    high = height + slab / 2
    parts = [box((-0.5, -width / 2, height), (0.5, width / 2, height + slab))]
    profiles = [slanted(s * out * 0.8, s * width * 0.3, 0, high, 0.07) for s in (-1, 1)]
    profiles.append(rectangle(-out, out, seat - 0.05, seat + slab / 2))
    parts += [plate(p, "x", s * x, thick) for p in profiles for s in (-1, 1)]
    for s in (-1, 1):
        y = s * out
        parts.append(box((-0.5, y - bench / 2, seat), (0.5, y + bench / 2, seat + slab)))
    return union(parts)


ANY = {
    "rectangle": 0.38, "rounded": 0.1, "ellipse": 0.22, "superellipse": 0.08, "boat": 0.05,
    "polygon": 0.07, "chamfered": 0.05, "stadium": 0.05,
}  # fmt: skip
CENTRED = {
    "ellipse": 0.5, "rectangle": 0.2, "rounded": 0.08, "polygon": 0.1, "superellipse": 0.08,
    "chamfered": 0.04,
}  # fmt: skip
THREE = {"ellipse": 0.6, "half": 0.25, "superellipse": 0.15}
LONG = {"rectangle": 0.6, "rounded": 0.12, "boat": 0.1, "stadium": 0.08, "superellipse": 0.1}
STRAIGHT = {"rectangle": 0.85, "rounded": 0.15}
SQUARED = {"rectangle": 1.0}

# Weight, outlines of the top, builder.
KINDS: tuple[tuple[float, dict[str, float], Callable[[Rng, dict[str, float]], Solid]], ...] = (
    (0.40, ANY, _legged(4)),
    (0.05, THREE, _legged(3)),
    (0.03, ANY, _legged(6)),
    (0.18, CENTRED, _one_pedestal),
    (0.05, LONG, _two_pedestals),
    (0.08, LONG, _trestle),
    (0.02, STRAIGHT, _crossed),
    (0.03, STRAIGHT, _sled),
    (0.06, STRAIGHT, _slab_sides),
    (0.04, ANY, _block),
    (0.04, SQUARED, _desk),
    (0.01, SQUARED, _corner_desk),
    (0.01, SQUARED, _picnic),
)
