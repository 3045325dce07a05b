"""Files of cameras without Blender: what is read, and what is refused, with file, entry and remedy."""

from __future__ import annotations

import json
import math
import struct
import tracemalloc

import numpy as np
import pytest

from blender_tests.support import camera_files
from blender_tests.support.camera_files import COLORS, POINTS, looking_at_origin
from dist_addon import formats
from dist_addon.formats.calibration import rotation_to_z
from dist_addon.worker.dist_engine.protocol import RequestError


def write_model(folder, cameras):
    camera_files.write_colmap_text(folder / "sparse" / "0", cameras)


WRITERS = {
    "transforms": camera_files.write_transforms,
    "text": camera_files.write_colmap_text,
    "binary": camera_files.write_colmap_binary,
    "sparse/0": write_model,
    "middlebury": camera_files.write_middlebury,
}


def check(calibration, cameras):
    assert len(calibration.views) == len(cameras)
    for view, camera in zip(calibration.views, cameras, strict=True):
        np.testing.assert_allclose(view.K, camera.K, atol=1e-9)
        np.testing.assert_allclose(view.world_to_camera, np.column_stack([camera.R, camera.t]), atol=1e-9)


@pytest.mark.parametrize("kind", WRITERS)
def test_what_was_written_is_read(tmp_path, kind):
    cameras = looking_at_origin(5)
    folder = tmp_path / "My thing"
    WRITERS[kind](folder, cameras)
    pictures = folder / "images" if kind == "sparse/0" else folder
    camera_files.write_pictures(pictures, cameras)
    found = formats.read(folder)
    check(found, cameras)
    assert (found.name, found.size, found.aspect) == ("My thing", (64, 48), pytest.approx(1))
    assert found.pictures == [pictures / camera.picture for camera in cameras]
    assert [view.name for view in found.views] == [f"pic{n}" for n in range(5)]
    if kind in ("text", "binary", "sparse/0"):
        np.testing.assert_array_equal(found.points, POINTS)
        np.testing.assert_array_equal(found.colors, COLORS)
    else:
        assert found.points is None


@pytest.mark.parametrize("axis", ["+x", "-x", "+y", "-y", "+z", "-z"])
def test_up_becomes_z(tmp_path, axis):
    rotation = rotation_to_z(axis)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    up = np.eye(3)["xyz".index(axis[1])] * {"+": 1, "-": -1}[axis[0]]
    np.testing.assert_allclose(rotation @ up, [0, 0, 1])
    if axis != "-z":
        # No needless turn about the vertical: only one axis of the three moves besides.
        assert np.trace(rotation) == pytest.approx(3 if axis == "+z" else 1)
    camera_files.write_colmap_text(tmp_path, looking_at_origin(2))
    found = formats.read(tmp_path)
    turned = found.upright(axis)
    for before, after in zip(found.views, turned.views, strict=True):
        seen = found.points @ before.world_to_camera[:, :3].T + before.world_to_camera[:, 3]
        np.testing.assert_allclose(turned.points @ after.world_to_camera[:, :3].T + after.world_to_camera[:, 3], seen)
    np.testing.assert_allclose(turned.points[:, 2], POINTS @ up)
    with pytest.raises(RequestError, match=r"no axis “up”.*-z"):
        found.upright("up")


def test_the_lens_may_be_an_angle_and_sizes_the_pictures(tmp_path):
    """NeRF's own scenes: no sizes, no endings, one angle."""
    (camera,) = looking_at_origin(1)
    path = camera_files.write_transforms(tmp_path, [camera])
    data = json.loads(path.read_text())
    frame = data["frames"][0]
    for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
        del frame[key]
    frame["file_path"] = "./pic0"
    data["camera_angle_x"] = 2 * math.atan(32 / 80)
    path.write_text(json.dumps(data))
    with pytest.raises(RequestError, match=r"transforms\.json does not say how large.*pic0.*put them there"):
        formats.read(path)
    camera_files.write_pictures(tmp_path, [camera])
    found = formats.read(path)
    assert found.pictures == [tmp_path / "pic0.png"] and found.size == (64, 48)
    np.testing.assert_allclose(found.views[0].K, [[80, 0, 32], [0, 80, 24], [0, 0, 1]])
    # The frame's own word counts more than the file's.
    frame["camera_angle_x"] = 2 * math.atan(32 / 100)
    data["fl_x"] = 50
    path.write_text(json.dumps(data))
    assert formats.read(path).views[0].K[0, 0] == pytest.approx(100)


