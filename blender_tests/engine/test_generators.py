"""The generators' solids against formulas, and their shapes against what every shape must be."""

from collections.abc import Callable
from functools import cache

import manifold3d as m3
import numpy as np
import pytest
from generators import GENERATORS, carbody, sheet, solids
from generators.solids import SQUARE, Solid

SEEDS = range(4)
SHAPES = [(name, seed) for name in GENERATORS for seed in SEEDS]


@cache
def shape(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return GENERATORS[name](seed)


def mesh(solid: Solid) -> tuple[np.ndarray, np.ndarray]:
    data = solid.to_mesh64()
    return np.array(data.vert_properties[:, :3]), np.array(data.tri_verts, np.int32)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    return float(np.linalg.det(vertices[faces]).sum() / 6)


def edges_of(faces: np.ndarray) -> np.ndarray:
    return np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)


def is_closed(faces: np.ndarray) -> bool:
    """Every edge is used twice, once in each direction."""
    start, end = edges_of(faces).T.astype(np.int64)
    size = faces.max() + 1
    there, back = np.sort(start * size + end), np.sort(end * size + start)
    return bool((np.diff(there) > 0).all() and (there == back).all())


def pieces(faces: np.ndarray) -> int:
    """Count what hangs together, by spreading the least number along the edges."""
    start, end = edges_of(faces).T
    labels, before = np.arange(faces.max() + 1), None
    while before is None or (labels != before).any():
        before = labels.copy()
        np.minimum.at(labels, start, before[end])
        labels = labels[labels]
    return len(np.unique(labels))


def polygon_area(outline: np.ndarray) -> float:
    x, y = outline.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


# --- Whole shapes ---


@pytest.mark.parametrize(("name", "seed"), SHAPES)
def test_shape_is_one_closed_piece_on_the_floor(name: str, seed: int) -> None:
    vertices, faces = shape(name, seed)
    assert is_closed(faces)
    assert pieces(faces) == 1
    assert set(np.unique(faces)) == set(range(len(vertices)))
    assert volume(vertices, faces) > 0.001
    assert abs(vertices[:, 2].min()) < 1e-6
    assert 100 < len(faces) <= 10_000


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name, seed in SHAPES if name != "table"])
def test_largest_extent_is_1(name: str, seed: int) -> None:
    assert np.ptp(shape(name, seed)[0], axis=0).max() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("name", "seed"), SHAPES)
def test_shape_lies_centred_and_symmetric_ones_reach_as_far_to_both_sides(name: str, seed: int) -> None:
    vertices, _ = shape(name, seed)
    middle = (vertices.min(0) + vertices.max(0)) / 2
    if name != "table":
        assert np.abs(middle[:2]).max() < 2e-3
    if name in ("aeroplane", "car"):
        sections = [m3.Manifold(m3.Mesh64(*_arguments(name, seed))).slice(z) for z in np.linspace(0.02, 0.2, 5)]
        for section in sections:
            assert (section ^ section.mirror((1, 0))).area() == pytest.approx(section.area(), rel=0.01, abs=1e-5)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_seed_is_a_shape(name: str) -> None:
    vertices, faces = GENERATORS[name](SEEDS[0])
    assert np.array_equal(vertices, shape(name, SEEDS[0])[0])
    assert np.array_equal(faces, shape(name, SEEDS[0])[1])
    volumes = np.sort([volume(*shape(name, seed)) for seed in SEEDS])
    assert np.diff(volumes).min() > 1e-4


@pytest.mark.parametrize("name", GENERATORS)
def test_arrays_are_plain(name: str) -> None:
    vertices, faces = shape(name, SEEDS[0])
    assert (vertices.dtype, faces.dtype) == (np.float64, np.int32)
    for array in (vertices, faces):
        assert array.flags.owndata and array.flags.writeable and array.flags.c_contiguous
    assert Solid(m3.Mesh64(*_arguments(name, SEEDS[0]))).volume() == pytest.approx(volume(vertices, faces))


