"""Look at each view alone, before a fit does at all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from ..scene import cameras as scene_cameras
from ..scene.shots import Cameras, check_frames, list_shots
from ..worker.dist_engine.protocol import RequestError
from .reconstruction import Inputs, gather


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
    """

    name: str
    picture: str = ""
    size: tuple[int, int] | None = None
    covered: float | None = None
    problem: str = ""


def check_views(cameras: Cameras | None, **inputs: Unpack[Inputs]) -> list[ViewCheck]:
    """Look at each view as `gather` would at it alone; nothing is started, and nothing changed.

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
    alone: Inputs = {**inputs, "points": np.zeros((1, 3)), "start": None, "refine_shape": True}
    alone |= {"depths": None, "tracks": None}
    for camera in found:
        for frame in chosen:
            check = ViewCheck(camera.name if frame is None else f"{camera.name} frame {frame[0]}")
            alone["frames"] = frame
            try:
                (shot,) = list_shots([camera], frame, inputs.get("pictures"))
                check = replace(check, picture=shot.picture.name)
                masks = gather([camera], **alone).masks
            except RequestError as error:
                checked.append(replace(check, problem=str(error)))
                continue
            _, height, width = masks.shape
            checked.append(replace(check, size=(width, height), covered=float((masks >= 128).mean())))
    return _same_size(checked)


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
