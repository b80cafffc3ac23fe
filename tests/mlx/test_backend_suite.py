from __future__ import annotations

from pathlib import Path

from ragd_tune.testing import BackendSuite
from ragd_tune.testing.tiny import tiny_encoder


class TestMlx(BackendSuite):
    backend = "mlx"
    uncovered = ("causal_lm",)

    def base(self, folder: Path) -> Path:
        return tiny_encoder(folder)
