from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.cli import train
from ragd_tune.testing.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    train._registry.cache_clear()
    return Machine.make(tmp_path, monkeypatch)
