"""Pictures, masks and frames of the kinds that people have, against files and motions that the tests make."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from blender_tests.support.stage import add_camera, make_picture, write_picture
from dist_addon import api, properties
from dist_addon.cli import reconstruct as command
from dist_addon.scene import masks as scene_masks
from dist_addon.scene.images import Picture
from dist_addon.worker.dist_engine.protocol import Request, RequestError

WIDTH, HEIGHT = 32, 24


def box() -> bpy.types.Object:
    return bpy.data.objects["Box"]


def block(number: int) -> np.ndarray:
    """A mask of its own for each number: a block that moves to the right."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4:15, number : number + 9] = True
    return mask


def coloured(thing: np.ndarray, inside=(0.2, 0.7, 0.3), outside=(0.0, 0.0, 0.0)) -> np.ndarray:
    """An opaque picture (H, W, 4) of a thing before a background, with some noise."""
    noise = np.random.default_rng(5).uniform(-0.02, 0.02, (*thing.shape, 3))
    picture = np.ones((*thing.shape, 4))
    picture[..., :3] = np.where(thing[..., None], inside, outside) + noise
    return picture.clip(0, 1)


# Folders.


def test_pictures_of_a_folder_go_to_the_cameras_of_their_names(scene, rig, tmp_path):
    for name, number in [("left-CAM0", 1), ("cam1", 2), ("Cam2", 3), ("Cam11", 4), ("other", 5)]:
        pixels = np.ones((HEIGHT, WIDTH, 4))
        pixels[..., 3] = block(number)
        write_picture(tmp_path / f"{name}.png", pixels)
    (tmp_path / "Cam1.txt").write_text("no picture")
    before = len(bpy.data.images)
    request = api.gather(rig, box(), pictures=tmp_path)
    np.testing.assert_array_equal(request.masks, [255 * block(number) for number in (1, 2, 3)])
    assert [view.name for view in request.views] == ["Cam0", "Cam1", "Cam2"]
    assert len(bpy.data.images) == before
    (tmp_path / "cam1.png").rename(tmp_path / "camera.png")
    (tmp_path / "Cam2.png").unlink()
    with pytest.raises(RequestError, match=r"picture folder .*no file for “Cam1”, “Cam2”.*Rename"):
        api.gather(rig, box(), pictures=tmp_path)
    for number in (1, 2):
        rig.objects[f"Cam{number}"].data.background_images[0].image.name = f"photo{number}.jpg"
        pixels[..., 3] = block(10 * number)
        write_picture(tmp_path / f"photo{number}.png", pixels)
    request = api.gather(rig, box(), pictures=tmp_path)
    np.testing.assert_array_equal(request.masks, [255 * block(number) for number in (1, 10, 20)])
    # Blender's name of a second “photo1.jpg”, of another folder.
    rig.objects["Cam2"].data.background_images[0].image.name = "photo1.jpg.001"
    (tmp_path / "photo1.png").rename(tmp_path / "photo1.jpg")
    with pytest.raises(RequestError, match=r"“photo1.jpg” .* fits both “Cam1” and “Cam2”.*called alike"):
        api.gather(rig, box(), pictures=tmp_path)


def test_folders_that_do_not_tell(scene, rig, tmp_path):
    with pytest.raises(RequestError, match=r"nowhere cannot be read.*Choose another"):
        api.gather(rig, box(), pictures=tmp_path / "nowhere")
    with pytest.raises(RequestError, match="holds no picture files"):
        api.gather(rig, box(), masks=tmp_path)
    with pytest.raises(RequestError, match="No mask folder was chosen"):
        api.gather(rig, box(), masks="")
    for name in ("a_Cam0", "b_Cam0", "Cam1", "Cam2"):
        write_picture(tmp_path / f"{name}.png", coloured(block(1)))
    with pytest.raises(RequestError, match=r"“a_Cam0.png” and “b_Cam0.png” .*both fit “cam0”: keep one"):
        api.gather(rig, box(), masks=tmp_path)
    with pytest.raises(RequestError, match=r"masks are 7: give a folder"):
        api.gather(rig, box(), masks=7)


# Masks.


