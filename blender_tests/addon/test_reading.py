"""Reading pictures while a window is drawn."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from dist_addon.operators import reading
from dist_addon.operators.reading import ReadingOperator
from dist_addon.worker.dist_engine.protocol import RequestError

TIMER, MOUSE, ESC = (SimpleNamespace(type=name) for name in ("TIMER", "LEFTMOUSE", "ESC"))


class Manager:
    """As much of a window manager as a modal operator asks for."""

    def __init__(self):
        self.timers, self.handlers = [], []

    def event_timer_add(self, _seconds, window):
        self.timers.append(window)
        return window

    def event_timer_remove(self, timer):
        self.timers.remove(timer)

    def modal_handler_add(self, operator):
        self.handlers.append(operator)


class Reader(ReadingOperator):
    """Reads pictures that take this long."""

    def __init__(self, seconds, problem=None):
        self.seconds, self.problem, self.closed, self.told = seconds, problem, False, []

    def reading(self, context):
        try:
            for _ in range(4):
                time.sleep(self.seconds)
                yield
            if self.problem:
                raise RequestError(self.problem)
            return "pictures"
        finally:
            self.closed = True

    def done(self, context, found):
        self.told.append(found)
        return {"FINISHED"}

    def report(self, kind, text):
        self.told.append(text)


@pytest.fixture
def context(monkeypatch):
    monkeypatch.setattr(reading, "in_background", lambda: False)
    said = []
    space = SimpleNamespace(status_text_set=said.append)
    return SimpleNamespace(window_manager=Manager(), window="window", workspace=space, said=said)


def test_the_window_is_drawn_between_slow_pictures(context):
    reader = Reader(reading.SPAN)
    assert reader.invoke(context, None) == {"RUNNING_MODAL"} and context.window_manager.handlers == [reader]
    # What is pressed meanwhile comes to nothing.
    assert reader.modal(context, MOUSE) == {"RUNNING_MODAL"} and reader.count == 0
    for count in range(1, 5):
        began = time.monotonic()
        assert reader.modal(context, TIMER) == {"RUNNING_MODAL"} and reader.count == count
        assert time.monotonic() - began < 2 * reading.SPAN
        assert f"{count} pictures read" in context.said[-1]
    assert reader.modal(context, TIMER) == {"FINISHED"} and reader.told == ["pictures"]
    assert context.said[-1] is None and context.window_manager.timers == []


def test_fast_pictures_are_read_at_one_look(context):
    reader = Reader(0)
    reader.invoke(context, None)
    assert reader.modal(context, TIMER) == {"FINISHED"} and context.window_manager.timers == []


def test_esc_stops_the_reading(context):
    reader = Reader(reading.SPAN)
    reader.invoke(context, None)
    reader.modal(context, TIMER)
    assert not reader.closed and reader.modal(context, ESC) == {"CANCELLED"}
    assert reader.closed and reader.told == [] and context.said[-1] is None and context.window_manager.timers == []


def test_what_is_wrong_is_told_in_either_way(context):
    reader = Reader(0, "The picture is missing.")
    reader.invoke(context, None)
    assert reader.modal(context, TIMER) == {"CANCELLED"} and context.window_manager.timers == []
    assert reader.execute(context) == {"CANCELLED"}
    assert reader.told == ["The picture is missing."] * 2
