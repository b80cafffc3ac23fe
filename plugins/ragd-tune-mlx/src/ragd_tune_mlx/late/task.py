"""The objective ``late_interaction``: rows to tokens, and the softmax over MaxSim scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from ragd_tune.objectives import Rows
from ragd_tune.objectives.reading import negatives
from ragd_tune.plan import TrainPlan
from ragd_tune_mlx.contrastive import in_batch
from ragd_tune_mlx.late.model import LateEncoder
from ragd_tune_mlx.late.tokens import LateTokenizer, Words


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tokens of the queries, of their positives in that order, and of all explicit negatives."""

    query: Words
    positive: Words
    negative: Words | None


class LateInteraction:
    """-mean log softmax(MaxSim(q_i, d_j) / temperature), where d are all passages of the batch.

    As ColBERTv2's in-batch loss; d_i answers q_i (Santhanam et al. 2022, arXiv 2112.01488).
    """

    def __init__(self, plan: TrainPlan, rows: Rows, tokenizer: LateTokenizer) -> None:
        self._rows = {"train": rows.train, "dev": rows.dev}
        self._tokenizer = tokenizer
        self._negatives = plan.integer("negatives")
        self._scale = 1.0 / plan.number("temperature")

    def pieces(self, part: str, indices: Sequence[int]) -> list[Batch]:
        """Return the tokens of a batch as one piece: every passage is contrasted with all."""
        rows = [self._rows[part][i] for i in indices]
        further = [text for row in rows for text in negatives(row, self._negatives)]
        made = Batch(
            query=self._tokenizer([str(row["query"]) for row in rows], "query"),
            positive=self._tokenizer([str(row["positive"]) for row in rows], "document"),
            negative=self._tokenizer(further, "document") if further else None,
        )
        return [made]

    def loss(self, model: LateEncoder, batch: Batch) -> mx.array:
        """Return the mean loss of the batch, a scalar in float32."""
        queries = model(batch.query)
        scores = mx.concatenate(
            [
                maxsim(queries, batch.query.counted, model(words), words.counted)
                for words in (batch.positive, batch.negative)
                if words is not None
            ],
            axis=1,
        )
        return in_batch(scores * self._scale)


def maxsim(
    queries: mx.array, q_counted: mx.array, documents: mx.array, d_counted: mx.array
) -> mx.array:
    """Return the score of every query against every document: (queries, documents).

    The sum over a query's tokens of the largest inner product with a token of the document; only
    tokens that count. ``queries`` is (q, t, d), ``documents`` (p, u, d), the counts (q, t), (p, u).
    """
    q, t, size = queries.shape
    p, u, _ = documents.shape
    alike = (queries.reshape(q * t, size) @ documents.reshape(p * u, size).T).reshape(q, t, p, u)
    best = mx.where(d_counted[None, None] > 0, alike, -mx.inf).max(axis=-1)
    return (best * q_counted[..., None]).sum(axis=1)