@pytest.mark.parametrize(
    ("inside", "outside"),
    [((0.3, 0.2, 0.2), (0.0, 0.0, 0.0)), ((0.7, 0.8, 0.7), (1, 1, 1)), ((0.1, 0.5, 0.1), (0.1, 0.9, 0.1))],
)
def test_a_plain_background_of_any_colour_is_left_out(scene, rig, tmp_path, inside, outside):
    # The thing may touch the border.
    for number in (0, 1, 2):
        write_picture(tmp_path / f"Cam{number}.png", coloured(block(10 * number), inside, outside))
    request = api.gather(rig, box(), pictures=tmp_path, masks=api.Background())
    np.testing.assert_array_equal(request.masks, [255 * block(10 * number) for number in (0, 1, 2)])
    with pytest.raises(RequestError, match=r"“Cam0.png” of camera “Cam0” has an empty mask"):
        api.gather(rig, box(), pictures=tmp_path, masks=api.Background(0.9))
    with pytest.raises(RequestError, match="tolerance is 0"):
        api.gather(rig, box(), pictures=tmp_path, masks=api.Background(0))


def test_all_pictures_with_a_problem_are_told_at_once(scene, rig, tmp_path, monkeypatch):
    for number in (0, 1, 2):
        write_picture(tmp_path / f"Cam{number}.png", coloured(block(10 * number)))
    write_picture(tmp_path / "Cam1.png", np.ones((4, 4, 4)))
    inputs = {"pictures": tmp_path, "masks": api.Background(0.9)}
    with pytest.raises(RequestError) as caught:
        api.gather(rig, box(), **inputs)
    told = str(caught.value).splitlines()
    assert "“Cam0” has an empty mask: it shows nothing. Take" in told[0] and "is 4 x 4" in told[1]
    assert "“Cam2” has an empty mask: it shows nothing." in told[2]
    write_picture(tmp_path / "Cam1.png", coloured(block(10)))
    with pytest.raises(RequestError, match=r"\nThe picture “Cam1.png” of camera “Cam1”: the same\.\n"):
        api.gather(rig, box(), **inputs)
    monkeypatch.setattr(scene_masks, "MOST_PROBLEMS", 1)
    with pytest.raises(RequestError, match=r"“Cam0.png”.*\nThere may be more: Check Views tells"):
        api.gather(rig, box(), **inputs)


def test_a_busy_background_is_refused(scene, rig, tmp_path):
    picture = np.random.default_rng(0).uniform(0, 1, (HEIGHT, WIDTH, 4))
    for number in range(3):
        write_picture(tmp_path / f"Cam{number}.png", picture)
    with pytest.raises(RequestError, match=r"“Cam0.png” .*no background of one colour.*another source"):
        api.gather(rig, box(), pictures=tmp_path, masks=api.Background())


def test_masks_of_a_folder_are_bright_or_opaque(scene, rig, tmp_path):
    grey = np.ones((HEIGHT, WIDTH, 4))
    grey[..., :3] = block(1)[..., None]
    grey[0, 0, :3] = 0.5
    write_picture(tmp_path / "Cam0.png", grey)
    # By the picture's name; of a mask with alpha, its colours say nothing.
    cut = np.zeros((HEIGHT, WIDTH, 4))
    cut[..., 3] = block(2)
    write_picture(tmp_path / "mask_pic1.png", cut)
    write_picture(tmp_path / "Cam2.png", np.ones((HEIGHT, WIDTH, 4)))
    with pytest.raises(RequestError, match=r"“Cam2.png” of camera “Cam2” is white throughout"):
        api.gather(rig, box(), masks=tmp_path)
    cut[..., 3] = block(3)
    write_picture(tmp_path / "Cam2.png", cut)
    masks = api.gather(rig, box(), masks=str(tmp_path)).masks
    assert abs(int(masks[0, 0, 0]) - 128) <= 1
    masks[0, 0, 0] = 0
    np.testing.assert_array_equal(masks, [255 * block(number) for number in (1, 2, 3)])


