"""What goes into a reconstruction: each input once, with its values, and the doors that show it. No bpy here.

Made from these declarations are the properties of a scene and what the sidebar says of them, the options of
``dist reconstruct`` and so the names in a batch's lines, and what both give to `api.gather`. Its signature and
docstring are checked against them by a test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .worker.dist_engine.protocol import ANYTHING, RequestError

# The doors: arguments in Python; properties of a scene, in the sidebar; options of a command, and a batch's lines.
API, PANEL, COMMAND = "api", "panel", "command"
EVERYWHERE, ONLY_API = frozenset({API, PANEL, COMMAND}), frozenset({API})
# Kinds of fields that are things of the file.
THINGS = ("collection", "object", "movieclip", "mask")


@dataclass(frozen=True)
class Background:
    """The thing is what differs from a background of one colour, dark, bright or any other.

    Each picture's own border tells the colour: it may not show the thing along more than half of it.

    Attributes
    ----------
    tolerance : float
        How much a channel, from 0 to 1, may differ in the background.
    """

    tolerance: float = 0.1


@dataclass(frozen=True)
class Depths:
    """A folder of depth files, by the cameras' or the pictures' names, or by number.

    Attributes
    ----------
    folder : path
    kind : str
        ``z``: along the camera's axis, as Blender's Depth pass and most sensors have it; ``distance``: along each ray.
    scale : float
        Blender units that 1 in the files is, such as 0.001 for a PNG's millimetres in a scene of metres.
    """

    folder: str | os.PathLike[str]
    kind: str = "z"
    scale: float = 1.0


@dataclass(frozen=True)
class Normals:
    """A folder of EXR files of unit normals, by the cameras' or the pictures' names, or by number.

    Attributes
    ----------
    folder : path
    space : str
        ``world``: along the world's axes, as Blender's Normal pass has them; ``camera``: along the camera's, x right,
        y up, z towards the camera.
    """

    folder: str | os.PathLike[str]
    space: str = "world"


@dataclass(frozen=True)
class Choice:
    """One of several values, as a menu shows it."""

    value: str
    label: str
    text: str


@dataclass(frozen=True)
class InputField:
    """A value that a door shows.

    Attributes
    ----------
    name : str
        Of the scene's property.
    kind : str
        ``flag``, ``integer``, ``number``, ``choice``, ``prior`` (a choice among what there is, or a file), ``folder``;
        one of `THINGS`; of commands alone: ``frames``,
        ``masks``; of Python alone: ``settings``, ``scene``.
    label, text : str
        What the sidebar calls it, and says of it; a command's help says both.
    default : Any
        None for a thing and "" for a folder: none is chosen.
    choices : tuple of Choice
    minimum, maximum, soft_maximum : float or None
        The range; a slider ends at the soft one.
    factor : bool
        Whether it is drawn as a share, between its ends.
    digits : int
        After the decimal point.
    option : str
        What commands call it where not by its name; see `Input.option`, too.
    """

    name: str
    kind: str
    label: str
    text: str
    default: Any = None
    choices: tuple[Choice, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    soft_maximum: float | None = None
    factor: bool = False
    digits: int | None = None
    option: str = ""

    @property
    def key(self) -> str:
        """What commands, and a batch's lines, call it."""
        return self.option or self.name


def alone(value: Any) -> Any:
    """What is made of a single value: itself."""
    return value


@dataclass(frozen=True)
class Input:
    """An argument of `api.gather`.

    Attributes
    ----------
    name : str
    fields : tuple of InputField
        What it is made of. Where the first is not chosen, there is none of it.
    make : callable
        Takes the fields' values and returns the argument.
    doors : set of str
    option : InputField or None
        What a command shows instead of the fields, where one option stands for them all,
    beside : tuple of str
        but for those of these names, which it shows, too.
    of_views : bool
        Whether the scene remembers it with its views.
    when : str
        What must be for the sidebar to show it, and for what the scene remembers of it to count: ``animated`` (the
        views are one camera's frames), ``of_class`` (a prior is chosen), ``starts`` (a shape of it to start from is),
        ``held`` (the one or the other: a prior, or any mesh to start from).
    without : Any
        The argument where it is not so.
    each_view : bool
        Whether it tells what is wrong with a view alone, as **Check Views** does.
    """

    name: str
    fields: tuple[InputField, ...]
    make: Callable[..., Any] = alone
    doors: frozenset[str] = EVERYWHERE
    option: InputField | None = None
    beside: tuple[str, ...] = ()
    of_views: bool = False
    when: str = ""
    without: Any = None
    each_view: bool = False

    @property
    def options(self) -> tuple[InputField, ...]:
        """What commands show of it."""
        if COMMAND not in self.doors:
            return ()
        if self.option is None:
            return self.fields
        return (self.option, *(field for field in self.fields if field.name in self.beside))

    @property
    def default(self) -> Any:
        """The argument where nothing is said."""
        return self.without if self.when else self.take({field.name: field.default for field in self.fields})

    def take(self, values: dict[str, Any]) -> Any:
        """Return the argument that the fields' values, by name, make.

        Raises
        ------
        RequestError
            They are incomplete.
        """
        own = [values[field.name] for field in self.fields]
        return None if own[0] in (None, "") else self.make(*own)


