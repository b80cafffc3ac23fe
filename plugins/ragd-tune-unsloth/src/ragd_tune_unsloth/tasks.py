"""Objectives on models: what the loop minimises, and the rows that there are for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Frame, Rows, Samples
from ragd_tune.plan import ModelFacts, TrainPlan


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Rows that can be trained on; ``samples`` are the same as tokens, for ``causal_lm``."""

    rows: Rows
    samples: Samples | None = None
    frame: Frame | None = None

    @property
    def note(self) -> str:
        """What a user has to know of the rows; empty if every one is there as it was."""
        return self.samples.note if self.samples else ""


class Task(Protocol):
    """A model in training."""

    model: Any
    facts: ModelFacts

    def losses(self, batch: Sequence[int], *, held_out: bool = False) -> Iterator[Tensor]:
        """Yield the parts of a batch's mean loss, scalars with gradients: they sum to it.

        :param batch: indices of the rows for training, or of those that are held out.
        """
        ...

    def save(self, out: Path) -> None:
        """Write the adapter under ``out``."""
        ...


def ready(plan: TrainPlan, rows: Rows) -> Ready:
    """Return the rows that fit the plan; nothing is loaded but a tokenizer.

    :raises UsageError: Unsloth does not train this objective; names who does.
    """
    if plan.objective == "contrastive":
        return Ready(rows=rows)
    if plan.objective == "causal_lm":
        from ragd_tune_unsloth.language import fitting

        return fitting(plan, rows)
    raise UsageError(
        f"Unsloth does not train the objective {plan.objective}",
        mend="the backend cpu trains rerankers: --backend cpu",
    )


def task_of(plan: TrainPlan, made: Ready) -> Task:
    """Load the base and put in what the plan tunes."""
    if made.samples is None or made.frame is None:
        from ragd_tune_unsloth.contrastive import Contrastive

        return Contrastive(plan, made.rows)
    from ragd_tune_unsloth.language import Language

    return Language(plan, made.samples, made.frame)
