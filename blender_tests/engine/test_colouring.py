"""Colours of vertices: a painted sphere before cameras that are drawn here, pixel by pixel."""

from __future__ import annotations

import igl
import numpy as np
import torch
from dist_engine.cameras import Cameras
from dist_engine.colouring import vertex_colours
from dist_engine.protocol import View

SIZE = 96


def paint(points: np.ndarray) -> np.ndarray:
    """A smooth colour (N, 3) of each place, 0 to 255."""
    return 127.5 + 100 * np.sin(2 * points + [0.0, 1.0, 2.0])


def sphere(radius: float = 1.0, centre: tuple[float, ...] = (0, 0, 0)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    vertices, faces = igl.icosahedron()
    for _ in range(5):
        vertices, faces = igl.upsample(vertices, faces)
        vertices = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    return radius * vertices + centre, faces, vertices


def looking(angle: float) -> View:
    """A camera 3 units from the origin, around the vertical."""
    away = np.array([np.sin(angle), 0.0, -np.cos(angle)])
    forward, down = -away, np.array([0.0, 1.0, 0.0])
    rotation = np.stack([np.cross(down, forward), down, forward])
    K = np.array([[1.2 * SIZE, 0, SIZE / 2], [0, 1.2 * SIZE, SIZE / 2], [0, 0, 1.0]])
    return View(f"{angle:.1f}", K, np.column_stack([rotation, [0, 0, 3.0]]))


def photograph(view: View, balls: list[tuple[float, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Colours and mask of the nearest of painted balls (radius, centre), by the quadratic formula."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    rotation, shift = view.world_to_camera[:, :3], view.world_to_camera[:, 3]
    ways = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(view.K).T @ rotation
    ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
    eye = -rotation.T @ shift
    best, colours = np.full((SIZE, SIZE), np.inf), np.zeros((SIZE, SIZE, 3))
    for number, (radius, centre) in enumerate(balls):
        half = (ways * (eye - centre)).sum(-1)
        inside = half**2 - ((eye - centre) ** 2).sum() + radius**2
        distance = np.where(inside > 0, -half - np.sqrt(np.maximum(inside, 0)), np.inf)
        nearer = distance < best
        best = np.minimum(best, distance)
        points = eye + np.where(np.isfinite(distance), distance, 0)[..., None] * ways
        colours[nearer] = paint(points)[nearer] if number == 0 else (0, 255, 0)
    return colours.round().astype(np.uint8), np.isfinite(best)


def colour(views: list[View], balls: list[tuple[float, np.ndarray]], which: int) -> tuple[np.ndarray, ...]:
    shots = [photograph(view, balls) for view in views]
    radius, centre = balls[which]
    vertices, _, normals = sphere(radius, tuple(centre))
    cameras = Cameras.from_views(views, torch.device("cpu"))
    found = vertex_colours(
        torch.as_tensor(vertices, dtype=torch.float32),
        torch.as_tensor(normals, dtype=torch.float32),
        cameras,
        np.stack([shot[0] for shot in shots]),
        np.stack([shot[1] for shot in shots]),
    )
    return vertices, normals, *found


def test_a_painted_ball_gets_its_colours() -> None:
    views = [looking(angle) for angle in np.arange(6) * np.pi / 3]
    vertices, _, colours, seen = colour(views, [(1.0, np.zeros(3))], 0)
    off = np.abs(colours - paint(vertices))[seen]
    # The cameras stand level with the ball: its poles turn away from them.
    assert seen.mean() > 0.85
    assert np.median(off) < 2
    assert np.quantile(off, 0.99) < 12


def test_what_one_picture_does_not_see_is_told_and_filled_from_nearby() -> None:
    _, normals, colours, seen = colour([looking(0.0)], [(1.0, np.zeros(3))], 0)
    # From 3 units away, what is before the plane z = -1/3 can be seen.
    assert not seen[normals[:, 2] > -1 / 3].any()
    assert seen[normals[:, 2] < -0.6].all()
    # The hidden half takes the colours along its rim.
    assert (colours[~seen][:, :2].std(0) > 5).all()


def test_a_ball_in_front_does_not_colour_the_one_behind() -> None:
    small = np.array([0.0, 0.0, -1.6])
    views = [looking(0.0), looking(np.pi / 2), looking(-np.pi / 2)]
    vertices, _, normals = sphere()
    near_vertices, _, near_normals = sphere(0.25, tuple(small))
    shots = [photograph(view, [(1.0, np.zeros(3)), (0.25, small)]) for view in views]
    together = [np.concatenate(pair) for pair in ((vertices, near_vertices), (normals, near_normals))]
    colours, seen = vertex_colours(
        *(torch.as_tensor(part, dtype=torch.float32) for part in together),
        Cameras.from_views(views, torch.device("cpu")),
        np.stack([shot[0] for shot in shots]),
        np.stack([shot[1] for shot in shots]),
    )
    big, was_seen = colours[: len(vertices)], seen[: len(vertices)]
    # Hidden from the front, and seen from neither side.
    hidden = normals[:, 2] < -0.98
    assert not was_seen[hidden].any()
    green = (big[:, 1] > 250) & (big[:, 0] < 5)
    assert green.mean() < 0.005
    assert (colours[len(vertices) :][seen[len(vertices) :]] == (0, 255, 0)).all(1).mean() > 0.8


def plate(distance: float, half: float = 0.5, side: int = 60) -> torch.Tensor:
    """Points (N, 3) of a square that faces a camera at the origin, which looks along z."""
    line = torch.linspace(-half, half, side)
    return torch.cat([torch.cartesian_prod(line, line), torch.full((side * side, 1), distance)], 1)


def before_one_camera(points: torch.Tensor, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours of points that face the camera, 1.2 pictures' sides in focal length."""
    K = np.array([[1.2 * SIZE, 0, SIZE / 2], [0, 1.2 * SIZE, SIZE / 2], [0, 0, 1.0]])
    camera = Cameras.from_views([View("one", K, np.eye(3, 4))], torch.device("cpu"))
    facing = torch.tensor([0.0, 0.0, -1.0]).expand(len(points), 3)
    return vertex_colours(points, facing, camera, picture[None], np.ones((1, SIZE, SIZE), bool))


def test_a_ramp_is_read_between_its_pixels_middles() -> None:
    points = plate(2.0, 0.7)
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    across, down = 2 * np.arange(SIZE), 60 + np.arange(SIZE)
    picture[..., 0], picture[..., 1] = across, down[:, None]
    colours, seen = before_one_camera(points, picture)
    assert seen.all()
    where = (points[:, :2] / points[:, 2:]).numpy() * 1.2 * SIZE + SIZE / 2
    # A pixel's number is what it shows at its middle.
    wanted = np.column_stack([2 * (where[:, 0] - 0.5), 60 + where[:, 1] - 0.5])
    assert np.abs(colours[:, :2] - wanted).max() < 0.51


def test_a_surface_close_behind_another_is_hidden_by_it() -> None:
    """A tenth of the thing's size behind it."""
    front, back = plate(2.0), plate(2.1, half=0.4)
    _, seen = before_one_camera(torch.cat([front, back]), np.full((SIZE, SIZE, 3), 99, np.uint8))
    assert seen[: len(front)].all() and not seen[len(front) :].any()