def test_masks_that_were_erased_do_not_know(scene, rig, tmp_path):
    erased = np.zeros((HEIGHT, WIDTH), bool)
    erased[:, -8:] = erased[3, 3] = True
    for number in range(3):
        black_and_white = np.ones((HEIGHT, WIDTH, 4))
        black_and_white[..., :3] = block(number)[..., None]
        # Soft at the edge.
        black_and_white[number, 11, :3] = 0.6
        if number:
            black_and_white[erased, 3] = 0
            # An eraser leaves the colours as they were, and its own edge is soft.
            black_and_white[erased, :3] = 0.5
            black_and_white[10, 10, 3] = 0.8
        write_picture(tmp_path / f"Cam{number}.png", black_and_white)
    request = api.gather(rig, box(), masks=tmp_path)
    assert request.mask_known[0].all()
    np.testing.assert_array_equal(request.mask_known[1:], [~erased] * 2)
    for number, mask in enumerate(request.masks):
        expected = 255 * block(number) * ~(erased if number else np.zeros_like(erased))
        assert abs(int(mask[number, 11]) - 153) <= 1
        mask[number, 11] = expected[number, 11] = 0
        np.testing.assert_array_equal(mask, expected)
    request.save(tmp_path)
    assert Request.load(tmp_path).mask_known[1].sum() == (~erased).sum()
    # A cut-out is opaque where the thing is, whatever its colours; where all masks know, nothing says so.
    for number in range(3):
        cut = np.zeros((HEIGHT, WIDTH, 4))
        cut[..., :3] = np.linspace(0, 1, WIDTH)[:, None] * (number != 2)
        cut[..., 3] = block(number)
        write_picture(tmp_path / f"Cam{number}.png", cut)
    request = api.gather(rig, box(), masks=tmp_path)
    np.testing.assert_array_equal(request.masks, [255 * block(number) for number in range(3)])
    assert request.mask_known is None and api.gather(rig, box(), masks=None).mask_known is None


def outline(corners: list[tuple[float, float]]) -> bpy.types.Mask:
    """A mask of one polygon, its corners in pixels from the top left."""
    mask = bpy.data.masks.new("Roto")
    spline = mask.layers.new(name="Layer").splines.new()
    spline.use_cyclic = True
    spline.points.add(len(corners) - 1)
    place(spline, corners)
    return mask


def place(spline, corners):
    for point, (x, y) in zip(spline.points, corners, strict=True):
        point.handle_type = "VECTOR"
        # Blender's masks: (0.5, 0.5) is the picture's middle, and the longer side is 1 long.
        point.co = (0.5 + (x - WIDTH / 2) / WIDTH, 0.5 - (y - HEIGHT / 2) / WIDTH)


