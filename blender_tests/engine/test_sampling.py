"""Signed distance samples of good and bad meshes, against closed forms."""

from collections.abc import Callable

import numpy as np
import pytest
from dist_engine.training.meshes import MeshError
from dist_engine.training.sampling import Samples, normalisation, sample_mesh, sample_surface, sdf_samples

Mesh = tuple[np.ndarray, np.ndarray]
Distance = Callable[[np.ndarray], np.ndarray]

COUNT = 4000


def make_ball(radius: float = 0.5, centre: tuple[float, float, float] = (0, 0, 0), rows: int = 24) -> Mesh:
    """A ball of triangles between circles of latitude."""
    columns = 2 * rows
    polar, around = np.meshgrid(
        np.arange(1, rows) * np.pi / rows, np.arange(columns) * 2 * np.pi / columns, indexing="ij"
    )
    ring = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    vertices = np.concatenate([ring.reshape(-1, 3), [(0, 0, 1), (0, 0, -1)]])
    north, south = len(vertices) - 2, len(vertices) - 1
    faces = []
    for i in range(columns):
        j = (i + 1) % columns
        faces += [(north, i, j), (south, (rows - 2) * columns + j, (rows - 2) * columns + i)]
        for row in range(rows - 2):
            a, b = row * columns, (row + 1) * columns
            faces += [(a + i, b + i, b + j), (a + i, b + j, a + j)]
    return vertices * radius + centre, np.array(faces)


def make_torus(around: int = 48, across: int = 24) -> Mesh:
    """Radii 1 and 0.4, round z."""
    i, j = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    a, b = 2 * np.pi * i / around, 2 * np.pi * j / across
    ring = 1 + 0.4 * np.cos(b)
    vertices = np.stack([ring * np.cos(a), ring * np.sin(a), 0.4 * np.sin(b)], -1).reshape(-1, 3)
    right, up = (i + 1) % around * across, (j + 1) % across
    quads = np.stack([i * across + j, right + j, right + up, i * across + up], -1).reshape(-1, 4)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def make_box(half: tuple[float, ...] = (1, 1, 1), centre: tuple[float, ...] = (0, 0, 0)) -> Mesh:
    """The last two triangles are its top."""
    vertices = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.array(half, float) + centre
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return vertices, np.array([face for a, b, c, d in sides for face in ((a, b, c), (a, c, d))])


def make_sheet(vertices: list[tuple[float, float, float]]) -> Mesh:
    return np.array(vertices, float), np.array([(0, 1, 2), (0, 2, 3)])


def join(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0, *[len(vertices) for vertices, _ in meshes]])
    return np.concatenate([m[0] for m in meshes]), np.concatenate(
        [m[1] + s for m, s in zip(meshes, starts, strict=False)]
    )


def turn(mesh: Mesh, which: slice | np.ndarray = slice(None)) -> Mesh:
    faces = mesh[1].copy()
    faces[which] = faces[which, ::-1]
    return mesh[0], faces


def only(mesh: Mesh, which: slice | np.ndarray) -> Mesh:
    return mesh[0], mesh[1][which]


