"""What the worker says while it works, a JSON line each."""

from __future__ import annotations

import json
from typing import Any, TextIO

from .files import VERSION, RequestError

# A worker that was started without a job waits so long for one.
SPARE_SECONDS = 600.0
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
    """Read one event line.

    Raises
    ------
    RequestError
        The line is not an event of this version.
    """
    try:
        data = json.loads(line)
    except ValueError as error:
        raise RequestError(f"The worker wrote a line that is no JSON: {line[:200]!r}") from error
    event = data.get("event") if isinstance(data, dict) else None
    if event not in EVENTS or data.get("v") != VERSION or not EVENTS[event] <= data.keys():
        raise RequestError(f"The worker wrote an unknown event: {line[:200]!r}")
    return data
