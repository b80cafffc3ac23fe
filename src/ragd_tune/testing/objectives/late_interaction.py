"""The objective ``late_interaction`` in the suite: a vector for every token, compared by MaxSim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.backends import MultiVector
from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts, Role, TrainPlan
from ragd_tune.serve.maxsim import maxsim
from ragd_tune.testing.objectives.contrastive import ROLES, Contrastive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragd_tune.testing.loaded import Loaded
    from ragd_tune.testing.objectives.checks import Outputs


class LateInteraction(Contrastive):
    """A query's tokens find their like in the positive: in-batch softmax over MaxSim."""

    objective = "late_interaction"
    kind = "colbert"
    vectors = False

    def rows(self) -> Rows:
        """Return contrastive's rows, with punctuation in their passages."""
        plain = super().rows()
        parts = ([_punctuated(row) for row in part] for part in (plain.train, plain.dev))
        train, dev = parts
        return replace(plain, objective=self.objective, train=train, dev=dev)

    def changes(self, facts: ModelFacts) -> Mapping[str, Value]:
        """Return every option of the objective at another value."""
        return {
            "temperature": 4.0,
            "token_dimension": facts.dimension // 2,
            "query_length": 9,
            "query_expansion": False,
            "expansion_attends": True,
            "skip_punctuation": False,
            "query_prompt": "harbour ",
            "document_prompt": "harbour ",
            "negatives": 0,
        }

    def check_facts(self, facts: ModelFacts, plan: TrainPlan) -> None:
        """A token's vector has a dimension, and a query a length."""
        assert facts.dimension > 0
        assert facts.max_length == plan.integer("max_length")
        assert set(facts.settings) == {
            *("query_length", "query_expansion", "expansion_attends", "skip_punctuation")
        }

    def loss(self, model: Loaded, rows: Sequence[Row], plan: TrainPlan) -> float:
        """Return the in-batch softmax loss of ``rows`` by the core's MaxSim.

        -mean log softmax(MaxSim(q_i, p_j) / temperature), where p are all positives, then the first
        negative of each row, and p_i answers q_i (Santhanam et al. 2022, arXiv 2112.01488).
        """
        passages = [str(row["positive"]) for row in rows]
        for row in rows:
            negatives = row.get("negatives", [])
            assert isinstance(negatives, list)
            passages += negatives[:1]
        queries = _multi(model, [str(row["query"]) for row in rows], "query")
        scores = maxsim(queries, _multi(model, passages, "document")).astype(np.float64)
        logits = scores / plan.number("temperature")
        return float(np.mean(np.logaddexp.reduce(logits, axis=1) - np.diagonal(logits)))

    def outputs(self, model: Loaded, texts: Sequence[str]) -> Outputs:
        """Return the token vectors of each text, by role."""
        made: dict[str, Sequence[NDArray[np.float32]]] = {}
        for role in ROLES:
            found = _multi(model, texts, role)
            ends = zip(found.offsets[:-1], found.offsets[1:], strict=True)
            made[role] = [found.values[start:stop] for start, stop in ends]
        return made

    def check_outputs(self, outputs: Outputs, texts: Sequence[str], facts: ModelFacts) -> None:
        """Every text has vectors, of the dimension, and of length 1."""
        for vectors in outputs.values():
            assert len(vectors) == len(texts)
            for one in vectors:
                assert one.shape[0] > 0
                assert one.shape[1] == facts.dimension
                assert np.abs(np.linalg.norm(one, axis=1) - 1.0).max() < 1e-5

    def check_nothing(self, model: Loaded) -> None:
        """No texts give no vectors, of the right shape."""
        found = _multi(model, [], "document")
        assert found.values.shape == (0, model.facts.dimension)
        assert found.offsets.tolist() == [0]


def _multi(model: Loaded, texts: Sequence[str], role: Role) -> MultiVector:
    found: object = model.embed_tokens(texts, role)
    assert isinstance(found, MultiVector), "many vectors a text are a MultiVector"
    assert found.values.dtype == np.float32
    assert found.offsets.dtype == np.int64
    assert found.offsets.shape == (len(texts) + 1,)
    return found


def _punctuated(row: Row) -> Row:
    return {**row, "positive": str(row["positive"]).replace(" ", ", ", 3)}
