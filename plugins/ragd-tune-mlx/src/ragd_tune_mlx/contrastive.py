"""The contrastive objective: rows to tokens, and the in-batch softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from ragd_tune.objectives import Rows
from ragd_tune.objectives.reading import negatives
from ragd_tune.plan import ModelFacts, Role, TrainPlan
from ragd_tune.training.facts import shares
from ragd_tune_mlx.embedder import Embedder, unit
from ragd_tune_mlx.tokens import Tokenizer, Tokens


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tokens of the queries, of their positives in that order, and of all explicit negatives."""

    query: Tokens
    positive: Tokens
    negative: Tokens | None


class Contrastive:
    """What one step of the objective needs."""

    def __init__(
        self, plan: TrainPlan, rows: Rows, tokenizer: Tokenizer, facts: ModelFacts
    ) -> None:
        self._rows = {"train": rows.train, "dev": rows.dev}
        self._tokenizer = tokenizer
        self._prompts = facts.prompts
        self._negatives = plan.integer("negatives")
        self._scale = 1.0 / plan.number("temperature")
        self._sizes = facts.dimensions or (facts.dimension,)

    def pieces(self, part: str, indices: Sequence[int]) -> list[Batch]:
        """Return the tokens of a batch as one piece: every passage is contrasted with all."""
        rows = [self._rows[part][i] for i in indices]
        further = [text for row in rows for text in negatives(row, self._negatives)]
        made = Batch(
            query=self._tokens([str(row["query"]) for row in rows], "query"),
            positive=self._tokens([str(row["positive"]) for row in rows], "document"),
            negative=self._tokens(further, "document") if further else None,
        )
        return [made]

    def _tokens(self, texts: list[str], role: Role) -> Tokens:
        prompt = self._prompts.get(role, "")
        return self._tokenizer([prompt + text for text in texts])

    def loss(self, model: Embedder, batch: Batch) -> mx.array:
        """Return the softmax over cosines (van den Oord et al. 2018, arXiv 1807.03748), a scalar.

        With Matryoshka, its mean over the full vector and each leading part (Kusupati et al. 2022,
        arXiv 2205.13147), by :func:`ragd_tune.training.facts.shares`.
        """
        queries = model(batch.query)
        passages = [model(tokens) for tokens in (batch.positive, batch.negative) if tokens]
        found = mx.concatenate(passages)
        losses = [self._softmax(queries[:, :size], found[:, :size]) for size in self._sizes]
        return mx.sum(mx.stack(losses) * mx.array(shares(self._sizes)))

    def _softmax(self, queries: mx.array, passages: mx.array) -> mx.array:
        return in_batch(unit(queries) @ unit(passages).T * self._scale)


def in_batch(logits: mx.array) -> mx.array:
    """Return -mean log softmax of (queries, passages), where passage i answers query i."""
    mine = mx.arange(logits.shape[0])
    right = mx.take_along_axis(logits, mine[:, None], axis=1)[:, 0]
    return mx.mean(mx.logsumexp(logits, axis=1) - right)
