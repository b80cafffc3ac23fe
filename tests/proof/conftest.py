"""The long proofs: whole in ``tox -e proof``, reduced (and marked slow) in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.cli import train
from ragd_tune.data import write
from ragd_tune.testing.machine import Machine
from ragd_tune.testing.samples import translated_data
from ragd_tune.testing.tiny import tiny_encoder


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with the real PyTorch backend, a tiny BERT, and data that it can learn."""
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path))
    train._registry.cache_clear()
    data = write(translated_data(queries=300), tmp_path / "data")
    base = tiny_encoder(tmp_path / "bases")
    return Machine(home=tmp_path / "home", data=data, base=base, backend="cpu")
