"""The tool that puts mistakes into a copy: what it says of each kind, on a project of one function; and its list."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tools import mutate
from tools.mutate import ERROR, EXCUSED, NOTICED, SURVIVED, Edit, Runner, read_edits, table

CODE = """MOST = 9

def twice(number):
    return min(2 * number, MOST)
"""
TESTS = """import thing

def test_twice():
    assert thing.twice(3) == 6

def test_that_fails_anyway():
    assert thing.twice(1) == 4
"""
EDIT = Edit("one", "thing.py", "2 * number", "3 * number", ("test_thing.py::test_twice",), "Thrice.")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "thing.py").write_text(CODE)
    (folder / "test_thing.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    monkeypatch.setattr(mutate, "ROOT", folder)
    return folder


@pytest.mark.parametrize(
    ("changes", "word", "told"),
    [
        ({}, NOTICED, "test_thing.py::test_twice"),
        ({"old": "MOST = 9", "new": "MOST = 90"}, SURVIVED, "Thrice."),
        ({"old": "MOST = 9", "new": "MOST = 90", "excused": "Nothing is so large."}, EXCUSED, "Nothing is so large."),
        ({"old": "number"}, ERROR, "stale: its text is 2 times in thing.py"),
        ({"file": "other.py"}, ERROR, "stale: its text is 0 times in other.py"),
        ({"tests": ("test_other.py",)}, ERROR, "tests that are not there: ['test_other.py']"),
        ({"new": "2 *"}, ERROR, "no Python: invalid syntax"),
        ({"new": "two * number"}, ERROR, "NameError in test_thing.py::test_twice"),
        ({"old": "MOST = 9", "new": "MOST = LEAST"}, ERROR, "pytest ended with "),
        ({"tests": ("test_thing.py::test_that_fails_anyway",)}, ERROR, "fails without the edit, too"),
    ],
)
def test_each_kind_of_edit_is_told(project: Path, tmp_path: Path, changes: dict, word: str, told: str) -> None:
    outcome = Runner(tmp_path / "copies", 1).run(replace(EDIT, **changes))
    assert outcome.word == word and told in outcome.told
    # Neither the project nor the copy keeps it.
    assert (project / "thing.py").read_text() == (tmp_path / "copies" / "0" / "thing.py").read_text() == CODE
    assert f"| one | {outcome.edit.file} | {word} |" in table([outcome])


def test_the_edits_fit_the_code() -> None:
    """Code that moves takes its edits along."""
    root = Path(mutate.__file__).resolve().parent.parent
    for edit in read_edits():
        assert edit.applied(root) != (root / edit.file).read_text(encoding="utf-8"), edit.name
