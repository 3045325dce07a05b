"""What the worker says while it works, a JSON line each."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, TextIO

from .files import VERSION, RequestError, parse_json, plain

# A worker that was started without a job waits so long for one.
SPARE_SECONDS = 600.0
# Fields that are texts, and numbers that may be unknown; `serial` is known, and whole.
TEXTS = {"message", "stage", "problem"}
NUMBERS, LARGEST = {"step", "steps", "loss", "seconds_left"}, 1e15


class Stage(StrEnum):
    """What a worker can be at, in the event ``progress``."""

    START = "start"
    FIT = "fit"
    FREE = "free"
    MESH = "mesh"
    JUDGE = "judge"
    RENDER = "render"
    SAMPLE = "sample"
    TRAIN = "train"
    KEEP = "keep"
    IMPORT = "import"


EVENTS: dict[str, frozenset[str]] = {
    "status": frozenset({"message"}),
    "progress": frozenset({"stage", "step", "steps", "loss", "seconds_left"}),
    "warning": frozenset({"message"}),
    # An ordered shape is there, or why it cannot be made; an order that a newer one overtook gets no answer.
    "shape": frozenset({"serial", "problem"}),
    # A coarse mesh of a fit as it stands is in `shape_folder`; only the newest is kept.
    "preview": frozenset({"serial"}),
    # The work stands still, and goes on, as it was told to.
    "paused": frozenset(),
    "resumed": frozenset(),
    "error": frozenset({"message"}),
    "cancelled": frozenset(),
    "done": frozenset(),
}


def write_event(stream: TextIO, event: str, **fields: Any) -> None:
    """Write one event as a JSON line. `event` is a key of `EVENTS`, which names its fields."""
    if set(fields) != EVENTS[event]:
        raise ValueError(f"event {event} takes {sorted(EVENTS[event])}, not {sorted(fields)}")
    stream.write(json.dumps({"v": VERSION, "event": event, **fields}) + "\n")
    stream.flush()


def parse_event(line: str) -> dict[str, Any]:
    """Read one event line: its version, its name, and its fields.

    Raises
    ------
    RequestError
        The line is not an event of this version, or a field is not what it should be.
    """
    try:
        data = parse_json(line)
    except ValueError as error:
        raise RequestError(f"The worker wrote a line that is no JSON: {line[:200]!r}") from error
    event = data.get("event") if isinstance(data, dict) else None
    if not isinstance(event, str) or event not in EVENTS or data.get("v") != VERSION:
        raise RequestError(f"The worker wrote an unknown event: {line[:200]!r}")
    try:
        return {"v": VERSION, "event": event} | {name: _field(name, data[name]) for name in EVENTS[event]}
    except (KeyError, TypeError) as error:
        raise RequestError(f"The worker wrote an event that lacks or misnames a field: {line[:200]!r}") from error


def _field(name: str, value: Any) -> Any:
    """A field's value as a panel can take it: a number that is not finite, such as a loss, is unknown."""
    if name in TEXTS and isinstance(value, str):
        return plain(value)
    if name == "serial" and isinstance(value, int):
        return value
    if name in NUMBERS and (value is None or isinstance(value, (int, float))):
        return value if value is not None and abs(value) < LARGEST else None
    raise TypeError(name)
