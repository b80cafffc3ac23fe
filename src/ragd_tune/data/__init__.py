"""Data sets: read, check, split, count, write.

Read are BEIR folders (``corpus.jsonl``, ``queries.jsonl``, ``qrels/{train,dev,test}.tsv``, and
``negatives.jsonl``, ``scored.jsonl`` beside them), and JSONL, JSON, CSV or TSV files of rows: pairs
(``query, positive[, negatives]``), triplets (``anchor, positive, negative``), ragd's rows
(``query, positive, positive_id, negatives: [{id, text}], source_document``) and scored pairs
(``text1, text2, score``); each of them also as .gz, and by split where files or rows say so.
"""

from __future__ import annotations

from ragd_tune.data.check import Report, check
from ragd_tune.data.findings import Finding, UnusableDataError
from ragd_tune.data.model import DataSet, Document, Pair, Query, ScoredPair
from ragd_tune.data.read import read
from ragd_tune.data.split import split
from ragd_tune.data.stats import Stats, stats
from ragd_tune.data.write import write

__all__ = [
    "DataSet",
    "Document",
    "Finding",
    "Pair",
    "Query",
    "Report",
    "ScoredPair",
    "Stats",
    "UnusableDataError",
    "check",
    "read",
    "split",
    "stats",
    "write",
]
