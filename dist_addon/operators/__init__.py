"""What the user can do, one file an action."""

from . import bounds, cancel, reconstruct, result, worker

CLASSES = (
    *reconstruct.CLASSES,
    *cancel.CLASSES,
    *result.CLASSES,
    *bounds.CLASSES,
    *worker.CLASSES,
)
