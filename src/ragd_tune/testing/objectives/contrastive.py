"""The objective ``contrastive`` in the suite: one vector a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts, Role, Side, TrainPlan
from ragd_tune.testing.objectives.checks import Checks
from ragd_tune.testing.samples import contrastive_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragd_tune.testing.loaded import Loaded
    from ragd_tune.testing.objectives.checks import Outputs

ROLES: tuple[Role, ...] = ("query", "document")


class Contrastive(Checks):
    """A query's vector lies near its positive's: in-batch softmax over cosines."""

    objective = "contrastive"
    vectors = True
    silent = frozenset({"training_length"})  # to save time: a backend may read whole texts

    def rows(self) -> Rows:
        """Return rows some of which share a passage, some with negatives of their own."""
        return contrastive_rows()

    def odd_rows(self, text: str) -> list[Row]:
        """Return four rows, half of whose texts are ``text``."""
        rows: list[Row] = []
        for i in range(4):
            one, two = (text, f"garden {i}") if i % 2 else (f"garden {i}", f"{text} {i}")
            rows.append(
                {"query": one, "positive": two, "positive_key": f"k{i}", "relevant_keys": [f"k{i}"]}
            )
        return rows

    def single_rows(self) -> Mapping[str, Row]:
        """Return a row without a negative, and one with one."""
        row = self.odd_rows("garden")[0]
        return {
            "alone": {**row, "negatives": []},
            "with-a-negative": {**row, "negatives": ["harbour lamp"]},
        }

    def reworded(self, row: Row) -> Row:
        """Return another question, and another passage under the same key."""
        return {**row, "query": "quite another question", "positive": "window wagon"}

    def changes(self, facts: ModelFacts) -> Mapping[str, Value]:
        """Return every option of the objective at another value."""
        return {
            "temperature": 0.5,
            "dropout": 0.5,
            "query_prompt": "harbour ",
            "document_prompt": "harbour ",
            "negatives": 0,
            "blend": 0.5,
            "matryoshka_dims": (facts.dimension // 2,),
        }

    def idle(self, side: Side) -> frozenset[str]:
        """Documents that nobody tunes keep the prompt that they were embedded with.

        And what answers queries alone is trained without dropout, as frozen vectors have none.
        """
        return frozenset({"document_prompt", "dropout"} if side == "query" else ())

    def check_facts(self, facts: ModelFacts, plan: TrainPlan) -> None:
        """A vector has a dimension, and is pooled somehow."""
        assert facts.dimension > 0
        assert facts.pooling
        length = facts.max_length
        if plan.side == "query":  # the documents lie in the base's space, and keep its length
            told = facts.settings["query_length"]
            assert isinstance(told, int)
            assert told <= length
            length = told
        assert length == plan.integer("max_length")

    def loss(self, model: Loaded, rows: Sequence[Row], plan: TrainPlan) -> float:
        """Return the in-batch softmax loss of ``rows``, with the first negative of each.

        -mean log softmax(cos(q_i, p_j) / temperature), where p are all positives, then all
        negatives of the batch, and p_i answers q_i (van den Oord et al. 2018, arXiv 1807.03748).
        """
        negatives = [text for row in rows for text in _texts(row)[:1]]
        queries = model.embed([str(row["query"]) for row in rows], "query").astype(np.float64)
        passages = [str(row["positive"]) for row in rows] + negatives
        found = model.embed(passages, "document").astype(np.float64)
        logits = unit(queries) @ unit(found).T / plan.number("temperature")
        top = logits.max(axis=1, keepdims=True)
        sums = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        return float(np.mean(sums - np.diagonal(logits)))

    def outputs(self, model: Loaded, texts: Sequence[str]) -> Outputs:
        """Return vectors by role."""
        found = {role: model.embed(texts, role) for role in ROLES}
        for vectors in found.values():
            assert isinstance(vectors, np.ndarray), "vectors are one NumPy array"
            assert vectors.dtype == np.float32
            assert vectors.shape == (len(texts), model.facts.dimension)
        return {role: list(vectors) for role, vectors in found.items()}

    def check_outputs(self, outputs: Outputs, texts: Sequence[str], facts: ModelFacts) -> None:
        """Vectors are float32 of the dimension, and of length 1 where the facts say so."""
        for vectors in outputs.values():
            assert len(vectors) == len(texts)
            for vector in vectors:
                assert vector.shape == (facts.dimension,)
                if facts.normalise:
                    assert abs(float(np.linalg.norm(vector)) - 1.0) < 1e-5

    def check_nothing(self, model: Loaded) -> None:
        """No texts give no vectors, of the right shape."""
        found = model.embed([])
        assert found.shape == (0, model.facts.dimension)
        assert found.dtype == np.float32

    def frozen(self) -> frozenset[str]:
        """Documents keep their vectors."""
        return frozenset({"document"})


def _texts(row: Row) -> list[str]:
    found = row.get("negatives", [])
    assert isinstance(found, list)
    return found


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``vectors`` (n, d) at length 1."""
    made: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made
