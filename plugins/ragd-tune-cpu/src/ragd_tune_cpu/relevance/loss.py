"""The losses of a reranker, over logits: what its scores are before the sigmoid."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from sentence_transformers import CrossEncoder
from torch import Tensor

from ragd_tune_cpu import pieces


class Relevance(torch.nn.Module):
    """Binary cross-entropy over all pairs of a batch, or the listwise softmax over its rows.

    Listwise is -Σ target · log softmax(logits) within a row, the mean over the rows: ListNet's
    top-one loss (Cao et al. 2007) where the targets are a teacher's, and the contrastive loss of
    Gao et al. (2021, arXiv 2101.08751) where one passage is the answer.
    """

    def __init__(self, model: CrossEncoder, *, listwise: bool) -> None:
        super().__init__()
        self.model = model
        self.listwise = listwise

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Return the mean loss of the batch."""
        (column,) = sentence_features
        features = dict(column)
        sizes = features.pop("sizes").tolist()
        logits = score(self.model, features)
        if not self.listwise:
            return F.binary_cross_entropy_with_logits(logits, labels)
        rows = zip(logits.split(sizes), labels.split(sizes), strict=True)
        return torch.stack([-(target * F.log_softmax(z, dim=0)).sum() for z, target in rows]).mean()


@pieces.weights_cast_once()
def score(model: CrossEncoder, features: dict[str, Tensor]) -> Tensor:
    """Return the logit of every pair, float32 (pairs,), in pieces of like length."""
    found = pieces.cut(features)
    if not found:
        return _logits(model, features)
    padding = getattr(model.tokenizer, "pad_token_id", None) or 0
    widest = features["attention_mask"].shape[1]
    made = []
    for rows, length in found:
        width = min(pieces.rounded(length), max(length, widest))
        made.append(_logits(model, pieces.take(features, rows, width, padding)))
    order = torch.cat([rows for rows, _ in found])
    return torch.cat(made)[torch.argsort(order)]


def _logits(model: CrossEncoder, features: dict[str, Tensor]) -> Tensor:
    scores: Tensor = model(features)["scores"]
    return scores.reshape(-1).float()
