"""How good the demo's result is, in numbers and as a picture. Runs in the tools' environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from dist_addon.worker.dist_engine.reference import evaluation
from tools import demo_scene

SAMPLES = 8  # of Cycles, a pixel

SHOWN, SHOWN_HELD_BACK = 3, 2  # pictures in the comparison
TILE = demo_scene.SIZE
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
    picture, render : (H, W, 4) uint8 arrays
        RGBA.
    iou : float
        Of the silhouettes, where alpha is above one half.
    """

    name: str
    held_back: bool
    picture: np.ndarray
    render: np.ndarray
    iou: float


def evaluate(scene: demo_scene.DemoScene, result: bpy.types.Object, folder: Path) -> tuple[list[EvaluatedView], float]:
    """Compare a result with the pictures and with the truth.

    Parameters
    ----------
    scene : DemoScene
    result : Object
        A mesh; it gets a material.
    folder : Path
        Where the renders of it are written.

    Returns
    -------
    views : list of EvaluatedView
        Those fitted to, then those held back.
    chamfer_x1000 : float
        Between the surfaces, where the truth's farthest vertex is at 1.
    """
    result.data.materials.clear()
    result.data.materials.append(demo_scene.clay())
    folder.mkdir(parents=True, exist_ok=True)
    views = []
    for collection in (scene.pictures, scene.held_back):
        for camera in collection.objects:
            image = camera.data.background_images[0].image
            picture = demo_scene.read_picture(Path(bpy.path.abspath(image.filepath)))
            render = demo_scene.render(camera, folder / f"{Path(image.filepath).stem}.png", SAMPLES)
            iou = evaluation.silhouette_iou(picture[..., 3] > 127, render[..., 3] > 127)
            views.append(EvaluatedView(camera.name, collection is scene.held_back, picture, render, iou))

    errors = evaluation.compare(*demo_scene.world_mesh(result), scene.vertices, scene.faces)
    return views, errors.chamfer_x1000


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
    fitted = [view for view in views if not view.held_back]
    held_back = [view for view in views if view.held_back]
    shown = _spread(fitted, SHOWN) + _spread(held_back, SHOWN_HELD_BACK)
    rows = ["Picture", "Reconstruction", "Outlines"]
    width = 2 * MARGIN + SIDE + len(shown) * TILE + (len(shown) - 1) * GAP
    height = 2 * MARGIN + HEAD + len(rows) * TILE + (len(rows) - 1) * GAP + FOOT
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    big, small = ImageFont.load_default(19), ImageFont.load_default(15)

    for row, label in enumerate(rows):
        middle = MARGIN + HEAD + row * (TILE + GAP) + TILE // 2
        _write_upwards(sheet, label, (MARGIN + SIDE // 2 - 8, middle), big)
    for column, view in enumerate(shown):
        x = MARGIN + SIDE + column * (TILE + GAP)
        title = view.name if not view.held_back else f"{view.name} (not fitted)"
        draw.text((x + TILE // 2, MARGIN + 10), title, fill=INK, font=big, anchor="mm")
        draw.text((x + TILE // 2, MARGIN + 34), f"IoU {view.iou:.3f}", fill=FAINT, font=small, anchor="mm")
        for row, tile in enumerate([_on_card(view.picture), _on_card(view.render), _outlines(view)]):
            sheet.paste(tile, (x, MARGIN + HEAD + row * (TILE + GAP)))
    x, y = MARGIN + SIDE, height - MARGIN - 6
    for label, colour in (("outline in the picture", TRUE_LINE), ("outline of the reconstruction", MADE_LINE)):
        draw.line([(x, y), (x + 22, y)], fill=colour, width=3)
        draw.text((x + 30, y), label, fill=FAINT, font=small, anchor="lm")
        x += 60 + round(draw.textlength(label, font=small))
    sheet.save(path, optimize=True)


def _spread(views: list[EvaluatedView], count: int) -> list[EvaluatedView]:
    count = min(count, len(views))
    return [views[(2 * i + 1) * len(views) // (2 * count)] for i in range(count)]


def _on_card(rgba: np.ndarray) -> Image.Image:
    picture = Image.fromarray(rgba)
    card = Image.new("RGBA", picture.size, (*CARD, 255))
    card.alpha_composite(picture)
    return card.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)


def _outlines(view: EvaluatedView) -> Image.Image:
    """Both silhouettes' outlines over the faded picture."""
    faded = Image.blend(Image.new("RGB", (TILE, TILE), CARD), _on_card(view.picture), 0.22)
    for rgba, colour in ((view.picture, TRUE_LINE), (view.render, MADE_LINE)):
        faded.paste(colour, mask=_outline(rgba[..., 3]))
    return faded


def _outline(alpha: np.ndarray, oversampling: int = 4) -> Image.Image:
    """An antialiased line, about 1.5 pixels wide, where alpha crosses one half."""
    side = TILE * oversampling
    large = Image.fromarray(alpha).resize((side, side), Image.Resampling.BICUBIC)
    inside = large.point([0] * 128 + [255] * 128)
    edge = np.array(inside.filter(ImageFilter.MaxFilter(7))) & ~np.array(inside.filter(ImageFilter.MinFilter(7)))
    return Image.fromarray(edge).resize((TILE, TILE), Image.Resampling.BOX)


def _write_upwards(
    sheet: Image.Image, text: str, middle: tuple[int, int], font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    label = Image.new("L", (TILE, 28), 0)
    ImageDraw.Draw(label).text((TILE // 2, 14), text, fill=255, font=font, anchor="mm")
    label = label.rotate(90, expand=True)
    sheet.paste(INK, (middle[0] - label.width // 2, middle[1] - label.height // 2), label)