def key_shape(mask, frame):
    """Insert a mask's shape key, as the operator does in an editor."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.mode, space.mask = "MASK", mask
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1], space_data=space):
        bpy.context.scene.frame_set(frame)
        bpy.ops.mask.select_all(action="SELECT")
        return bpy.ops.mask.shape_key_insert


def test_a_rotoscoped_mask_moves_with_the_frames(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    mask = outline([(5, 4), (14, 4), (14, 15), (5, 15)])
    spline = mask.layers[0].splines[0]
    for frame, shift in ((1, 0), (11, 10)):
        insert = key_shape(mask, frame)
        place(spline, [(5 + shift, 4), (14 + shift, 4), (14 + shift, 15), (5 + shift, 15)])
        window = bpy.context.window_manager.windows[0]
        area = window.screen.areas[0]
        with bpy.context.temp_override(
            window=window, area=area, region=area.regions[-1], space_data=area.spaces.active
        ):
            insert()
    masks = api.gather([camera], box(), frames=[1, 6, 11], masks=mask).masks
    np.testing.assert_array_equal(masks, [255 * block(shift) for shift in (5, 10, 15)])


def test_round_masks_have_the_area_of_their_curves(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    mask = outline([(16, 2), (26, 12), (16, 22), (6, 12)])
    # The usual Bézier circle, of radius 10 pixels: its area is that of a circle to 0.03 %.
    for point, (x, y) in zip(mask.layers[0].splines[0].points, [(0, 1), (1, 0), (0, -1), (-1, 0)], strict=True):
        point.handle_type = "FREE"
        at, along = np.array([x, y]), 0.5523 * np.array([y, -x])
        point.co, point.handle_left, point.handle_right = (
            0.5 + where * 10 / WIDTH for where in (at, at - along, at + along)
        )
    hole = mask.layers.new(name="Hole")
    hole.blend = "SUBTRACT"
    spline = hole.splines.new()
    spline.use_cyclic = True
    spline.points.add(3)
    place(spline, [(14, 10), (18, 10), (18, 14), (14, 14)])
    made = api.gather([camera], box(), frames=[1], masks=mask).masks[0]
    assert made[made > 0].min() == 255
    assert (made > 0).sum() == pytest.approx(100 * math.pi - 16, abs=8)
    assert not made[10:14, 14:18].any() and made[9, 13] and made[14, 18]
    hole.hide_render = True
    assert api.gather([camera], box(), frames=[1], masks=mask).masks[0][10:14, 14:18].all()


def test_masks_that_are_not_read_are_refused(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    mask = outline([(5, 4), (14, 4), (14, 15)])
    with pytest.raises(RequestError, match=r"mask “Roto” is drawn over one camera's pictures, but there are 3 cameras"):
        api.gather(rig, box(), masks=mask)
    mask.layers[0].splines[0].use_cyclic = False
    with pytest.raises(RequestError, match=r"layer “Layer” of the mask “Roto” is open: close it"):
        api.gather([camera], box(), frames=[1], masks=mask)
    mask.layers[0].splines[0].points[0].parent.id = bpy.data.movieclips.load(str(tmp_path / "shot_0107.png"))
    mask.layers[0].splines[0].use_cyclic = True
    with pytest.raises(RequestError, match="follows a track"):
        api.gather([camera], box(), frames=[1], masks=mask)
    mask.layers.clear()
    with pytest.raises(RequestError, match="holds no filled spline"):
        api.gather([camera], box(), frames=[1], masks=mask)


# One animated camera.


def sequence(scene, folder: Path) -> bpy.types.Object:
    """A camera that moves and zooms, whose background image is a sequence: at frame f, the file 106 + f.

    The files hold the block of their number less 106.
    """
    for number in range(1, 16):
        pixels = np.ones((HEIGHT, WIDTH, 4))
        pixels[..., 3] = block(number)
        write_picture(folder / f"shot_{106 + number:04d}.png", pixels)
    image = bpy.data.images.load(str(folder / "shot_0107.png"))
    image.source = "SEQUENCE"
    rail = bpy.data.objects.new("Rail", None)
    scene.collection.objects.link(rail)
    camera = add_camera(scene.collection, "Moving", 0.3, image)
    camera.parent = rail
    rail.keyframe_insert("rotation_euler", frame=1)
    rail.rotation_euler = (0.2, 0.1, 1.2)
    rail.keyframe_insert("rotation_euler", frame=15)
    camera.data.keyframe_insert("lens", frame=1)
    camera.data.lens = 80
    camera.data.keyframe_insert("lens", frame=15)
    user = camera.data.background_images[0].image_user
    user.frame_start, user.frame_offset, user.frame_duration = 1, 106, 15
    return camera


def test_each_frame_has_its_picture_and_its_camera(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    scene.frame_set(4, subframe=0.25)
    request = api.gather([camera], None, frames=[12, 3, 7])
    assert (scene.frame_current, scene.frame_subframe) == (4, 0.25)
    assert [view.name for view in request.views] == ["Moving frame 3", "Moving frame 7", "Moving frame 12"]
    np.testing.assert_array_equal(request.masks, [255 * block(frame) for frame in (3, 7, 12)])
    for view, frame in zip(request.views, (3, 7, 12), strict=True):
        scene.frame_set(frame)
        for point in [(0, 0, 0), (0.5, -0.2, 0.4)]:
            seen = world_to_camera_view(scene, camera, Vector(point))
            there = view.K @ (view.world_to_camera @ [*point, 1])
            np.testing.assert_allclose(there[2], seen.z, atol=1e-5)
            np.testing.assert_allclose(there[:2] / there[2], [seen.x * WIDTH, (1 - seen.y) * HEIGHT], atol=1e-3)


def test_the_sequence_starts_and_repeats_as_the_camera_says(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    user = camera.data.background_images[0].image_user
    user.frame_start = 5
    np.testing.assert_array_equal(
        api.gather([camera], box(), frames=[5, 9]).masks, [255 * block(number) for number in (1, 5)]
    )
    with pytest.raises(RequestError, match=r"Frame 20 is outside “shot_0107.png”.*“Moving” shows from frame 5 to 19"):
        api.gather([camera], box(), frames=[5, 20])
    user.frame_duration, user.use_cyclic = 3, True
    np.testing.assert_array_equal(
        api.gather([camera], box(), frames=[4, 5, 9]).masks, [255 * block(number) for number in (3, 1, 2)]
    )
    user.frame_duration = 30
    with pytest.raises(RequestError, match=r"“shot_0122.png” of the sequence is not in the folder"):
        api.gather([camera], box(), frames=[20])


def test_frames_need_one_camera_with_a_sequence(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    with pytest.raises(RequestError, match=r"one animated camera, but there are 3 cameras"):
        api.gather(rig, box(), frames=[1, 2])
    with pytest.raises(RequestError, match=r"“Pic0” of camera “Cam0” is a single image: choose an image sequence"):
        api.gather([rig.objects["Cam0"]], box(), frames=[1, 2])
    with pytest.raises(RequestError, match=r"camera “Moving” is of the kind SEQUENCE.*its frames"):
        api.gather([camera], box())
    with pytest.raises(RequestError, match=r"0 frames were chosen"):
        api.gather([camera], box(), frames=range(5, 2))


def test_folders_of_numbers_serve_frames(scene, rig, tmp_path):
    (tmp_path / "shots").mkdir()
    (tmp_path / "masks").mkdir()
    camera = sequence(scene, tmp_path / "shots")
    for number in range(1, 16):
        pixels = np.ones((HEIGHT, WIDTH, 4))
        pixels[..., :3] = block(number + 4)[..., None]
        write_picture(tmp_path / "masks" / f"m{106 + number}.png", pixels)
    request = api.gather([camera], box(), frames=[2, 5], masks=tmp_path / "masks")
    np.testing.assert_array_equal(request.masks, [255 * block(number) for number in (6, 9)])
    camera.data.background_images.clear()
    request = api.gather([camera], box(), frames=[108, 111], pictures=tmp_path / "shots")
    np.testing.assert_array_equal(request.masks, [255 * block(number) for number in (2, 5)])
    with pytest.raises(RequestError, match=r"no file for “frame 2”"):
        api.gather([camera], box(), frames=[2, 108], pictures=tmp_path / "shots")


def test_a_movie_clip_shows_its_own_frames(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    clip = bpy.data.movieclips.load(str(tmp_path / "shot_0107.png"))
    background = camera.data.background_images[0]
    background.source, background.clip = "MOVIE_CLIP", clip
    clip.frame_start, clip.frame_offset = 3, 2
    np.testing.assert_array_equal(
        api.gather([camera], box(), frames=[3, 8]).masks, [255 * block(number) for number in (3, 8)]
    )
    with pytest.raises(RequestError, match=r"Frame 2 is outside the clip “shot_0107.png”, which runs from frame 3"):
        api.gather([camera], box(), frames=[2, 8])
    background.clip = None
    background.use_camera_clip = True
    with pytest.raises(RequestError, match="“Moving” has no movie clip"):
        api.gather([camera], box(), frames=[3, 8])
    camera.constraints.new("CAMERA_SOLVER").clip = clip
    camera.constraints[0].use_active_clip = False
    camera.constraints[0].influence = 0
    assert len(api.gather([camera], box(), frames=[3, 8]).views) == 2


def test_a_movie_gives_the_frames_that_it_was_made_of(scene, rig, tmp_path):
    camera = sequence(scene, tmp_path)
    movie = write_movie(
        scene, [coloured(block(number), (0.9, 0.1, 0.9), (0, 0.6, 0)) for number in range(1, 9)], tmp_path
    )
    image = bpy.data.images.load(str(movie))
    background = camera.data.background_images[0]
    background.image = image
    user = background.image_user
    user.frame_start, user.frame_offset, user.frame_duration = 11, 2, 6
    request = api.gather([camera], box(), frames=[11, 14, 16], masks=api.Background(0.3))
    np.testing.assert_array_equal(request.masks, [255 * block(number) for number in (3, 6, 8)])
    user.frame_duration = 7
    with pytest.raises(RequestError, match=r"has 8 frames, but frame 9"):
        api.gather([camera], box(), frames=[11, 17], masks=api.Background(0.3))
    background.source, background.clip = "MOVIE_CLIP", bpy.data.movieclips.load(str(movie))
    request = api.gather([camera], box(), frames=[1, 5], masks=api.Background(0.3))
    np.testing.assert_array_equal(request.masks, [255 * block(number) for number in (1, 5)])


def write_movie(scene: bpy.types.Scene, frames: list[np.ndarray], folder: Path) -> Path:
    """Write frames (H, W, 4) as a movie, with Blender's sequencer in a scene of its own."""
    (folder / "frames").mkdir()
    for number, pixels in enumerate(frames):
        write_picture(folder / "frames" / f"{number:02d}.png", pixels)
    studio = bpy.data.scenes.new("Studio")
    render = studio.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    studio.view_settings.view_transform = "Standard"
    editor = studio.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("Frames", str(folder / "frames" / "00.png"), 1, 1)
    for number in range(1, len(frames)):
        strip.elements.append(f"{number:02d}.png")
    studio.frame_start, studio.frame_end = 1, len(frames)
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.constant_rate_factor = "MPEG4", "H264", "LOSSLESS"
    render.filepath, render.use_file_extension = str(folder / "movie.mp4"), False
    bpy.ops.render.render(animation=True, scene=studio.name)
    bpy.data.scenes.remove(studio)
    return folder / "movie.mp4"


