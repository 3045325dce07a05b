"""How good the demo's result is, in numbers and as a picture. Runs in the tools' environment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from dist_addon.api import Reconstruction
from dist_addon.worker.dist_engine.make_shapes import make_shape
from dist_addon.worker.dist_engine.protocol import Placement, Result
from dist_addon.worker.dist_engine.reference import evaluation
from dist_addon.worker.dist_engine.tasks import load_prior
from tools import demo_scene

SAMPLES = 8  # of Cycles, a pixel

SHOWN, SHOWN_HELD_BACK = 3, 2  # pictures in the comparison
TILE = 256  # width of a picture there
GAP, MARGIN, HEAD, FOOT, SIDE = 8, 20, 50, 30, 34  # pixels
PAPER, CARD = (255, 255, 255), (243, 244, 246)
INK, FAINT = (31, 41, 55), (107, 114, 128)
TRUE_LINE, MADE_LINE = (37, 99, 235), (234, 88, 12)


@dataclass(frozen=True)
class EvaluatedView:
    """A picture, what the result looks like from its camera, and how well they agree.

    Attributes
    ----------
    name : str
        The camera's.
    held_back : bool
        The fit did not see this picture.
    photograph : bool
        Its background is shown, too.
    picture, render : (H, W, 4) uint8 arrays
        RGBA.
    known : (H, W) bool array
        Where the picture's alpha tells.
    iou : float
        Of the silhouettes, where alpha is above one half, and where that is known.
    prior : (H, W, 4) uint8 array or None
        As `render`, of the prior's shape alone.
    """

    name: str
    held_back: bool
    photograph: bool
    picture: np.ndarray
    known: np.ndarray
    render: np.ndarray
    iou: float
    prior: np.ndarray | None = None


@dataclass(frozen=True)
class Evaluation:
    """How good a result is.

    Attributes
    ----------
    views : list of EvaluatedView
        Those fitted to, then those held back.
    chamfer, chamfer_prior : float or None
        `evaluation.Errors.chamfer_x1000` of the result, and of the prior's shape that it was freed from. None where the
        truth is not known, or there was no prior.
    """

    views: list[EvaluatedView]
    chamfer: float | None
    chamfer_prior: float | None

    def iou(self, *, held_back: bool) -> float | None:
        """The mean over the views that were held back, or over the others; None where there are none."""
        found = [view.iou for view in self.views if view.held_back == held_back]
        return sum(found) / len(found) if found else None


def evaluate(scene: demo_scene.DemoScene, made: Reconstruction, folder: Path) -> Evaluation:
    """Compare a result with the pictures and with the truth.

    Parameters
    ----------
    scene : DemoScene
    made : Reconstruction
        Its object gets a material.
    folder : Path
        Where the renders of it are written.
    """
    result, material = made.object, demo_scene.clay()
    mesh = result.data
    assert isinstance(mesh, bpy.types.Mesh)
    mesh.materials.clear()
    mesh.materials.append(material)
    prior = prior_shape(made.folder)
    beside = None if prior is None else demo_scene.add_mesh("Prior", *prior, material)
    if beside is not None:
        beside.data.shade_smooth()
        beside.hide_render = True
    folder.mkdir(parents=True, exist_ok=True)
    views = []
    for camera in scene.cameras:
        picture, known = scene.cut_out(camera)
        path = folder / f"{demo_scene.picture_of(camera).stem}.png"
        demo_scene.rake(camera)
        render = demo_scene.render(camera, path, SAMPLES)
        iou = evaluation.silhouette_iou(picture[..., 3] > 127, render[..., 3] > 127, known)
        held_back = camera.name in scene.held_back.objects
        views.append(EvaluatedView(camera.name, held_back, scene.masks is not None, picture, known, render, iou))
    if beside is not None:
        result.hide_render, beside.hide_render = True, False
        seen = {}
        for view in shown(views):
            camera = bpy.data.objects[view.name]
            demo_scene.rake(camera)
            seen[view.name] = demo_scene.render(camera, folder / f"prior {view.name}.png", SAMPLES)
        views = [replace(view, prior=seen.get(view.name)) for view in views]
        result.hide_render = False
        bpy.data.objects.remove(beside)

    if scene.truth is None:
        return Evaluation(views, None, None)
    chamfer, of_prior = (
        None if found is None else evaluation.compare(*found, *scene.truth).chamfer_x1000
        for found in (demo_scene.world_mesh(result), prior)
    )
    return Evaluation(views, chamfer, of_prior)


def prior_shape(job: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The prior's shape that a job ended with, or freed its surface from: vertices and faces in the world, if any."""
    result = Result.load(job)
    if "code" not in result.report:
        return None
    prior, code = load_prior(job, torch.device("cpu")), np.array(result.report["code"], np.float32)
    place = Placement(result.report["scale"], result.rotation, result.translation)
    field = prior.decoder.field(prior.as_code(code), Counter())
    shape = make_shape(prior, field, place, result.report["resolution"], prior.name, code.tolist())
    return shape.vertices @ shape.rotation.T + shape.translation, shape.faces