def _single(
    name: str, kind: str, label: str, text: str, default: Any = None, choices: tuple[Choice, ...] = (), **more: Any
) -> Input:
    """An input of one field, which is called as it."""
    return Input(name, (InputField(name, kind, label, text, default, choices),), **more)


def _frames(first: int, last: int, step: int) -> range:
    return range(first, last + 1, step)


def _masks(source: str, folder: str, mask: Any, tolerance: float) -> Any:
    if source == "MASK" and mask is None:
        raise RequestError("No mask was chosen: choose one in the DIST tab, or another source of the masks.")
    return {"ALPHA": None, "BACKGROUND": Background(tolerance), "FOLDER": folder, "MASK": mask}[source]


MASK_SOURCES = (
    Choice("ALPHA", "Alpha", "The pictures are cut out: they are opaque where the thing is"),
    Choice("BACKGROUND", "Plain Background", "The thing is what differs from the colour along each picture's border"),
    Choice(
        "FOLDER",
        "Folder",
        "Pictures that are bright, or opaque, where the thing is; called as the cameras or their pictures, or ending "
        "in their numbers",
    ),
    Choice("MASK", "Mask", "A mask of Blender's, drawn over the animated camera's pictures"),
)
DEPTH_KINDS = (
    Choice("z", "Along the Axis", "Z: as Blender's Depth pass and most sensors have it"),
    Choice("distance", "Distance", "From the camera to the surface, along each ray"),
)
NORMAL_SPACES = (
    Choice("world", "World Space", "Along the world's axes, as Blender's Normal pass has them"),
    Choice("camera", "Camera Space", "Along the camera's axes: x right, y up, z towards the camera"),
)

FREEDOM_CHOICES = (
    Choice("none", "None", "Not at all: what comes is a shape of the prior"),
    Choice("some", "Some", "It goes where the pictures say otherwise, and stays as it is where they say nothing"),
    Choice("full", "Full", "It is only where the fit begins: what no picture shows may change, too"),
)

