"""What all tests share: hypothesis' examples, the same in every run."""

from __future__ import annotations

from hypothesis import settings

# No deadline: the machine may be busy. No database: nothing that an earlier run found decides about this one.
settings.register_profile("same", derandomize=True, deadline=None, database=None, max_examples=30)
settings.load_profile("same")
