"""Masks: which pixels of each picture show the thing."""

from __future__ import annotations

import os
from dataclasses import replace

import bpy
import numpy as np

from ..inputs import Background
from ..steps import Steps
from ..worker.dist_engine.protocol import RequestError, covered
from .folders import Folder
from .images import Picture
from .shots import Shot

KEY_OUT = (
    "Use a picture with a transparent background, such as a PNG with alpha (RGBA), or choose another source of masks: "
    "a plain background where it is of one colour, or a folder."
)
# Pixels of all masks, and of all pictures whose colours are compared.
MOST_PIXELS, MOST_COLOURED = 2_000_000_000, 500_000_000
# So many pictures' problems are told at once.
MOST_PROBLEMS = 3
# A mask file with alpha is opaque where the thing is, as a cut-out is; but one that is black and white where it is
# opaque was erased where it does not know: so much of that is either, to within this, and so much is black.
PURE, NEAR, LEAST_BLACK = 0.9, 0.1, 0.2


# None: the pictures' alpha. A path: a folder of masks, by the pictures' or the cameras' names, or by number.
Masks = Background | bpy.types.Mask | str | os.PathLike[str] | None


def mask_shots(shots: list[Shot], masks: Masks) -> list[Shot]:
    """Return shots whose pictures tell the masks: the files of a folder of masks instead of the pictures.

    Raises
    ------
    RequestError
        A mask is missing, or the masks are of no known kind.
    """
    if masks is None or isinstance(masks, Background):
        return shots
    if isinstance(masks, bpy.types.Mask):
        if len(shots) > 1 and shots[0].frame is None:
            raise RequestError(
                f"The mask “{masks.name}” is drawn over one camera's pictures, but there are {len(shots)} cameras: "
                "choose one animated camera, or another source of the masks."
            )
        return shots
    if not isinstance(masks, (str, os.PathLike)):
        raise RequestError(
            f"The masks are {masks!r}: give a folder, a mask of Blender's, a Background, or None for alpha."
        )
    files = Folder(masks, "mask").find_all((shot.name, shot.names, shot.number) for shot in shots)
    return [replace(shot, picture=Picture(file.name, path=file)) for shot, file in zip(shots, files, strict=True)]


def mask_size(shots: list[Shot]) -> tuple[int, int]:
    """Return the width and height of the first picture, which all must have.

    Raises
    ------
    RequestError
        It cannot be read, or so many of its size are too much.
    """
    width, height = shots[0].picture.size(shots[0].who)
    if len(shots) * width * height > MOST_PIXELS:
        raise RequestError(
            f"{len(shots)} pictures of {width} x {height} are too much for a fit: scale them down, or take fewer."
        )
    return width, height


