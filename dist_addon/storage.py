"""Where the add-on may keep files."""

from __future__ import annotations

from pathlib import Path

import bpy


def user_folder(name: str) -> Path | None:
    """Return a folder of that name among the extension's files, made where it is missing; None in a plain package."""
    try:
        return Path(bpy.utils.extension_path_user(__package__, path=name, create=True))
    except ValueError:
        return None
