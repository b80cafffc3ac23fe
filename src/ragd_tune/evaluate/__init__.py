"""Rankings, metrics, significance and the report that decides what may activate. NumPy only."""

from __future__ import annotations

from ragd_tune.evaluate.compare import compare
from ragd_tune.evaluate.elsewhere import Elsewhere
from ragd_tune.evaluate.metrics import METRICS, Scores, same_text, score
from ragd_tune.evaluate.report import Beside, Cell, Counts, Judged, Moved, Report
from ragd_tune.evaluate.retrieval import evaluate_retrieval
from ragd_tune.evaluate.search import TopK, top_k
from ragd_tune.evaluate.significance import Comparison, paired, paired_columns

__all__ = [
    "METRICS",
    "Beside",
    "Cell",
    "Comparison",
    "Counts",
    "Elsewhere",
    "Judged",
    "Moved",
    "Report",
    "Scores",
    "TopK",
    "compare",
    "evaluate_retrieval",
    "paired",
    "paired_columns",
    "same_text",
    "score",
    "top_k",
]
