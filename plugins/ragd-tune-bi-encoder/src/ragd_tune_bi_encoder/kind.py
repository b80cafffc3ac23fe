"""The kind ``bi-encoder``: one vector a text, trained so that a query lies near its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragd_tune.errors import DataError
from ragd_tune.kinds import Recipe, Slot
from ragd_tune_bi_encoder.defaults import OPTIONS, defaults
from ragd_tune_bi_encoder.recipes import RECIPES

if TYPE_CHECKING:
    from ragd_tune.data import DataSet
    from ragd_tune.evaluate import Report
    from ragd_tune.kinds import Profile, Trial
    from ragd_tune.objectives import Rows
    from ragd_tune.options import Option, Value


@dataclass(frozen=True, slots=True)
class BiEncoder:
    """Embedding models. The incumbent is the base; nDCG@10 over the whole corpus decides.

    Where a split has no judgements of documents and scored pairs instead, Spearman's ρ does.
    """

    name: str = "bi-encoder"
    title: str = "embedding model: one vector a text, compared by cosine"
    objectives: tuple[str, ...] = ("contrastive", "similarity")
    serves: Slot = "embedder"
    tunings: tuple[str, ...] = ("full", "lora", "map")
    default_base: str = "all-MiniLM-L6-v2"
    options: tuple[Option, ...] = OPTIONS
    recipes: tuple[Recipe, ...] = RECIPES
    gate_metric: str = "ndcg@10"
    incumbent: str = "the base model"

    def defaults(self, profile: Profile) -> Mapping[str, Value]:
        """Return learning rate, epochs and batch size; see :mod:`ragd_tune_bi_encoder.defaults`."""
        return defaults(profile)

    def rows(self, data: DataSet, objective: str, options: Mapping[str, Value]) -> Rows:
        """Return one row for each relevant (query, document), or each scored pair.

        :raises DataError: there are none to train on.
        """
        from ragd_tune.data.contrast import rows
        from ragd_tune_bi_encoder import scored

        if objective == "similarity":
            return scored.rows(data)
        if data.scored and not data.qrels.get("train"):
            raise DataError(
                f"{data.source}: there are scored pairs to train on, and no queries with answers",
                mend="--objective similarity learns from scored pairs",
            )
        return rows(data, negatives=int(str(options["negatives"])))

    def prove(self, trial: Trial) -> Report:
        """Search the whole corpus with both models and compare them query by query.

        Scored pairs are compared by the order of their cosines.
        """
        from ragd_tune_bi_encoder import scored
        from ragd_tune_bi_encoder.proof import prove

        if trial.split not in trial.data.qrels:
            return scored.prove(trial, incumbent=self.incumbent)
        return prove(trial, gate_metric=self.gate_metric, incumbent=self.incumbent)
