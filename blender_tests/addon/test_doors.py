"""The doors through which inputs come: each shows what is declared of them, and nothing else; pairs take the same."""

from __future__ import annotations

import argparse
import inspect
import re
from typing import Any

import bpy
import numpy as np
import pytest

from blender_tests.support.drawing import draw
from blender_tests.support.stage import make_picture, some_shape
from dist_addon import api, properties
from dist_addon.api.reconstruction import Inputs
from dist_addon.cli import batch, reconstruct
from dist_addon.inputs import API, COMMAND, INPUTS, PANEL, Background, InputField
from dist_addon.worker.dist_engine.protocol import FREEDOMS, Request, RequestError, Settings

# What is no input of a reconstruction: of a scene, of the command.
NOT_OF_SCENES = {"name", "rna_type", "last_job", "render_code", "shapes", "training", "views"}
NOT_OF_COMMANDS = {"help", "job", "json", "out", "run"}
PAIRS = [
    (api.start_reconstruction, api.reconstruct),
    (api.start_render, api.render_shape),
    (api.start_sample, api.sample_shape),
    (api.start_blend, api.blend_shapes),
    (api.start_reshape, api.reshape),
    (api.start_training, api.train_prior),
    (api.start_import, api.import_prior),
]


def behind(door: str) -> list[Any]:
    return [each for each in INPUTS if door in each.doors]


def documented(function: Any) -> list[str]:
    """The parameters that a docstring explains, in its order."""
    section = re.search(r"Parameters\n-+\n(.*?)(\n\n|$)", inspect.getdoc(function) or "", re.DOTALL)
    assert section, function
    names = [line.split(" : ")[0] for line in section[1].splitlines() if not line.startswith(" ")]
    return [name for entry in names for name in entry.split(", ")]


@pytest.mark.parametrize("function", [api.gather, api.gathering])
def test_python_takes_what_is_declared(function):
    taken = inspect.signature(function).parameters
    assert list(taken) == [each.name for each in behind(API)] == documented(function)
    for each in behind(API):
        default = taken[each.name].default
        # Who calls it from Python is to think of the cameras.
        assert each.name == "cameras" if default is inspect.Parameter.empty else default == each.default, each.name
    given = {name: each.annotation for name, each in taken.items() if name not in ("cameras", "bounds")}
    assert {name: kind.__forward_arg__ for name, kind in Inputs.__annotations__.items()} == given


def test_qualities_and_settings_are_those_that_are_declared():
    (quality,) = (each.fields[0] for each in INPUTS if each.name == "quality")
    assert [choice.value for choice in quality.choices] == list(api.QUALITIES)
    for each in INPUTS:
        name = {"colours": "compare_colours"}.get(each.name, each.name)
        if name in Settings.__dataclass_fields__:
            # Blender's doors free the surface where nothing is said, the engine itself does not.
            usual = "none" if name == "freedom" else each.default
            assert getattr(Settings(), name) == usual, name
            assert all(getattr(chosen, name) == usual for chosen in api.QUALITIES.values()), name
    (freedom,) = (each.fields[0] for each in INPUTS if each.name == "freedom")
    assert tuple(choice.value for choice in freedom.choices) == FREEDOMS


def test_a_scene_remembers_what_is_declared(scene):
    fields: list[tuple[Any, InputField]] = []
    for of_views, group in ((False, scene.dist), (True, scene.dist.views)):
        own = [field for each in behind(PANEL) if each.of_views == of_views for field in each.fields]
        assert {field.name for field in own} == set(group.bl_rna.properties.keys()) - NOT_OF_SCENES
        fields += [(group.bl_rna.properties[field.name], field) for field in own]
    for shown, field in fields:
        assert (shown.name, shown.description) == (field.label, field.text)
        if field.kind == "choice":
            items = [(item.identifier, item.name, item.description) for item in shown.enum_items]
            assert items == [(choice.value, choice.label, choice.text) for choice in field.choices]
        if field.kind in ("integer", "number"):
            for declared, end in (
                (field.minimum, shown.hard_min),
                (field.maximum, shown.hard_max),
                (field.soft_maximum, shown.soft_max),
            ):
                assert declared is None or end == pytest.approx(declared)
        if field.kind not in ("object", "collection", "movieclip", "mask", "prior"):
            assert shown.default == (pytest.approx(field.default) if field.kind == "number" else field.default)
    assert scene.dist.prior == "anything"
    # Nothing chosen is what Python's defaults are.
    found = properties.inputs(scene)
    assert found.pop("scene") == scene
    assert found == {each.name: each.default for each in behind(PANEL)}


