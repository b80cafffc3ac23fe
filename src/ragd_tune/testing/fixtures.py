"""Fixtures that pytest finds wherever ragd-tune is installed; what is heavy is imported on use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.objectives import Rows
    from ragd_tune.registry import Registry

# The suites' assertions are to explain themselves in the test runs of others, too.
pytest.register_assert_rewrite(
    *(
        f"ragd_tune.testing.{name}"
        for name in (
            *("declaring", "interchange_suite", "kind_suite", "probe", "serving"),
            *("stopping", "training"),
            *("objectives.checks", "objectives.contrastive", "objectives.late_interaction"),
            "objectives.relevance",
        )
    )
)


@pytest.fixture
def ragd_tune_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set ``RAGD_TUNE_HOME`` to an empty folder, and return it."""
    home = tmp_path / "ragd-tune-home"
    home.mkdir()
    monkeypatch.setenv("RAGD_TUNE_HOME", str(home))
    return home


@pytest.fixture
def ragd_tune_registry() -> Registry:
    """Return a registry with every plugin that is installed."""
    from ragd_tune.registry import discover

    return discover()


@pytest.fixture
def ragd_tune_data() -> DataSet:
    """Return a tiny data set that can be learned."""
    from ragd_tune.testing.samples import tiny_data

    return tiny_data()


@pytest.fixture
def ragd_tune_rows() -> Rows:
    """Return tiny rows of the objective ``contrastive``."""
    from ragd_tune.testing.samples import contrastive_rows

    return contrastive_rows()


@pytest.fixture
def ragd_tune_base(tmp_path: Path) -> Path:
    """Return a base model of the fake backend."""
    from ragd_tune.testing.fakes import make_base

    return make_base(tmp_path / "ragd-tune-base")
