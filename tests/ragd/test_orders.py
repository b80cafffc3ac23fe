"""Activate, index, search and roll back in every order: no vector meets those of another space."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.ragd import hooking

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


@pytest.fixture
def ragd(bench: Any) -> Any:
    """Return a home in which the stand-in has indexed two texts by the base, and three adapters."""
    base = bench.embedder()
    texts = ["a harbour", "an olive"]
    bench.index.add("first", texts, lambda some: base.embed_documents(some).tolist())
    (bench.home / ".ragd" / "config.yaml").write_text(
        f"embedding: {{model: {bench.base}, dimension: 16}}\n"
        f"storage: {{data_dir: {bench.home / '.ragd'}}}\n",
        encoding="utf-8",
    )
    bench.train("one")
    bench.train("two", seed=3)
    bench.train("asks", side="query", seed=5)
    return bench


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a site folder with the hook, and a ragd that says that it is 1.0.10."""
    info = tmp_path / "site" / "ragd-1.0.10.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ragd\nVersion: 1.0.10\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    hooking.enable(tmp_path / "site")
    return tmp_path / "site"


def play(scene: str, ragd: Any, *places: Path) -> str:
    command = [sys.executable, str(HERE / "orders.py"), scene, str(HERE / "standin")]
    done = subprocess.run(
        [*command, str(ragd.base), *map(str, places)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_ragd_in_every_order(ragd: Any) -> None:
    play("every-order", ragd)


def test_hooked_ragd_in_every_order_with_a_process_that_lives_on(ragd: Any, place: Path) -> None:
    play("every-order", ragd, place)


@pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL")
@pytest.mark.parametrize(
    "step", [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.proof)]
)
def test_an_activation_or_a_rollback_killed_anywhere(
    ragd: Any, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setenv("STEP", str(step))
    play("killed-anywhere", ragd)


@pytest.mark.parametrize("hooked", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_searching_and_indexing_while_another_process_switches(
    ragd: Any, place: Path, hooked: bool
) -> None:
    play("at-once", ragd, *([place] if hooked else []))
