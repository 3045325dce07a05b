"""What the add-on can do, as plain functions: the operators, the command line and scripts all call these."""

from __future__ import annotations

from ..inputs import Background, Depths, Normals
from ..prior_files import PriorFile, find_prior, priors
from ..scene.calibration import ImportedCameras
from ..worker.dist_engine.protocol import Settings
from .cameras import import_cameras
from .checks import ViewCheck, check_views, checking_views
from .common import evaluate, jobs_folder, new_job_folder, task_of
from .job_list import jobs, remove, rerun, resume
from .reconstruction import (
    QUALITIES,
    Inputs,
    MadeBounds,
    Reconstruction,
    gather,
    gathering,
    import_result,
    make_bounds,
    making_bounds,
    reconstruct,
    start_reconstruction,
    start_request,
)
from .rendering import Rendering, import_rendering, render_shape, start_render
from .shapes import (
    SPREAD,
    blend_shapes,
    import_reshape,
    import_shapes,
    reshape,
    sample_shape,
    start_blend,
    start_reshape,
    start_sample,
)
from .training import Training, add_prior, import_prior, keep_prior, start_import, start_training, train_prior

__all__ = [
    "QUALITIES",
    "SPREAD",
    "Background",
    "Depths",
    "ImportedCameras",
    "Inputs",
    "MadeBounds",
    "Normals",
    "PriorFile",
    "Reconstruction",
    "Rendering",
    "Settings",
    "Training",
    "ViewCheck",
    "add_prior",
    "blend_shapes",
    "check_views",
    "checking_views",
    "evaluate",
    "find_prior",
    "gather",
    "gathering",
    "import_cameras",
    "import_prior",
    "import_rendering",
    "import_reshape",
    "import_result",
    "import_shapes",
    "jobs",
    "jobs_folder",
    "keep_prior",
    "make_bounds",
    "making_bounds",
    "new_job_folder",
    "priors",
    "reconstruct",
    "remove",
    "render_shape",
    "rerun",
    "reshape",
    "resume",
    "sample_shape",
    "start_blend",
    "start_import",
    "start_reconstruction",
    "start_render",
    "start_request",
    "start_reshape",
    "start_sample",
    "start_training",
    "task_of",
    "train_prior",
]
