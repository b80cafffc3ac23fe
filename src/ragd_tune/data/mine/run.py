"""Mine hard negatives: candidates by BM25 and vectors, filtered, the hardest kept, with scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data.journal import Journal
from ragd_tune.data.mine.dense import Index
from ragd_tune.data.mine.select import REASONS
from ragd_tune.data.mine.work import Work
from ragd_tune.data.model import DataSet

if TYPE_CHECKING:
    from ragd_tune.data.cluster import Cluster
    from ragd_tune.data.generate.roundtrip import Embed

Progress = Callable[[str, float], None]
Rescore = Callable[[str, Sequence[str]], Sequence[float]]
"""A query and passages to scores, the higher the better: a cross-encoder."""

_QUERIES = 1024
_TAUGHT = 16
"""Queries between two writes where a teacher reads every candidate: minutes of a CPU, not hours."""
_SPREAD = 16
"""Times as many on a cluster, where each block of queries goes through all passages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mining:
    """How to mine.

    ``per_query`` negatives are kept of ``depth`` candidates of each retriever (``bm25``,
    ``dense``); a teacher reads the first ``depth`` of both together. ``margin`` is the share of the
    positive's score that a negative must stay below; None keeps everything (and then false
    negatives too). ``skip`` leaves out so many of the hardest that are left. ``index`` is as in
    :class:`ragd_tune.data.mine.dense.Dense`.
    """

    per_query: int = 4
    depth: int = 100
    margin: float | None = 0.95
    retrievers: tuple[str, ...] = ("bm25", "dense")
    skip: int = 0
    index: Index = "auto"
    splits: tuple[str, ...] = ("train", "dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """Negatives by query, the hardest first; a teacher's scores of positives and negatives.

    ``dropped`` counts candidates by reason, ``empty`` the queries that are left without negatives.
    """

    negatives: Mapping[str, tuple[str, ...]]
    teacher: Mapping[str, Mapping[str, float]]
    dropped: Mapping[str, int] = field(default_factory=dict)
    looked_at: int = 0
    empty: int = 0

    def to_json(self) -> dict[str, object]:
        """Return counts, JSON-shaped."""
        return {
            "queries": len(self.negatives) + self.empty,
            "negatives": sum(map(len, self.negatives.values())),
            "candidates": self.looked_at,
            "dropped": dict(self.dropped),
            "without": self.empty,
        }


def mine(
    data: DataSet,
    asked: Mining,
    folder: Path,
    *,
    embed: Embed | None = None,
    encoder: str = "",
    rescore: Rescore | None = None,
    teacher: str = "",
    cluster: Cluster | None = None,
    progress: Progress = lambda text, done: None,
) -> Mined:
    """Return hard negatives of the queries of ``asked.splits``; those of test are never looked at.

    What is done is kept in ``folder``: the same call goes on where an earlier one was killed, and
    the result is the same. ``encoder`` and ``teacher`` name the models behind ``embed`` and
    ``rescore``; they are part of what makes a call the same. A ``cluster`` is not: it does the
    searches, each exactly, and finds what this machine would find.

    :raises DataError: there are no queries to mine for, or nothing to mine with.
    :raises UsageError: an approximate index is asked of a cluster.
    """
    work = Work(data, asked, embed, rescore, cluster, progress)
    header = {"mining": work.id(encoder, teacher), "schema": 1}
    home = folder / str(header["mining"])[:16]
    with Journal(home / "mined.jsonl", header) as journal:
        left = [qid for qid in work.queries if qid not in journal]
        if left:
            work.prepare(home)
        size = (_QUERIES if rescore is None else _TAUGHT) * (_SPREAD if cluster else 1)
        for start in range(0, len(left), size):
            progress("mining", (len(work.queries) - len(left) + start) / len(work.queries))
            journal.extend(work.block(left[start : start + size]))
        return _gathered(journal, work.queries)


def _gathered(journal: Journal, queries: Sequence[str]) -> Mined:
    negatives: dict[str, tuple[str, ...]] = {}
    teacher: dict[str, Mapping[str, float]] = {}
    dropped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    looked_at = 0
    for qid in queries:
        row: dict[str, object] = dict(journal.get(qid))
        found = row["negatives"]
        assert isinstance(found, list)
        if found:
            negatives[qid] = tuple(found)
        scores, counts, seen = row["scores"], row["dropped"], row["candidates"]
        assert isinstance(scores, dict)
        assert isinstance(counts, dict)
        assert isinstance(seen, int)
        teacher[qid] = scores
        dropped.update(counts)
        looked_at += seen
    return Mined(
        negatives=negatives,
        teacher=teacher,
        dropped=dict(dropped),
        looked_at=looked_at,
        empty=len(queries) - len(negatives),
    )
