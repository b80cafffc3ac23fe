"""The softmax over MaxSim scores of a batch, in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from sentence_transformers import MultiVectorEncoder
from torch import Tensor

from ragd_tune_cpu import pieces

BLOCK = 1 << 24
"""Token similarities held at once: 64 MiB of float32."""


class MaxSimSoftmax(torch.nn.Module):
    """-mean log softmax(MaxSim(q_i, d_j) / temperature), where d are all passages of the batch.

    As ColBERTv2's in-batch loss; d_i answers q_i (Santhanam et al. 2022, arXiv 2112.01488).
    """

    def __init__(self, model: MultiVectorEncoder, *, scale: float) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Return the mean loss of the batch: its first column are queries."""
        query, *columns = sentence_features
        queries, counted = tokens(self.model, query, "query")
        made = [tokens(self.model, column, "document") for column in columns]
        scores = torch.cat([maxsim(queries, counted, *column) for column in made], dim=1)
        own = torch.arange(len(scores), device=scores.device)
        return F.cross_entropy(scores * self.scale, own)


def tokens(
    model: MultiVectorEncoder, features: dict[str, Tensor], role: str
) -> tuple[Tensor, Tensor]:
    """Return token vectors (texts, tokens, dimension) of one column, and which of them count.

    Documents go in pieces of like length. Queries that are filled up have one length, and their
    masks hide in padding, which a piece would cut off: they go whole.
    """
    found = [] if "query_expansion_positions" in features else pieces.cut(features)
    if not found:
        made = model(features, task=role)
        return made["token_embeddings"], made["attention_mask"].bool()
    padding = getattr(model.tokenizer, "pad_token_id", None) or 0
    widest = features["attention_mask"].shape[1]
    vectors, counted = [], []
    for rows, length in found:
        width = min(pieces.rounded(length), widest)
        made = model(pieces.take(features, rows, width, padding), task=role)
        room = (0, widest - width)
        vectors.append(F.pad(made["token_embeddings"], (0, 0, *room)))
        counted.append(F.pad(made["attention_mask"].bool(), room))
    order = torch.argsort(torch.cat([rows for rows, _ in found]))
    return torch.cat(vectors)[order], torch.cat(counted)[order]


def maxsim(
    queries: Tensor, q_counted: Tensor, documents: Tensor, d_counted: Tensor, *, block: int = BLOCK
) -> Tensor:
    """Return the score of every query against every document: (queries, documents).

    The sum over a query's tokens of the largest inner product with a token of the document; only
    tokens that count. Queries go in blocks: ``max`` keeps where the largest one stood, and not
    what it was chosen from, so that the similarities of a block are freed before the next.
    """
    hidden = torch.where(d_counted, 0.0, float("-inf"))
    size = max(1, block // max(1, queries.shape[1] * d_counted.numel()))
    made = []
    for some, counted in zip(queries.split(size), q_counted.split(size), strict=True):
        alike = torch.einsum("qtd,pud->qptu", some, documents) + hidden[None, :, None, :]
        best = alike.max(dim=-1).values
        made.append((best * counted[:, None, :]).sum(-1))
    return torch.cat(made)