def ball(points: np.ndarray, radius: float = 0.5, centre: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    return np.linalg.norm(points - np.array(centre), axis=1) - radius


def torus(points: np.ndarray) -> np.ndarray:
    return np.hypot(np.hypot(points[:, 0], points[:, 1]) - 1, points[:, 2]) - 0.4


def box(points: np.ndarray, half: tuple[float, ...] = (1, 1, 1), centre: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    beyond = np.abs(points - np.array(centre)) - half
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(1), 0)


def two_balls(points: np.ndarray) -> np.ndarray:
    """Balls of 0.5 at x = -0.3 and 0.3: the nearest of what shows of both spheres and of the circle where they meet."""
    along, away = points[:, 0], np.hypot(points[:, 1], points[:, 2])
    nearest = np.hypot(along, away - 0.4)
    for side in (-1, 1):
        centre = 0.3 * side
        reach = np.hypot(along - centre, away)
        shows = (centre + (along - centre) * 0.5 / reach) * side >= 0
        nearest = np.where(shows, np.minimum(nearest, np.abs(reach - 0.5)), nearest)
    return np.where(np.minimum(ball(points, 0.5, (-0.3, 0, 0)), ball(points, 0.5, (0.3, 0, 0))) < 0, -nearest, nearest)


BALL, TORUS, BOX = make_ball(), make_torus(), make_box()
OVER = make_sheet([(-1, -1, 0.6), (1, -1, 0.6), (1, 1, 0.6), (-1, 1, 0.6)])
TWO_BALLS = join(make_ball(0.5, (-0.3, 0, 0)), make_ball(0.5, (0.3, 0, 0)))
HALF = TORUS[0][TORUS[1]].mean(1)[:, 0] > 0
FINER = make_torus(72, 30)
FINER_HALF = FINER[0][FINER[1]].mean(1)[:, 0] > 0
SHEET = make_sheet([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])


def sample(mesh: Mesh) -> Samples:
    return sample_mesh(*mesh, COUNT, np.random.default_rng(0))


def errors(made: Samples, distance: Distance) -> np.ndarray:
    """Of the distances, against a closed form in the mesh's frame."""
    frame = made.normalisation
    return np.abs(distance(made.points / frame.scale + frame.center) * frame.scale - made.distances)


# Facets of the round shapes lie up to 0.005 within them; a wrong sign or a wall taken for the surface is far more.
RIGHT = [
    ("ball", BALL, ball, "winding", 0),
    ("inverted ball", turn(BALL), ball, "turned", 0),
    ("a third of the faces turned", turn(BALL, np.arange(len(BALL[1])) % 3 == 0), ball, "turned", 1),
    ("loose triangles", (BALL[0][BALL[1]].reshape(-1, 3), np.arange(BALL[1].size).reshape(-1, 3)), ball, "winding", 0),
    ("overlapping balls", TWO_BALLS, two_balls, "winding", 0),
    ("overlapping balls, one inverted", turn(TWO_BALLS, np.arange(len(BALL[1]))), two_balls, "turned", 1),
    ("doubled ball", join(BALL, turn(BALL)), ball, "single", 0),
    ("torus", TORUS, torus, "winding", 0),
    ("torus in two open halves", join(only(TORUS, HALF), only(TORUS, ~HALF)), torus, "winding", 0),
    ("torus in two halves, one inverted", join(only(TORUS, HALF), turn(only(TORUS, ~HALF))), torus, "turned", 1),
    ("torus in halves that do not match", join(only(TORUS, HALF), only(FINER, ~FINER_HALF)), torus, "winding", 0),
    ("hollow ball", join(BALL, turn(make_ball(0.3))), lambda p: np.maximum(ball(p), -ball(p, 0.3)), "winding", 0),
    ("ball in a ball", join(BALL, make_ball(0.3)), ball, "winding", 0),
    ("open box", only(BOX, slice(-2)), box, "winding", 2),
    (
        "boxes with a wall between them",
        join(BOX, make_box(centre=(2, 0, 0))),
        lambda p: box(p, (2, 1, 1), (1, 0, 0)),
        "winding",
        0,
    ),
    (
        "ball with a flag",
        join(BALL, make_sheet([(0.45, 0, -0.05), (0.6, 0, -0.05), (0.6, 0, 0.05), (0.45, 0, 0.05)])),
        ball,
        "winding",
        1,
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("mesh", "distance", "sign", "warnings"), [c[1:] for c in RIGHT], ids=[c[0] for c in RIGHT])
def test_signs_and_distances_are_right(mesh: Mesh, distance: Distance, sign: str, warnings: int) -> None:
    made = sample(mesh)
    assert made.points.shape == (COUNT, 3) and made.distances.shape == (COUNT,)
    assert errors(made, distance).max() < 0.008
    assert made.report.sign == sign
    assert len(made.report.warnings) == warnings, made.report.warnings
    assert (made.distances < 0).any() and (made.distances > 0.1).any()


@pytest.mark.slow
def test_a_shell_with_hardly_a_thickness_is_filled_by_a_flood_with_a_warning() -> None:
    made = sample(join(BALL, turn(make_ball(0.49995))))
    assert made.report.sign == "flood fill"
    assert "through a grid" in made.report.warnings[0]
    assert errors(made, ball).max() < 0.008


REFUSED = [
    ("plane", SHEET, "no inside.*Solidify"),
    ("doubled plane", join(SHEET, turn(SHEET)), "no inside.*Solidify"),
    ("bent sheet", make_sheet([(0, 0, 0), (1, 0, 0.2), (1, 1, 0), (0, 1, 0.2)]), "is open: .*made up.*Solidify.*Fill"),
    ("ball under a large plane", join(BALL, OVER), "no thickness"),
    ("no faces", (BALL[0], np.empty((0, 3), int)), "no vertices or no faces"),
    ("quads", (BALL[0], np.array([[0, 1, 2, 3]])), "Triangulate"),
    ("a missing vertex", (BALL[0][:100], BALL[1]), "only 0 to 99"),
    ("a negative index", (BALL[0], BALL[1] - 1), "-1"),
    ("indices that are not whole", (BALL[0], BALL[1].astype(float)), "whole numbers"),
    ("flat vertices", (BALL[0][:, :2], BALL[1]), r"expected \(N, 3\)"),
    ("not finite", (np.where(BALL[0] > 0.49, np.nan, BALL[0]), BALL[1]), "not finite"),
    ("far too large", (BALL[0] * 1e200, BALL[1]), "too large"),
    ("triangles without area", (BALL[0], BALL[1][:, [0, 0, 1]]), "no area"),
    ("one point", (BALL[0] * 0 + 1, BALL[1]), "no area"),
]  # fmt: skip


@pytest.mark.parametrize(("mesh", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_mesh_without_a_clear_inside_is_refused_with_the_reason(mesh: Mesh, message: str) -> None:
    with pytest.raises(MeshError, match=message):
        sample(mesh)


@pytest.mark.slow
def test_what_was_made_up_and_left_out_is_reported() -> None:
    lid = sample(only(BOX, slice(-2))).report
    assert lid.lids == pytest.approx(1 / 6, abs=0.01) and lid.open_edges == 4 and lid.pieces == 1
    assert "16.7%" in lid.warnings[0] and "sign" in lid.warnings[1]
    assert 0.05 < lid.doubtful < 0.5
    walls = sample(join(BALL, make_ball(0.3))).report
    assert walls.walls == pytest.approx(0.3**2 / (0.5**2 + 0.3**2), abs=0.03) and walls.pieces == 2
    thin = sample(join(BALL, turn(make_ball(0.4985)))).report
    assert "thick" in thin.warnings[0]


@pytest.mark.slow
def test_samples_are_dense_near_the_surface_and_fill_the_ball() -> None:
    made = sample(TWO_BALLS)
    near = np.abs(made.distances)
    assert np.mean(near < 0.01) > 0.3 and np.mean(near < 0.1) > 0.75
    assert np.linalg.norm(made.points, axis=1).max() < 1.2
    octants = np.unique((made.points[near > 0.1] > 0) @ [1, 2, 4])
    assert len(octants) == 8
    # None lies on the walls inside: there, the surface is far.
    lens = np.abs(ball(made.points / made.normalisation.scale, 0.5, (-0.3, 0, 0))) < 0.01
    within = made.distances < -0.15
    assert np.mean(within[lens]) < 0.02


@pytest.mark.slow
def test_frame_and_scale_of_the_mesh_do_not_matter() -> None:
    two = join(BOX, make_box((0.5, 0.6, 0.7), (1, 0, 0.5)))
    there, moved = sample(two), sample((two[0] * 1e-3 + [5, -2, 1], two[1]))
    np.testing.assert_allclose(moved.points, there.points, atol=1e-5)
    np.testing.assert_allclose(moved.distances, there.distances, atol=1e-4)
    frame = moved.normalisation
    np.testing.assert_allclose(frame.center, [5.00025, -2, 1.0001], atol=1e-9)
    reach = np.linalg.norm(frame(two[0] * 1e-3 + [5, -2, 1]), axis=1)
    assert reach.max() == pytest.approx(1 / 1.03)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_samples() -> None:
    for mesh in (BALL, join(BALL, make_ball(0.3))):
        first, again = sample(mesh), sample(mesh)
        assert np.array_equal(first.points, again.points) and np.array_equal(first.distances, again.distances)


def test_a_closed_mesh_takes_the_short_way_to_the_same_distances() -> None:
    frame = normalisation(BOX[0])
    points, distances = sdf_samples(frame(BOX[0]), BOX[1], COUNT, np.random.default_rng(0))
    true = box(points / frame.scale) * frame.scale
    assert np.abs(distances - true).max() < 1e-6
    assert np.abs(errors(sample(BOX), box)).max() < 1e-6


def test_a_surface_is_sampled_evenly_and_nowhere_else() -> None:
    # Two triangles far from each other, the second of three times the area.
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [9, 0, 0], [9, 3, 0], [9, 0, 4]], float)
    points = sample_surface(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 8000, np.random.default_rng(0))
    first = points[:, 0] < 5
    assert first.mean() == pytest.approx(1 / 4, abs=0.02)
    for some, a, b in ((points[first], [1, 0, 0], [0, 1, 0]), (points[~first] - [9, 0, 0], [0, 1, 0], [0, 0, 1])):
        reach = (2.0, 2.0) if a[0] else (3.0, 4.0)
        shares = some @ np.array([a, b]).T / reach
        assert (shares >= 0).all() and (shares.sum(1) <= 1 + 1e-9).all()
        # The middle of a triangle; and a quarter of it is within half of its sides.
        np.testing.assert_allclose(shares.mean(0), 1 / 3, atol=0.02)
        assert (shares.sum(1) < 0.5).mean() == pytest.approx(0.25, abs=0.03)
