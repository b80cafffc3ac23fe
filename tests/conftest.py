"""What tests of several rooms share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

try:
    from hypothesis import settings
except ImportError:  # in the environments of MLX and Unsloth, whose tests need none
    pass
else:  # a busy machine is no reason to fail
    settings.register_profile("house", deadline=None)
    settings.load_profile("house")


@pytest.fixture(autouse=True)
def no_other_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let proofs look at their own data alone: reading Python's library takes seconds a store.

    A test of forgetting takes the variable away again.
    """
    monkeypatch.setenv("RAGD_TUNE_NO_FORGETTING", "1")


@pytest.fixture(autouse=True)
def no_plugins_of_another_test() -> None:
    """Let the command line look for plugins anew: the test before may have switched some off."""
    train = sys.modules.get("ragd_tune.cli.train")
    if train is not None:
        train._registry.cache_clear()


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return the folder of a shared data set by name.

    Looked for in ``$RAGD_TUNE_DATA``, else beside the project. Absence skips the test, except in
    CI (``CI=true``), where it fails.
    """
    root = Path(os.environ.get("RAGD_TUNE_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            message = f"{folder} is not here: set RAGD_TUNE_DATA to the folder of the shared sets"
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(message)
            pytest.skip(message)
        return folder

    return find
