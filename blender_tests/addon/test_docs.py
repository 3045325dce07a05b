"""The README and the pages of docs/: their examples fit the API and the command line, their links lead somewhere."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import shlex
from pathlib import Path

import pytest

from dist_addon import api, cli
from dist_addon.jobs.python_finder import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def names(function: object) -> set[str]:
    """The keywords that a function takes, those of its `Inputs` included."""
    found = set(inspect.signature(function).parameters)  # type: ignore[arg-type]
    return found | set(api.Inputs.__annotations__) if "inputs" in found else found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_examples_call_what_there_is(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "api":
                assert node.attr in api.__all__, node.attr
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("api."):
                function = getattr(api, ast.unparse(node.func).removeprefix("api."))
                given = {keyword.arg for keyword in node.keywords}
                assert given <= names(function), f"{ast.unparse(node)}: {given - names(function)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    lines = [
        shlex.split(line, comments=True)
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if "--command dist " in line
    ]
    for words in lines:
        arguments = words[words.index("dist") + 1 :]
        help_text = io.StringIO()
        with contextlib.redirect_stdout(help_text):
            assert cli.main([arguments[0], "--help"]) == 0, arguments
        for word in arguments:
            if word.startswith("--"):
                assert word.split("=")[0] in help_text.getvalue(), f"{word} of {arguments}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).is_file(), target


def test_what_pip_is_told_to_fetch_is_what_the_worker_needs() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    commands = [set(found.split()) for found in re.findall(r"pip (?:install|download) ([^`\n]*)", text)]
    others = [words - {"torch"} for words in commands if "libigl" in words]
    assert len(others) == 4 and all(set(PACKAGES) - {"torch"} <= words for words in others), others
    assert sum("torch" in words for words in commands) == 4
    head = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").split("##")[0]
    assert set(re.findall("`(.*?)`", head)) == set(PACKAGES)
