"""The tutorial runs as it is written, and shows what it says.

A fake backend and its tiny base stand in for PyTorch and the real model: the environment says so,
and not one word of the page does. ``…`` in an output stands for anything.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragd_tune.testing import fakes

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial" / "first-adapter.md"
BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*) -->\n)?"
    r"```(?P<type>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# What makes the toy model learn within a second; the page's commands know nothing of it.
SETTINGS = {
    "RAGD_TUNE_BACKEND": "fake",
    "RAGD_TUNE_DISABLE": "cpu,mlx,unsloth",
    "RAGD_TUNE_TUNING": "full",
    "RAGD_TUNE_LEARNING_RATE": "0.003",
    "RAGD_TUNE_EPOCHS": "3",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Block:
    type: str
    title: str
    note: str
    body: str


def blocks(page: Path) -> Iterator[Block]:
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(found["type"], found["title"] or "", found["note"] or "", found["body"])


def run(line: str, folder: Path) -> str:
    words = shlex.split(line)
    starts = {"ragd-tune": [sys.executable, "-m", "ragd_tune"], "python": [sys.executable]}
    command = [*starts[words[0]], *words[1:]]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"{line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def same(shown: str, printed: str) -> bool:
    """Say whether an output is what is shown; blanks at the ends of lines do not count."""

    def tidy(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    pattern = re.escape(tidy(shown)).replace("…", ".*?")
    return re.fullmatch(pattern, tidy(printed), re.DOTALL) is not None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    plugin, base = tmp_path / "plugin", tmp_path / "base"
    fakes.advertise(plugin, monkeypatch.setenv, monkeypatch.syspath_prepend)
    fakes.make_base(base, dimension=64)
    home = {"RAGD_TUNE_HOME": str(tmp_path / "store"), "RAGD_TUNE_BASE": str(base)}
    for name in [one for one in os.environ if one.startswith("RAGD_TUNE_")]:
        monkeypatch.delenv(name)
    # ragd's configuration is read from the user's home, and could set options.
    people = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONUTF8": "1"}
    for name, value in {**SETTINGS, **home, **people}.items():
        monkeypatch.setenv(name, value)
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_written(folder: Path) -> None:
    printed, commands = "", 0
    for block in blocks(PAGE):
        if block.note.startswith("not run"):
            continue
        if block.title:
            (folder / block.title).write_text(block.body, encoding="utf-8")
        elif block.type == "sh":
            lines = block.body.strip().splitlines()
            printed = "".join(run(line, folder) for line in lines)
            commands += len(lines)
        elif block.type == "text":
            assert same(block.body, printed), f"shown:\n{block.body}\nprinted:\n{printed}"
        else:
            pytest.fail(f"a block of {block.type} that nothing runs: {block.body[:60]}")
    assert commands >= 9
    _the_store_holds_only_what_its_page_names(folder.parent / "store")


def _the_store_holds_only_what_its_page_names(store: Path) -> None:
    page = (ROOT / "docs" / "reference" / "store-layout.md").read_text(encoding="utf-8")
    for path in store.iterdir():
        name = f"{path.name}/" if path.is_dir() else path.name
        assert f"`{name}" in page, f"{name} is not in store-layout.md"


def test_an_output_is_compared_and_dots_stand_for_anything() -> None:
    assert same("a … c\nd", "a b b c  \nd\n")
    assert not same("a … c\nd", "a b c\ne\n")
    assert not same("a", "a\nb")
