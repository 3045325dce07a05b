"""Coarse meshes of a fit as it goes, for whoever watches."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

from .cameras import Similarity
from .meshing import extract_mesh
from .protocol import Result, shape_folder
from .reporting import Reporter
from .shapes.free.kind import FreeKind
from .shapes.shape import Shape, ShapeKind

RESOLUTION = 64
# Seconds between two, at least, and the most that they may take of the time.
EVERY, SHARE = 1.0, 0.1


class Preview:
    """Writes a mesh into the job's folder now and then, where the reporter says that somebody watches."""

    def __init__(self, folder: Path, kind: ShapeKind | FreeKind, reporter: Reporter) -> None:
        self._folder, self._kind, self._reporter = folder, kind, reporter
        self._serial = 0
        self._due = 0.0
        self.remove()

    def show(self, shape: Shape, place: Similarity) -> bool:
        """Show how a fit stands, if it is time; whether the fit should go on."""
        began = time.monotonic()
        if self._reporter.watched and began >= self._due and not self._reporter.finishing:
            self._write(shape, place)
            now = time.monotonic()
            self._due = now + max(EVERY, (now - began) / SHARE)
        return not self._reporter.finishing

    def remove(self) -> None:
        """Delete the meshes."""
        shutil.rmtree(shape_folder(self._folder, 0).parent, ignore_errors=True)

    def _write(self, shape: Shape, place: Similarity) -> None:
        try:
            mesh = extract_mesh(shape.field(Counter()), RESOLUTION)
        except ValueError:
            # On its way, a fit may come by shapes without a surface.
            return
        target = shape_folder(self._folder, self._serial)
        target.mkdir(parents=True, exist_ok=True)
        Result(**mesh.placed(place, self._kind.axes()), report=shape.describe()).save(target)
        self._reporter.event("preview", serial=self._serial)
        # The one before may be being read.
        shutil.rmtree(shape_folder(self._folder, self._serial - 2), ignore_errors=True)
        self._serial += 1
