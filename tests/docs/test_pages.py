"""Every page of the documentation by itself: its title, its links, its commands, its Python."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ragd_tune import cli

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SHOWN = [ROOT / "README.md", *PAGES]
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACEHOLDERS = {"KIND": "bi-encoder"}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *types: str) -> Iterator[str]:
    for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind in types:
            yield body


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words after ``ragd-tune`` of each command in a block, and of each in the prose."""
    for body in blocks(page, "sh", "console", "bash"):
        for line in body.replace("\\\n", " ").splitlines():
            yield from _of_line(line.removeprefix("$ "))
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for words in re.findall(r"`ragd-tune ([^`\n…]+)`", prose):
        yield shlex.split(words)


def _of_line(line: str) -> Iterator[list[str]]:
    for command in re.split(r"&&|\||;|\s>", line):  # a range of versions holds a > too
        words = shlex.split(command, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words and words[0].rpartition("/")[2] == "ragd-tune":
            yield words[1:]


def unknown(words: list[str]) -> str:
    """Return what the command line does not know of ``words``; empty if it knows all."""
    command: click.Command = cli.group
    context = click.Context(command)
    left = [PLACEHOLDERS.get(word, word) for word in words]
    while isinstance(command, click.Group) and left and not left[0].startswith("-"):
        word = left.pop(0)
        found = command.get_command(context, word)
        if found is None:
            return f"no command {word!r}"
        command, context = found, click.Context(found)
    # The parser alone: what is missing in a sentence about a command is no fault of it.
    try:
        _, rest, _ = command.make_parser(context).parse_args(args=list(left))
    except click.UsageError as error:
        return error.format_message()
    return f"what is {rest[0]!r}?" if rest else ""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_has_one_title_and_it_comes_first(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    assert prose.startswith("# ")
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1


@pytest.mark.parametrize("page", SHOWN, ids=name)
def test_every_command_line_that_is_shown_is_one_that_the_program_knows(page: Path) -> None:
    wrong = [(words, why) for words in command_lines(page) if (why := unknown(words))]
    assert wrong == []


def test_a_command_line_that_the_program_does_not_know_is_found() -> None:
    assert unknown(["adapters", "list", "--kind", "bi-encoder"]) == ""
    assert unknown(["train", "KIND", "--learning-rate", "1e-4"]) == ""
    assert "--clean" in unknown(["adapters", "list", "--clean"])
    assert unknown(["adapters", "polish"])
    assert unknown(["evaluate", "first", "second"])
    assert unknown(["polish"])
    assert list(_of_line("A=1 .venv/bin/ragd-tune doctor --json | head # look")) == [
        ["doctor", "--json"]
    ]


@pytest.mark.parametrize("page", SHOWN, ids=name)
def test_every_link_within_the_project_leads_to_a_file(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", SHOWN, ids=name)
def test_what_python_blocks_import_from_this_project_is_there(page: Path) -> None:
    for body in blocks(page, "python"):
        if "->" in body.partition("\n")[0] and page.parent.name == "reference":
            continue  # a signature, not a program
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
                module = importlib.import_module(node.module or "")
                for one in node.names:
                    assert hasattr(module, one.name), f"{node.module}.{one.name}"


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "ragd_tune"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert page.relative_to(DOCS).as_posix() in text


def test_every_module_of_the_core_is_told_of_in_the_order_of_the_import_contract() -> None:
    page = (DOCS / "explanation" / "how-it-works.md").read_text(encoding="utf-8")
    table = page.split("## Where things are")[1]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    shown = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    core = ROOT / "src" / "ragd_tune"
    there = {path.stem for path in core.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert sorted(shown) == sorted(name for name in there if not name.startswith("_"))
    toml = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = toml["tool"]["importlinter"]["contracts"][0]["layers"]
    depth = {name: at for at, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
    assert [depth[name] for name in shown] == sorted(depth[name] for name in shown)
