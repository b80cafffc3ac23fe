"""The objective ``similarity`` in the suite: two texts whose cosine follows a score."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.testing.objectives.contrastive import Contrastive, unit
from ragd_tune.testing.samples import WORDS

if TYPE_CHECKING:
    from ragd_tune.testing.loaded import Loaded


class Similarity(Contrastive):
    """The cosines of pairs come in the order of their scores (CoSENT), or near them."""

    objective = "similarity"

    def rows(self) -> Rows:
        """Return pairs that share as many words as their score says."""
        draw = random.Random(0)
        rows = [_row(index, draw) for index in range(18)]
        return Rows(objective="similarity", train=rows[:14], dev=rows[14:])

    def odd_rows(self, text: str) -> list[Row]:
        """Return four rows, half of whose texts are ``text``."""
        return [
            {"text1": text, "text2": f"garden {i}", "score": i / 3}
            if i % 2
            else {"text1": f"garden {i}", "text2": text, "score": i / 3}
            for i in range(4)
        ]

    def single_rows(self) -> Mapping[str, Row]:
        """Return a row: there is nothing that it could be ordered with."""
        return {"alone": self.odd_rows("garden")[0]}

    def reworded(self, row: Row) -> Row:
        """Return other texts with the same score."""
        return {**row, "text1": "quite another question", "text2": "window wagon"}

    def changes(self, facts: ModelFacts) -> Mapping[str, Value]:
        """Return every option of the objective at another value."""
        return {"loss": "cosine", "query_prompt": "harbour ", "document_prompt": "harbour "}

    def loss(self, model: Loaded, rows: Sequence[Row], plan: TrainPlan) -> float:
        """Return the loss of ``rows`` by the option ``loss``; see :func:`cosent`."""
        one = model.embed([str(row["text1"]) for row in rows], "query").astype(np.float64)
        two = model.embed([str(row["text2"]) for row in rows], "document").astype(np.float64)
        cosines = [float(value) for value in (unit(one) * unit(two)).sum(axis=1)]
        scores = [float(str(row["score"])) for row in rows]
        if plan.options["loss"] == "cosent":
            return cosent(cosines, scores)
        return float(np.mean((np.asarray(cosines) - np.asarray(scores)) ** 2))


def cosent(cosines: Sequence[float], scores: Sequence[float]) -> float:
    """Return log(1 + Σ exp(20 · (s_kl - s_ij))) over pairs of rows where ij has the higher score.

    CoSENT with sentence-transformers' scale of 20 (Huang et al. 2024).
    """
    wrong = [
        np.exp(20.0 * (lower - higher))
        for higher, above in zip(cosines, scores, strict=True)
        for lower, below in zip(cosines, scores, strict=True)
        if above > below
    ]
    return float(np.log1p(np.sum(wrong)))


def _row(index: int, draw: random.Random) -> Row:
    words = draw.sample(WORDS, 16)
    shared = index % 5 * 2
    one, two = words[:8], words[:shared] + words[8 + shared :]
    return {"text1": " ".join(one), "text2": " ".join(two), "score": shared / 8}
