"""Find a Python, start a worker with it, watch it, cancel it. No bpy and no torch in here."""

from .folders import new_folder
from .job import Job, JobError, cancel_all
from .progress import Progress
from .python_finder import WorkerPython, check_python, find_python

__all__ = [
    "Job",
    "JobError",
    "Progress",
    "WorkerPython",
    "cancel_all",
    "check_python",
    "find_python",
    "new_folder",
]
