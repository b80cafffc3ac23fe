"""The proof of a cross-encoder: it orders candidates that others found and ordered before."""

from __future__ import annotations

from ragd_tune.evaluate import Report
from ragd_tune.evaluate.candidates import Field
from ragd_tune.evaluate.candidates import prove as compared
from ragd_tune.kinds import Served, Trial


def prove(trial: Trial, *, gate_metric: str) -> Report:
    """Compare the first stage's order with the tuned order of the same candidates.

    The base is an incumbent too where it is a reranker itself: a head whose numbers were drawn
    proves nothing.
    """
    return compared(
        trial,
        gate_metric=gate_metric,
        rank=Field.rerank,
        base="the base reranker",
        counts=_is_reranker,
    )


def _is_reranker(base: Served) -> bool:
    return not base.facts.settings.get("untrained_head")
