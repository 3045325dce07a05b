"""What is written is read again, and what is damaged is refused: for any numbers and any bytes."""

from __future__ import annotations

import dataclasses
import io
import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dist_engine.cameras import Cameras, Similarity
from dist_engine.protocol import (
    Bounds,
    Placement,
    Request,
    RequestError,
    Settings,
    View,
    parse_event,
    write_event,
)
from dist_engine.protocol.events import EVENTS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from blender_tests.support import camera_files
from blender_tests.support.camera_files import Truth
from dist_addon import formats
from dist_addon.worker.dist_engine.protocol import RequestError as FormatError  # under the add-on's name: another class

NUMBERS = st.floats(-1e6, 1e6, width=64)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def vectors(count: int, most: float = 3.0) -> st.SearchStrategy[np.ndarray]:
    return arrays(float, count, elements=st.floats(-most, most))


def rotations() -> st.SearchStrategy[np.ndarray]:
    return vectors(3).map(lambda turn: Rotation.from_rotvec(turn).as_matrix())


@st.composite
def views(draw: st.DrawFn) -> View:
    focal, centre = draw(st.floats(20, 5000)), draw(vectors(2, 100))
    K = np.array([[focal, 0, 32 + centre[0]], [0, focal * draw(st.floats(0.5, 2)), 24 + centre[1]], [0, 0, 1]])
    return View(draw(st.text(max_size=12)), K, np.column_stack([draw(rotations()), draw(vectors(3, 1e4))]))


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    return Placement(draw(st.floats(1e-3, 1e3)), draw(rotations()), draw(vectors(3, 1e3)))


def tensors(placement: Placement) -> Similarity:
    parts = (np.array(placement.scale), placement.rotation, placement.translation)
    return Similarity(*(torch.tensor(part, dtype=torch.float64) for part in parts))


def assert_same(one: Any, other: Any) -> None:
    """Dataclasses, field by field; arrays number by number."""
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "views":
            assert len(a) == len(b)
            for mine, theirs in zip(a, b, strict=True):
                assert_same(mine, theirs)
        elif dataclasses.is_dataclass(a):
            assert_same(a, b)
        elif a is None or b is None:
            assert a is b
        else:
            np.testing.assert_array_equal(a, b)


@given(placements(), arrays(float, (4, 3), elements=st.floats(-10, 10)))
def test_from_the_object_to_the_world_and_back(placement, points):
    place = tensors(placement)
    world = placement.scale * points @ placement.rotation.T + placement.translation
    np.testing.assert_allclose(place.to_world(torch.tensor(points)), world, atol=1e-9 * (1 + np.abs(world).max()))
    back = place.to_object(place.to_world(torch.tensor(points)))
    np.testing.assert_allclose(back, points, atol=1e-10 * (1 + np.abs(world).max() / placement.scale))


@given(placements(), vectors(7, 2), arrays(float, (4, 3), elements=st.floats(-1, 1)))
def test_a_step_moves_the_thing_in_its_own_axes(placement, step, points):
    """The same as to move the points first, by the exponential of the step, and to place them then."""
    moved = tensors(placement).retract(torch.tensor(step))
    first = np.exp(step[0]) * Rotation.from_rotvec(step[1:4]).apply(points) + step[4:]
    expected = tensors(placement).to_world(torch.tensor(first))
    np.testing.assert_allclose(moved.to_world(torch.tensor(points)), expected, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(moved.rotation @ moved.rotation.T, np.eye(3), atol=1e-12)


@given(st.lists(views(), min_size=1, max_size=3))
def test_cameras_become_views_again(given_views):
    cameras = Cameras.from_views(given_views, torch.device("cpu"))
    for one, other in zip(given_views, cameras.to_views([view.name for view in given_views]), strict=True):
        assert one.name == other.name
        np.testing.assert_allclose(other.K, one.K, rtol=1e-6)
        np.testing.assert_allclose(other.world_to_camera, one.world_to_camera, rtol=1e-6, atol=1e-6)
        turn = other.world_to_camera[:, :3]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)


