"""Files of a folder, found by the names of cameras or the numbers of frames."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import bpy

from ..worker.dist_engine.protocol import RequestError

# What Blender reads as pictures.
PICTURES: frozenset[str] = bpy.path.extensions_image  # type: ignore[attr-defined]
MOST_FILES = 100_000


class Folder:
    """The picture files of a folder.

    Parameters
    ----------
    path : path
        May be relative to the blend file, as Blender writes it (``//masks``).
    what : str
        What it holds, for messages, such as ``mask``.

    Raises
    ------
    RequestError
        It is no folder, or holds no pictures.
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        if not os.fspath(path):
            raise RequestError(f"No {what} folder was chosen: choose one.")
        self.path = Path(bpy.path.abspath(os.fspath(path)))
        self.what = what
        self.files: list[Path] = []
        try:
            for count, entry in enumerate(sorted(self.path.iterdir())):
                if count >= MOST_FILES:
                    raise RequestError(
                        f"The {what} folder {self.path} holds over {MOST_FILES:,} files: choose another."
                    )
                # To open a pipe would wait for its other end.
                if entry.suffix.lower() in PICTURES and not entry.name.startswith(".") and entry.is_file():
                    self.files.append(entry)
        except OSError as error:
            raise RequestError(f"The {what} folder {self.path} cannot be read: {error}. Choose another.") from error
        if not self.files:
            raise RequestError(f"The {what} folder {self.path} holds no picture files: choose another.")

    def find(self, names: Iterable[str], number: int | None = None) -> Path | None:
        """Return the file that is called, or whose name ends, in one of the names, or else in the number.

        Raises
        ------
        RequestError
            There are several.
        """
        for name in (name.casefold() for name in names if name):
            for fits in (
                lambda file, name=name: name in (file.stem.casefold(), file.name.casefold()),
                # “Cam1” is the end of “left-Cam1”, and “1” is none of “Cam11”.
                lambda file, name=name: re.search(rf"[\W_]{re.escape(name)}$", file.stem.casefold()),
            ):
                if found := self._only([file for file in self.files if fits(file)], name):
                    return found
        if number is None:
            return None
        numbered = [file for file in self.files if (end := re.search(r"\d+$", file.stem)) and int(end[0]) == number]
        return self._only(numbered, str(number))

    def find_all(self, views: Iterable[tuple[str, Iterable[str], int | None]]) -> list[Path]:
        """Return the file of each view: of its name, for messages, and of what `find` takes.

        Raises
        ------
        RequestError
            A view has no file, or several, or two views without a number have the same.
        """
        found, missing, taken = [], [], dict[Path, str]()
        for view, names, number in views:
            file = self.find(names, number)
            if file is None:
                missing.append(view)
                continue
            found.append(file)
            if number is None and taken.setdefault(file, view) != view:
                raise RequestError(
                    f"“{file.name}” in the {self.what} folder {self.path} fits both “{taken[file]}” and “{view}”, "
                    "whose pictures are called alike: call the files as the cameras."
                )
        if missing:
            shown = ", ".join(f"“{view}”" for view in missing[:8])
            shown += f" and {len(missing) - 8} more" * (len(missing) > 8)
            raise RequestError(
                f"The {self.what} folder {self.path} has no file for {shown}: a file is to be called as the camera or "
                "its picture, or, of an animated camera, to end in the picture's number. Rename the files, or leave "
                "these out."
            )
        return found

    def _only(self, found: list[Path], name: str) -> Path | None:
        if len(found) > 1:
            raise RequestError(
                f"“{found[0].name}” and “{found[1].name}” in the {self.what} folder {self.path} both fit “{name}”: "
                "keep one of them there."
            )
        return found[0] if found else None
