"""Functions that take what others take: parameters and their docs stand once, and `help` shows them at both.

Of a task there are two functions: one starts it and returns the job, the other waits for it and brings in the result.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from ..jobs import Job, Progress
from . import common

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PROGRESS = """progress : callable, optional
    Called with the job's `Progress` after each event. An exception in it cancels the job."""
RAISES = """Raises
------
RequestError
    Something is missing or unfit. JobError, a kind of it: the worker failed or was cancelled."""


class Waiting(Protocol[P, T_co]):
    """A function of the parameters P, and `progress`."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...

    # Types cannot say: P, and one more.
    @overload
    def __call__(self, *args: Any, progress: Callable[[Progress], None] | None, **kwargs: Any) -> T_co: ...


def waits_for(start: Callable[P, Job], noun: str, without: str = "") -> Callable[[Callable[..., T]], Waiting[P, T]]:
    """Make a function that starts a job, waits for it, and returns what the decorated one makes of it.

    It takes what `start` takes, and `progress`. The decorated one takes the job, and those of the arguments that it
    names.

    Parameters
    ----------
    start : callable
        Its docstring has the sections Parameters and Returns, in this order.
    noun : str
        What an error calls the job.
    without : str
        A parameter that is left out.
    """
    taken = inspect.signature(start)
    taken = taken.replace(parameters=[each for name, each in taken.parameters.items() if name != without])
    documented = re.sub(rf"^{without} :.*\n(    .*\n)+", "", _parameters(start), flags=re.MULTILINE)

    def decorate(bring_in: Callable[..., T]) -> Waiting[P, T]:
        names = list(inspect.signature(bring_in).parameters)[1:]

        def call(*args: Any, progress: Callable[[Progress], None] | None = None, **kwargs: Any) -> T:
            given = taken.bind(*args, **kwargs)
            job = start(*given.args, **given.kwargs)
            common.wait(job, progress, noun)
            given.apply_defaults()
            return bring_in(job, **{name: given.arguments[name] for name in names})

        for name in ("__module__", "__name__", "__qualname__"):
            setattr(call, name, getattr(bring_in, name))
        parts = (inspect.getdoc(bring_in), f"Parameters\n----------\n{documented}\n{PROGRESS}", RAISES)
        call.__doc__ = "\n\n".join(filter(None, parts))
        call.__signature__ = taken.replace(  # type: ignore[attr-defined]
            parameters=[*taken.parameters.values(), inspect.signature(call).parameters["progress"]],
            return_annotation=inspect.signature(bring_in).return_annotation,
        )
        return call  # type: ignore[return-value]

    return decorate


def spelled_out(first: Callable[..., Any]) -> Callable[[F], F]:
    """Show the keywords of `first` where the decorated function hands on ``**inputs`` to it."""

    def decorate(function: F) -> F:
        own = list(inspect.signature(function).parameters.values())
        more = [each for each in inspect.signature(first).parameters.values() if each.kind is each.KEYWORD_ONLY]
        kept = [each for each in own if each.kind is not each.VAR_KEYWORD]
        # A stable sort: those of `first` before the function's own.
        shown = sorted([*more, *kept], key=lambda each: each.kind)
        function.__signature__ = inspect.signature(function).replace(parameters=shown)  # type: ignore[attr-defined]
        text = inspect.getdoc(function) or ""
        function.__doc__ = re.sub(r"^.*\*\*inputs\n(    .*\n)+", lambda _: _parameters(first) + "\n", text, flags=re.M)
        return function

    return decorate


def _parameters(function: Callable[..., Any]) -> str:
    """What a docstring says of the parameters, without the heading."""
    text = inspect.getdoc(function) or ""
    return text.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
