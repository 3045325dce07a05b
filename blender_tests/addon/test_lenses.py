"""Lens distortion of movie clips against Blender's own: its compositor's Movie Distortion, and its motion tracker."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_tests.support.solved import CENTRE, FIRST, FRAMES, HEIGHT, RADIUS, WIDTH, orbit, solved_clip, sphere_mask
from dist_addon import api
from dist_addon.scene.lenses import Lens, lens_of
from dist_addon.worker.dist_engine.protocol import Request, RequestError

MODELS = {
    "POLYNOMIAL": {"k1": -0.2, "k2": 0.05, "k3": 0.01},
    "DIVISION": {"division_k1": -0.15, "division_k2": 0.02},
    "NUKE": {"nuke_k1": -0.05, "nuke_k2": 0.01},
    "BROWN": {
        **{"brown_k1": -0.2, "brown_k2": 0.05, "brown_k3": 0.01, "brown_k4": 0.005},
        **{"brown_p1": 0.01, "brown_p2": -0.02},
    },
}


def centres() -> np.ndarray:
    """Of the pixels, as shares of the picture, from its lower left corner: (H, W, 2)."""
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    return np.stack([columns / WIDTH, rows / HEIGHT], axis=-1)


def make_clip(folder: Path, model: str, aspect: float = 1.0) -> bpy.types.MovieClip:
    """A clip of one picture, whose red and green say where in it each pixel is."""
    pixels = np.ones((HEIGHT, WIDTH, 4), np.float32)
    pixels[..., :2] = centres()
    image = bpy.data.images.new("Place", WIDTH, HEIGHT, float_buffer=True, is_data=True)
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(folder / "place0001.exr"), "OPEN_EXR"
    image.save()
    clip = bpy.data.movieclips.load(image.filepath_raw)
    clip.colorspace_settings.name = "Non-Color"
    camera = clip.tracking.camera
    camera.distortion_model = model
    camera.focal_length_pixels, camera.pixel_aspect = 200, aspect
    camera.principal_point_pixels = (WIDTH / 2 + 5, HEIGHT / 2 - 3)
    for name, value in MODELS[model].items():
        setattr(camera, name, value)
    return clip


def undistort(scene: bpy.types.Scene, clip: bpy.types.MovieClip, folder: Path) -> np.ndarray:
    """What Blender's compositor makes of a clip: (H, W, 4), rows from the lowest."""
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    if bpy.app.version >= (5, 0):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Straight", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeComposite")
    source, node = tree.nodes.new("CompositorNodeMovieClip"), tree.nodes.new("CompositorNodeMovieDistortion")
    source.clip = node.clip = clip
    if bpy.app.version >= (5, 0):
        node.inputs["Type"].default_value = "Undistort"
    else:
        node.distortion_type = "UNDISTORT"
    tree.links.new(source.outputs[0], node.inputs[0])
    tree.links.new(node.outputs[0], end.inputs[0])
    scene.camera = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    scene.collection.objects.link(scene.camera)
    scene.view_settings.view_transform = "Raw"
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = str(folder / "straight.exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    image.colorspace_settings.name = "Non-Color"
    return np.array(image.pixels[:], np.float32).reshape(HEIGHT, WIDTH, 4)


@pytest.mark.parametrize("model", list(MODELS))
# From 4.5 on the compositor takes pixels for square, which the tracker does not.
@pytest.mark.parametrize("aspect", [1.0, 1.5] if bpy.app.version < (4, 5) else [1.0])
def test_a_lens_bends_as_blender_says(scene, tmp_path, model, aspect):
    clip = make_clip(tmp_path, model, aspect)
    lens = lens_of(clip)
    ours, blenders = lens.bend(centres()), undistort(scene, clip, tmp_path)
    edge = 4 / np.array([WIDTH, HEIGHT])
    within = ((ours > edge) & (ours < 1 - edge)).all(axis=-1) & (blenders[..., 3] > 0.99)
    off = ((blenders[..., :2] - ours) * [WIDTH, HEIGHT])[within]
    moved = np.linalg.norm((ours - centres()) * [WIDTH, HEIGHT], axis=-1)[within]
    assert within.mean() > 0.8 and moved.max() > 2.5
    if bpy.app.version < (4, 5):
        assert np.abs(off).max() < 1e-3
    else:
        # Since then the compositor moves the whole picture by a pixel or so.
        assert np.abs(np.median(off, axis=0)).max() < 3.5
        assert np.quantile(np.abs(off - np.median(off, axis=0)), 0.99) < 0.5
    np.testing.assert_allclose(lens.unbend(ours), centres(), atol=1e-6)
    # Beyond the picture's edge nothing is known, as Blender has it but for the pixel or so.
    shown = lens.shows(WIDTH, HEIGHT)[::-1]
    assert (shown == (blenders[..., 3] > 0.5)).mean() > 0.97
    # And so the picture itself: where each pixel was.
    rows = np.dstack([centres(), np.ones((HEIGHT, WIDTH))])[::-1].astype(np.float32)
    straight = lens.straighten(rows)[::-1]
    np.testing.assert_allclose(straight[..., :2][within], ours[within], atol=1e-5)
    np.testing.assert_allclose(straight[..., 2], 1, atol=1e-5)


@pytest.mark.slow
def test_a_distorted_clip_gives_straight_masks_and_tracks(scene, tmp_path):
    k1 = -0.8
    camera, clip = solved_clip(scene, tmp_path, k1)
    # The tracker, told of the distortion, finds that all fits.
    assert clip.tracking.reconstruction.average_error < 0.1
    frames = range(FIRST, FIRST + FRAMES, 3)
    request = api.gather([camera], None, frames=frames, tracks=clip)
    eye = bpy.data.objects["Eye"]
    for number, (mask, picture) in enumerate(zip(request.masks, request.pictures, strict=True)):
        orbit(eye, 3 * number)
        bpy.context.view_layer.update()
        truth, bent = sphere_mask(eye), sphere_mask(eye, k1)
        assert iou(mask >= 128, truth) > 0.985 > 0.965 > iou(bent, truth)
        assert picture.min() == 255
    np.testing.assert_allclose(np.linalg.norm(request.points - CENTRE, axis=1), RADIUS, atol=0.01)
    for view, seen in zip(request.views, request.visibility.T, strict=True):
        assert seen.sum() > 10, view.name
    # Masks that are drawn over the clip, or made of it, are as bent as it is.
    (tmp_path / "masks").mkdir()
    for file in tmp_path.glob("take*.png"):
        file.rename(tmp_path / "masks" / file.name)
    clip.filepath = str(tmp_path / "masks" / "take000.png")
    again = api.gather([camera], None, frames=frames, masks=tmp_path / "masks")
    np.testing.assert_array_equal(again.masks, request.masks)
    with pytest.raises(RequestError, match="nothing says whether the depth files"):
        api.gather([camera], None, frames=frames, depths=api.Depths(str(tmp_path / "masks")))
    with pytest.raises(RequestError, match="nothing says whether the normal files"):
        api.gather([camera], None, frames=frames, normals=api.Normals(str(tmp_path / "masks")))
    # Pictures of a folder are taken as they are: they may have been rendered without the distortion.
    request = api.gather([camera], None, frames=[FIRST, FIRST + FRAMES - 1], pictures=numbered(tmp_path))
    orbit(eye, 0)
    bpy.context.view_layer.update()
    np.testing.assert_array_equal(request.masks[0] >= 128, sphere_mask(eye, k1))


def numbered(folder: Path) -> Path:
    """Give the pictures the numbers of the scene's frames."""
    (folder / "frames").mkdir()
    for number in range(FRAMES):
        (folder / "masks" / f"take{number:03d}.png").rename(folder / "frames" / f"f{number + FIRST}.png")
    return folder / "frames"


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_a_picture_of_another_size_and_type_is_straightened_alike():
    lens = Lens("POLYNOMIAL", (-1.5, 0.0, 0.0), 200.0, (80.0, 60.0), (160, 120), 1.0)
    rows, columns = np.indices((60, 80), dtype=np.float32)
    disc = (((columns - 39.5) ** 2 + (rows - 29.5) ** 2) < 20**2)[..., None] * np.uint8(255)
    straight = lens.straighten(disc)
    assert straight.dtype == np.uint8
    # What was seen at 40 of the clip's pixels from the middle is at x with x (1 - 1.5 (x / 200)^2) = 40.
    radius = 40.0
    for _ in range(50):
        radius = 40 / (1 - 1.5 * (radius / 200) ** 2)
    assert (straight >= 128).sum() == pytest.approx(np.pi * (radius / 2) ** 2, rel=0.03)


def test_what_the_lens_did_not_show_is_not_known(scene, tmp_path):
    """A lens that bends outwards: x stands for what it showed at x (1 + .5 (r / 200)^2), in pixels from the middle."""
    lens = Lens("POLYNOMIAL", (0.5, 0.0, 0.0), 200.0, (80.0, 60.0), (160, 120), 1.0)
    y, x = np.indices((120, 160)) + 0.5
    across, down = x - 80, y - 60
    stretch = 1 + 0.5 * (across**2 + down**2) / 200**2
    expected = (np.abs(across * stretch) <= 80) & (np.abs(down * stretch) <= 60)
    assert 0.8 < expected.mean() < 0.9
    np.testing.assert_array_equal(lens.shows(160, 120), expected)
    camera, _ = solved_clip(scene, tmp_path, 0.8)
    request = api.gather([camera], None, frames=[FIRST, FIRST + 6])
    assert request.mask_known.shape == request.masks.shape and 0.5 < request.mask_known.mean() < 1
    assert not request.mask_known[:, 0, 0].any() and request.mask_known[:, 40:80, 60:100].all()
    assert not request.masks[~request.mask_known].any()
    request.save(tmp_path)
    np.testing.assert_array_equal(Request.load(tmp_path).mask_known, request.mask_known)


def test_a_kind_that_is_not_known_is_refused(scene, tmp_path, monkeypatch):
    clip = make_clip(tmp_path, "POLYNOMIAL")
    monkeypatch.setattr("dist_addon.scene.lenses.UNKNOWN", {"POLYNOMIAL": ("k3",)})
    with pytest.raises(RequestError, match=r"“place0001.exr” has lens distortion of a kind.*Undistort"):
        lens_of(clip)
    clip.tracking.camera.k3 = 0
    assert lens_of(clip).coefficients == pytest.approx((-0.2, 0.05, 0))
    clip.tracking.camera.k1 = clip.tracking.camera.k2 = 0
    assert lens_of(clip) is None
