"""Things of no class from their pictures: the visual hull, outlines, colours, and a prior's shape alone and freed.

They ship with libraries or are made (`things`); their pictures are Blender's (`photographed`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from . import methods, things
from .photographed import Photographs, Scene, photographed, with_turned_cameras, with_wrong_masks

# Wrong masks: a blob of this share of the mask's area, and flipped pixels of its edge.
BLOB, FLIPPED = 0.04, 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--objects", nargs="+", choices=list(things.THINGS), default=list(things.THINGS))
    parser.add_argument("--seed", type=int, default=0, help="of the made things, textures and noise")
    parser.add_argument(
        "--mask-noise",
        nargs="+",
        choices=("blob", "edge"),
        default=[],
        help="a wrong blob, flipped pixels in each mask",
    )
    parser.add_argument("--pose-noise", type=float, default=0.0, metavar="PX", help="cameras are turned by as much")
    methods.add_arguments(parser, methods.METHODS, [4, 8, 12, 24])


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    some, left_out = list[Scene](), list[str]()
    for name in options.objects:
        try:
            scene = photographed(name, options.seed)
        except things.Unreachable as error:
            left_out.append(f"{name}: {error}")
            continue
        some.append(replace(scene, seen=noisy(scene.seen, options)))
    noise = {"mask_noise": "+".join(options.mask_noise), "pose_noise": options.pose_noise}
    rows = [row | noise for row in methods.measured(options, some, left_out)]
    methods.finish(options, rows, left_out)


def noisy(given: Photographs, options: argparse.Namespace) -> Photographs:
    """The pictures with what is asked for of noise."""
    kinds = options.mask_noise
    if kinds:
        given = with_wrong_masks(given, BLOB * ("blob" in kinds), FLIPPED * ("edge" in kinds), options.seed)
    return with_turned_cameras(given, options.pose_noise, options.seed) if options.pose_noise else given
