"""Look at each view alone, before a fit does at all of them."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np

from ..inputs import OF_EACH_VIEW
from ..scene import cameras as scene_cameras
from ..scene import masks as scene_masks
from ..scene.shots import CameraSource, Shot, check_frames, list_shots
from ..steps import Steps, at_once, finish
from ..worker.dist_engine.protocol import RequestError, covered
from .reconstruction import Inputs, gathering

# The longer side of a thumbnail, in pixels, and how opaque it is beside the thing.
THUMBNAIL, DIM = 96, 0.25


@dataclass(frozen=True)
class ViewCheck:
    """What there is of a view.

    Attributes
    ----------
    name : str
        Of its camera, and the frame.
    picture : str
        The picture's name; empty where there is none.
    size : (width, height) or None
        Of its mask, in pixels; None where there is none.
    covered : float or None
        The share of the picture that its mask covers.
    problem : str
        Why it cannot be used, and the remedy; empty where it can.
    thumbnail : (h, w, 4) float32 array or None
        The picture, small: RGBA from 0 to 1, rows from top to bottom, dim where the mask shows nothing. None where it
        cannot be read.
    """

    name: str
    picture: str = ""
    size: tuple[int, int] | None = None
    covered: float | None = None
    problem: str = ""
    thumbnail: np.ndarray | None = field(default=None, repr=False, compare=False)


def checking_views(cameras: CameraSource | None, **inputs: Unpack[Inputs]) -> Steps[list[ViewCheck]]:
    """Look at each view as `gather` would at it alone, pausing after each; nothing is started, and nothing changed.

    Parameters
    ----------
    cameras, **inputs
        See `gather`; of the inputs, those count that each view has for itself.

    Raises
    ------
    RequestError
        There are no cameras or frames.
    """
    frames = inputs.get("frames")
    found = scene_cameras.list_cameras(cameras)
    chosen = [None] if frames is None else [[frame] for frame in check_frames(frames)]
    checked = []
    # What belongs to all views together is left out; a point stands in for the other views, so that one will do.
    given: Any = inputs
    alone = {name: given[name] for name in (*OF_EACH_VIEW, "prior", "scene") if name in given}
    alone["points"] = np.zeros((1, 3))
    for camera in found:
        for frame in chosen:
            check = ViewCheck(camera.name if frame is None else f"{camera.name} frame {frame[0]}")
            alone["frames"] = frame
            try:
                (shot,) = list_shots([camera], frame, inputs.get("pictures"))
                check = replace(check, picture=shot.picture.name)
                request = yield from gathering([camera], **alone)
            except RequestError as error:
                checked.append(replace(check, problem=str(error), thumbnail=_alone(shot) if check.picture else None))
                continue
            _, height, width = request.masks.shape
            thumbnail = None if request.pictures is None else shrink(request.pictures[0], request.masks[0])
            share = float(covered(request.masks).mean())
            checked.append(replace(check, size=(width, height), covered=share, thumbnail=thumbnail))
    return _same_size(checked)


check_views = at_once(checking_views)


def shrink(colours: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return a `ViewCheck.thumbnail` of a picture (H, W, 3) with its mask (H, W), both uint8."""
    step = -(-max(covered.shape) // THUMBNAIL)
    # Of a large picture some of the pixels will do.
    few = max(step // 4, 1)
    shown = np.dstack([colours[::few, ::few], DIM * 255 + (1 - DIM) * covered[::few, ::few]]) / 255
    height, width = shown.shape[:2]
    down, across = (min(-(-step // few), length) for length in (height, width))
    shown = shown[: height // down * down, : width // across * across]
    return shown.reshape(height // down, down, width // across, across, 4).mean(axis=(1, 3)).astype(np.float32)


def _alone(shot: Shot) -> np.ndarray | None:
    """The thumbnail of a picture that has no good mask; None where it cannot be read."""
    with contextlib.suppress(RequestError):
        colours = finish(scene_masks.read_colours([shot], *shot.picture.size(shot.who)))[0]
        return shrink(colours, np.full(colours.shape[:2], 255, np.uint8))
    return None


def _same_size(checked: list[ViewCheck]) -> list[ViewCheck]:
    """Tell of views that are not of the size that most are."""
    sizes = Counter(check.size for check in checked if check.size)
    if len(sizes) < 2:
        return checked
    (usual, _), *_ = sizes.most_common()
    problem = "It is {} x {}, but most pictures are {} x {}: bring them to one size."
    return [
        replace(check, problem=problem.format(*check.size, *usual)) if check.size and check.size != usual else check
        for check in checked
    ]
