"""The fake that other tests run on is a backend like any other."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.testing import BackendSuite
from ragd_tune.testing.fakes import make_base


class TestFake(BackendSuite):
    backend = "fake"
    registry_from = "fake_only:registry"

    def base(self, folder: Path) -> Path:
        return make_base(folder)