def test_each_angle_spans_its_own_side(tmp_path):
    (camera,) = looking_at_origin(1)
    path = camera_files.write_transforms(tmp_path, [camera])
    data = json.loads(path.read_text())
    frame = data["frames"][0]
    for key in ("fl_x", "fl_y", "cx", "cy"):
        frame.pop(key, None)
        data.pop(key, None)
    # Of 64 x 48 pixels, half of each side before its focal length.
    data["camera_angle_x"], data["camera_angle_y"] = 2 * math.atan(32 / 80), 2 * math.atan(24 / 100)
    path.write_text(json.dumps(data))
    np.testing.assert_allclose(formats.read(path).views[0].K, [[80, 0, 32], [0, 100, 24], [0, 0, 1]])


def test_wide_pixels_are_kept(tmp_path):
    cameras = looking_at_origin(3)
    for camera in cameras:
        camera.K[1, 1] *= 1.25
    found = formats.read(camera_files.write_colmap_binary(tmp_path, cameras))
    check(found, cameras)
    assert found.aspect == pytest.approx(0.8)


def spoil_text(name, old, new):
    def spoil(folder):
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return spoil


def spoil_frame(**fields):
    def spoil(folder):
        path = folder / "transforms.json"
        data = json.loads(path.read_text())
        data["frames"][1] |= fields
        path.write_text(json.dumps(data))

    return spoil


def spoil_all(**fields):
    def spoil(folder):
        path = folder / "transforms.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return spoil


def overwrite(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def cut(name, share):
    def spoil(folder):
        path = folder / name
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return spoil


def remove_line(name, number):
    def spoil(folder):
        path = folder / name
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:number] + lines[number + 1 :]))

    return spoil


def one_camera(model, *parameters):
    """A cameras.bin with only the second picture's lens replaced, so that all others are sound."""

    def spoil(folder):
        data = struct.pack("<Q", 2) + struct.pack("<IiQQ4d", 11, 1, 64, 48, 70, 70, 32, 24)
        data += struct.pack(f"<IiQQ{len(parameters)}d", 12, model, 64, 48, *parameters)
        (folder / "cameras.bin").write_bytes(data)

    return spoil


