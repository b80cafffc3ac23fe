"""The fake backend is held to what every backend promises, or tests on it would prove little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ragd_tune.registry import discover
from ragd_tune.testing import BackendSuite
from ragd_tune.testing.fakes import advertise, make_base


class TestFakeBackend(BackendSuite):
    backend = "fake"
    registry_from = "ragd_tune.testing.fakes:registry"

    def base(self, folder: Path) -> Path:
        return make_base(folder)


def test_an_advertised_plugin_is_found_here_and_in_a_new_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advertise(tmp_path, monkeypatch.setenv, monkeypatch.syspath_prepend)
    assert "fake" in discover().backends
    ask = "from ragd_tune.registry import discover; print('fake' in discover().backends)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", ask], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
