from __future__ import annotations

from pathlib import Path

from ragd_tune.testing import BackendSuite
from ragd_tune.testing.tiny import tiny_encoder
from ragd_tune.testing.tiny_lm import tiny_lm


class TestMlx(BackendSuite):
    backend = "mlx"

    def base(self, folder: Path) -> Path:
        return tiny_encoder(folder)

    def base_of(self, objective: str, folder: Path) -> Path:
        return tiny_lm(folder) if objective == "causal_lm" else self.base(folder)
