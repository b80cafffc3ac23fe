"""Which candidates may be negatives: what would teach a mistake is left out, and counted."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from ragd_tune.data.model import DataSet

if TYPE_CHECKING:
    from ragd_tune.data.near import Codes

REASONS = ("relevant", "duplicate", "neighbour", "too-close")
SAME = 0.8
"""Share of shingles above which a passage is a duplicate of the positive; see ``data.near``."""


def rank_fusion(*rankings: Sequence[int], k: int = 60) -> list[int]:
    """Return the union of rankings by reciprocal rank fusion, the best first.

    The score is Σ 1/(k + rank), ranks from 1 (Cormack, Clarke and Büttcher 2009, with their k).
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (k + rank)
    return sorted(scores, key=lambda number: (-scores[number], number))


def limit(positive: float, margin: float) -> float:
    """Return the score below which a negative is kept: ``margin`` of the positive's.

    A negative score's share lies on its other side: 95% of -1 is -1.05.
    """
    return positive - (1 - margin) * abs(positive)


@dataclass
class Selector:
    """Sorts candidates of one data set out; ``dropped`` counts by reason.

    ``margin`` None switches the positive-aware filter off.
    """

    data: DataSet
    margin: float | None
    dropped: Counter[str] = field(default_factory=Counter)
    _ids: list[str] = field(default_factory=list)
    _beside: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = list(self.data.corpus)
        self._beside = neighbours(self.data)
        self._codes = lru_cache(maxsize=4096)(self._shingles)

    def _shingles(self, did: str) -> Codes:
        from ragd_tune.data.near import shingles
        from ragd_tune.data.text import fold

        return shingles(fold(self.data.corpus[did].passage))

    def keep(
        self,
        qid: str,
        candidates: Iterable[tuple[str, float]],
        positive: float | None,
        enough: int = sys.maxsize,
    ) -> list[tuple[str, float]]:
        """Return the first ``enough`` candidates (id, score) that may be negatives of ``qid``.

        ``positive`` is the lowest score of a relevant passage; None where it has none. What comes
        after is not looked at, and not counted.
        """
        relevant = self.relevant(qid)
        beside = {other for did in relevant for other in self._beside.get(did, ())}
        kept = []
        for did, score in candidates:
            reason = self._reason(did, score, relevant, beside, positive)
            if reason:
                self.dropped[reason] += 1
                continue
            kept.append((did, score))
            if len(kept) == enough:
                break
        return kept

    def relevant(self, qid: str) -> set[str]:
        """Return every passage that any split calls relevant to ``qid``."""
        return {did for judged in self.data.qrels.values() for did in judged.get(qid, ())}

    def _reason(
        self,
        did: str,
        score: float,
        relevant: set[str],
        beside: set[str],
        positive: float | None,
    ) -> str:
        if did in relevant:
            return "relevant"
        if did in beside:
            return "neighbour"
        if positive is not None and self.margin is not None:
            close = score >= limit(positive, self.margin)
            if close:
                return "too-close"
        if any(self._same(did, other) for other in relevant):
            return "duplicate"
        return ""

    def _same(self, one: str, other: str) -> bool:
        from ragd_tune.data.near import jaccard

        left, right = self._codes(one), self._codes(other)
        short, long = sorted((len(left), len(right)))
        # Lengths bound the similarity of distinct shingles only roughly: half of it rules out most.
        return short >= SAME / 2 * long and jaccard(left, right) >= SAME


def neighbours(data: DataSet) -> dict[str, set[str]]:
    """Return, for each passage, those right before and after it in its document."""
    rows: dict[str, list[str]] = {}
    for did, doc in data.corpus.items():
        if doc.document:
            rows.setdefault(doc.document, []).append(did)
    beside: dict[str, set[str]] = {}
    for row in rows.values():
        for one, two in pairwise(row):
            beside.setdefault(one, set()).add(two)
            beside.setdefault(two, set()).add(one)
    return beside
