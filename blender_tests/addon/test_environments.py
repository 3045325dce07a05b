"""The lock files of the development environments: whole, in step with what is asked for, and no machine's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import environment

NAMES = [f"{name}-{version}" for name, versions in environment.PYTHONS.items() for version in versions]


def asked(path: Path) -> list[Requirement]:
    """What a file asks for, with the files that it names."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found += asked(path.parent / line[3:])
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_file_has_a_version_of_all_that_is_asked_for(name: str) -> None:
    text = (environment.REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    versions = dict(line.split("==") for line in lines)
    # A local version, an option, an address or a hash would bind it to one machine.
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    assert "/" not in text.replace("-r ../../dist_addon/worker/requirements.txt", "")
    for one in asked(environment.REQUIREMENTS / f"{name}.in"):
        assert versions[one.name] in one.specifier, one


def test_there_is_a_lock_file_for_each_environment_and_no_other() -> None:
    assert {path.stem for path in environment.REQUIREMENTS.glob("*.txt")} == set(NAMES)
