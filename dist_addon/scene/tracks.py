"""A solved clip's tracks: points of the surface, and which frames see each."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..worker.dist_engine.protocol import RequestError, View, covered
from .clips import clip_frame
from .lenses import lens_of
from .shots import Shot

# Where a track was seen and where it is to be seen may differ by this share of the picture's width, in the median.
FAR_OFF = 0.01
# How far beside a mask, as a share of the picture's width, is still within it: outlines and tracks err.
BESIDE = 0.005
# A track is the thing's where so many of the frames that see it see it within the mask.
MOSTLY = 0.8


def check_solved(clip: bpy.types.MovieClip, shots: list[Shot]) -> None:
    """Raise `RequestError` where a clip has no solved tracks, or the views are not the frames of one camera."""
    tracking: Any = clip.tracking
    if not tracking.reconstruction.is_valid:
        raise RequestError(f"The clip “{clip.name}” is not solved: solve its camera motion in the Movie Clip Editor.")
    if not any(track.has_bundle for track in tracking.tracks):
        raise RequestError(f"The clip “{clip.name}” has no solved tracks: track more of the thing, and solve again.")
    if any(shot.frame is None for shot in shots):
        raise RequestError(
            f"The tracks of the clip “{clip.name}” are seen at frames, but the cameras stand still: choose the solved "
            "camera, and its frames."
        )


def solve_to_world(clip: bpy.types.MovieClip, shot: Shot, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Return where a solved clip's own frame of reference is in the world, as the shot's camera tells it.

    Parameters
    ----------
    clip : MovieClip
    shot : Shot
    depsgraph : Depsgraph
        At the shot's frame.

    Returns
    -------
    (4, 4) array
        Of the solve to the world.

    Raises
    ------
    RequestError
        The camera was not solved at that frame.
    """
    assert shot.frame is not None
    own = clip_frame(clip, shot.frame)
    tracking: Any = clip.tracking
    solved = tracking.reconstruction.cameras.find_frame(frame=own)
    if solved is None:
        raise RequestError(
            f"The camera of the clip “{clip.name}” is not solved at frame {shot.frame}: choose other frames, or track "
            "more there and solve again."
        )
    camera = np.array(shot.camera.evaluated_get(depsgraph).matrix_world, dtype=np.float64)
    return camera @ np.linalg.inv(np.array(solved.matrix, dtype=np.float64))


def read_tracks(
    clip: bpy.types.MovieClip, shots: list[Shot], views: list[View], masks: np.ndarray, to_world: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the solved tracks that lie on the thing.

    Parameters
    ----------
    clip : MovieClip
    shots : list of V Shot
        At frames.
    views : list of V View
    masks : (V, H, W) uint8 array
        They tell which tracks are the thing's.
    to_world : (4, 4) array
        See `solve_to_world`.

    Returns
    -------
    points : (N, 3) array
        In the world.
    visibility : (N, V) bool array
        Which view sees which point: its track was not hidden there, and within the mask.

    Raises
    ------
    RequestError
        The cameras do not see the tracks where the clip has them, or no track is the thing's.
    """
    tracking: Any = clip.tracking
    tracks = [track for track in tracking.tracks if track.has_bundle]
    points = np.array([track.bundle[:] for track in tracks], dtype=np.float64) @ to_world[:3, :3].T + to_world[:3, 3]
    _, height, width = masks.shape
    seen = np.full((len(tracks), len(views), 2), np.nan)
    for column, shot in enumerate(shots):
        assert shot.frame is not None
        own = clip_frame(clip, shot.frame)
        for row, track in enumerate(tracks):
            marker = track.markers.find_frame(own, exact=True)
            if marker is not None and not marker.mute:
                seen[row, column] = np.add(marker.co, track.offset)
    if lens := lens_of(clip):
        seen = lens.unbend(seen)
    seen = np.stack([seen[..., 0] * width, (1 - seen[..., 1]) * height], axis=-1)
    visibility = np.isfinite(seen[..., 0])
    if not visibility.any():
        raise RequestError(f"The clip “{clip.name}” has no track at the chosen frames: choose others, or more.")
    _check_cameras(clip, points, seen, views, width)
    inside = visibility & _near_masks(seen, masks)
    own_tracks = visibility.any(axis=1) & (inside.sum(axis=1) >= MOSTLY * visibility.sum(axis=1))
    if not own_tracks.any():
        raise RequestError(
            f"None of the {len(tracks)} solved tracks of the clip “{clip.name}” is on the thing, within the masks, at "
            "the chosen frames: choose more frames, or track the thing itself."
        )
    return points[own_tracks], inside[own_tracks]


def _near_masks(places: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether (N, V) places (N, V, 2), in pixels of V views, lie within the views' masks (V, H, W), or just beside."""
    views, height, width = masks.shape
    margin = max(1.0, BESIDE * width)
    near = np.zeros(places.shape[:2], bool)
    for right, down in np.ndindex(3, 3):
        x, y = np.floor(np.nan_to_num(places, nan=-9.0) + margin * np.array([right - 1, down - 1])).transpose(2, 0, 1)
        there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        column, row = x.clip(0, width - 1).astype(int), y.clip(0, height - 1).astype(int)
        near |= there & covered(masks[np.arange(views), row, column])
    return near


def _check_cameras(
    clip: bpy.types.MovieClip, points: np.ndarray, seen: np.ndarray, views: list[View], width: int
) -> None:
    """Raise `RequestError` where cameras do not see points (N, 3) where they were seen (N, V, 2), in pixels."""
    errors = []
    for column, view in enumerate(views):
        there = (points @ view.world_to_camera[:, :3].T + view.world_to_camera[:, 3]) @ view.K.T
        errors.append(np.linalg.norm(there[:, :2] / there[:, 2:] - seen[:, column], axis=1))
    middle = float(np.nanmedian(errors))
    if not middle < FAR_OFF * width:
        raise RequestError(
            f"The camera sees the tracks of the clip “{clip.name}” {middle:.0f} pixels from where they were tracked: "
            "choose the camera with the Camera Solver constraint of that clip, and give it the clip's focal length and "
            "sensor, and the scene the clip's resolution (Setup Tracking Scene does all of it)."
        )
