"""Objectives on models: what the loop minimises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Row
from ragd_tune.plan import ModelFacts, TrainPlan


class Task(Protocol):
    """A model in training."""

    model: Any
    facts: ModelFacts

    def loss(self, rows: Sequence[Row]) -> Tensor:
        """Return the mean loss of ``rows``, a scalar with gradients."""
        ...

    def save(self, out: Path) -> None:
        """Write the adapter under ``out``."""
        ...


def task_of(plan: TrainPlan) -> Task:
    """Load the base and put in what the plan tunes.

    :raises UsageError: Unsloth does not train this objective; names who does.
    """
    if plan.objective == "contrastive":
        from ragd_tune_unsloth.contrastive import Contrastive

        return Contrastive(plan)
    raise UsageError(
        f"Unsloth does not train the objective {plan.objective}",
        mend="the backend cpu trains rerankers: --backend cpu",
    )
