"""From judgements to rows for objectives whose batches hold their own negatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ragd_tune.data.model import DataSet, Query
from ragd_tune.errors import DataError
from ragd_tune.objectives import Row, Rows


def rows(data: DataSet, *, negatives: int, objective: str = "contrastive") -> Rows:
    """Return one row for each relevant (query, document) of ``train`` and of ``dev``.

    Documents with the same text share a key, and so do the judgements of queries with the same
    text: either would be a false negative of the other within a batch. Only a split's own
    judgements are read; those of ``test`` never are. ``negatives`` is how many of a query's
    explicit negatives a row may carry.

    :raises DataError: there are no training pairs.
    """
    if not data.qrels.get("train"):
        raise DataError(
            f"{data.source}: there are no training pairs (query and positive) to learn from",
            mend="it learns from qrels/train.tsv, or from rows with query and positive",
        )
    keys = _keys(data)
    return Rows(
        objective=objective,
        train=list(_split(data, "train", keys, negatives)),
        dev=list(_split(data, "dev", keys, negatives)),
    )


def _keys(data: DataSet) -> dict[str, str]:
    """Return a key for each document: the id of the first one with that text."""
    first: dict[str, str] = {}
    return {did: first.setdefault(_same(doc.passage), did) for did, doc in data.corpus.items()}


def _same(text: str) -> str:
    """Return what two texts have in common that a reader would call the same."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True, slots=True)
class _Negatives:
    texts: list[str]
    keys: list[str]


def _split(data: DataSet, split: str, keys: Mapping[str, str], negatives: int) -> Iterator[Row]:
    relevant: dict[str, set[str]] = {}
    for pair in data.pairs(split):
        relevant.setdefault(_same(pair.query.text), set()).add(keys[pair.document.id])
    for pair in data.pairs(split):
        own = relevant[_same(pair.query.text)]
        row: dict[str, object] = {
            "query": pair.query.text,
            "positive": pair.document.passage,
            "positive_key": keys[pair.document.id],
            "relevant_keys": sorted(own),
        }
        hard = _negatives(data, pair.query, keys, own, negatives)
        if hard.texts:
            row |= {"negatives": hard.texts, "negative_keys": hard.keys}
        yield row


def _negatives(
    data: DataSet, query: Query, keys: Mapping[str, str], relevant: set[str], count: int
) -> _Negatives:
    """Return the first ``count`` negatives of ``query`` that are no positives, each text once.

    Written ones come first: there are few, and somebody wanted them.
    """
    written = data.written.get(query.id, ())[:count]
    found = {f"written/{query.id}/{number}": text for number, text in enumerate(written)}
    for did in data.negatives.get(query.id, ()):
        if len(found) == count:
            break
        if keys[did] not in relevant:
            found.setdefault(keys[did], data.corpus[did].passage)
    return _Negatives(texts=list(found.values()), keys=list(found))
