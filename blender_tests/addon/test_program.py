"""A worker that waits for the next job."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from blender_tests.support.stage import is_alive, wait_until
from dist_addon.jobs import Job, Program, leave_all
from dist_addon.jobs import spare as spare_worker

# A worker that does nothing, but says which process did it, and whether it waited for the job.
SPARE = """
import json, os, sys
from pathlib import Path
waited = len(sys.argv) == 1
folder = Path(json.loads(sys.stdin.readline()) if waited else sys.argv[1])
(folder / "who.json").write_text(json.dumps([os.getpid(), waited]))
print(json.dumps({"v": 1, "event": "done"}), flush=True)
"""


@pytest.fixture
def spare(tmp_path, python, worker) -> Iterator[Program]:
    (worker / "__main__.py").write_text(SPARE)
    yield Program(python, worker)
    spare_worker.end()


def processes(program: Program) -> list[int]:
    """Those of a program's worker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(program.worker_folder) in path.read_text(errors="replace").split("\0"):
                found.append(int(path.parent.name))
    return found


def waiting(program: Program) -> int:
    """The process of a program's spare worker; at its very beginning, it does not say what it is."""
    wait_until(lambda: processes(program), 3)
    (found,) = processes(program)
    return found


def who(folder: Path, program: Program) -> list:
    """Which process did a job, and whether it had waited for one."""
    folder.mkdir()
    job = Job(folder, program)
    job.start()
    job.wait()
    assert job.state == "done"
    pid, waited = json.loads((folder / "who.json").read_text())
    assert pid == job.pid
    return [pid, waited]


def test_a_spare_worker_does_the_next_job(tmp_path, spare):
    spare_worker.start(spare)
    first = waiting(spare)
    spare_worker.start(spare)
    assert waiting(spare) == first
    assert who(tmp_path / "ö 1", spare) == [first, True]
    assert who(tmp_path / "2", spare)[1] is False


def test_a_spare_worker_is_only_for_its_own_program(tmp_path, spare):
    spare_worker.start(spare)
    first = waiting(spare)
    other = replace(spare, gently=True)
    assert who(tmp_path / "1", other)[1] is False
    assert not is_alive(first)
    spare_worker.start(spare)
    first = waiting(spare)
    spare_worker.start(other)
    assert not is_alive(first)
    assert who(tmp_path / "2", other)[1] is True


def test_a_spare_worker_that_ended_is_not_waited_for(tmp_path, spare):
    spare_worker.start(spare)
    first = waiting(spare)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_alive(first), 3)
    assert who(tmp_path / "1", spare)[1] is False
    spare_worker.start(spare)
    leave_all()
    assert not processes(spare)