# What a scene remembers.


def test_the_scene_says_what_to_take(scene, rig, tmp_path):
    views = scene.dist.views
    asked = properties.inputs(scene)
    assert asked["cameras"] == rig and asked["frames"] is asked["pictures"] is asked["masks"] is None
    views.mask_source = "BACKGROUND"
    assert properties.inputs(scene)["masks"] == api.Background(pytest.approx(0.1))
    views.mask_source, views.mask_folder = "FOLDER", str(tmp_path)
    assert properties.inputs(scene)["masks"] == str(tmp_path)
    views.mask_source = "MASK"
    with pytest.raises(RequestError, match="No mask was chosen"):
        properties.inputs(scene)
    views.mask = outline([(5, 4), (14, 4), (14, 15)])
    assert properties.inputs(scene)["masks"] == views.mask
    alone = bpy.data.collections.new("Alone")
    alone.objects.link(sequence(scene, tmp_path))
    views.frame_start, views.frame_end, views.frame_step = 2, 12, 5
    views.tracks = bpy.data.movieclips.load(str(tmp_path / "shot_0107.png"))
    asked = properties.inputs(scene, {"cameras": alone})
    assert list(asked["frames"]) == [2, 7, 12] and asked["tracks"] == views.tracks
    assert properties.inputs(scene)["tracks"] is None


