"""Work that pauses now and then, so that a window can be drawn meanwhile: generators whose value counts."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
# Pauses after each picture that it reads, and returns a T.
Steps = Generator[None, None, T]


def finish(steps: Steps[T]) -> T:
    """Take all steps, and return what comes of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def at_once(function: Callable[P, Steps[T]]) -> Callable[P, T]:
    """Return a function like one that pauses, but that returns at the end of all steps."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return finish(function(*args, **kwargs))

    return call
