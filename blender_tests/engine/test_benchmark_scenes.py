"""What the benchmarks measure on: made things, cameras round them, noise, the visual hull, and photographs' masks."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import igl
import numpy as np
import pytest
from benchmarks import freedom, methods, outline_offset, photographs, things
from benchmarks.engine import alone
from benchmarks.hull import visual_hull
from benchmarks.photographed import (
    DIRECTIONS,
    SIZE,
    Photographs,
    Scene,
    all_around,
    directions,
    with_turned_cameras,
    with_wrong_masks,
)
from dist_engine.protocol import RequestError, View, covered
from PIL import Image

from blender_tests.engine.test_measures import sphere
from tools.cut_out import from_dark_background

RADIUS = 0.6


def ball_masks(views: list[View], radius: float = RADIUS, size: int = SIZE) -> np.ndarray:
    """What cameras see of a ball about the origin, by the angle between the ray and its middle."""
    y, x = np.mgrid[:size, :size] + 0.5
    masks = []
    for view in views:
        rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(view.K).T
        middle = view.world_to_camera[:, 3]
        cosine = rays @ middle / np.linalg.norm(rays, axis=-1) / np.linalg.norm(middle)
        masks.append(cosine > np.sqrt(1 - (radius / np.linalg.norm(middle)) ** 2))
    return np.array(masks)


def ball(count: int = DIRECTIONS) -> Photographs:
    views = all_around()[:count]
    masks = ball_masks(views).astype(np.uint8) * 255
    return Photographs(views, masks, np.repeat(masks[..., None], 3, 3))


# --- Cameras and noise -----------------------------------------------------------------------------------------------


def test_the_first_cameras_are_spread_whatever_their_number() -> None:
    where = directions()
    np.testing.assert_allclose(np.linalg.norm(where, axis=1), 1)
    for count, apart in ((4, 80), (8, 45), (12, 39), (DIRECTIONS, 36)):
        cosines = where[:count] @ where[:count].T - 2 * np.eye(count)
        assert np.degrees(np.arccos(cosines.max())) > apart
    # None that is held back is one of those seen, nor near to one of the first twelve.
    for count, apart in ((12, 18), (DIRECTIONS, 3)):
        assert np.degrees(np.arccos((where[DIRECTIONS:] @ where[:count].T).max())) > apart


def test_cameras_see_the_unit_sphere_fill_their_picture() -> None:
    for view in all_around():
        mask = ball_masks([view], 1.0)[0]
        for axis in (0, 1):
            seen = np.flatnonzero(mask.any(axis))
            assert len(seen) == pytest.approx(0.92 * SIZE, abs=1.5)
            assert (seen[0] + seen[-1] + 1) / 2 == pytest.approx(SIZE / 2, abs=0.6)
        assert np.linalg.det(view.world_to_camera[:, :3]) == pytest.approx(1)


def test_a_wrong_blob_changes_so_much_of_each_mask() -> None:
    given = ball(12)
    wrong = with_wrong_masks(given, 0.04, 0.0, seed=3)
    changed = covered(wrong.masks) != covered(given.masks)
    area = covered(given.masks).sum((1, 2))
    np.testing.assert_allclose(changed.sum((1, 2)) / area, 0.04, atol=0.004)
    # In one piece; some add, some take away; the same seed does the same.
    gone = [(covered(given.masks)[k] & changed[k]).any() for k in range(12)]
    assert 0 < sum(gone) < 12
    assert np.array_equal(wrong.masks, with_wrong_masks(given, 0.04, 0.0, seed=3).masks)
    assert not np.array_equal(wrong.masks, with_wrong_masks(given, 0.04, 0.0, seed=4).masks)
    assert np.array_equal(wrong.masks[:5], with_wrong_masks(given.first(5), 0.04, 0.0, seed=3).masks)


def test_flipped_pixels_are_at_the_edge() -> None:
    given = ball(4)
    flipped = covered(with_wrong_masks(given, 0.0, 0.1, seed=0).masks) != covered(given.masks)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    reach = np.sqrt(covered(given.masks[0]).sum() / np.pi)
    assert flipped.any() and np.abs(np.hypot(x, y) - reach)[flipped.any(0)].max() < 2.5
    assert flipped.sum() / 4 == pytest.approx(0.1 * 2 * 2 * np.pi * reach, rel=0.35)


def test_cameras_are_turned_by_so_many_pixels() -> None:
    given = ball()
    shifts = []
    for seed in range(8):
        for before, after in zip(given.views, with_turned_cameras(given, 0.5, seed).views, strict=True):
            seen = after.K @ after.world_to_camera[:, 3]
            shifts.append(seen[:2] / seen[2] - SIZE / 2)
            # A turn, about the camera's own place.
            turn = after.world_to_camera @ np.linalg.inv(np.vstack([before.world_to_camera, [0, 0, 0, 1]]))
            np.testing.assert_allclose(turn[:, 3], 0, atol=1e-12)
            np.testing.assert_allclose(turn[:, :3] @ turn[:, :3].T, np.eye(3), atol=1e-12)
    assert np.std(shifts, axis=0) == pytest.approx([0.5, 0.5], rel=0.15)
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.1


# --- Things ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "holes"), [("cup", 1), ("hand", 0), ("table", 3), ("ring", 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_made_things_are_closed_and_whole(name: str, holes: int, seed: int) -> None:
    vertices, faces = things.make(name, seed)
    faces = faces.astype(np.int64)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    assert (count == 2).all() and igl.facet_components(faces)[0] == 1
    assert len(vertices) - len(edges) + len(faces) == 2 - 2 * holes
    assert np.linalg.norm(vertices, axis=1).max() == pytest.approx(1)
    np.testing.assert_allclose(vertices.max(0), -vertices.min(0))
    # Wound outwards.
    assert np.linalg.det(vertices[faces]).sum() > 0
    if name == "cup":
        # The handle is on one side: the hollow's axis is as far from the other as from front and back.
        middle = vertices[:, 0].min() + np.ptp(vertices[:, 1]) / 2
        axis = np.array([[middle, 0, z] for z in (-0.2, 0.0, 0.3)])
        assert (igl.fast_winding_number(vertices, faces, axis) < 0.5).all()


def test_another_seed_makes_another_thing() -> None:
    one, two, again = (things.make("ring", seed)[0] for seed in (0, 1, 0))
    assert np.array_equal(one, again) and not np.allclose(one, two)


def package(folder: Path, content: bytes) -> str:
    """A package's tarball, and its digest."""
    path = folder / "thing" / "-" / "thing-1.0.0.tgz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("package/index.js")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_a_package_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = package(tmp_path / "registry", b"exports.positions=[[1,2,3]]\n")
    monkeypatch.setattr(things, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(things, "PACKAGES", {"thing": ("1.0.0", digest)})
    monkeypatch.setattr(things, "_registry", lambda: (tmp_path / "registry").as_uri())
    assert things._from_package("thing", "package/index.js") == b"exports.positions=[[1,2,3]]\n"
    monkeypatch.setattr(things, "_registry", lambda: "file:///nowhere")
    assert things._from_package("thing", "package/index.js").startswith(b"exports")


def test_a_package_that_is_not_there_or_another_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = package(tmp_path / "registry", b"something else")
    monkeypatch.setattr(things, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(things, "PACKAGES", {"thing": ("1.0.0", "A" + digest[1:]), "no": ("1.0.0", digest)})
    monkeypatch.setattr(things, "_registry", lambda: (tmp_path / "registry").as_uri())
    with pytest.raises(things.Unreachable, match="is not what it was"):
        things._from_package("thing", "package/index.js")
    with pytest.raises(things.Unreachable, match="cannot be fetched"):
        things._from_package("no", "package/index.js")
    assert not (tmp_path / "cache").exists()


def test_the_registry_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://packages.example/npm/")
    assert things._registry() == "https://packages.example/npm"
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setenv("PATH", "")
    assert things._registry() == things.REGISTRY


# --- The hull and what is found ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_hull_of_a_ball_holds_it_closely() -> None:
    given = ball()
    masks = covered(given.masks)
    vertices, faces = visual_hull(given.views, masks)
    away = np.linalg.norm(vertices, axis=1)
    # The masks are right to half a pixel: a hundredth.
    assert away.min() > RADIUS - 0.01 and away.max() < 1.1 * RADIUS
    assert np.linalg.det(vertices[faces]).sum() / 6 == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.08)
    assert min(methods.overlaps((vertices, faces), given.views[:2], given.masks[:2])) > 0.98


@pytest.mark.slow
def test_the_hull_lets_what_is_unknown_be() -> None:
    given = ball(6)
    masks, known = covered(given.masks), np.ones(given.masks.shape, bool)
    masks[0], known[0] = False, False
    fewer, _ = visual_hull(given.views[1:], masks[1:])
    with_unknown, _ = visual_hull(given.views, masks, known)
    assert len(with_unknown) == len(fewer) and np.allclose(with_unknown, fewer, atol=1e-9)
    moved = [
        replace(
            v,
            world_to_camera=np.column_stack(
                [v.world_to_camera[:, :3], 2 * v.world_to_camera[:, 3] - v.world_to_camera[:, :3] @ [3, 2, 1]]
            ),
        )
        for v in given.views[1:]
    ]
    larger, _ = visual_hull(moved, masks[1:], None, (3, 2, 1), 2.0)
    np.testing.assert_allclose(larger, 2 * fewer + [3, 2, 1], atol=1e-9)


@pytest.mark.parametrize("grown", [-0.02, 0.0, 0.03])
def test_the_offset_of_a_ball_that_is_too_large(grown: float) -> None:
    given = ball(3)
    view = given.views[0]
    # A ball's outline lies where its tangent cone meets the picture; a ring's area is that by half of both perimeters.
    mask, found = (view.K[0, 0] * r / np.sqrt(16 - r**2) for r in (RADIUS, RADIUS + grown))
    told = outline_offset.offset(sphere(RADIUS + grown), given)["offset"]
    assert told == pytest.approx((found**2 - mask**2) / (2 * mask), abs=0.05)


def test_the_perimeter_of_a_disc() -> None:
    y, x = np.mgrid[:200, :200] - 99.3
    assert outline_offset.perimeter(np.hypot(x, y) < 70) == pytest.approx(2 * np.pi * 70, rel=0.02)
    assert outline_offset.perimeter(np.ones((5, 8), bool)) == pytest.approx(26 * np.pi / 4)


def test_requests_of_the_methods(tmp_path: Path) -> None:
    vertices, faces = sphere(1.0)
    scene = Scene("ball", "table", vertices, faces, ball(), ball(4))
    given = scene.seen.first(12)
    for method in ("outlines", "colours", "prior", "freed"):
        request, prior = methods.asked(scene, given, method)
        request.check()
        assert (prior is not None) == (method in ("prior", "freed")) == (request.bounds is not None)
        assert (request.compared is not None) == (method in ("colours", "freed"))
        assert (request.settings.freedom == "some") == (method == "freed") and request.settings.threads == 1
    assert methods.asked(scene, scene.seen.first(4), "freed")[0].compared is None
    assert methods.nearest_cameras(given.views[:2]) == pytest.approx(
        np.degrees(np.arccos(directions()[0] @ directions()[1]))
    )


@pytest.mark.slow
def test_work_is_measured_alone() -> None:
    made, cost = alone(time.sleep, 0.7)
    assert made is None and 0.7 <= cost["seconds"] < 2 and cost["cpu_seconds"] < 0.5 and cost["peak_mb"] > 50
    made, cost = alone(sum, range(20_000_000))
    assert made == 199_999_990_000_000 and 0.05 < cost["cpu_seconds"] < cost["seconds"] + 0.1


def test_pairs_of_what_is_freed() -> None:
    rows = [
        dict.fromkeys(freedom.MEASURES, value) | {"object": "table 7", "views": views, "method": method}
        for views, method, value in ((8, "prior", 2.0), (8, "freed", 1.0), (4, "prior", 3.0))
    ]
    (pair,) = freedom.pairs(rows)
    assert (pair["class"], pair["seed"], pair["views"]) == ("table", 7, 8)
    assert (pair["chamfer_prior"], pair["chamfer_freed"]) == (2.0, 1.0)


# --- Photographs -----------------------------------------------------------------------------------------------------


def dark_picture() -> np.ndarray:
    """A bright square in the dark, with a shadow across it, a notch too wide for one, and a speck beside it."""
    picture = np.full((200, 300, 3), 10, np.uint8)
    picture[40:160, 60:180] = 200
    picture[40:160, 100:110] = 20
    picture[40:100, 130:170] = 20
    picture[20:24, 250:254] = 255
    return picture


def test_a_mask_from_a_dark_background_does_not_know_its_shadows() -> None:
    picture = dark_picture()
    # Held together below the shadow.
    picture[150:160, 100:110] = 200
    thing, known = from_dark_background(picture)
    assert thing[60:140, 64:96].all() and thing[110:150, 115:175].all()
    assert not thing[45:145, 102:108].any() and not known[60:145, 102:108].any()
    # The notch is known to be background, and so is what is far away, the speck included.
    assert not thing[60:80, 135:165].any() and known[60:80, 140:160].all()
    assert not thing[:, 240:].any() and known[:, 220:].all()


def write_photographs(folder: Path, masks: Path | None) -> None:
    views = all_around(100)[:8]
    frames = []
    for number, (view, mask) in enumerate(zip(views, ball_masks(views, size=100), strict=True)):
        # Each pixel of the file's is four.
        large = np.kron(mask, np.ones((5, 5), bool))
        colour = np.full((500, 500, 3), 90, np.uint8)
        if masks is None:
            picture = Image.fromarray(np.dstack([colour, large.astype(np.uint8) * 255]))
        else:
            picture = Image.fromarray(colour)
            Image.fromarray(large.astype(np.uint8) * 255).save(masks / f"shot{number}.png")
        picture.save(folder / f"shot{number}.png")
        to_world = np.linalg.inv(np.vstack([np.diag([1, -1, -1]) @ view.world_to_camera, [0, 0, 0, 1]]))
        frames.append({"file_path": f"shot{number}.png", "transform_matrix": to_world.tolist()})
    told = {"fl_x": 5 * views[0].K[0, 0], "w": 500, "h": 500, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(told), encoding="utf-8")


@pytest.mark.parametrize("apart", [False, True])
def test_photographs_of_a_folder_are_made_smaller_with_their_cameras(tmp_path: Path, apart: bool) -> None:
    masks = tmp_path / "masks" if apart else None
    if masks is not None:
        masks.mkdir()
    write_photographs(tmp_path, masks)
    taken = photographs.read(tmp_path, masks)
    assert taken.masks.shape == taken.known.shape == (8, 250, 250) and taken.pictures.shape == (8, 250, 250, 3)
    assert taken.known.all() and [view.name for view in taken.views] == [f"shot{k}" for k in range(8)]
    # The ball is where the smaller pictures' cameras see it.
    assert (covered(taken.masks) == ball_masks(taken.views, size=250)).mean() > 0.98
    centre, radius = photographs.around(taken)
    np.testing.assert_allclose(centre, 0, atol=0.03)
    assert RADIUS < radius < 2 * RADIUS
    request = photographs.asked(taken, "outlines")
    request.check()
    assert request.mask_known is None


def test_photographs_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    write_photographs(tmp_path, masks)
    (masks / "shot3.png").unlink()
    with pytest.raises(RequestError, match="has no mask shot3"):
        photographs.read(tmp_path, masks)
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(masks / "shot3.png")
    with pytest.raises(RequestError, match=r"shot3.png is of \(20, 20\), not of \(500, 500\) pixels"):
        photographs.read(tmp_path, masks)
