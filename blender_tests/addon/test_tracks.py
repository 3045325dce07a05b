"""Solved tracks and depth files against where the tests put things."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_tests.support.solved import CENTRE, FIRST, FRAMES, HEIGHT, RADIUS, WIDTH, solved_clip, sphere_mask
from blender_tests.support.stage import write_exr, write_picture
from dist_addon import api
from dist_addon.worker.dist_engine.protocol import Request, RequestError

LAST = FIRST + FRAMES - 1


@pytest.mark.slow
def test_the_tracks_on_the_thing_are_points_that_views_see(scene, tmp_path):
    camera, clip = solved_clip(scene, tmp_path)
    scene.frame_set(2)
    frames = range(FIRST, LAST + 1, 3)
    request = api.gather([camera], None, frames=frames, tracks=clip, points=np.array([[9.0, 9, 9]]))
    assert scene.frame_current == 2
    request.save(tmp_path)
    request = Request.load(tmp_path)
    np.testing.assert_array_equal(request.points[0], 9)
    assert not request.visibility[0].any()
    points, visibility = request.points[1:], request.visibility[1:]
    # The floor's tracks are left out.
    assert 20 <= len(points) <= 30 and visibility.any(axis=1).all()
    np.testing.assert_allclose(np.linalg.norm(points - CENTRE, axis=1), RADIUS, atol=0.01)
    # A view sees the near side only.
    for view, seen in zip(request.views, visibility.T, strict=True):
        eye = -view.world_to_camera[:, :3].T @ view.world_to_camera[:, 3]
        facing = ((points - CENTRE) * (eye - points)).sum(axis=1)
        assert (facing[seen] > -0.01).all() and seen.sum() > 10
        there = (points[seen] @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]) @ view.K.T
        columns, rows = (there[:, :2] / there[:, 2:]).astype(int).T
        mask = request.masks[[other.name for other in request.views].index(view.name)]
        assert (mask[rows, columns] == 255).mean() > 0.7


@pytest.mark.slow
def test_a_track_that_is_hidden_at_a_frame_is_not_seen_there(scene, tmp_path):
    camera, clip = solved_clip(scene, tmp_path)
    before = api.gather([camera], None, frames=[FIRST, LAST], tracks=clip).visibility
    for track in clip.tracking.tracks:
        marker = track.markers.find_frame(FRAMES, exact=True)
        if marker is not None:
            marker.mute = True
    after = api.gather([camera], None, frames=[FIRST, LAST], tracks=clip).visibility
    assert before[:, 1].any() and not after[:, 1].any()
    assert after[:, 0].sum() >= before[:, 0].sum() > 10


def test_a_track_is_where_its_offset_says(scene, tmp_path):
    camera, clip = solved_clip(scene, tmp_path)
    before = api.gather([camera], None, frames=[FIRST, LAST], tracks=clip)
    # The pattern is beside the point that it stands for.
    for track in clip.tracking.tracks:
        for marker in track.markers:
            marker.co = (marker.co[0] - 0.1, marker.co[1] + 0.05)
        track.offset = (0.1, -0.05)
    after = api.gather([camera], None, frames=[FIRST, LAST], tracks=clip)
    np.testing.assert_array_equal(after.visibility, before.visibility)
    np.testing.assert_allclose(after.points, before.points)


@pytest.mark.slow
def test_tracks_that_do_not_fit_the_camera(scene, tmp_path):
    camera, clip = solved_clip(scene, tmp_path)
    frames = [FIRST, LAST]
    camera.data.lens = 45
    with pytest.raises(RequestError, match=r"sees the tracks of the clip “take000.png” \d+ pixels from.*focal length"):
        api.gather([camera], None, frames=frames, tracks=clip)
    camera.data.lens = 50
    with pytest.raises(RequestError, match=r"Frame 17 is outside the clip “take000.png”"):
        api.gather([camera], None, frames=[FIRST, LAST + 1], tracks=clip)
    for track in clip.tracking.tracks:
        track.name = track.name.replace("s", "x")
    nothing = np.zeros((HEIGHT, WIDTH, 4))
    nothing[:4, :4, 3] = 1
    for number in range(FRAMES):
        write_picture(tmp_path / f"nothing{number:03d}.png", nothing)
    clip.filepath = str(tmp_path / "nothing000.png")
    with pytest.raises(RequestError, match=r"None of the \d+ solved tracks .*is on the thing"):
        api.gather([camera], None, frames=frames, tracks=clip)


def test_clips_that_are_not_solved(scene, rig, tmp_path):
    write_picture(tmp_path / "one1.png", np.ones((24, 32, 4)))
    clip = bpy.data.movieclips.load(str(tmp_path / "one1.png"))
    with pytest.raises(RequestError, match=r"clip “one1.png” is not solved"):
        api.gather(rig, None, tracks=clip)


@pytest.mark.slow
def test_tracks_need_frames(scene, rig, tmp_path):
    clip = solved_clip(scene, tmp_path)[1]
    with pytest.raises(RequestError, match=r"the cameras stand still"):
        api.gather(rig, None, tracks=clip)


# Depth.


def write_png(path: Path, numbers: np.ndarray, bits: int = 16) -> None:
    """A grey PNG of whole numbers (H, W)."""
    height, width = numbers.shape
    kind = ">u2" if bits == 16 else "u1"
    rows = b"".join(b"\0" + row.astype(kind).tobytes() for row in numbers)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in [*chunks, (b"IEND", b"")]:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(data)


@pytest.fixture
def globe(scene, tmp_path):
    """A camera that sees the sphere at distance 2, its picture cut out; the mask, and z and distance of the surface."""
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    camera = bpy.data.objects.new("Globe", bpy.data.cameras.new("Globe"))
    camera.location = (1.0, 2.0, 2.5)
    scene.collection.objects.link(camera)
    bpy.context.view_layer.update()
    mask = sphere_mask(camera)
    pixels = np.ones((HEIGHT, WIDTH, 4))
    pixels[..., 3] = mask
    write_picture(tmp_path / "globe.png", pixels)
    camera.data.background_images.new().image = bpy.data.images.load(str(tmp_path / "globe.png"))
    box = bpy.data.objects.new("Box", None)
    box.location = CENTRE.tolist()
    scene.collection.objects.link(box)
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    focal = 50 / 36 * WIDTH
    length = np.sqrt(((columns - WIDTH / 2) / focal) ** 2 + ((rows - HEIGHT / 2) / focal) ** 2 + 1)
    along = 2 / length
    distance = along - np.sqrt(np.maximum(along**2 - (4 - RADIUS**2), 0))
    return camera, box, mask, distance / length, distance


def test_depth_along_the_axis_and_along_the_rays_come_to_the_same(globe, tmp_path):
    camera, box, mask, z, distance = globe
    (tmp_path / "z").mkdir()
    (tmp_path / "d").mkdir()
    # What lies beside the thing, and what is not known, does not count.
    write_exr(tmp_path / "z" / "pass_Globe.exr", np.where(mask, z, 3.0))
    unknown = np.where(mask, distance, 1e10)
    unknown[60, 80], unknown[61, 80], unknown[62, 80], unknown[63, 80] = np.nan, np.inf, 0, -1
    write_exr(tmp_path / "d" / "globe.exr", 1000 * unknown)
    found = api.gather([camera], box, depths=api.Depths(tmp_path / "z")).depths
    np.testing.assert_array_equal(np.isfinite(found[0]), mask)
    np.testing.assert_allclose(found[0][mask], z[mask], rtol=1e-5)
    found = api.gather([camera], box, depths=api.Depths(tmp_path / "d", "distance", 0.001)).depths[0]
    assert np.isnan(found[60:64, 80]).all() and np.isfinite(found).sum() == mask.sum() - 4
    known = np.isfinite(found)
    np.testing.assert_allclose(found[known], z[known], rtol=1e-5)
    # Told apart wrongly, the rim would be too far.
    wrong = api.gather([camera], box, depths=api.Depths(tmp_path / "d", scale=0.001)).depths[0]
    assert np.abs(wrong - z)[known].max() > 0.01


def test_whole_numbers_of_a_png_are_scaled(globe, tmp_path):
    camera, box, mask, z, _ = globe
    (tmp_path / "depth").mkdir()
    numbers = np.where(mask, np.rint(z * 10000), 0)
    write_png(tmp_path / "depth" / "globe.png", numbers)
    found = api.gather([camera], box, depths=api.Depths(tmp_path / "depth", scale=0.0001)).depths[0]
    np.testing.assert_allclose(found[mask], (numbers * 0.0001)[mask], rtol=1e-7)
    write_png(tmp_path / "depth" / "globe.png", numbers / 256, bits=8)
    with pytest.raises(RequestError, match=r"“globe.png” of camera “Globe” has less than 16 bits"):
        api.gather([camera], box, depths=api.Depths(tmp_path / "depth"))


def test_depths_that_cannot_be_used(globe, tmp_path):
    camera, box, mask, z, _ = globe
    folder = tmp_path / "depth"
    folder.mkdir()

    def gather(*choice):
        api.gather([camera], box, depths=api.Depths(folder, *choice))

    write_exr(folder / "other.exr", z)
    with pytest.raises(RequestError, match=r"depth folder .*no file for any of the 1 views"):
        gather()
    (folder / "other.exr").rename(folder / "globe.exr")
    with pytest.raises(RequestError, match=r"no kind of depth “y”: choose one of z, distance"):
        gather("y")
    with pytest.raises(RequestError, match=r"scale is 0: give"):
        gather("z", 0)
    write_exr(folder / "globe.exr", np.where(mask, 1e10, 1))
    with pytest.raises(RequestError, match=r"hold no depth where the masks show the thing"):
        gather()
    write_exr(folder / "globe.exr", z[:-1])
    with pytest.raises(RequestError, match=r"“globe.exr” of camera “Globe” is 160 x 119, but the mask is 160 x 120"):
        gather()
    (folder / "globe.exr").rename(folder / "globe.jpg")
    with pytest.raises(RequestError, match=r"“globe.jpg” .*no kind that holds depth"):
        gather()


@pytest.mark.slow
def test_an_exr_of_several_layers_is_refused(globe, scene, tmp_path):
    camera, box, *_ = globe
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    (tmp_path / "depth").mkdir()
    scene.render.filepath = str(tmp_path / "depth" / "globe.exr")
    bpy.ops.render.render(write_still=True)
    with pytest.raises(RequestError, match=r"“globe.exr” .*several layers.*File Output"):
        api.gather([camera], box, depths=api.Depths(tmp_path / "depth"))
