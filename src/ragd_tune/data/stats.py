"""Counts and lengths of a data set."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from ragd_tune.data.model import SPLITS, DataSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long texts are, in words or in tokens."""

    count: int
    mean: float
    median: float
    p95: float
    longest: int

    @classmethod
    def of(cls, lengths: Iterable[int]) -> Lengths:
        """Summarise ``lengths``; all is 0 where there are none."""
        ordered = sorted(lengths)
        if not ordered:
            return cls(count=0, mean=0.0, median=0.0, p95=0.0, longest=0)
        return cls(
            count=len(ordered),
            mean=round(statistics.fmean(ordered), 2),
            median=float(statistics.median(ordered)),
            p95=float(ordered[(len(ordered) - 1) * 95 // 100]),
            longest=ordered[-1],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStats:
    """One split: ``known`` and ``new`` as in :meth:`DataSet.known_and_new`."""

    queries: int
    pairs: int
    documents: int
    pairs_per_query: float
    most_pairs: int
    clusters: int
    known: int
    new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What ``data stats`` shows. ``words`` has the keys ``passages`` and ``queries``."""

    fingerprint: str
    documents: int
    sources: int
    groups: int
    queries: int
    judged: int
    negatives: int
    scored: int
    splits: dict[str, SplitStats]
    words: dict[str, Lengths]

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return asdict(self)


def stats(data: DataSet) -> Stats:
    """Count what is in ``data`` and how long its texts are (in words, parted by blanks)."""
    groups = {doc.group for doc in data.corpus.values()}
    groups |= {query.group for query in data.queries.values()}
    return Stats(
        fingerprint=data.fingerprint,
        documents=len(data.corpus),
        sources=len({data.unit(did) for did in data.corpus}),
        groups=len(groups - {""}),
        queries=len(data.queries),
        judged=len({qid for judged in data.qrels.values() for qid in judged}),
        negatives=sum(len(dids) for dids in data.negatives.values()),
        scored=len(data.scored),
        splits={split: _split(data, split) for split in SPLITS if split in data.qrels},
        words={
            "passages": Lengths.of(words(doc.passage for doc in data.corpus.values())),
            "queries": Lengths.of(words(query.text for query in data.queries.values())),
        },
    )


def words(texts: Iterable[str]) -> list[int]:
    """Return the number of words of each text."""
    return [len(text.split()) for text in texts]


def _split(data: DataSet, split: str) -> SplitStats:
    judged = data.qrels[split]
    sizes: Sequence[int] = [len(found) for found in judged.values()]
    known, new = data.known_and_new(split)
    return SplitStats(
        queries=len(judged),
        pairs=sum(sizes),
        documents=len({did for found in judged.values() for did in found}),
        pairs_per_query=round(statistics.fmean(sizes), 2),
        most_pairs=max(sizes),
        clusters=len(set(data.clusters(split).values())),
        known=len(known),
        new=len(new),
    )