def read_masks(
    shots: list[Shot],
    masks: Masks,
    width: int,
    height: int,
    may_lack: bool = False,
    colours: np.ndarray | None = None,
) -> Steps[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Read the masks of shots (see `mask_shots`) whose masks are pictures of this size.

    Parameters
    ----------
    may_lack : bool
        Whether a picture without alpha only has no mask, instead of being refused.
    colours : (V, H, W, 3) uint8 array, optional
        Gets what `read_colours` returns, without reading the pictures twice.

    Returns
    -------
    (V, H, W) uint8 array
        Coverage, 0 to 255, rows from top to bottom.
    (V,) bool array
        Whether there is a mask.
    (V, H, W) bool array or None
        Where the masks know whether they show the thing; None: everywhere. They do not beyond the edge of a picture
        whose lens is straightened, nor where a file is erased.

    Raises
    ------
    RequestError
        Pictures cannot be read, tell no mask, show nothing, or differ in size: some of them are named.
    """
    made = np.empty((len(shots), height, width), np.uint8)
    unknown: dict[int, np.ndarray] = {}
    problems: list[str] = []
    last = ""
    if isinstance(masks, Background) and not 0 < masks.tolerance < 1:
        raise RequestError(f"The background's tolerance is {masks.tolerance}: give a number between 0 and 1.")
    for number, (mask, shot) in enumerate(zip(made, shots, strict=True)):
        yield
        try:
            pixels = _read(shot, shots[0], width, height)
            if colours is not None:
                colours[number] = _to_bytes(pixels)[..., :3]
            if masks is None and may_lack and pixels[..., 3].min() >= 1:
                mask[:] = 0
                continue
            if isinstance(masks, Background):
                mask[:] = _differing(pixels, masks.tolerance, shot.who)
            elif masks is not None and (erased := _erased(pixels)) is not None:
                mask[:] = _to_bytes(pixels[..., :3].mean(axis=2))
                unknown[number] = erased
            else:
                mask[:] = _covered(pixels, shot.who, is_mask=masks is not None)
            if shot.lens is not None:
                unknown[number] = unknown.get(number, False) | ~shot.lens.shows(width, height)
            if number in unknown:
                mask[unknown[number]] = 0
            refuse_empty(mask, shot.who)
        except RequestError as error:
            told = str(error).removeprefix(shot.who)
            problems.append(f"{shot.who}: the same." if told == last else str(error))
            last = told
        if len(problems) == MOST_PROBLEMS and number + 1 < len(shots):
            problems.append("There may be more: Check Views tells of each view.")
            break
    if problems:
        raise RequestError("\n".join(problems))
    known = np.ones(made.shape, bool) if unknown else None
    for number, where in unknown.items():
        assert known is not None
        known[number] = ~where
    return made, made.any(axis=(1, 2)), known


def read_colours(shots: list[Shot], width: int, height: int) -> Steps[np.ndarray]:
    """Read the colours of shots' pictures, which have this size, as their files have them: (V, H, W, 3) uint8.

    Raises
    ------
    RequestError
        A picture cannot be read or differs in size, or they are too many.
    """
    if len(shots) * width * height > MOST_COLOURED:
        raise RequestError(
            f"{len(shots)} pictures of {width} x {height} are too many to compare their colours: scale them down, or "
            "take fewer."
        )
    made = np.empty((len(shots), height, width, 3), np.uint8)
    for colours, shot in zip(made, shots, strict=True):
        colours[:] = _to_bytes(_read(shot, shots[0], width, height))[..., :3]
        yield
    return made


def _read(shot: Shot, first: Shot, width: int, height: int) -> np.ndarray:
    """The pixels of a picture, which must be as large as the first, without what the lens did."""
    pixels = shot.picture.read(shot.who)
    if pixels.shape[:2] != (height, width):
        raise RequestError(
            f"The pictures differ in size: “{first.picture.name}” of camera “{first.name}” is {width} x {height}, "
            f"“{shot.picture.name}” of camera “{shot.name}” is {pixels.shape[1]} x {pixels.shape[0]}. Bring them "
            "to one size."
        )
    return pixels if shot.lens is None else shot.lens.straighten(pixels)


def refuse_empty(mask: np.ndarray, who: str) -> None:
    """Raise `RequestError` where a mask shows nothing."""
    if not covered(mask).any():
        raise RequestError(
            f"{who} has an empty mask: it shows nothing. Take the camera out of the collection, or leave the frame out."
        )


def _erased(pixels: np.ndarray) -> np.ndarray | None:
    """Where (H, W) the file of a mask (H, W, 4) was erased; None where its alpha says something else, or nothing."""
    clear = pixels[..., 3] < 0.5
    left = pixels[~clear][:, :3]
    if not clear.any() or not len(left):
        return None
    black, white = (left <= NEAR).all(axis=1), (left >= 1 - NEAR).all(axis=1)
    told = white.any() and black.mean() >= LEAST_BLACK and (black | white).mean() >= PURE
    return clear if told else None


def _covered(pixels: np.ndarray, who: str, is_mask: bool) -> np.ndarray:
    """Coverage (H, W) uint8 as a picture's alpha tells it; a mask without alpha is bright where the thing is."""
    mask = _to_bytes(pixels[..., 3])
    if is_mask and mask.min() == 255:
        mask = _to_bytes(pixels[..., :3].mean(axis=2))
    if mask.min() == 255:
        if is_mask:
            raise RequestError(f"{who} is white throughout: a mask is black where the thing is not. Replace it.")
        raise RequestError(f"{who} is opaque throughout, so nothing tells the thing from its surroundings. {KEY_OUT}")
    return mask


def _differing(pixels: np.ndarray, tolerance: float, who: str) -> np.ndarray:
    """255 where a picture (H, W, 4) differs from the colour of its border."""
    colours = pixels[..., :3]
    border = np.concatenate([colours[0], colours[-1], colours[1:-1, 0], colours[1:-1, -1]])
    usual = np.median(border, axis=0)
    if _differs(border, usual, tolerance).mean() > 0.5:
        raise RequestError(
            f"{who} has no background of one colour along its border: raise the tolerance, or choose another source of "
            "the masks."
        )
    return _differs(colours, usual, tolerance) * np.uint8(255)


def _differs(colours: np.ndarray, usual: np.ndarray, tolerance: float) -> np.ndarray:
    """Whether (...) colours (..., 3) differ from the usual one (3,) in a channel by more than a tolerance."""
    # Channel by channel: over an axis of three, a maximum takes several times longer.
    near = [np.abs(colours[..., channel] - usual[channel]) <= tolerance for channel in range(3)]
    return ~(near[0] & near[1] & near[2])


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 as bytes; what is no number is 0. Large pictures: in place, and fastest for whole ones."""
    scaled = np.fmax(values, 0)
    np.fmin(scaled, 1, out=scaled)
    scaled *= 255
    scaled += 0.5
    return scaled.astype(np.uint8)
