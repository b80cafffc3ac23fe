"""New thresholds for a new model: ragd's scores shift with the cosines of a tuned model.

ragd compares ``min_score`` and ``min_relevance`` with the score of its hybrid search,
``0.7 · (1 + cos) / 2 + 0.3 · min(1, bm25 / 10)`` (the divisor is configurable). The new threshold
keeps 95% of the right answers that the old one kept for the old model, on queries that no training
saw.
"""

from __future__ import annotations

import contextlib
import math
import random
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data import DataSet
    from ragd_tune.ragd.facts import HostConfig
    from ragd_tune.serve import Embedder

SEMANTIC, KEYWORD = 0.7, 0.3
"""Weights of ragd's hybrid search, which 1.0.10 does not take from its configuration."""
KEEP = 0.95
LEAST = 20
"""Right answers that a threshold must be found on; with fewer it stays as it was."""
MOST = 1000
"""Pairs that are looked at; a seeded sample of more."""
DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One threshold, before and after; ``answers`` were kept before, ``kept`` are kept now."""

    key: str
    before: float
    after: float
    answers: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The thresholds, and what they were found on."""

    data: str
    split: str
    pairs: int
    thresholds: tuple[Threshold, ...]

    def to_json(self) -> dict[str, object]:
        """Return what the records keep."""
        return {
            "host": "ragd",
            "keep": KEEP,
            "data": self.data,
            "split": self.split,
            "pairs": self.pairs,
            "thresholds": {
                one.key: {
                    "before": one.before,
                    "after": one.after,
                    "answers": one.answers,
                    "kept": one.kept,
                }
                for one in self.thresholds
            },
        }


def recalibrate(
    data: DataSet, facts: HostConfig, before: Embedder, after: Embedder
) -> Calibration | None:
    """Return thresholds for ``after`` that stand for what ``facts`` has for ``before``.

    The test split is used, or ``dev`` where there is none; None if neither is there.
    """
    split = next((name for name in ("test", "dev") if data.qrels.get(name)), None)
    if split is None:
        return None
    pairs = right_answers(data, split)
    words = keyword_scores(data, pairs)
    old = scores(data, pairs, words, before, facts.divisor)
    new = scores(data, pairs, words, after, facts.divisor)
    found = tuple(
        moved(key, value, old, new)
        for key, value in (("min_score", facts.min_score), ("min_relevance", facts.min_relevance))
    )
    return Calibration(data=data.fingerprint, split=split, pairs=len(pairs), thresholds=found)


def moved(
    key: str, threshold: float, old: NDArray[np.float64], new: NDArray[np.float64]
) -> Threshold:
    """Return the largest threshold that keeps 95% of what ``threshold`` kept of ``old``.

    ``old`` and ``new`` are scores of the same right answers, (n,). With fewer than 20 kept, the
    threshold stays.
    """
    import numpy as np

    kept = np.sort(new[old >= threshold])
    after = threshold
    if len(kept) >= LEAST:
        lowest = kept[len(kept) - math.ceil(KEEP * len(kept))]
        after = math.floor(float(lowest) * 10**DIGITS) / 10**DIGITS
    still = int((kept >= after).sum())
    return Threshold(key=key, before=threshold, after=after, answers=len(kept), kept=still)


def right_answers(data: DataSet, split: str) -> list[tuple[str, str]]:
    """Return (query id, document id) of the judged right answers, at most 1,000 by a seed."""
    found = [
        (query, document)
        for query, judged in sorted(data.qrels[split].items())
        for document, grade in sorted(judged.items())
        if grade > 0
    ]
    return found if len(found) <= MOST else sorted(random.Random(0).sample(found, MOST))


def scores(
    data: DataSet,
    pairs: Sequence[tuple[str, str]],
    words: Mapping[tuple[str, str], float],
    embedder: Embedder,
    divisor: float,
) -> NDArray[np.float64]:
    """Return ragd's combined scores of ``pairs``, float64 (n,)."""
    import numpy as np

    queries = list(dict.fromkeys(query for query, _ in pairs))
    documents = list(dict.fromkeys(document for _, document in pairs))
    left = embedder.embed_queries([data.queries[one].text for one in queries])
    right = embedder.embed_documents([data.corpus[one].passage for one in documents])
    rows, columns = _places(queries), _places(documents)
    found = []
    for pair in pairs:
        a = left[rows[pair[0]]].astype(np.float64)
        b = right[columns[pair[1]]].astype(np.float64)
        # A text without a known word may have the zero vector.
        cosine = float(a @ b) / (float(np.linalg.norm(a) * np.linalg.norm(b)) or 1.0)
        keyword = min(1.0, words.get(pair, 0.0) / divisor)
        found.append(SEMANTIC * (1 + cosine) / 2 + KEYWORD * keyword)
    return np.array(found)


def _places(items: Iterable[str]) -> dict[str, int]:
    return {item: number for number, item in enumerate(items)}


def keyword_scores(data: DataSet, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Return BM25 of ``pairs`` by SQLite, as ragd computes it: every word of a query must match."""
    found: dict[tuple[str, str], float] = {}
    wanted: dict[str, set[str]] = {}
    for query, document in pairs:
        wanted.setdefault(query, set()).add(document)
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            "CREATE VIRTUAL TABLE words USING fts5(text, id UNINDEXED, tokenize='porter unicode61')"
        )
        database.executemany(
            "INSERT INTO words VALUES (?, ?)",
            ((one.passage, key) for key, one in data.corpus.items()),
        )
        for query, documents in wanted.items():
            phrase = " ".join(f'"{word}"' for word in re.findall(r"\w+", data.queries[query].text))
            if phrase:
                rows = database.execute(
                    "SELECT id, bm25(words) FROM words WHERE words MATCH ?", (phrase,)
                )
                found |= {(query, key): -score for key, score in rows if key in documents}
    return found
