"""RAGAS's metrics, by a language model as judge: in a process and an environment of their own.

RAGAS (Es et al. 2023, arXiv 2309.15217) has a language model read question, passages and answer.
What it gives is a model's opinion: the gate never looks at it.
"""

from __future__ import annotations

from ragd_tune.evaluate.ragas.engine import judge
from ragd_tune.evaluate.ragas.values import (
    ANSWER,
    CONTEXT,
    METRICS,
    Judge,
    Judged,
    Sample,
    Task,
)

__all__ = ["ANSWER", "CONTEXT", "METRICS", "Judge", "Judged", "Sample", "Task", "judge"]