def _arguments(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = shape(name, seed)
    return vertices, faces.astype(np.uint64)


def test_tables_are_still_those_that_the_built_in_prior_was_trained_on() -> None:
    for seed, triangles, room in ((0, 620, 0.15476382114), (7, 1180, 0.01943179038), (10002, 1300, 0.18772842182)):
        vertices, faces = GENERATORS["table"](seed)
        assert len(faces) == triangles
        assert volume(vertices, faces) == pytest.approx(room, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_what_a_sofa_stands_on_is_not_thinner_than_2_per_cent(seed: int) -> None:
    section = Solid(m3.Mesh64(*_arguments("sofa", seed))).slice(0.01)
    for foot in section.decompose():
        assert foot.offset(-0.0097, m3.JoinType.Miter).area() > 0


def test_windows_in_the_sides_of_a_car_are_sunken() -> None:
    car = carbody.draw(np.random.default_rng(1), {})
    glass = carbody.Glass([0.55 * car.length], car.length)
    sunken = carbody.cabin_solid(car) - carbody.glazed(car, glass)
    windows = [solid for solid in sunken.decompose() if solid.bounding_box()[0] > 0 and solid.volume() > 1e-3]
    assert len(windows) == 2
    for window in windows:
        seen = window.rotate((0, 90, 0)).project().area()
        assert seen > 0.1
        assert window.volume() / seen > 0.015 * car.length


def test_a_draw_that_fails_is_drawn_again() -> None:
    good = Solid.cube((0.5, 1, 0.25))
    flat = Solid(m3.Mesh64(np.eye(3), np.array([[0, 1, 2]], np.uint64)))
    draws = [Solid(), flat, good + good.translate((2, 0, 0)), good.translate((0, 0, 1)), good]
    left = iter(draws)
    vertices, faces = solids.make_sound(0, lambda rng: next(left))
    assert volume(vertices, faces) == pytest.approx(0.125)
    assert next(left, None) is None
    with pytest.raises(RuntimeError, match="seed 3"):
        solids.make_sound(3, lambda rng: Solid())


def test_shapes_of_too_many_triangles_are_made_coarser() -> None:
    bowl = Solid.sphere(1, 240).trim_by_plane((0, 0, 1), 0)
    assert bowl.num_tri() > solids.TRIANGLES
    vertices, faces = solids.make_sound(0, lambda rng: bowl)
    assert len(faces) <= solids.TRIANGLES
    assert is_closed(faces)
    assert volume(vertices, faces) == pytest.approx(bowl.volume(), rel=2e-3)


# --- Solids: each with its volume and its bounds by formula ---

TRIANGLE = np.array([(0.0, 0.0), (2.0, 0.0), (0.0, 1.0)])
CIRCLE = solids.circle(64)
DISC = polygon_area(CIRCLE)
T = np.linspace(0, 1, 9)
RAMP = np.column_stack([3 * T, 0 * T, 4 * T])
BOX = solids.box
# A strip that is bent into an L, there and back again, 0.1 thick.
BENT = np.array([(0, 0), (2, 0), (2, 3), (2.1, 3), (2.1, -0.1), (0, -0.1)])
STRIP = np.array([[(*point, z) for point in BENT] for z in (0.0, 2.0)])


def squared(z: float) -> list[tuple[float, float, float]]:
    return [(x, y, z) for x, y in SQUARE]


CASES: dict[str, tuple[Callable[[], Solid], float, list[float] | None]] = {
    "box": (lambda: solids.box((1, 2, 3), (2, 4, 6)), 6, [1, 2, 3, 2, 4, 6]),
    "prism": (lambda: solids.prism(TRIANGLE, 1, 4), 3, [0, 0, 1, 2, 1, 4]),
    "prism of a section": (lambda: solids.prism(m3.CrossSection.square((2, 3)), 0, 2), 12, [0, 0, 0, 2, 3, 2]),
    "plate along x": (lambda: solids.plate(TRIANGLE, "x", 5, 0.5), 0.5, [4.75, 0, 0, 5.25, 2, 1]),
    "plate along y": (lambda: solids.plate(TRIANGLE, "y", 5, 0.5), 0.5, [0, 4.75, 0, 2, 5.25, 1]),
    "slanted": (lambda: solids.plate(solids.slanted(1, 3, 0, 2, 0.5), "x", 0, 1), 1, [-0.5, 0.75, 0, 0.5, 3.25, 2]),
    "rectangle": (lambda: solids.plate(solids.rectangle(1, 3, 0, 2), "y", 0, 1), 4, [1, -0.5, 0, 3, 0.5, 2]),
    "rail": (lambda: solids.rail(np.array([0.0, 0]), np.array([3.0, 4]), 0.5, 1, 2), 2.5, None),
    "loft": (lambda: solids.loft(CIRCLE, T, 1 + T), DISC * 7 / 3, None),
    "loft with shifts": (lambda: solids.loft(SQUARE, T, 0 * T + 1, T**2), 4, [-1, -1, 0, 2, 1, 1]),
    "skin": (lambda: solids.skin(np.array([squared(0), squared(3)])), 12, [-1, -1, 0, 1, 1, 3]),
    "skin downwards": (lambda: solids.skin(np.array([squared(3), squared(0)])), 12, [-1, -1, 0, 1, 1, 3]),
    "skin of a sheet": (lambda: solids.skin(STRIP, sheet=True), 2 * 0.51, [0, -0.1, 0, 2.1, 3, 2]),
    "bar": (lambda: solids.bar(RAMP, 0.2, CIRCLE), DISC * 0.04 * 5, None),
    "tapering bar": (lambda: solids.bar(RAMP, 0.1 + 0.1 * T, CIRCLE), DISC * 5 * 0.07 / 3, None),
    "flat bar": (lambda: solids.bar([(0, 0, 1), (0, 5, 1)], 0.2, SQUARE, 0.1), 0.4, [-0.2, 0, 0.9, 0.2, 5, 1.1]),
    "both": (lambda: solids.both(BOX((1, 0, 0), (2, 1, 1)), BOX((-0.5, 3, 0), (1, 4, 1))), 4, [-2, 0, 0, 2, 4, 1]),
    "union": (lambda: solids.union([BOX((0, 0, 0), (2, 1, 1)), BOX((1, 0, 0), (3, 1, 1))]), 3, [0, 0, 0, 3, 1, 1]),
    "sheared": (lambda: solids.sheared(BOX((0, 0, 1), (1, 1, 2)), 2, 3, 1), 1, [0, 0, 1, 3, 4, 2]),
    "placed": (lambda: solids.placed(BOX((1, 1, 5), (3, 5, 6))), 1 / 8, [0.25, -0.5, 0, 0.75, 0.5, 0.25]),
}


@pytest.mark.parametrize("name", CASES)
def test_solid_has_the_volume_and_the_bounds_of_its_formula(name: str) -> None:
    make, expected, bounds = CASES[name]
    vertices, faces = mesh(make())
    assert is_closed(faces)
    assert volume(vertices, faces) == pytest.approx(expected)
    if bounds:
        assert np.concatenate([vertices.min(0), vertices.max(0)]) == pytest.approx(np.array(bounds), abs=1e-9)


def test_ellipsoid_fills_its_formula() -> None:
    half = np.array([0.3, 0.2, 0.1])
    vertices, faces = mesh(solids.ellipsoid((1, 2, 3), half, 128))
    assert is_closed(faces)
    assert (((vertices - [1, 2, 3]) / half) ** 2).sum(1) == pytest.approx(1)
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * half.prod(), rel=2e-3)


def test_rod_lies_within_its_capsule_and_fills_it() -> None:
    vertices, faces = mesh(solids.rod([(0, 0, 0), (0, 0, 2), (0, 3, 2)], 0.1))
    assert is_closed(faces)
    x, y, z = vertices.T
    to_axes = np.minimum(np.hypot(np.hypot(x, y), z - z.clip(0, 2)), np.hypot(np.hypot(x, z - 2), y - y.clip(0, 3)))
    assert to_axes.max() < 0.1 + 1e-9
    assert 0.9 < volume(vertices, faces) / (np.pi * 0.01 * 5 + 4 / 3 * np.pi * 0.001) < 1


def test_bar_keeps_its_width_round_a_corner() -> None:
    arc = np.linspace(0, np.pi / 2, 33)
    path = np.column_stack([np.cos(arc), np.sin(arc), 0 * arc])
    vertices, faces = mesh(solids.bar(path, 0.1, SQUARE, 0.05))
    assert is_closed(faces)
    assert np.ptp(vertices[:, 2]) == pytest.approx(0.1)
    assert np.hypot(*vertices[:, :2].T).max() == pytest.approx(1.1, abs=1e-6)
    # Pappus: the section's area times the way of its middle.
    assert volume(vertices, faces) == pytest.approx(0.02 * np.pi / 2, rel=1e-3)


# --- Outlines, lines and random numbers ---


def test_outlines() -> None:
    assert pytest.approx(np.pi, rel=2e-3) == DISC
    rounded = solids.cornered(np.array([2.0, 1.0]), 0.5, 64)
    assert polygon_area(rounded) == pytest.approx(8 - (4 - np.pi) * 0.25, abs=1e-3)
    assert np.abs(rounded).max(0) == pytest.approx([2, 1])
    diamond = solids.powered(CIRCLE, 2.0)
    assert np.abs(diamond).sum(1) == pytest.approx(1)
    assert np.array_equal(np.sign(diamond), np.sign(CIRCLE))
    assert solids.unit(np.array([[3.0, 4], [0, -2]])) == pytest.approx(np.array([[0.6, 0.8], [0, -1]]))
    assert solids.walked(np.array([(0, 0), (3, 4), (3, 5)])) == pytest.approx([0, 5, 6])


def test_random_numbers_follow_their_weights() -> None:
    rng = np.random.default_rng(0)
    names = [solids.pick(rng, often=3, seldom=1, never=0) for _ in range(2000)]
    assert names.count("often") / 2000 == pytest.approx(0.75, abs=0.03)
    assert "never" not in names
    assert np.mean([solids.weighted(rng, [1, 1, 2]) for _ in range(2000)]) == pytest.approx(1.25, abs=0.05)
    assert np.mean([solids.chance(rng, 0.3) for _ in range(2000)]) == pytest.approx(0.3, abs=0.03)
    draws = np.array([solids.log(rng, 0.1, 10) for _ in range(2000)])
    assert draws.min() >= 0.1
    assert draws.max() <= 10
    assert np.median(draws) == pytest.approx(1, rel=0.2)


def test_turned_posts_have_radii_from_0_to_1() -> None:
    for seed in range(20):
        heights, radii = solids.turned(np.random.default_rng(seed))
        assert (heights[0], heights[-1], radii.max()) == (0, 1, 1)
        assert radii.min() > 0


# --- The contact sheet ---


def test_sheet_shows_a_box_and_leaves_out_triangles_of_no_area() -> None:
    vertices, faces = mesh(solids.box((0, 0, 0), (1, 1, 1)))
    plain = sheet.render(vertices, faces, 60)
    # A sliver all in one line, but for the last digits that make its normal point at the viewer.
    ends = vertices[[0, 0]] + [[0, 0, 0], [1, 0, 0]]
    sliver = np.concatenate([vertices, ends, ends[:1]])
    assert np.array_equal(plain, sheet.render(sliver, np.concatenate([faces, [[8, 9, 10], [8, 10, 9]]]), 60))
    assert plain[0, 0] == 255
    assert len(np.unique(plain[20:40, 20:40])) >= 3
    assert sheet.contact_sheet([(vertices, faces)] * 3).size == (2 * sheet.TILE, 2 * sheet.TILE)
