"""Rankings against judgements, query by query, as trec_eval counts them.

``ndcg@k``    the gain is the grade itself (linear), the discount log2(rank + 1); the ideal ranking
              holds every relevant document of the qrels (Järvelin & Kekäläinen 2002; trec_eval's
              ndcg_cut). Grades of 0 and below gain nothing.
``mrr@k``     1 / rank of the first relevant document, 0 when none is among the first k.
``recall@k``  share of the relevant documents that are among the first k.
``hit@k``     1 when any relevant document is among the first k (trec_eval's success).

A document is relevant when its grade is above 0. A query without any relevant document is left out
and counted: a 0 for it would say something about the judgements, not about the system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragd_tune.errors import TuneError, UsageError

Qrels = Mapping[str, Mapping[str, float]]
Rankings = Mapping[str, Sequence[str]]
Floats = NDArray[np.float64]

METRICS = ("ndcg@10", "mrr@10", "recall@10", "recall@100", "hit@1", "hit@3", "hit@10")

_TITLES = {
    "ndcg": "nDCG",
    "mrr": "MRR",
    "recall": "Recall",
    "hit": "Hit",
    "spearman": "Spearman's ρ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What one system scored, query by query.

    ``values`` is float64 (n,) for every metric; ``first`` is the rank, counted from 1, of the
    first relevant document, 0 when the ranking has none. ``unjudged`` queries had no relevant
    document and are not among the n; ``collapsed`` documents were taken for an equal one.
    """

    query_ids: tuple[str, ...]
    values: Mapping[str, Floats]
    first: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    unjudged: int = 0
    collapsed: int = 0

    def means(self) -> dict[str, float]:
        """Return the mean of every metric; 0 where there are no queries."""
        return {name: float(v.mean()) if len(v) else 0.0 for name, v in self.values.items()}


def score(
    rankings: Rankings,
    qrels: Qrels,
    *,
    metrics: Sequence[str] = METRICS,
    equivalents: Mapping[str, str] | None = None,
) -> Scores:
    """Score rankings (query id → document ids, the best first) by ``qrels``.

    ``equivalents`` (see :func:`same_text`) makes documents of the same text one: found at its best
    rank, relevant when any of them is, with the highest grade. Without it the figures are
    trec_eval's. Queries are scored in the order of ``rankings``; a judged query that has no
    ranking is an error, since leaving it out would flatter the system.

    :raises UsageError: a metric that is not known.
    :raises TuneError: a judged query has no ranking, or a ranking holds a document twice.
    """
    cuts = [parse(name) for name in metrics]
    same = equivalents or {}
    judged = relevant(qrels, same)
    if missing := [query for query in judged if query not in rankings]:
        raise TuneError(
            f"{len(missing)} judged queries have no ranking, for example {missing[0]!r}",
            mend="rank every query, or take it out of the qrels as well",
        )
    ids = tuple(query for query in rankings if query in judged)
    gains = _gains(ids, rankings, judged, same)
    ideal = _rows([sorted(judged[query].values(), reverse=True) for query in ids])
    return Scores(
        query_ids=ids,
        values={f"{name}@{k}": _FORMULAS[name](gains, ideal, k) for name, k in cuts},
        first=_first(gains),
        unjudged=len(rankings) - len(ids),
        collapsed=len(same),
    )


def same_text(texts: Mapping[str, str]) -> dict[str, str]:
    """Return, for each document whose text an earlier one has, the id of that earlier one.

    Equal texts have equal embeddings: which of them comes first is no merit of a model. Only
    identical texts count (blanks at the ends aside): "nearly the same" would be an opinion.
    """
    seen: dict[str, str] = {}
    same = {}
    for document, text in texts.items():
        kept = seen.setdefault(text.strip(), document)
        if kept != document:
            same[document] = kept
    return same


def parse(metric: str) -> tuple[str, int]:
    """Split ``ndcg@10`` into name and cut-off; upper case is read as lower.

    :raises UsageError: the name is not known, or the cut-off is not a positive number.
    """
    found = re.fullmatch(r"([a-z]+)@([1-9][0-9]{0,5})", metric.lower())
    if not found or found[1] not in _FORMULAS:
        raise UsageError(
            f"there is no metric {metric!r}",
            mend="use " + ", ".join(f"{name}@K" for name in _FORMULAS) + ", with a K from 1",
        )
    return found[1], int(found[2])


def title(metric: str) -> str:
    """Return the metric as people write it: ``nDCG@10``. A name that is not ours stays as it is."""
    name, at, k = metric.partition("@")
    return f"{_TITLES.get(name, name)}{at}{k}"


def relevant(qrels: Qrels, equivalents: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return queries that have relevant documents, with their grades; equal documents are one."""
    judged: dict[str, dict[str, float]] = {}
    for query, grades in qrels.items():
        merged: dict[str, float] = {}
        for document, grade in grades.items():
            if grade > 0:
                kept = equivalents.get(document, document)
                merged[kept] = max(float(grade), merged.get(kept, 0.0))
        if merged:
            judged[query] = merged
    return judged


def _gains(
    ids: Sequence[str],
    rankings: Rankings,
    judged: Mapping[str, Mapping[str, float]],
    same: Mapping[str, str],
) -> Floats:
    """Return the grade at each rank: (n, longest ranking)."""
    rows = []
    for query in ids:
        ranking, grades = rankings[query], judged[query]
        if len(set(ranking)) < len(ranking):
            raise TuneError(f"the ranking of query {query!r} holds a document twice")
        kept = dict.fromkeys(same.get(document, document) for document in ranking)
        rows.append([grades.get(document, 0.0) for document in kept])
    return _rows(rows)


def _rows(rows: Sequence[Sequence[float]]) -> Floats:
    """Return uneven rows as one matrix, filled up with 0."""
    matrix = np.zeros((len(rows), max(map(len, rows), default=0)))
    for row, values in zip(matrix, rows, strict=True):
        row[: len(values)] = values
    return matrix


def _first(gains: Floats) -> NDArray[np.int64]:
    """Return the rank of the first relevant document of each row, from 1; 0 for none."""
    if not gains.shape[1]:
        return np.zeros(len(gains), np.int64)
    return np.where(gains.any(axis=1), (gains > 0).argmax(axis=1) + 1, 0).astype(np.int64)


def _dcg(gains: Floats, k: int) -> Floats:
    cut = gains[:, :k]
    dcg: Floats = cut @ (1 / np.log2(np.arange(cut.shape[1]) + 2.0))
    return dcg


def _ndcg(gains: Floats, ideal: Floats, k: int) -> Floats:
    return _dcg(gains, k) / _dcg(ideal, k)


def _mrr(gains: Floats, _ideal: Floats, k: int) -> Floats:
    first = _first(gains[:, :k])
    return np.divide(1.0, first, out=np.zeros(len(first)), where=first > 0)


def _recall(gains: Floats, ideal: Floats, k: int) -> Floats:
    recall: Floats = (gains[:, :k] > 0).sum(axis=1) / (ideal > 0).sum(axis=1)
    return recall


def _hit(gains: Floats, _ideal: Floats, k: int) -> Floats:
    return np.asarray((gains[:, :k] > 0).any(axis=1), np.float64)


_FORMULAS: dict[str, Callable[[Floats, Floats, int], Floats]] = {
    "ndcg": _ndcg,
    "mrr": _mrr,
    "recall": _recall,
    "hit": _hit,
}
