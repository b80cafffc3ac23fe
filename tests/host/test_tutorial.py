"""The tutorial for ragd runs as it is written, with a real ragd and the real model."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_tutorial import ROOT, blocks, same
from tests.host.conftest import Host

pytestmark = pytest.mark.proof
PAGE = ROOT / "docs" / "tutorial" / "ragd.md"
SETTINGS = {"RAGD_TUNE_MINE": "no", "RAGD_TUNE_TRAINING_LENGTH": "96", "COLUMNS": "200"}
"""Half of the time; the page's commands know nothing of it."""


@pytest.fixture
def host(make_host: Callable[[], Host]) -> Any:
    made = make_host()
    made.env |= SETTINGS | {"PATH": os.pathsep.join([str(made.bin), made.env["PATH"]])}
    return made


def test_the_tutorial_runs_as_it_is_written(host: Any) -> None:
    written, printed = host.config.read_bytes(), ""
    searches: list[tuple[str, str]] = []
    for block in blocks(PAGE):
        if block.note.startswith("not run"):
            continue
        if block.title:
            Path(host.home / block.title).write_text(block.body, encoding="utf-8")
        elif block.type == "sh":
            told = [(line, run(host, line)) for line in block.body.strip().splitlines()]
            searches += [(line, output) for line, output in told if line.startswith("ragd search")]
            printed = told[-1][1]
        else:
            assert same(block.body, printed), f"shown:\n{block.body}\nprinted:\n{printed}"
    assert host.config.read_bytes() == written
    (line, first), (again, tuned) = searches
    assert line == again
    assert tuned != first
    assert run(host, line) == first


def run(host: Host, line: str) -> str:
    """Run a line of the page; where something is asked, the answer is yes."""
    words = shlex.split(line)
    return host.run(str(host.bin / words[0]), *words[1:], said="y\n")
