"""The contrastive objective where documents are frozen vectors, and the batches for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor

from ragd_tune.objectives import Row
from ragd_tune.plan import ModelFacts
from ragd_tune.training.facts import shares
from ragd_tune_cpu.collate import Collator
from ragd_tune_cpu.many.group import GROUP
from ragd_tune_cpu.query.frozen import Frozen

VECTOR = "sentence_embedding"

Embed = Callable[[dict[str, Tensor]], Tensor]


class AgainstFrozen(torch.nn.Module):
    """The in-batch softmax over cosines of ``embed``'s queries with given documents.

    With ``dims``, its mean over those leading parts of the vectors: of the queries', which learn
    it, and of the documents', which are cut as they are.
    """

    def __init__(
        self, model: SentenceTransformer, embed: Embed, *, scale: float, dims: Sequence[int]
    ) -> None:
        super().__init__()
        self.model = model
        self.embed = embed
        self.dims: list[int | None] = [*dims] or [None]
        self.shares = shares(dims) or [1.0]
        self.softmax = MultipleNegativesRankingLoss(model, scale=scale)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Return the mean loss of the batch: queries, positives, negatives, a column each."""
        columns = list(sentence_features)
        own = [self.embed(columns[0]), *(one[VECTOR] for one in columns[1:])] if columns else []
        vectors = GROUP.everyone(own)
        losses = [
            share * self.softmax.compute_loss_from_embeddings([v[:, :n] for v in vectors], labels)
            for n, share in zip(self.dims, self.shares, strict=True)
        ]
        loss = torch.stack(losses).sum()
        if not own:  # one of several processes, without a row of this batch: its gradients are zero
            loss = loss + 0.0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        return loss


class Queries(Collator):
    """Makes one batch: queries as tokens or, where these are frozen too, as vectors."""

    def __init__(
        self,
        model: SentenceTransformer,
        rows: Sequence[Row],
        *,
        facts: ModelFacts,
        negatives: int,
        length: int,
        frozen: dict[str, Frozen],
    ) -> None:
        super().__init__(model, rows, facts=facts, negatives=negatives, length=length)
        self.frozen = frozen

    def _column(self, name: str, role: Any, texts: list[str]) -> dict[str, Any]:
        known = self.frozen.get(role)
        if known is None:
            return super()._column(name, role, texts)
        return {f"{name}_{VECTOR}": known(texts)}
