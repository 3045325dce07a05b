"""What may befall a job's folder: how each damage is done, and what the list of jobs says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

DEEP = b"[" * 100_000
GOOD = json.dumps({"version": 1, "task": "reconstruct", "prior": "chair"}).encode()


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def in_place_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return spoil


def huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "request empty": (put("request.json", b""), "cannot be read"),
    "request deep": (put("request.json", b'{"version": 1, "task": ' + DEEP), "nested too deeply"),
    "request no text": (put("request.json", b'{"version": 1, "task": "\xff"}'), "cannot be read"),
    "request a list": (put("request.json", b"[]"), "version 1"),
    "request of the future": (put("request.json", b'{"version": 2}'), "version 1"),
    "request for nothing": (put("request.json", b'{"version": 1, "task": ["reconstruct"]}'), "does not know"),
    "request of a task as deep as may be": (
        put("request.json", b'{"version": 1, "task": ' + b"[" * 900 + b"]" * 900 + b"}"),
        "does not know|nested",
    ),
    "request no characters": (put("request.json", b'{"version": 1, "task": "\\ud800\\u0000"}'), "does not know"),
    "request a pipe": (in_place_of("request.json", os.mkfifo), "no file"),
    "request a folder": (in_place_of("request.json", Path.mkdir), "no file"),
    "request a loop of links": (in_place_of("request.json", lambda path: path.symlink_to(path.name)), "missing"),
    "request of a terabyte": (in_place_of("request.json", huge), "larger than 16 MiB"),
    "events a pipe": (in_place_of("events.jsonl", os.mkfifo), "no file"),
    "events a folder": (in_place_of("events.jsonl", Path.mkdir), "no file"),
}
# What is odd, and yet leaves no doubt of the job.
ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "event a list": (put("events.jsonl", b'{"event": []}\n'), "interrupted"),
    "event deep": (put("events.jsonl", b'{"v": 1, "event": "done", "x": ' + DEEP + b"\n"), "interrupted"),
    "event without a message": (put("events.jsonl", b'{"v": 1, "event": "error"}\n'), "interrupted"),
    "event with odd characters": (
        put("events.jsonl", b'{"v": 1, "event": "error", "message": "\\ud800\\u0000"}\n'),
        "failed",
    ),
    "events no text": (put("events.jsonl", b"\xff\x00\n"), "interrupted"),
    "events of a terabyte": (in_place_of("events.jsonl", huge), "interrupted"),
    "prior a list": (put("request.json", GOOD.replace(b'"chair"', b'["chair"]')), "interrupted"),
    "prior deep": (put("request.json", GOOD.replace(b'"chair"', b"[" * 900 + b"]" * 900)), "interrupted|failed"),
    "prior no characters": (put("request.json", GOOD.replace(b"chair", b"\\ud800\\u0000")), "interrupted"),
    "result a pipe": (in_place_of("result.json", os.mkfifo), "interrupted"),
    "log a pipe": (in_place_of("log.txt", os.mkfifo), "interrupted"),
    "lock a pipe": (in_place_of("lock", os.mkfifo), "interrupted"),
    "lock a folder": (in_place_of("lock", Path.mkdir), "interrupted"),
    "lock a link": (in_place_of("lock", lambda path: path.symlink_to("/dev/zero")), "interrupted"),
}
