"""What the user can do, one file an action."""

from . import (
    bounds,
    cancel,
    check_inputs,
    import_cameras,
    import_prior,
    job_list,
    outlines,
    reconstruct,
    render,
    result,
    shapes,
    train,
    worker,
)

CLASSES = (
    *reconstruct.CLASSES,
    *render.CLASSES,
    *shapes.CLASSES,
    *train.CLASSES,
    *import_prior.CLASSES,
    *cancel.CLASSES,
    *job_list.CLASSES,
    *result.CLASSES,
    *outlines.CLASSES,
    *import_cameras.CLASSES,
    *check_inputs.CLASSES,
    *bounds.CLASSES,
    *worker.CLASSES,
)
