"""The toy backend keeps the contract; the suite of ragd-tune checks that."""

from __future__ import annotations

from pathlib import Path

from ragd_tune_toy import make_base

from ragd_tune.testing import BackendSuite


class TestToy(BackendSuite):
    backend = "toy"
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
