"""The tutorial for ragd runs as it is written, with a real ragd and the real model."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from tests.docs.following import TUTORIALS, follow
from tests.host.conftest import Host

pytestmark = pytest.mark.proof
SETTINGS = {"RAGD_TUNE_MINE": "no", "RAGD_TUNE_TRAINING_LENGTH": "96", "COLUMNS": "200"}
"""Half of the time; the page's commands know nothing of it."""


@pytest.fixture
def host(make_host: Callable[[], Host]) -> Any:
    made = make_host()
    made.env |= SETTINGS | {"PATH": os.pathsep.join([str(made.bin), made.env["PATH"]])}
    return made


def test_the_tutorial_runs_as_it_is_written(host: Any) -> None:
    written = host.config.read_bytes()
    told = follow(TUTORIALS / "ragd.md", host.home, lambda line: run(host, line))
    assert host.config.read_bytes() == written
    (line, first), (again, tuned) = (one for one in told if one[0].startswith("ragd search"))
    assert line == again
    assert tuned != first
    assert run(host, line) == first


def run(host: Host, line: str) -> str:
    """Run a line of the page; where something is asked, the answer is yes."""
    words = shlex.split(line)
    return host.run(str(host.bin / words[0]), *words[1:], said="y\n")