def test_the_command_line_says_it_too(scene, rig, tmp_path):
    parser = command.add(argparse.ArgumentParser().add_subparsers())

    def asked(*arguments):
        return command.gather_inputs(parser.parse_args(arguments))

    scene.dist.views.mask_tolerance = 0.25
    scene.dist.views.mask_source, scene.dist.views.mask_folder = "FOLDER", "//masks"
    assert asked()["masks"] == "//masks"
    assert asked("--masks", "alpha")["masks"] is None
    assert asked("--masks", "background")["masks"] == api.Background(0.25)
    assert asked("--masks", str(tmp_path), "--pictures", "//p") | {"masks": None} == asked(
        "--masks", "alpha", "--pictures", "//p"
    )
    mask = outline([(5, 4), (14, 4), (14, 15)])
    assert asked("--masks", "Roto", "--frames", "3:9:3")["masks"] == mask
    assert list(asked("--frames", "3:9:3")["frames"]) == [3, 6, 9]
    assert list(asked("--frames", "3:5")["frames"]) == [3, 4, 5]
    assert asked()["colours"] is False and asked("--colours")["colours"] is True
    scene.dist.views.use_colours = True
    assert asked()["colours"] is True
    with pytest.raises(RequestError, match="masks “nothing” are neither"):
        asked("--masks", "nothing")
    assert asked()["depths"] is None
    assert asked("--depths", "//d", "--depth-kind", "distance")["depths"] == api.Depths("//d", "distance", 1.0)
    scene.dist.views.depth_folder, scene.dist.views.depth_scale = "//e", 0.5
    assert asked()["depths"] == api.Depths("//e", "z", 0.5)
    assert asked("--depth-scale", "0.25")["depths"] == api.Depths("//e", "z", 0.25)
    assert asked()["normals"] is None
    assert asked("--normals", "//n", "--normal-space", "camera")["normals"] == api.Normals("//n", "camera")
    scene.dist.views.normal_folder = "//m"
    assert asked()["normals"] == api.Normals("//m", "world")
    sequence(scene, tmp_path)
    clip = bpy.data.movieclips.load(str(tmp_path / "shot_0107.png"))
    assert asked("--tracks", "shot_0107.png")["tracks"] == clip


# Looking at each view.


