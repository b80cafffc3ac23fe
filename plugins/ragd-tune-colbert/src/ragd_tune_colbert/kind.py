"""The kind ``colbert``: a vector for every token, and the best match of each summed up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragd_tune.kinds import Slot
from ragd_tune.options import Option
from ragd_tune.reranking import PROOF
from ragd_tune_colbert.defaults import defaults

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.evaluate import Report
    from ragd_tune.kinds import Profile, Trial
    from ragd_tune.objectives import Rows
    from ragd_tune.options import Value

OPTIONS = (
    *PROOF,
    Option(
        name="token_pooling",
        type="int",
        default=1,
        low=1,
        high=16,
        group="proof",
        help="how many of a document's vectors become one before they are compared",
    ),
    Option(
        name="whole_corpus",
        type="int",
        default=2000,
        low=0,
        high=1_000_000,
        group="proof",
        unit="documents",
        help="rank every document by MaxSim too, where there are no more than this",
    ),
)
"""How a ColBERT is judged."""


@dataclass(frozen=True, slots=True)
class Colbert:
    """Late-interaction rerankers. nDCG@10 over the same candidates of a first stage decides."""

    name: str = "colbert"
    title: str = "reranker: a vector for every token, compared by MaxSim"
    objectives: tuple[str, ...] = ("late_interaction",)
    serves: Slot = "reranker"
    tunings: tuple[str, ...] = ("full", "lora")
    default_base: str = "all-MiniLM-L6-v2"
    options: tuple[Option, ...] = OPTIONS
    gate_metric: str = "ndcg@10"
    incumbent: str = "the first stage's order and the base's own MaxSim, whichever ranks better"

    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        """Return learning rate, epochs and batch size; see :mod:`ragd_tune_colbert.defaults`."""
        return defaults(profile)

    def rows(self, data: DataSet, objective: str, options: Mapping[str, Value]) -> Rows:
        """Return one row for each relevant (query, document) of ``train``, and of ``dev``.

        :raises DataError: there are no training pairs.
        """
        from ragd_tune.data.contrast import rows

        return rows(data, negatives=int(str(options["negatives"])), objective=objective)

    def prove(self, trial: Trial) -> Report:
        """Rerank a first stage's candidates by both models and compare them query by query."""
        from ragd_tune_colbert.proof import prove

        return prove(trial, gate_metric=self.gate_metric)
