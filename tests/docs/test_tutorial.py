"""The tutorial runs as it is written, and shows what it says.

A fake backend and its tiny base stand in for PyTorch and the real model: the environment says so,
and not one word of the page does.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.following import ROOT, TUTORIALS, follow, same

from ragd_tune.testing import fakes

# What makes the toy model learn within a second; the page's commands know nothing of it.
SETTINGS = {
    "RAGD_TUNE_BACKEND": "fake",
    "RAGD_TUNE_DISABLE": "cpu,mlx,unsloth",
    "RAGD_TUNE_TUNING": "full",
    "RAGD_TUNE_LEARNING_RATE": "0.003",
    "RAGD_TUNE_EPOCHS": "3",
    "HF_HUB_OFFLINE": "1",
}


def run(line: str, folder: Path) -> str:
    words = shlex.split(line)
    starts = {"ragd-tune": [sys.executable, "-m", "ragd_tune"], "python": [sys.executable]}
    command = [*starts[words[0]], *words[1:]]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"{line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


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
    told = follow(TUTORIALS / "first-adapter.md", folder, lambda line: run(line, folder))
    assert len(told) >= 9
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
