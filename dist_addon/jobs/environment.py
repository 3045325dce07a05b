"""The environment of a child process, without what Blender leaks into it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SEARCH_PATHS = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES")
# No console window on Windows; zero elsewhere.
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def clean_environment(base: Mapping[str, str] | None = None, program_folder: Path | None = None) -> dict[str, str]:
    """Return `base` without the variables that would mislead another Python.

    Parameters
    ----------
    base : mapping, optional
        The environment to start from; this process's own by default.
    program_folder : Path, optional
        Blender's folder: entries of library search paths inside it are dropped, the user's own are kept.

    Returns
    -------
    dict of str to str
    """
    folder = program_folder or Path(sys.base_prefix)
    kept = {}
    for name, value in (os.environ if base is None else base).items():
        # macOS tells a virtual environment's Python through __PYVENV_LAUNCHER__ that it is another one.
        if name.upper().startswith("PYTHON") or name.upper() in {"OCIO", "__PYVENV_LAUNCHER__"}:
            continue
        if name in SEARCH_PATHS:
            value = os.pathsep.join(part for part in value.split(os.pathsep) if not _inside(part, folder))
            if not value:
                continue
        kept[name] = value
    return kept


def _inside(path: str, folder: Path) -> bool:
    # A distribution's Blender lives in /usr/bin: the system's own folders are no leak.
    if folder in {Path("/"), Path("/usr"), Path("/usr/bin"), Path("/usr/local")}:
        return False
    return Path(path).is_relative_to(folder)
