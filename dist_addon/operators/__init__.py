"""What the user can do, one file an action."""

from . import bounds, cancel, reconstruct, render, result, worker

CLASSES = (
    *reconstruct.CLASSES,
    *render.CLASSES,
    *cancel.CLASSES,
    *result.CLASSES,
    *bounds.CLASSES,
    *worker.CLASSES,
)