def test_the_sidebar_shows_what_is_declared(scene, rig):
    views = scene.dist.views
    shown = set(draw())
    scene.dist.start, scene.dist.prior = some_shape(), "table"
    # More is asked for once a folder is chosen.
    for first in (each.fields[0] for each in behind(PANEL)):
        if first.kind == "folder":
            setattr(views, first.name, "somewhere")
    for source in ("FOLDER", "MASK", "BACKGROUND"):
        views.mask_source = source
        shown |= set(draw())
    for camera in list(rig.objects)[1:]:
        rig.objects.unlink(camera)
    shown |= set(draw())
    fields = {("prop", field.name) for each in behind(PANEL) for field in each.fields}
    assert fields <= shown, fields - shown


def command() -> argparse.ArgumentParser:
    return reconstruct.add(argparse.ArgumentParser().add_subparsers())


def asked(*arguments: str) -> dict[str, Any]:
    return reconstruct.gather_inputs(command().parse_args(arguments))


def test_the_command_has_what_is_declared(scene, rig):
    shown = {action.dest: action for action in command()._actions}
    options = {field.key: field for each in INPUTS for field in each.options}
    assert set(options) == set(shown) - NOT_OF_COMMANDS
    assert all(each.options for each in behind(COMMAND)) and not any(
        each.options for each in INPUTS if COMMAND not in each.doors
    )
    for name, option in options.items():
        action = shown[name]
        # Not said: the scene's choice.
        assert action.default is None and "--" + name.replace("_", "-") in action.option_strings
        assert option.text in action.help
        if option.kind == "choice":
            assert action.choices == [choice.value for choice in option.choices]
    assert asked() == properties.inputs(scene)


def test_what_the_scene_has_chosen_can_be_switched_off_and_on(scene, rig):
    chosen = scene.dist
    chosen.prior = "table"
    chosen.refine_cameras = chosen.refine_focal_length = chosen.views.use_colours = True
    flags = ("colours", "refine_placement", "refine_cameras", "refine_focal_length")
    for name in flags:
        flag = name.replace("_", "-")
        assert asked()[name] is asked(f"--{flag}")[name] is True
        assert asked(f"--no-{flag}")[name] is False
        assert asked(f"--no-{flag}") == asked() | {name: False}
    chosen.refine_placement = chosen.refine_cameras = chosen.refine_focal_length = chosen.views.use_colours = False
    for name in flags:
        assert asked()[name] is False and asked(f"--{name.replace('_', '-')}")[name] is True
    # Only with a shape to start from does the scene's choice count; who says it is taken at their word.
    chosen.refine_shape = False
    assert asked()["refine_shape"] is True and asked("--no-refine-shape")["refine_shape"] is False
    chosen.start = some_shape()
    assert asked()["refine_shape"] is False and asked("--refine-shape")["refine_shape"] is True


