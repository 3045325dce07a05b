"""What pictures and points say of a thing: one module a kind of observation.

`observation` says what each is asked for. To add a kind: a module, and its class in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..cameras import Cameras, Similarity
from ..meshing import Mesh
from ..protocol import Request
from ..shapes.shape import Field
from .colours import Colours
from .depths import DepthMaps
from .normals import NormalMaps
from .observation import Estimate, FitStage, Goal, Observation
from .outlines import Outlines
from .points import SurfacePoints
from .rows import Rows

KINDS: tuple[type[Observation[Any]], ...] = (Outlines, DepthMaps, NormalMaps, SurfacePoints, Colours)
# How a fit goes where no kind has a say.
STAGES: tuple[FitStage, ...] = ((0.25, 0.5, None), (1.0, 0.5, None))
# Rays, or points, of a kind that the report looks at.
JUDGED = 20_000


@dataclass(frozen=True)
class Drawn:
    """What was drawn of each kind, in their order."""

    of_kinds: tuple[Any, ...]


class Observations:
    """All that a request says of the thing, on the worker's device.

    Attributes
    ----------
    cameras : Cameras
        As the request has them.
    kinds : list of Observation
        Those that there are.
    """

    def __init__(self, request: Request, device: torch.device, generator: torch.Generator) -> None:
        self.cameras = Cameras.from_views(request.views, device)
        self.names = [view.name for view in request.views]
        self.device, self.generator = device, generator
        found = (kind.of(request, device, generator) for kind in KINDS)
        self.kinds = [kind for kind in found if kind is not None]

    @property
    def outlines(self) -> Outlines | None:
        """Those of the masks, by which views are judged and starts are known."""
        return next((kind for kind in self.kinds if isinstance(kind, Outlines)), None)

    @property
    def stages(self) -> Sequence[FitStage]:
        """How a fit is to go."""
        return next((kind.stages for kind in self.kinds if kind.stages is not None), STAGES)

    @property
    def start_level(self) -> int | None:
        """The level of the pictures' colours while a start is sought."""
        return -1 if any(kind.leads for kind in self.kinds) else None

    def prepare(self, places: Sequence[Similarity]) -> None:
        """As `Observation.prepare`, before the cameras as they are given."""
        for kind in self.kinds:
            kind.prepare(self.cameras, places)

    def review(self, estimate: Estimate) -> None:
        """As `Observation.review`."""
        for kind in self.kinds:
            kind.review(estimate)

    def draw(self, count: int, level: int | None = 0, goal: Goal = "fit") -> Drawn:
        """About `count` pixels with masks, and half as many of each other kind: see `Observation.draw`."""
        return Drawn(tuple(kind.draw(count, level, goal) for kind in self.kinds))

    def of_view(self, drawn: Drawn, view: int) -> Drawn:
        """What one view alone sees of a draw."""
        pairs = zip(self.kinds, drawn.of_kinds, strict=True)
        return Drawn(tuple(kind.of_view(own, view) for kind, own in pairs))

    def rows(self, drawn: Drawn, estimate: Estimate) -> Iterator[Rows]:
        """The rows of all kinds."""
        for kind, own in zip(self.kinds, drawn.of_kinds, strict=True):
            yield from kind.rows(own, estimate)

    def mismatch(self, drawn: Drawn, field: Field, cameras: Cameras, place: Similarity) -> float:
        """Roughly how far a shape is from what a draw says, by f at points that are the same for all shapes.

        Of 500 codes, the six that fit best are mostly among the 30 with the least of it.
        """
        pairs = list(zip(self.kinds, drawn.of_kinds, strict=True))
        error = sum((kind.mismatch(own, field, cameras, place) for kind, own in pairs), 0.0)
        seen = torch.cat([cameras.K.new_zeros(0, 3), *(kind.surface(own, cameras, place) for kind, own in pairs)])
        if len(seen):
            # Outside the unit sphere f means nothing.
            beyond = seen.norm(dim=1).clamp(min=1)
            error = error + (field(seen / beyond[:, None], "start") + beyond - 1).abs().mean()
        return float(error)

    def residuals(self, estimate: Estimate, mesh: Mesh) -> dict[str, dict[str, float]]:
        """Half of what a view shows of a kind is nearer to what was found than this: a number a view, by kind.

        Kinds that were not observed, and views without any of a kind, are left out. What no view sees is under "",
        which is no view's name. `protocol.Result` has the units.
        """
        told: dict[str, dict[str, float]] = {}
        for kind in self.kinds:
            errors, views = kind.residuals(estimate, mesh, JUDGED) or (torch.zeros(0), torch.zeros(0))
            medians = ((name, errors[views == view]) for view, name in enumerate([*self.names, ""]))
            if by_view := {name: float(own.median()) for name, own in medians if len(own)}:
                told[kind.name] = by_view
        return told