INPUTS = (
    _single(
        "cameras",
        "collection",
        "Cameras",
        "A collection of perspective cameras, each with a background image that shows the thing; or of one animated "
        "camera, whose background image is an image sequence or a movie clip",
    ),
    _single(
        "bounds",
        "object",
        "Bounds",
        "An Empty whose box holds the thing. Of a shape prior, its Z is the thing's up, its -Y the thing's front. "
        "Without, the masks or the points tell where the thing is, and a prior's front is sought",
    ),
    Input(
        "frames",
        (
            InputField("frame_start", "integer", "Frames From", "The first frame of the animated camera to take", 1),
            InputField("frame_end", "integer", "To", "The last frame of the animated camera to take", 250),
            InputField("frame_step", "integer", "Every", "Take every so many frames", 10, minimum=1),
        ),
        _frames,
        option=InputField("frames", "frames", "Frames", "Those of the animated camera to take"),
        of_views=True,
        when="animated",
        each_view=True,
    ),
    _single(
        "pictures",
        "folder",
        "Pictures",
        "A folder of pictures to take instead of the cameras' background images: each is called as its camera or that "
        "image, or ends in the number of the animated camera's frame",
        "",
        of_views=True,
        each_view=True,
    ),
    Input(
        "masks",
        (
            InputField(
                "mask_source",
                "choice",
                "Masks",
                "What tells the thing from its surroundings",
                "ALPHA",
                MASK_SOURCES,
            ),
            InputField("mask_folder", "folder", "Mask Folder", "Where the masks are", ""),
            InputField(
                "mask",
                "mask",
                "Mask",
                "Its filled splines are the thing, as they are at each frame; feathers are left out",
            ),
            InputField(
                "mask_tolerance",
                "number",
                "Tolerance",
                "How much the background's colour may differ from itself: more leaves out shadows and noise",
                Background.tolerance,
                minimum=0.005,
                maximum=0.95,
                factor=True,
            ),
        ),
        _masks,
        option=InputField(
            "masks",
            "masks",
            "Masks",
            "What tells the thing from its surroundings: the pictures' alpha, a background of one colour, a folder of "
            "masks, or a mask of the file's",
        ),
        beside=("mask_tolerance",),
        of_views=True,
        each_view=True,
    ),
    Input(
        "depths",
        (
            InputField(
                "depth_folder",
                "folder",
                "Depth",
                "A folder of depth files for some or all of the views, EXR or PNG with 16 bits: called as the cameras "
                "or their pictures, or ending in their numbers",
                "",
                option="depths",
            ),
            InputField("depth_kind", "choice", "Depth Is", "What the files' numbers measure", Depths.kind, DEPTH_KINDS),
            InputField(
                "depth_scale",
                "number",
                "Depth Scale",
                "Blender units that 1 in the files is: 0.001 for a PNG's millimetres in a scene of metres",
                Depths.scale,
                minimum=1e-9,
                soft_maximum=1.0,
                digits=6,
            ),
        ),
        Depths,
        of_views=True,
    ),
    Input(
        "normals",
        (
            InputField(
                "normal_folder",
                "folder",
                "Normals",
                "A folder of EXR files for some or all of the views, as Blender's Normal pass: called as the cameras "
                "or their pictures, or ending in their numbers",
                "",
                option="normals",
            ),
            InputField("normal_space", "choice", "Normals Are In", "Along which axes", Normals.space, NORMAL_SPACES),
        ),
        Normals,
        of_views=True,
    ),
    _single(
        "tracks",
        "movieclip",
        "Tracks",
        "A solved clip: its tracks on the thing, within the masks, are points of the surface. The animated camera is "
        "the solved one",
        of_views=True,
        when="animated",
    ),
    Input(
        "colours",
        (
            InputField(
                "use_colours",
                "flag",
                "Compare Colours",
                "Have the thing's texture look the same in neighbouring pictures, too, as those of a video. Pictures "
                "without alpha are no error then: only the bounds are needed, tight around the thing",
                False,
                option="colours",
            ),
        ),
        of_views=True,
        each_view=True,
    ),
    _single(
        "points",
        "object",
        "Points",
        "A mesh or a point cloud whose points lie on the thing's surface, such as tracked markers turned into a mesh, "
        "or a scan; with cameras, or alone",
    ),
    _single(
        "prior",
        "prior",
        "Shape Prior",
        "What kind of thing it is. A prior fills in what no picture shows; without one, the thing may be anything",
        ANYTHING,
    ),
    _single(
        "start",
        "object",
        "Start From",
        "A closed mesh near the thing, such as a blockout, a scan or an earlier result: the fit starts from it, where "
        "it stands. With a prior, a shape of that prior",
    ),
    _single(
        "freedom",
        "choice",
        "Freedom",
        "How far the surface may leave the prior's shape, or the mesh to start from, where the pictures say otherwise",
        "some",
        FREEDOM_CHOICES,
        when="held",
        without="some",
    ),
    _single(
        "quality",
        "choice",
        "Quality",
        "How much work to spend",
        "normal",
        (
            Choice("preview", "Preview", "A quick look"),
            Choice("normal", "Normal", "Good for most things"),
            Choice("fine", "Fine", "More steps, more rays and a finer mesh"),
        ),
    ),
    _single(
        "refine_shape",
        "flag",
        "Shape",
        "Fit the shape. Without, the one to start from stays as it is, and only the rest is fitted",
        True,
        when="starts",
        without=True,
    ),
    _single(
        "refine_placement",
        "flag",
        "Placement",
        "Fit where the thing stands, how it is turned and how large it is, starting from the bounds",
        True,
        when="of_class",
        without=True,
    ),
    _single(
        "refine_cameras",
        "flag",
        "Cameras",
        "Fit each camera's place and direction, starting from where it is; refined copies are added",
        False,
        when="of_class",
        without=False,
    ),
    _single(
        "refine_focal_length",
        "flag",
        "Focal Length",
        "Fit one factor for the focal lengths of all cameras; refined copies are added",
        False,
        when="of_class",
        without=False,
    ),
    _single("seed", "integer", "Seed", "Of what is drawn at random", 0, doors=ONLY_API),
    _single(
        "settings", "settings", "Settings", "Instead of the quality and of what is chosen of the fit", doors=ONLY_API
    ),
    _single("scene", "scene", "Scene", "The current one by default", doors=ONLY_API),
)


# The names of those that tell what is wrong with a view alone.
OF_EACH_VIEW = tuple(each.name for each in INPUTS if each.each_view)
# What commands show, by the name that their parsers give it.
OPTIONS = {field.key: field for each in INPUTS for field in each.options}


def find(name: str) -> Input:
    """Return an input by its name."""
    return next(each for each in INPUTS if each.name == name)
