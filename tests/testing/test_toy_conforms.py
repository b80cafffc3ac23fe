"""The third-party example passes the suite that is made for third parties."""

from __future__ import annotations

from pathlib import Path

from ragd_tune_toy import make_base

from ragd_tune.testing import BackendSuite


class TestToy(BackendSuite):
    backend = "toy"
    registry_from = "toys:registry_of_Sound"
    ignores = (
        "warmup",
        "schedule",
        "weight_decay",
        "max_grad_norm",
        "dropout",
        "matryoshka_dims",
    )

    def base(self, folder: Path) -> Path:
        return make_base(folder)
