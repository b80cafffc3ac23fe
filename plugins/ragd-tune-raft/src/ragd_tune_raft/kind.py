"""The kind ``raft``: a language model that answers from passages, undisturbed by others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragd_tune.kinds import Slot
from ragd_tune_raft.defaults import defaults
from ragd_tune_raft.options import PROOF, ROWS

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.evaluate import Report
    from ragd_tune.kinds import Profile, Trial
    from ragd_tune.objectives import Rows
    from ragd_tune.options import Option, Value


@dataclass(frozen=True, slots=True)
class Raft:
    """Language models. The incumbent is the base; right answers among distractors decide."""

    name: str = "raft"
    title: str = "language model: answers from passages, with quotes"
    objectives: tuple[str, ...] = ("causal_lm",)
    serves: Slot = "generator"
    tunings: tuple[str, ...] = ("lora", "dora", "qlora", "full")
    default_base: str = "Qwen/Qwen2.5-0.5B-Instruct"
    options: tuple[Option, ...] = (*ROWS, *PROOF)
    gate_metric: str = "match"
    incumbent: str = "the base model's answers to the same prompts"

    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        """Return learning rate, epochs and batch size; see :mod:`ragd_tune_raft.defaults`."""
        return defaults(profile)

    def rows(self, data: DataSet, objective: str, options: Mapping[str, Value]) -> Rows:
        """Return one row for each question of ``train`` and of ``dev`` that has an answer.

        :raises DataError: there are no answers, or one quotes what its oracle does not say.
        """
        from ragd_tune_raft.rows import rows

        return rows(data, options)

    def prove(self, trial: Trial) -> Report:
        """Have both models answer the same prompts and compare them question by question."""
        from ragd_tune_raft.proof import prove

        return prove(trial, gate_metric=self.gate_metric, incumbent=self.incumbent)
