"""A checkpoint in the official DeepSDF folder layout as a prior file, from request to result."""

from __future__ import annotations

from pathlib import Path

from .official import load_official
from .protocol import PRIOR_FILE, ImportRequest, PriorResult, Stage
from .reporting import Reporter


def import_prior(folder: Path, reporter: Reporter) -> None:
    """Run the request in `folder` and write the prior there.

    Raises
    ------
    RequestError, PriorError
        The request or the checkpoint cannot be used.
    Cancelled
        The reporter was told to stop.
    """
    request = ImportRequest.load(folder)
    reporter.progress(Stage.IMPORT, 0, 1, None, None)
    prior = load_official(request.source)
    prior.name = request.name
    prior.save(folder / PRIOR_FILE)
    names = prior.about.get("names") or [str(number) for number in range(len(prior.codes))]
    PriorResult({"name": prior.name, "shapes": names}).save(folder)
