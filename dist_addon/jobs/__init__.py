"""Find a Python, start a worker with it, watch it, cancel it. No bpy and no torch in here."""

from .folders import Record, check_usable, list_records, new_folder, read_record, remove
from .installer import Plan, installed, make_plan, start_install
from .job import Job, JobError, any_running, leave_all
from .program import Program, spare
from .progress import Progress
from .python_finder import PACKAGES, WorkerPython, check_python, find_python
from .queue import Queue, Run

__all__ = [
    "PACKAGES",
    "Job",
    "JobError",
    "Plan",
    "Program",
    "Progress",
    "Queue",
    "Record",
    "Run",
    "WorkerPython",
    "any_running",
    "check_python",
    "check_usable",
    "find_python",
    "installed",
    "leave_all",
    "list_records",
    "make_plan",
    "new_folder",
    "read_record",
    "remove",
    "spare",
    "start_install",
]
