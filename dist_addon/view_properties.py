"""What a scene remembers of its views: their frames, pictures and masks."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from . import api
from .scene import shots
from .worker.dist_engine.protocol import RequestError

# A path may begin with “//”, for the blend file's folder; newer versions of Blender want to be told.
RELATIVE: Any = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()


class DIST_ViewProperties(bpy.types.PropertyGroup):
    """Which pictures there are, and what in them is the thing."""

    frame_start: IntProperty(
        name="Frames From", description="The first frame of the animated camera to take", default=1
    )
    frame_end: IntProperty(name="To", description="The last frame of the animated camera to take", default=250)
    frame_step: IntProperty(name="Every", description="Take every so many frames", min=1, default=10)
    pictures: StringProperty(
        name="Pictures",
        description=(
            "A folder of pictures to take instead of the cameras' background images: each is called as its camera or "
            "that image, or ends in the number of the animated camera's frame"
        ),
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    mask_source: EnumProperty(
        name="Masks",
        description="What tells the thing from its surroundings",
        items=(
            ("ALPHA", "Alpha", "The pictures are cut out: they are opaque where the thing is"),
            ("BACKGROUND", "Plain Background", "The thing is what differs from the colour along each picture's border"),
            (
                "FOLDER",
                "Folder",
                "Pictures that are bright, or opaque, where the thing is; called as the cameras or their pictures, or "
                "ending in their numbers",
            ),
            ("MASK", "Mask", "A mask of Blender's, drawn over the animated camera's pictures"),
        ),
    )
    mask_folder: StringProperty(
        name="Mask Folder", description="Where the masks are", subtype="DIR_PATH", options=RELATIVE
    )
    mask: PointerProperty(
        name="Mask",
        description="Its filled splines are the thing, as they are at each frame; feathers are left out",
        type=bpy.types.Mask,
    )
    mask_tolerance: FloatProperty(
        name="Tolerance",
        description="How much the background's colour may differ from itself: more leaves out shadows and noise",
        min=0.005,
        max=0.95,
        default=api.Background().tolerance,
        subtype="FACTOR",
    )
    depth_folder: StringProperty(
        name="Depth",
        description=(
            "A folder of depth files for some or all of the views, EXR or PNG with 16 bits: called as the cameras or "
            "their pictures, or ending in their numbers"
        ),
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    depth_kind: EnumProperty(
        name="Depth Is",
        description="What the files' numbers measure",
        items=(
            ("z", "Along the Axis", "Z: as Blender's Depth pass and most sensors have it"),
            ("distance", "Distance", "From the camera to the surface, along each ray"),
        ),
    )
    depth_scale: FloatProperty(
        name="Depth Scale",
        description="Blender units that 1 in the files is: 0.001 for a PNG's millimetres in a scene of metres",
        min=1e-9,
        soft_max=1.0,
        default=1.0,
        precision=6,
    )
    tracks: PointerProperty(
        name="Tracks",
        description=(
            "A solved clip: its tracks on the thing, within the masks, are points of the surface. The animated camera "
            "is the solved one"
        ),
        type=bpy.types.MovieClip,
    )
    use_colours: BoolProperty(
        name="Compare Colours",
        description=(
            "Have the thing's texture look the same in neighbouring pictures, too, as those of a video. Pictures "
            "without alpha are no error then: only the bounds are needed, tight around the thing"
        ),
    )


def is_animated(views: Any, cameras: bpy.types.Collection | None) -> bool:
    """Whether the views are the frames of one animated camera."""
    return shots.is_animated(cameras, views.pictures)


def inputs(views: Any, cameras: bpy.types.Collection | None) -> dict[str, Any]:
    """Return what the views' properties say, as `api.gather` takes it."""
    masks = {
        "ALPHA": None,
        "BACKGROUND": api.Background(views.mask_tolerance),
        "FOLDER": views.mask_folder,
        "MASK": views.mask,
    }
    if views.mask_source == "MASK" and views.mask is None:
        raise RequestError("No mask was chosen: choose one in the DIST tab, or another source of the masks.")
    frames = range(views.frame_start, views.frame_end + 1, views.frame_step)
    animated = is_animated(views, cameras)
    depths = api.Depths(views.depth_folder, views.depth_kind, views.depth_scale)
    return {
        "frames": frames if animated else None,
        "pictures": views.pictures or None,
        "masks": masks[views.mask_source],
        "depths": depths if views.depth_folder else None,
        "tracks": views.tracks if animated else None,
        "colours": views.use_colours,
    }
