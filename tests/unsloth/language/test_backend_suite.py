from __future__ import annotations

from pathlib import Path

from ragd_tune.testing import BackendSuite
from ragd_tune.testing.tiny_lm import tiny_lm


class TestLanguageModelsOnTheCpu(BackendSuite):
    backend = "unsloth"

    def base(self, folder: Path) -> Path:
        return tiny_lm(folder)