def test_a_line_can_switch_off_and_give_every_folder(scene, tmp_path):
    flags = [f.key for each in INPUTS for f in each.options if f.kind == "flag"]
    folders = [f.key for each in INPUTS for f in each.options if f.kind == "folder"]
    assert len(flags) == 5 and {"pictures", "depths", "normals"} <= set(folders)
    file = tmp_path / "lines.jsonl"
    for value, text in ((True, "true"), (False, "false"), (None, "null")):
        said = "".join(f', "{name}": {text}' for name in flags)
        said += "".join(f', "{name}": "beside"' for name in folders)
        file.write_text(f'{{"scene": "a.blend", "json": "1.json"{said}}}')
        (line,) = batch.read_lines(file)
        assert [getattr(line.options, name) for name in flags] == [value] * 5
        assert [getattr(line.options, name) for name in folders] == [str(tmp_path / "beside")] * len(folders)
    file.write_text('{"scene": "a.blend", "json": "1.json", "quality": false}')
    with pytest.raises(RequestError, match="--no-quality"):
        batch.read_lines(file)


def test_things_of_no_class_are_the_default_of_every_door(scene, rig, tmp_path):
    assert api.gather(rig).prior == api.gather(**properties.inputs(scene)).prior == ""
    assert asked()["prior"] == "anything" and asked("--prior", "chair")["prior"] == "chair"
    file = tmp_path / "lines.jsonl"
    file.write_text('{"scene": "a.blend", "json": "1.json", "prior": "anything", "freedom": "full"}')
    (line,) = batch.read_lines(file)
    assert (line.options.prior, line.options.freedom) == ("anything", "full")
    scene.dist.prior = "table"
    assert asked()["prior"] == "table" and asked("--prior", "anything")["prior"] == "anything"
    assert api.gather(**asked()).prior == "table"


def test_what_says_nothing_of_a_thing_of_no_class_does_not_count(scene, rig):
    """Its surface is free in any case, and it has no shape of a prior that could be placed, or stay as it is."""
    chosen = scene.dist
    chosen.freedom, chosen.refine_placement, chosen.refine_shape = "none", False, False
    held, placed, kept = ("prop", "freedom"), ("prop", "refine_placement"), ("prop", "refine_shape")
    mesh = bpy.data.objects.new("Blockout", bpy.data.meshes.new("Blockout"))
    scene.collection.objects.link(mesh)
    for prior, start, freedom, placement, shape in (
        ("anything", None, "some", True, True),
        ("anything", mesh, "none", True, True),
        ("table", None, "none", False, True),
        ("table", mesh, "none", False, False),
    ):
        chosen.prior, chosen.start = prior, start
        found = asked()
        assert (found["freedom"], found["refine_placement"], found["refine_shape"]) == (freedom, placement, shape)
        drawn = draw()
        assert (held in drawn) == (freedom == "none") and (placed in drawn) == (not placement)
        assert (kept in drawn) == (not shape)
    # Who says it is taken at their word.
    chosen.prior, chosen.start = "anything", None
    assert asked("--freedom", "full")["freedom"] == "full"
    assert api.gather(rig, prior="table").settings.freedom == "some"
    with pytest.raises(RequestError, match="no freedom “much”"):
        api.gather(rig, freedom="much")


# Settings of a script's own.


def test_settings_are_taken_as_they_are(scene, rig, tmp_path):
    own = Settings(
        iterations=7,
        rays=11,
        mesh_resolution=33,
        solver="adam",
        mask_noise=0.1,
        depth_noise=0.2,
        normal_noise=0.3,
        picture_noise=0.4,
        compare_colours=True,
        refine_placement=False,
        refine_cameras=True,
        refine_focal_length=True,
        seed=5,
        device="cpu",
        threads=2,
    )
    given = {"quality": "preview", "seed": 9, "colours": False}
    request = api.gather(rig, scene.dist.bounds, prior="table", settings=own, **given)
    assert request.settings == own and request.compared is not None
    # Where colours are compared, pictures without alpha will do, whichever way it was said.
    for camera in rig.objects:
        camera.data.background_images[0].image = make_picture("Opaque", alpha=1.0)
    assert not api.gather(rig, scene.dist.bounds, prior="table", settings=own).mask_counts.any()
    with pytest.raises(RequestError, match="opaque"):
        api.gather(rig, scene.dist.bounds, settings=Settings(), colours=True)
    request.save(tmp_path)
    assert Request.load(tmp_path).settings == own


