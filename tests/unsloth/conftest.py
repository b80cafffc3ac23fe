"""Unsloth is imported first, as in a worker; it is the CPU's backend or the spoof, never both.

Without Unsloth (``tox -e py``) only its declaration is tested; ``tox -e unsloth`` runs the rest in
two processes, one for each mode.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from ragd_tune.options import RUN, Value, options_of_tuning
from ragd_tune.plan import BaseModel, TrainPlan
from ragd_tune.registry import discover
from ragd_tune_unsloth import detect

_HERE = find_spec("unsloth") is not None
collect_ignore = ["language"] if not _HERE or detect.spoofed() else []
collect_ignore += ["encoders"] if not _HERE or not detect.spoofed() else []

if _HERE:
    from ragd_tune_unsloth.engine import start

    start()

QUICK: dict[str, Value] = {
    "max_steps": 4,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "max_length": 32,
    "precision": "fp32",
    "lora_rank": 4,
}

MakePlan = Callable[..., TrainPlan]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """Return a maker of plans: (base, objective, tuning, options)."""
    numbers = itertools.count()

    def make(
        base: Path, objective: str = "contrastive", tuning: str = "lora", **options: Value
    ) -> TrainPlan:
        own = discover().objectives[objective].options
        every = (*RUN, *own, *options_of_tuning(tuning), *detect.OPTIONS)
        values = {option.name: option.default for option in every}
        return TrainPlan(
            kind="any",
            objective=objective,
            tuning=tuning,
            side="both",
            backend="unsloth",
            device="cpu",
            base=BaseModel(name="tiny", path=base, fingerprint="f" * 64, source="hub"),
            data_fingerprint="d",
            rows_fingerprint="r",
            out=tmp_path / f"run-{next(numbers)}" / "out",
            options={**values, **QUICK, **options},
        )

    return make
