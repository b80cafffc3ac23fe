"""The objective ``similarity``: pairs of texts with a score, ordered or regressed by cosine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CoSENTLoss
from torch import Tensor

from ragd_tune.plan import TrainPlan
from ragd_tune_cpu import pieces
from ragd_tune_cpu.collate import Collator


class ScoredPairs(Collator):
    """Makes one batch: first texts as queries, second ones as documents, and their scores."""

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Return the tensors of the rows that ``items`` point to."""
        rows = [self.rows[item["row"]] for item in items]
        made = self._column("query", "query", [str(row["text1"]) for row in rows])
        made |= self._column("positive", "document", [str(row["text2"]) for row in rows])
        scores = [float(str(row["score"])) for row in rows]
        return {**made, "label": torch.tensor(scores, dtype=torch.float32)}


class Similarity(torch.nn.Module):
    """CoSENT, or the squared error of the cosine.

    CoSENT (Huang et al. 2024, doi 10.1109/TASLP.2024.3402087) is sentence-transformers':
    log(1 + Σ exp(20 · (s_kl - s_ij))) over the cosines s of all pairs of rows where the score of
    ij is above that of kl. It learns the order of the scores, and not their size.
    """

    def __init__(self, model: SentenceTransformer, *, cosent: bool) -> None:
        super().__init__()
        self.model = model
        self.ordered = CoSENTLoss(model) if cosent else None

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Return the loss of the batch; ``labels`` are the scores, float32 (rows,)."""
        vectors = [pieces.embed(self.model, features) for features in sentence_features]
        if self.ordered is not None:
            return self.ordered.compute_loss_from_embeddings(vectors, labels)
        one, two = vectors
        return F.mse_loss(F.cosine_similarity(one, two), labels)


def similarity(model: SentenceTransformer, plan: TrainPlan) -> torch.nn.Module:
    """Return the loss that the option ``loss`` names."""
    return Similarity(model, cosent=plan.options["loss"] == "cosent")