def test_each_view_is_looked_at_alone(scene, rig, tmp_path):
    rig.objects["Cam0"].data.background_images[0].image = make_picture("Large", 64, 48)
    rig.objects["Cam1"].data.background_images.clear()
    add_camera(rig, "Cam3", 6.0, make_picture("Pic3"))
    good = api.ViewCheck("Cam2", "Pic2", (32, 24), pytest.approx(60 / 768))
    large, missing, *rest = api.check_views(rig)
    assert rest == [good, api.ViewCheck("Cam3", "Pic3", good.size, good.covered)]
    assert large.problem == "It is 64 x 48, but most pictures are 32 x 24: bring them to one size."
    assert (missing.name, missing.size) == ("Cam1", None) and "“Cam1” has no picture: add one" in missing.problem
    camera = sequence(scene, tmp_path)
    (tmp_path / "shot_0109.png").unlink()
    scene.frame_set(4)
    first, second = api.check_views([camera], frames=[2, 3])
    assert scene.frame_current == 4
    assert first == api.ViewCheck("Moving frame 2", "shot_0108.png", (32, 24), pytest.approx(99 / 768))
    assert second.name == "Moving frame 3" and "“shot_0109.png” of the sequence is not in the folder" in second.problem
    with pytest.raises(RequestError, match="No cameras were chosen"):
        api.check_views(None)


def test_colours_come_with_masks_or_without(scene, rig, tmp_path):
    shown = {name: coloured(block(number)) for number, name in enumerate(("Cam0", "Cam1", "Cam2"))}
    shown["Cam1"][..., 3] = block(1)
    for name, pixels in shown.items():
        write_picture(tmp_path / f"{name}.png", pixels)
    with pytest.raises(RequestError, match="opaque throughout"):
        api.gather(rig, box(), pictures=tmp_path)
    request = api.gather(rig, box(), pictures=tmp_path, colours=True)
    assert request.masked.tolist() == [False, True, False]
    np.testing.assert_array_equal(request.masks[1], 255 * block(1))
    assert request.pictures.dtype == np.uint8 and request.pictures.shape == (3, HEIGHT, WIDTH, 3)
    for view in (0, 2):
        np.testing.assert_allclose(request.pictures[view] / 255, shown[f"Cam{view}"][..., :3], atol=0.6 / 255)
    plain = api.gather(rig, box(), pictures=tmp_path, masks=api.Background(), colours=True)
    assert plain.masked is None and plain.pictures is not None
    # Not compared, they paint the mesh.
    painted = api.gather(rig, box(), pictures=tmp_path, masks=api.Background())
    np.testing.assert_array_equal(painted.pictures, plain.pictures)
    assert painted.compared is None and plain.compared is plain.pictures
    with pytest.raises(RequestError, match="do not tell where the thing is: add bounds"):
        (tmp_path / "Cam1.png").unlink()
        write_picture(tmp_path / "Cam1.png", coloured(block(1)))
        api.gather(rig, pictures=tmp_path, colours=True)


def test_huge_pictures_are_refused_before_memory_is_taken(scene, rig, monkeypatch):
    monkeypatch.setattr("dist_addon.scene.images.MOST_PIXELS", 700)
    with pytest.raises(RequestError, match=r"“Pic0” of camera “Cam0” is 32 x 24, which is too large"):
        api.gather(rig, box())
    monkeypatch.setattr("dist_addon.scene.images.MOST_PIXELS", 800)
    monkeypatch.setattr("dist_addon.scene.masks.MOST_PIXELS", 2000)
    with pytest.raises(RequestError, match=r"3 pictures of 32 x 24 are too much"):
        api.gather(rig, box())


def test_files_that_are_no_pictures(scene, rig, tmp_path):
    (tmp_path / "Cam0.png").write_text("no picture")
    with pytest.raises(RequestError, match=r"“Cam0.png” of camera “Cam0” cannot be read"):
        api.gather([rig.objects["Cam0"]], box(), pictures=tmp_path)
    assert not [image for image in bpy.data.images if image.name.startswith("Cam0")]


def test_single_channels_are_read_as_grey(scene, tmp_path):
    image = make_picture("Grey", 4, 3)
    image.pixels.foreach_set(np.repeat(np.linspace(0, 1, 12, dtype=np.float32), 4))
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "OPEN_EXR", "BW"
    image.save_render(str(tmp_path / "grey.exr"), scene=scene)
    pixels = Picture("grey", path=tmp_path / "grey.exr").read("It", as_data=True)
    assert pixels.shape == (3, 4, 4)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])
    assert pixels[0, 0, 0] > pixels[2, 0, 0] == 0
    np.testing.assert_array_equal(pixels[..., 3], 1)
