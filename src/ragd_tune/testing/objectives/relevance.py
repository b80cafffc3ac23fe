"""The objective ``relevance`` in the suite: a score for a query and a passage read together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from ragd_tune.backends import RerankRequest
from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts, TrainPlan
from ragd_tune.testing.objectives.checks import Checks
from ragd_tune.testing.samples import WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragd_tune.testing.loaded import Loaded
    from ragd_tune.testing.objectives.checks import Outputs


class Relevance(Checks):
    """Passages with the answer score high, others low: binary cross-entropy, or listwise."""

    objective = "relevance"
    kind = "cross-encoder"
    apart = 1e-4  # a score in (0, 1) of a barely trained head

    def rows(self) -> Rows:
        """Return rows of one to four passages, one row graded, one with a teacher's scores."""
        draw = random.Random(0)
        rows = [_row(i, draw) for i in range(18)]
        return Rows(objective="relevance", train=rows[:14], dev=rows[14:])

    def odd_rows(self, text: str) -> list[Row]:
        """Return four rows, half of whose texts are ``text``."""
        return [
            {"query": text, "passages": ["garden", "harbour"], "labels": [1.0, 0.0]},
            {"query": "garden", "passages": [text, f"{text} 2"], "labels": [1.0, 0.0]},
            {"query": text, "passages": [text], "labels": [0.0]},
            {"query": "lamp", "passages": [text, "lake"], "labels": [0.0, 1.0]},
        ]

    def single_rows(self) -> Mapping[str, Row]:
        """Return a row with a single passage, and one with two."""
        return {
            "one-passage": {"query": "garden", "passages": ["garden lamp"], "labels": [1.0]},
            "two-passages": self.odd_rows("garden")[0],
        }

    def reworded(self, row: Row) -> Row:
        """Return another question with other passages, and the same labels."""
        labels = cast("list[float]", row["labels"])
        passages = [f"window wagon {number}" for number in range(len(labels))]
        return {**row, "query": "quite another question", "passages": passages}

    def changes(self, facts: ModelFacts) -> Mapping[str, Value]:
        """Return every option of the objective at another value."""
        return {"loss": "listwise"}

    def check_facts(self, facts: ModelFacts, plan: TrainPlan) -> None:
        """A reranker has a length, and no vectors."""
        assert facts.max_length == plan.integer("max_length")
        assert facts.dimension == 0, "a reranker gives scores, and no vectors"

    def loss(self, model: Loaded, rows: Sequence[Row], plan: TrainPlan) -> float:
        """Return the loss of ``rows`` by the option ``loss``; see :func:`bce` and `listwise`."""
        asked = [
            RerankRequest(
                query=str(row["query"]), passages=tuple(cast("list[str]", row["passages"]))
            )
            for row in rows
        ]
        formula = {"bce": bce, "listwise": listwise}[str(plan.options["loss"])]
        return formula([logit(scores) for scores in model.rerank(asked)], rows)

    def outputs(self, model: Loaded, texts: Sequence[str]) -> Outputs:
        """Return each text's score as a passage, and as a query of one passage."""
        (found,) = model.rerank([RerankRequest(query="anchor apple", passages=tuple(texts))])
        asked = [RerankRequest(query=text, passages=("garden lamp",)) for text in texts]
        _check(found, len(texts))
        queries = model.rerank(asked)
        assert isinstance(queries, list), "one array a request, in a list"
        for scores in queries:
            _check(scores, 1)
        return {"passage": list(found.reshape(-1, 1)), "query": queries}

    def check_outputs(self, outputs: Outputs, texts: Sequence[str], facts: ModelFacts) -> None:
        """Scores lie between 0 and 1: ragd drops those below 0."""
        for scores in outputs.values():
            assert len(scores) == len(texts)
            assert all(0.0 <= float(score[0]) <= 1.0 for score in scores)

    def check_nothing(self, model: Loaded) -> None:
        """No requests give an empty list, and no passages an empty array."""
        assert model.rerank([]) == []
        some: list[tuple[str, ...]] = [("lamp",), (), ("lamp", "lake")]
        asked = [RerankRequest(query="anchor", passages=passages) for passages in some]
        for scores, passages in zip(model.rerank(asked), some, strict=True):
            _check(scores, len(passages))


def _check(scores: object, count: int) -> None:
    assert isinstance(scores, np.ndarray), "scores are a NumPy array"
    assert scores.dtype == np.float32
    assert scores.shape == (count,)


def _row(index: int, draw: random.Random) -> Row:
    passages = [" ".join(draw.sample(WORDS, 12)) for _ in range(1 + index % 4)]
    row: dict[str, object] = {
        "query": " ".join(draw.sample(passages[0].split(), 4)),
        "passages": passages,
        "labels": [1.0] + [0.0] * (len(passages) - 1),
    }
    if index == 3:
        row["labels"] = [1.0, 0.5, 0.25, 0.0]
    if index == 7:
        row["teacher_scores"] = [2.0, 0.5, -1.0, 0.0]
    return row


def logit(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the numbers whose sigmoids are ``scores``."""
    wide = np.clip(scores.astype(np.float64), 1e-12, 1.0 - 1e-12)
    made: NDArray[np.float64] = np.log(wide) - np.log1p(-wide)
    return made


def bce(logits: Sequence[NDArray[np.float64]], rows: Sequence[Row]) -> float:
    """Return the binary cross-entropy, the mean over all passages of the batch.

    log(1 + exp(-z)) for a label of 1, log(1 + exp(z)) for 0, and between them for a label between.
    """
    z = np.concatenate(logits)
    labels = np.concatenate([np.asarray(row["labels"], np.float64) for row in rows])
    return float(np.mean(labels * np.logaddexp(0, -z) + (1 - labels) * np.logaddexp(0, z)))


def listwise(logits: Sequence[NDArray[np.float64]], rows: Sequence[Row]) -> float:
    """Return the cross-entropy of each row's softmax with its target, the mean over the rows.

    The target is the softmax of the teacher's scores where there are any (ListNet, Cao et al.
    2007), else the labels divided by their sum. A row whose labels are all 0 says nothing, and
    counts for 0.
    """
    return float(np.mean([_listed(z, row) for z, row in zip(logits, rows, strict=True)]))


def _listed(z: NDArray[np.float64], row: Row) -> float:
    logs = z - np.logaddexp.reduce(z)
    if row.get("teacher_scores"):
        teacher = np.asarray(row["teacher_scores"], np.float64)
        target = np.exp(teacher - np.logaddexp.reduce(teacher))
    else:
        labels = np.asarray(row["labels"], np.float64)
        target = labels / max(labels.sum(), 1e-12)
    return float(-(target * logs).sum())