def test_unknown_names_are_refused(scene, rig, tmp_path):
    with pytest.raises(TypeError, match="iteration"):
        api.Settings(iteration=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="color"):
        api.gather(rig, color=True)
    with pytest.raises(RequestError, match=r"settings are .*'iterations': 5.*give api.Settings"):
        api.gather(rig, scene.dist.bounds, settings={"iterations": 5})
    api.gather(rig, scene.dist.bounds).save(tmp_path)
    file = tmp_path / "request.json"
    file.write_text(file.read_text().replace('"iterations"', '"iteration"'))
    with pytest.raises(RequestError, match="iteration"):
        Request.load(tmp_path)


# One that starts a job, and one that waits for it.


@pytest.mark.parametrize(("start", "whole"), PAIRS, ids=lambda function: function.__name__)
def test_pairs_take_the_same(start, whole):
    first, second = (inspect.signature(function).parameters for function in (start, whole))
    left_out = ["count"] if whole is api.sample_shape else []
    expected = [each for each in first.values() if each.name not in left_out]
    assert list(second.values())[:-1] == expected
    assert list(second)[-1] == "progress" and second["progress"].default is None
    assert {"folder", "worker_folder"} <= set(second)
    for function, names in ((start, first), (whole, second)):
        assert sorted(documented(function)) == sorted(names)
    assert whole.__name__ in dir(api) and whole.__module__ == start.__module__
    assert inspect.getdoc(whole).count("progress : callable") == 1


def test_what_a_pair_does_not_take_is_refused_before_any_work(scene, rig, stand_in):
    for call in (
        lambda: api.reconstruct(rig, scene.dist.bounds, colour=True),
        lambda: api.start_reconstruction(rig, scene.dist.bounds, colour=True),
        lambda: api.sample_shape(count=2),
        lambda: api.reshape(),
    ):
        with pytest.raises(TypeError):
            call()
    assert not any(stand_in.iterdir())


def test_a_pair_brings_the_result_in(scene, rig, stand_in):
    other = bpy.data.scenes.new("Other")
    told: list[str] = []
    made = api.reconstruct(
        None,
        points=np.eye(3),
        prior="cone",
        scene=other,
        progress=lambda progress: told.append(progress.stage),
    )
    assert made.object.name in other.objects and made.object.name not in scene.objects
    assert "fit" in told and made.folder == stand_in
    again = api.reconstruct(None, None, points=np.eye(3), prior="cone", scene=other)
    assert again.object.name in other.objects


def test_pictures_are_the_same_by_the_sidebar_and_by_the_command(scene, rig, tmp_path):
    """One camera before a folder of numbered pictures is an animated one, whoever says where they are."""
    collection = bpy.data.collections.new("One")
    scene.collection.children.link(collection)
    collection.objects.link(rig.objects[0])
    scene.dist.cameras = collection
    for number in (1, 2):
        (tmp_path / f"shot_{number}.png").write_bytes(b"")
    by_command = asked("--pictures", str(tmp_path))
    scene.dist.views.pictures = str(tmp_path)
    by_sidebar = asked()
    assert by_sidebar["frames"] is not None
    assert by_command == by_sidebar


def test_every_choice_of_the_sidebar_is_an_option_too(scene, rig):
    reached = {field.name for each in INPUTS for field in each.options}
    left = {field.name for each in INPUTS if PANEL in each.doors for field in each.fields} - reached
    # One option stands for these.
    assert left == {"frame_start", "frame_end", "frame_step", "mask_source", "mask_folder", "mask"}
    assert asked("--masks", "background", "--mask-tolerance", "0.3")["masks"] == Background(0.3)


@pytest.mark.parametrize("option", [("--depth-kind", "z"), ("--depth-scale", "2"), ("--mask-tolerance", "0.3")])
def test_what_says_more_of_nothing_is_refused(scene, rig, option):
    with pytest.raises(RequestError, match=f"{option[0]} says nothing without"):
        asked(*option)