HUGE = struct.pack("<Q", 1 << 60)
SHEARED = [[1, 0, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
MIRRORED = [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("kind", "spoil", "words"),
    [
        ("transforms", overwrite("transforms.json", b"[" * 100_000), ["transforms.json cannot be read"]),
        ("transforms", overwrite("transforms.json", b"\xff\xfe{"), ["transforms.json cannot be read"]),
        ("transforms", overwrite("transforms.json", b"[1]"), ["no transforms.json"]),
        ("transforms", overwrite("transforms.json", b'{"frames": []}'), ["no list of “frames”"]),
        ("transforms", spoil_all(k1=0.02), ["frame 0", "distorted (k1 = 0.02)", "image_undistorter"]),
        ("transforms", spoil_frame(p2=-1e-4), ["frame 1", "p2", "image_undistorter"]),
        ("transforms", spoil_all(camera_model="OPENCV_FISHEYE"), ["OPENCV_FISHEYE", "image_undistorter"]),
        ("transforms", spoil_all(is_fisheye=True), ["FISHEYE", "image_undistorter"]),
        ("transforms", spoil_all(distortion_params=[0, 0.1]), ["distortion_params", "image_undistorter"]),
        ("transforms", spoil_frame(file_path=None), ["frame 1", "“file_path”"]),
        ("transforms", spoil_frame(file_path="a\0b.png"), ["frame 1", "name is damaged"]),
        ("transforms", spoil_frame(file_path="/"), ["frame 1", "name is damaged"]),
        ("transforms", spoil_frame(file_path="a\ud800.png"), ["frame 1", "name of the picture is damaged"]),
        ("transforms", spoil_frame(fl_y="\ud800"), ["frame 1", "“fl_y” is '\\ud800'"]),
        ("transforms", spoil_frame(transform_matrix=[[1, 0], [0, 1]]), ["frame 1", "“transform_matrix”"]),
        ("transforms", spoil_frame(transform_matrix=[[math.nan] * 4] * 4), ["frame 1", "finite"]),
        ("transforms", spoil_frame(transform_matrix=[[0] * 4] * 4), ["frame 1", "zero size"]),
        ("transforms", spoil_frame(transform_matrix=SHEARED), ["frame 1", "sheared"]),
        ("transforms", spoil_frame(transform_matrix=MIRRORED), ["frame 1", "mirrored"]),
        ("transforms", spoil_frame(fl_x="long"), ["frame 1", "“fl_x” is 'long'"]),
        ("transforms", spoil_frame(fl_x=-70, fl_y=-70), ["frame 1", "above 0"]),
        ("transforms", spoil_frame(cx=math.inf), ["frame 1", "“cx”"]),
        ("transforms", spoil_frame(w=32), ["frame 1", "32 x 48", "“pic0”", "64 x 48", "one size"]),
        ("transforms", spoil_frame(w=10**9), ["frame 1", "1000000000"]),
        ("transforms", spoil_frame(fl_y=80), ["ratio", "one pixel aspect", "single_camera"]),
        ("text", spoil_text("cameras.txt", "PINHOLE", "SIMPLE_RADIAL"), ["cameras.txt, line 3", "distorted"]),
        ("text", spoil_text("cameras.txt", "PINHOLE", "OPENCV"), ["cameras.txt, line 3", "no camera"]),
        ("text", spoil_text("cameras.txt", "PINHOLE", "EUCM"), ["cameras.txt, line 3", "EUCM", "image_undistorter"]),
        ("text", spoil_text("cameras.txt", " 64 ", " 1e3 "), ["cameras.txt, line 3", "“1e3” is no whole number"]),
        ("text", spoil_text("cameras.txt", " 70.0 ", " 1e300 "), ["images.txt, line 2", "larger than 1e+09"]),
        ("text", spoil_text("cameras.txt", " 64 ", " 0 "), ["images.txt, line 2", "0 x 48"]),
        ("text", spoil_text("cameras.txt", " 70.0 ", " nan "), ["cameras.txt, line 3", "not finite"]),
        ("text", spoil_text("cameras.txt", "11 ", "99 "), ["images.txt, line 2", "no camera 11 in cameras.txt"]),
        ("text", spoil_text("images.txt", "11 pic0.png", "11"), ["images.txt, line 2", "no image"]),
        ("text", spoil_text("images.txt", "\n1 -0", "\n1 -9"), ["images.txt, line 2", "the length"]),
        ("text", remove_line("images.txt", 2), ["images.txt, line 3", "may be empty", "model_converter"]),
        ("text", spoil_text("points3D.txt", "0.5 -0.25", "0.5 inf"), ["points3D.txt, line 2", "not finite"]),
        ("text", spoil_text("points3D.txt", "255 0 128 0.5 1 0 2 1", ""), ["points3D.txt, line 2", "no point"]),
        ("text", lambda folder: (folder / "images.txt").write_text("# none\n"), ["no cameras"]),
        ("binary", overwrite("cameras.bin", b""), ["cameras.bin cannot be read"]),
        ("binary", overwrite("cameras.bin", HUGE), ["cameras.bin is damaged", "cameras, in 8 bytes"]),
        ("binary", overwrite("images.bin", HUGE + bytes(100)), ["images.bin is damaged", "images, in 108 bytes"]),
        ("binary", overwrite("points3D.bin", HUGE + bytes(100)), ["points3D.bin is damaged"]),
        ("binary", cut("cameras.bin", 0.9), ["cameras.bin is damaged", "within camera 2"]),
        ("binary", cut("images.bin", 0.9), ["images.bin is damaged", "image 2"]),
        ("binary", cut("points3D.bin", 0.95), ["points3D.bin is damaged", "within point 3"]),
        ("binary", one_camera(5, 70, 70, 32, 24, 0, 0, 0, 0), ["camera 2 of 2", "OPENCV_FISHEYE", "undistort"]),
        ("binary", one_camera(2, 70, 32, 24, 0.01), ["camera 2 of 2", "SIMPLE_RADIAL: 0.01", "undistort"]),
        ("binary", one_camera(11, 70), ["camera 2 of 2", "kind 11", "undistort"]),
        ("binary", one_camera(1, 70, math.nan, 32, 24), ["camera 2 of 2", "not finite"]),
        ("middlebury", overwrite("thing_par.txt", b"pictures\n"), ["line 1", "not the number of pictures"]),
        ("middlebury", spoil_text("thing_par.txt", "2\n", "999999999\n"), ["holds 2 pictures", "cut off"]),
        ("middlebury", spoil_text("thing_par.txt", "2\n", "1\n"), ["line 3", "there are more"]),
        ("middlebury", spoil_text("thing_par.txt", " 0 ", " "), ["line 2", "21 numbers"]),
        ("middlebury", spoil_text("thing_par.txt", " 0 ", " x "), ["line 2", "'x'"]),
        ("middlebury", spoil_text("thing_par.txt", " 0 ", " 5 "), ["line 2", "skewed", "image_undistorter"]),
        ("middlebury", spoil_text("thing_par.txt", " 0 0 1 ", " 0 0 0 "), ["line 2", "upper triangular"]),
        ("middlebury", lambda folder: (folder / "pic0.png").write_bytes(b"x"), ["how large", "pic0.png"]),
    ],
)
def test_what_is_damaged_or_distorted_is_refused(tmp_path, kind, spoil, words):
    cameras = looking_at_origin(2)
    WRITERS[kind](tmp_path, cameras)
    camera_files.write_pictures(tmp_path, cameras[:1])
    check(formats.read(tmp_path), cameras)
    spoil(tmp_path)
    tracemalloc.start()
    with pytest.raises(RequestError) as caught:
        formats.read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for word in words:
        assert word in str(caught.value), caught.value
    assert peak < 16 << 20


def test_coefficients_of_zero_are_a_pinhole(tmp_path):
    cameras = looking_at_origin(2)
    camera_files.write_colmap_binary(tmp_path, cameras)
    one_camera(6, 71, 71, 33.5, 23.25, *[0] * 8)(tmp_path)
    found = formats.read(tmp_path)
    np.testing.assert_allclose(found.views[1].K, cameras[1].K)
    camera_files.write_transforms(tmp_path, cameras, camera_model="OPENCV", p1=0.0, is_fisheye=False)
    check(formats.read(tmp_path), cameras)


def test_a_missing_picture_has_its_place(tmp_path):
    cameras = looking_at_origin(2)
    camera_files.write_pictures(tmp_path / "images", cameras[1:])
    write_model(tmp_path, cameras)
    assert formats.read(tmp_path).pictures == [tmp_path / "images" / f"pic{n}.png" for n in range(2)]
    (tmp_path / "images" / "pic1.png").unlink()
    assert formats.read(tmp_path).pictures == [tmp_path / "images" / f"pic{n}.png" for n in range(2)]


def test_a_name_that_no_file_can_have_is_a_missing_picture(tmp_path):
    cameras = looking_at_origin(2)
    cameras[0].picture = "9" * 300 + ".png"
    for write in (camera_files.write_transforms, camera_files.write_colmap_binary):
        assert len(formats.read(write(tmp_path / write.__name__, cameras)).views) == 2


def test_each_file_of_a_model_stands_for_it(tmp_path):
    cameras = looking_at_origin(3)
    camera_files.write_colmap_text(tmp_path, cameras[:2])
    camera_files.write_colmap_binary(tmp_path, cameras)
    for name, count in (("cameras.txt", 2), ("images.bin", 3), ("points3D.bin", 3), ("", 3)):
        assert len(formats.read(tmp_path / name).views) == count
    (tmp_path / "images.bin").unlink()
    with pytest.raises(RequestError, match=r"lacks images\.bin"):
        formats.read(tmp_path / "cameras.bin")
    assert len(formats.read(tmp_path).views) == 2


def test_a_large_cloud_is_thinned_out(tmp_path, monkeypatch):
    monkeypatch.setattr(formats.colmap, "MOST_POINTS", 2)
    for write in (camera_files.write_colmap_text, camera_files.write_colmap_binary):
        write(tmp_path / write.__name__, looking_at_origin(2))
        found = formats.read(tmp_path / write.__name__)
        assert 0 < len(found.points) <= 2 and len(found.colors) == len(found.points)


def test_what_is_no_file_of_cameras_is_refused(tmp_path):
    for name in ("other.txt", "a_par.txt", "b_par.txt"):
        (tmp_path / name).write_text("1\n")
    with pytest.raises(RequestError, match=r"2 files \*_par\.txt: choose one"):
        formats.read(tmp_path)
    with pytest.raises(RequestError, match=r"other\.txt is no file of cameras.*transforms\.json"):
        formats.read(tmp_path / "other.txt")
    with pytest.raises(RequestError, match=r"no file .*gone.*choose"):
        formats.read(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=r"empty holds no cameras"):
        formats.read(tmp_path / "empty")
