"""The kind ``cross-encoder``: a query and a passage read together, scored by their relevance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragd_tune.kinds import Slot
from ragd_tune.reranking import PROOF
from ragd_tune_cross_encoder.defaults import defaults
from ragd_tune_cross_encoder.options import ROWS

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.evaluate import Report
    from ragd_tune.kinds import Profile, Trial
    from ragd_tune.objectives import Rows
    from ragd_tune.options import Option, Value


@dataclass(frozen=True, slots=True)
class CrossEncoder:
    """Rerankers. The incumbent is the order that the passages have without one."""

    name: str = "cross-encoder"
    title: str = "reranker: a query and a passage read together give one score"
    objectives: tuple[str, ...] = ("relevance",)
    serves: Slot = "reranker"
    tunings: tuple[str, ...] = ("lora", "full")
    default_base: str = "all-MiniLM-L6-v2"
    options: tuple[Option, ...] = (*ROWS, *PROOF)
    gate_metric: str = "ndcg@10"
    incumbent: str = "the first stage's order, and the base where that is a reranker"

    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        """Return rate, batch size, epochs and loss; :mod:`ragd_tune_cross_encoder.defaults`."""
        return defaults(profile)

    def rows(self, data: DataSet, objective: str, options: Mapping[str, Value]) -> Rows:
        """Return a row for each answered query of ``train`` and ``dev``, with negatives.

        :raises DataError: there are no training pairs.
        """
        from ragd_tune_cross_encoder.rows import Recipe, rows

        return rows(data, Recipe.of(options))

    def prove(self, trial: Trial) -> Report:
        """Put the first stage's candidates in order and compare, query by query."""
        from ragd_tune_cross_encoder.proof import prove

        return prove(trial, gate_metric=self.gate_metric)
