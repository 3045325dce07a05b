"""Blender's window on a virtual screen: seen by its pixels, pressed with the mouse and the keyboard."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tools.desktop_blender import SCREEN, Desktop, screen
from tools.environment import ROOT

OBSERVER = Path(__file__).with_name("observer.py")
SHOTS = ROOT / ".cache" / "desktop"
# Of a button, in pixels: checkboxes have the same colour.
SMALLEST = (16, 12)
# How wide at least the button is that a file browser goes on with: other things of its colour are smaller.
WIDE = 80


def until(condition: Callable[[], Any], seconds: float, every: float = 0.05) -> bool:
    """Wait for a condition; whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


class Window:
    """Blender's window, open on a file; `folder` is where it tells what there is."""

    def __init__(self, desktop: Desktop, folder: Path, display: str) -> None:
        self.desktop, self.folder, self.display = desktop, folder, display
        self.process: subprocess.Popen[bytes] | None = None
        self.last = (0, 0)  # the place of the button that was found last

    def open(self, file: Path, variables: dict[str, str]) -> None:
        """Start Blender as a user does who double-clicks a file, and wait until it draws."""
        shutil.copy(OBSERVER, self.folder)
        size = ["0", "0", *map(str, SCREEN)]
        command = [self.desktop.blender, "--gpu-backend", "opengl", "--window-geometry", *size]
        command += [str(file), "--python", str(self.folder / OBSERVER.name), "--", str(self.folder)]
        with (self.folder / "blender.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.desktop.command(command, self.folder),
                env={**variables, "DISPLAY": self.display},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait(lambda: self.state() is not None, 120, "Blender's window")
        # Without a window manager, nobody else gives it the keyboard.
        self.x("search", "--sync", "--onlyvisible", "--class", "blender", "windowfocus")

    def state(self) -> dict[str, Any] | None:
        """What the observer told last; None before."""
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else None

    def wait(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """Wait for a condition; fails, with a picture, when Blender ends or the time is over."""
        if until(lambda: condition() or self.process.poll() is not None, seconds) and self.process.poll() is None:
            return
        self.shoot(SHOTS / "failed.png")
        log = (self.folder / "blender.log").read_text(errors="replace")[-2000:]
        raise AssertionError(f"{what}: not within {seconds} s, Blender's exit code {self.process.poll()}\n{log}")

    def pixels(self) -> np.ndarray:
        """What the screen shows: (800, 1280, 3) uint8, rows from top to bottom."""
        raw = (self.folder / "Xvfb_screen0").read_bytes()
        # An X window dump: the header's size comes first; colours are 12 bytes each; pixels are blue, green, red, 0.
        header = np.frombuffer(raw, ">u4", 25)
        start = int(header[0] + 12 * header[19])
        width, height = SCREEN
        return np.frombuffer(raw, np.uint8, 4 * width * height, start).reshape(height, width, 4)[..., 2::-1]

    def shoot(self, path: Path) -> None:
        """Write what the screen shows as a PNG of few colours."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.pixels()).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)

    def x(self, *words: Any) -> None:
        """Let xdotool do something."""
        subprocess.run(
            self.desktop.command(["xdotool", *map(str, words)], self.folder),
            env={"PATH": os.environ["PATH"], "DISPLAY": self.display},
            check=True,
            timeout=60,
        )

    def click(self, x: float, y: float) -> None:
        """Press the left mouse button where the mouse has rested for a moment, as a hand does."""
        self.x("mousemove", int(x), int(y), "sleep", 0.3, "mousedown", 1, "sleep", 0.15, "mouseup", 1)

    def key(self, name: str, x: float = 450, y: float = 400) -> None:
        """Press a key over a place; by default the viewport."""
        # On a busy machine Blender may open its window anew after the first focus, and keys would go nowhere.
        window = ("search", "--onlyvisible", "--class", "blender", "windowfocus")
        self.x(*window, "mousemove", int(x), int(y), "sleep", 0.2, "key", name)

    def rest(self) -> None:
        """Move the mouse where it marks nothing, and wait until what the window shows stays as it is."""
        self.x("mousemove", SCREEN[0] - 1, SCREEN[1] - 1)
        shown: dict[int, np.ndarray] = {}

        def settled() -> bool:
            # Telling alternates with drawing: what is the same at several tellings is no half of a picture.
            shown.setdefault(self.state()["told"], self.pixels())
            last = list(shown.values())[-3:]
            return len(shown) > 4 and all((one == last[0]).all() for one in last)

        until(settled, 15)

    def scroll(self, steps: int) -> None:
        """Turn the mouse wheel over the sidebar: down, or up for fewer than none."""
        x, y, _, height = self.state()["regions"]["UI"]
        wheel = 5 if steps > 0 else 4
        self.x("mousemove", x + 6, y + height // 2, "sleep", 0.3, "click", "--repeat", abs(steps), "--delay", 30, wheel)

    def choose_tab(self, name: str) -> None:
        """Press the sidebar's tabs, from the last, until it shows the one of this name."""
        x, y, width, height = self.state()["regions"]["UI"]
        for at in range(y + height - 20, y, -20):
            before = self.state()["told"]
            self.click(x + width - 12, at)
            # Told thrice since, it has seen the click: a second one on the same tab would close the sidebar.
            until(lambda: self.state()["tab"] == name or self.state()["told"] > before + 3, 30)  # noqa: B023
            if self.state()["tab"] == name:
                return
        raise AssertionError(f"The sidebar has no tab {name}.")

    def buttons(self) -> list[tuple[int, int]]:
        """Centres of what has a button's colour in the sidebar, from its top."""
        state = self.state()
        left, top, width, height = state["regions"]["UI"]
        mask = np.all(self.pixels() == state["button"][:3], axis=-1)[top : top + height, left : left + width]
        found = []
        for row, line in enumerate(mask):
            edges = np.flatnonzero(np.diff(np.pad(line, 1).astype(np.int8)))
            for first, end in edges.reshape(-1, 2):
                if end - first < SMALLEST[0] or (row and mask[row - 1, first:end].any()):
                    continue
                column = mask[row:, first + 1]
                tall = len(column) if column.all() else int(np.argmin(column))
                if tall >= SMALLEST[1]:
                    found.append((left + (first + end) // 2, top + row + tall // 2))
        return found

    def find(self, call: str) -> tuple[int, int]:
        """Find a button by how its call in Python begins: Ctrl+C over a button copies that."""
        seen = []
        for steps in (0, 6, 6, -20, 6):
            if steps:
                self.scroll(steps)
            self.rest()
            # The next one to press is near the last one, more often than not.
            for x, y in sorted(self.buttons(), key=lambda place: abs(place[1] - self.last[1])):
                before = self.state()
                self.key("ctrl+c", x, y)
                # Told thrice since, it has seen the key.
                until(lambda: self._news(before) or self.state()["told"] > before["told"] + 3, 30)  # noqa: B023
                seen += self._news(before)
                if seen and seen[-1].startswith(f"bpy.ops.{call}"):
                    self.last = x, y
                    return x, y
        self.shoot(SHOTS / "failed.png")
        raise AssertionError(f"No button calls {call}; those that there are call {seen}.")

    def _news(self, before: dict[str, Any]) -> list[str]:
        """What was copied since a state."""
        return self.state()["copied"][len(before["copied"]) :]

    def press(self, call: str) -> float:
        """Press a button, found as by `find`; returns when (seconds since 1970)."""
        place = self.find(call)
        began = time.time()
        self.click(*place)
        return began

    def accept(self) -> None:
        """Press the button that Blender's file browser goes on with, once it is open."""

        def places() -> np.ndarray:
            mask = np.all(self.pixels() == self.state()["accent"][:3], axis=-1)
            lengths = np.lib.stride_tricks.sliding_window_view(mask, WIDE, axis=1).all(axis=2)
            return np.argwhere(lengths)

        self.wait(lambda: len(places()), 60, "the file browser")
        self.rest()
        row, column = np.median(places(), axis=0)
        self.click(column + WIDE / 2, row)

    def ticks(self, since: float, until: float) -> np.ndarray:
        """Rows of a 20 ms timer in the window within a span of time, (N, 4), as `observer` tells them."""
        ticks = np.loadtxt(self.folder / "ticks.txt").reshape(-1, 4)
        return ticks[(ticks[:, 0] > since) & (ticks[:, 0] < until)]

    def workers(self) -> list[int]:
        """Process numbers of the workers that the add-on started with this Blender's settings."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if "-u" in words and any(word.startswith(str(self.folder.parent)) for word in words):
                found.append(int(path.parent.name))
        return found

    def kill(self) -> None:
        """End Blender and its workers, whatever they do."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)


@contextmanager
def opened(desktop: Desktop, folder: Path, file: Path, variables: dict[str, str]) -> Iterator[Window]:
    """Open a file in Blender's window on a screen of its own; both end with the block."""
    with screen(desktop, folder) as display:
        window = Window(desktop, folder, display)
        try:
            window.open(file, variables)
            yield window
        finally:
            window.kill()
