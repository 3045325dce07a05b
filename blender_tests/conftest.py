"""What all tests share: hypothesis' examples, the same in every run, and what the fast part leaves out."""

from __future__ import annotations

import pytest
from hypothesis import settings

# No deadline: the machine may be busy. No database: nothing that an earlier run found decides about this one.
settings.register_profile("same", derandomize=True, deadline=None, database=None, max_examples=30)
settings.load_profile("same")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.config.option.markexpr == "not slow":
        left_out = len(terminalreporter.stats.get("deselected", []))
        terminalreporter.write_line(f"This was the fast part: --fast leaves out {left_out} tests.", yellow=True)
