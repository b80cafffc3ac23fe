from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ragd_tune.backends import TrainCell
from ragd_tune.options import Value
from ragd_tune.testing import BackendSuite
from ragd_tune.testing.tiny_lm import tiny_lm


class TestLanguageModelsOnTheCpu(BackendSuite):
    backend = "unsloth"

    def base(self, folder: Path) -> Path:
        return tiny_lm(folder, hidden=64)

    def options(self, cell: TrainCell) -> Mapping[str, Value]:
        return {"learning_rate": 1e-2}
