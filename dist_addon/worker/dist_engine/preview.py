"""Coarse meshes of a fit as it goes, for whoever watches."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from .cameras import Similarity
from .meshing import extract_mesh
from .prior import Prior
from .protocol import Result, shape_folder

if TYPE_CHECKING:
    from .run import Reporter

RESOLUTION = 64
# Seconds between two, at least, and the most that they may take of the time.
EVERY, SHARE = 1.0, 0.1


class Preview:
    """Writes a mesh into the job's folder now and then, where the reporter says that somebody watches."""

    def __init__(self, folder: Path, prior: Prior, reporter: Reporter) -> None:
        self._folder, self._prior, self._reporter = folder, prior, reporter
        self._serial = 0
        self._due = 0.0
        self.remove()

    def look(self, code: Tensor, place: Similarity) -> bool:
        """Show how a fit stands, if it is time; whether the fit should go on."""
        began = time.monotonic()
        if self._reporter.watched and began >= self._due and not self._reporter.finishing:
            self._write(code, place)
            now = time.monotonic()
            self._due = now + max(EVERY, (now - began) / SHARE)
        return not self._reporter.finishing

    def remove(self) -> None:
        """Delete the meshes."""
        shutil.rmtree(shape_folder(self._folder, 0).parent, ignore_errors=True)

    def _write(self, code: Tensor, place: Similarity) -> None:
        try:
            mesh = extract_mesh(self._prior.decoder.field(code, Counter()), RESOLUTION)
        except ValueError:
            # On its way, a fit may come by codes without a surface.
            return
        target = shape_folder(self._folder, self._serial)
        target.mkdir(parents=True, exist_ok=True)
        Result(**mesh.placed(place, self._prior.axes()), report={"prior": self._prior.name}).save(target)
        self._reporter.event("preview", serial=self._serial)
        # The one before may be being read.
        shutil.rmtree(shape_folder(self._folder, self._serial - 2), ignore_errors=True)
        self._serial += 1
