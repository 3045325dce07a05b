"""Find a Python, start a worker with it, watch it, cancel it. No bpy and no torch in here."""

from .folders import Record, list_records, new_folder, read_record, remove
from .job import Job, JobError, cancel_all
from .progress import Progress
from .python_finder import WorkerPython, check_python, find_python
from .queue import Queue, Run

__all__ = [
    "Job",
    "JobError",
    "Progress",
    "Queue",
    "Record",
    "Run",
    "WorkerPython",
    "cancel_all",
    "check_python",
    "find_python",
    "list_records",
    "new_folder",
    "read_record",
    "remove",
]