@given(views(), placements(), arrays(float, (4, 2), elements=st.floats(0, 64)), st.floats(0.1, 10))
def test_a_point_on_the_ray_of_a_pixel_is_seen_in_that_pixel(view, placement, pixels, distance):
    parts = (view.K[None], view.world_to_camera[None, :, :3], view.world_to_camera[None, :, 3])
    cameras = Cameras(*(torch.tensor(part) for part in parts))
    rays = cameras.rays(torch.zeros(4, dtype=torch.long), torch.tensor(pixels), tensors(placement))
    points = rays.at(torch.full((4,), distance, dtype=torch.float64)).numpy()
    world = placement.scale * points @ placement.rotation.T + placement.translation
    seen = world @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]
    homogeneous = seen @ view.K.T
    # The camera may be far away, in units of the thing.
    loss = 1e-12 * (1 + np.abs(view.world_to_camera).max() + np.abs(placement.translation).max())
    reach = loss * view.K.max() / (placement.scale * distance)
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], pixels, atol=1e-6 + 100 * reach)
    np.testing.assert_allclose(seen[:, 2], distance * placement.scale * rays.cosine, rtol=1e-6, atol=100 * loss)


FIELDS = {
    **dict.fromkeys(("message", "stage", "problem"), st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
    **dict.fromkeys(("step", "steps"), st.integers(0, 10**6)),
    **dict.fromkeys(("loss", "seconds_left"), st.none() | NUMBERS),
    "serial": st.integers(0, 10**6),
}


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    event = draw(st.sampled_from(sorted(EVENTS)))
    return event, {name: draw(FIELDS[name]) for name in sorted(EVENTS[event])}


@given(events())
def test_an_event_is_read_as_it_was_written(written):
    event, fields = written
    stream = io.StringIO()
    write_event(stream, event, **fields)
    line = stream.getvalue()
    assert line.endswith("\n") and line.count("\n") == 1 and line.isascii()
    read = parse_event(line)
    assert read["event"] == event and {name: read[name] for name in fields} == fields


LINES = (
    st.text()
    | JSON.map(json.dumps)
    | st.fixed_dictionaries({"event": JSON, "v": st.just(1)}).map(json.dumps)
    | st.fixed_dictionaries({"event": st.sampled_from(sorted(EVENTS)), "v": JSON}).map(json.dumps)
    | st.sampled_from([100, 100_000]).map(lambda depth: "[" * depth)
)


@given(LINES)
def test_a_line_that_is_no_event_is_refused(line):
    try:
        assert parse_event(line)["event"] in EVENTS
    except RequestError as error:
        assert 0 < len(str(error)) < 2000


@given(views())
def test_a_view_is_read_as_it_was_written(view):
    assert_same(View.from_json(json.loads(json.dumps(view.to_json()))), view)


@given(placements())
def test_a_placement_is_read_as_it_was_written(placement):
    placement.check()
    assert_same(Placement.from_json(json.loads(json.dumps(placement.to_json()))), placement)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    count, shape = draw(st.integers(1, 3)), (draw(st.integers(1, 4)), draw(st.integers(1, 5)))
    masks = draw(arrays(np.uint8, (count, *shape)))
    masks[:, 0, 0] = 255
    points = draw(st.none() | arrays(float, (2, 3), elements=NUMBERS))
    return Request(
        views=[draw(views()) for _ in range(count)],
        masks=masks,
        bounds=Bounds(draw(vectors(3, 1e3)), draw(rotations()), draw(arrays(float, 3, elements=st.floats(0.01, 100)))),
        settings=Settings(iterations=draw(st.integers(1, 500)), seed=draw(st.integers(0, 2**31))),
        pictures=draw(st.none() | arrays(np.uint8, (count, *shape, 3))) if count > 1 else None,
        depths=draw(st.none() | arrays(np.float32, (count, *shape), elements=st.floats(0, 1e3, width=32))),
        points=points,
        visibility=None if points is None else draw(st.none() | arrays(bool, (2, count))),
        prior=draw(st.text(max_size=12)),
        code=draw(st.none() | vectors(4)),
        placement=draw(st.none() | placements()),
    )


@given(requests())
def test_a_request_is_read_as_it_was_written(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("request")
    request.save(folder)
    assert_same(Request.load(folder), request)


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value within JSON."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, value in inner for place in [(*path, key), *leaves(value, (*path, key))]]


@given(st.data())
def test_a_damaged_request_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("request")
    K = np.array([[55.0, 0, 2], [0, 55.0, 2], [0, 0, 1]])
    view = View("camera", K, np.column_stack([np.eye(3), [0, 0, 3.0]]))
    bounds, place = Bounds(np.zeros(3), np.eye(3), np.ones(3)), Placement(1.0, np.eye(3), np.zeros(3))
    Request([view], np.full((1, 4, 4), 255, np.uint8), bounds, placement=place).save(folder)
    written = json.loads((folder / "request.json").read_text())
    *way, last = data.draw(st.sampled_from(leaves(written)))
    holder = written
    for key in way:
        holder = holder[key]
    holder[last] = data.draw(JSON)
    (folder / "request.json").write_text(json.dumps(written))
    try:
        Request.load(folder)
    except RequestError as error:
        assert str(error)


WRITERS = {
    "transforms.json": camera_files.write_transforms,
    "cameras.txt": camera_files.write_colmap_text,
    "images.txt": camera_files.write_colmap_text,
    "points3D.txt": camera_files.write_colmap_text,
    "cameras.bin": camera_files.write_colmap_binary,
    "images.bin": camera_files.write_colmap_binary,
    "points3D.bin": camera_files.write_colmap_binary,
    "thing_par.txt": camera_files.write_middlebury,
}


@st.composite
def calibrated(draw: st.DrawFn) -> list[Truth]:
    """Cameras of one size and one pixel aspect, as a scene of Blender has them."""
    size, aspect = (draw(st.integers(1, 2000)), draw(st.integers(1, 2000))), draw(st.floats(0.5, 2))
    cameras = []
    for index in range(draw(st.integers(1, 3))):
        focal, (x, y) = draw(st.floats(20, 5000)), draw(vectors(2, 500))
        K = np.array([[focal, 0, x], [0, focal / aspect, y], [0, 0, 1]])
        stem = draw(st.text(string.ascii_letters + "äß_-", min_size=1, max_size=8))
        cameras.append(Truth(f"{index}{stem}.png", K, draw(rotations()), draw(vectors(3, 1e3)), size))
    return cameras


@pytest.mark.parametrize("name", ["transforms.json", "cameras.txt", "cameras.bin", "thing_par.txt"])
@given(cameras=calibrated())
def test_cameras_are_read_as_they_were_written(tmp_path_factory, name, cameras):
    folder = tmp_path_factory.mktemp("cameras")
    WRITERS[name](folder, cameras)
    if name == "thing_par.txt":  # it has no sizes: the pictures say them
        for camera in cameras:
            camera_files.write_png(folder / camera.picture, np.zeros((*camera.size[::-1], 3), np.uint8))
    found = formats.read(folder)
    assert found.size == cameras[0].size and [path.name for path in found.pictures] == [c.picture for c in cameras]
    for view, camera in zip(found.views, cameras, strict=True):
        np.testing.assert_allclose(view.K, camera.K, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(view.world_to_camera, np.column_stack([camera.R, camera.t]), rtol=1e-9, atol=1e-9)


@st.composite
def damages(draw: st.DrawFn) -> tuple[float, int, bytes]:
    """Where, as a share of the file, how much is taken out, and what is put there."""
    return draw(st.floats(0, 1)), draw(st.integers(0, 40)), draw(st.binary(max_size=20) | st.sampled_from(TOKENS))


TOKENS = [b"nan", b"-1", b"1e999", b"99999999999999999999", b"null", b"[[", b'"', b"\n", b"\0", b"#", b"{}", b" 0 "]


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=60)
@given(damage=damages())
def test_a_damaged_file_of_cameras_is_refused_or_read(tmp_path_factory, name, damage):
    """Whatever the bytes: a calibration, or the one error that says what is wrong."""
    folder = tmp_path_factory.mktemp("cameras")
    cameras = camera_files.looking_at_origin(2)
    WRITERS[name](folder, cameras)
    camera_files.write_pictures(folder, cameras)
    where, length, bytes_there = damage
    path: Path = folder / name
    whole = path.read_bytes()
    start = int(where * len(whole))
    path.write_bytes(whole[:start] + bytes_there + whole[start + length :])
    try:
        found = formats.read(folder)
    except FormatError as error:
        assert str(error)
    else:
        assert all(np.isfinite(view.K).all() and np.isfinite(view.world_to_camera).all() for view in found.views)