def export(result: bpy.types.Object, path: Path) -> None:
    """Write a mesh object as .ply, in the world's frame, Z up."""
    for thing in bpy.context.scene.objects:
        thing.select_set(thing == result)
    bpy.context.view_layer.objects.active = result
    bpy.ops.wm.ply_export(
        filepath=str(path), export_selected_objects=True, forward_axis="Y", up_axis="Z", export_uv=False
    )


def draw_comparison(views: list[EvaluatedView], path: Path) -> None:
    """Draw pictures, renders of the result and both outlines, a column a view, into a PNG."""
    columns = shown(views)
    rows = {"Picture": [_on_card(view.picture, whole=view.photograph) for view in columns]}
    if any(view.prior is not None for view in columns):
        rows["Prior's shape"] = [_on_card(view.prior) for view in columns if view.prior is not None]
    rows["Reconstruction"] = [_on_card(view.render) for view in columns]
    rows["Outlines"] = [_outlines(view) for view in columns]
    tall = rows["Picture"][0].height
    width = 2 * MARGIN + SIDE + len(columns) * TILE + (len(columns) - 1) * GAP
    height = 2 * MARGIN + HEAD + len(rows) * tall + (len(rows) - 1) * GAP + FOOT
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    big, small = ImageFont.load_default(19), ImageFont.load_default(15)

    for column, view in enumerate(columns):
        middle = MARGIN + SIDE + column * (TILE + GAP) + TILE // 2
        title = view.name if not view.held_back else f"{view.name} (not fitted)"
        draw.text((middle, MARGIN + 10), title, fill=INK, font=big, anchor="mm")
        draw.text((middle, MARGIN + 34), f"IoU {view.iou:.3f}", fill=FAINT, font=small, anchor="mm")
    for row, (label, tiles) in enumerate(rows.items()):
        y = MARGIN + HEAD + row * (tall + GAP)
        _write_upwards(sheet, label, (MARGIN + SIDE // 2 - 8, y + tall // 2), big)
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (MARGIN + SIDE + column * (TILE + GAP), y))
    x, y = MARGIN + SIDE, height - MARGIN - 6
    for label, colour in (("outline in the picture", TRUE_LINE), ("outline of the reconstruction", MADE_LINE)):
        draw.line([(x, y), (x + 22, y)], fill=colour, width=3)
        draw.text((x + 30, y), label, fill=FAINT, font=small, anchor="lm")
        x += 60 + round(draw.textlength(label, font=small))
    # Half of the size.
    sheet.quantize(dither=Image.Dither.NONE).save(path, optimize=True)


def shown(views: list[EvaluatedView]) -> list[EvaluatedView]:
    """The views that the comparison shows, some of those fitted to and some held back."""
    return _spread([v for v in views if not v.held_back], SHOWN) + _spread(
        [v for v in views if v.held_back], SHOWN_HELD_BACK
    )


def _spread(views: list[EvaluatedView], count: int) -> list[EvaluatedView]:
    count = min(count, len(views))
    return [views[(2 * i + 1) * len(views) // (2 * count)] for i in range(count)]


def _on_card(rgba: np.ndarray, *, whole: bool = False) -> Image.Image:
    """A picture as a tile, on a card where it is transparent; whole: with its background."""
    picture = Image.fromarray(rgba)
    # Without alpha, what the mask leaves out is there again.
    if not whole:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (*CARD, 255)), picture)
    return picture.convert("RGB").resize(_tile(rgba), Image.Resampling.LANCZOS)


def _tile(picture: np.ndarray) -> tuple[int, int]:
    """Width and height of a picture's tile."""
    return TILE, round(TILE * picture.shape[0] / picture.shape[1])


def _outlines(view: EvaluatedView) -> Image.Image:
    """Both silhouettes' outlines over the faded picture."""
    picture = _on_card(view.picture)
    faded = Image.blend(Image.new("RGB", picture.size, CARD), picture, 0.22)
    # What the mask does not know, such as shadows on the thing, is drawn as part of it.
    true = np.where(view.known, view.picture[..., 3], 255).astype(np.uint8)
    for alpha, colour in ((true, TRUE_LINE), (view.render[..., 3], MADE_LINE)):
        faded.paste(colour, mask=_outline(alpha))
    return faded


def _outline(alpha: np.ndarray, oversampling: int = 4) -> Image.Image:
    """An antialiased line, about 1.5 pixels wide, where alpha crosses one half."""
    width, height = _tile(alpha)
    large = Image.fromarray(alpha).resize((width * oversampling, height * oversampling), Image.Resampling.BICUBIC)
    inside = large.point([0] * 128 + [255] * 128)
    edge = np.array(inside.filter(ImageFilter.MaxFilter(7))) & ~np.array(inside.filter(ImageFilter.MinFilter(7)))
    return Image.fromarray(edge).resize((width, height), Image.Resampling.BOX)


def _write_upwards(
    sheet: Image.Image, text: str, middle: tuple[int, int], font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    label = Image.new("L", (TILE, 28), 0)
    ImageDraw.Draw(label).text((TILE // 2, 14), text, fill=255, font=font, anchor="mm")
    label = label.rotate(90, expand=True)
    sheet.paste(INK, (middle[0] - label.width // 2, middle[1] - label.height // 2), label)
