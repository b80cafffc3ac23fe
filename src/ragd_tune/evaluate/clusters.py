"""Which test queries belong together: the unit that a proof resamples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ragd_tune.evaluate.metrics import Qrels

_Key = tuple[str, str]


def clusters(
    query_ids: Sequence[str],
    *,
    qrels: Qrels,
    query_groups: Mapping[str, str] | None = None,
    doc_groups: Mapping[str, str] | None = None,
    documents: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Return a cluster number for each query id, counted from 0 in order of appearance.

    The first of these that is there decides for a query: its own ``group`` (``query_groups``);
    the ``group`` (``doc_groups``) or the ``document`` (``documents``) of each relevant document;
    the relevant documents themselves. Queries that share a key are in one cluster, and so on
    through others (connected components): too large a cluster costs certainty, too small a one
    claims certainty that is not there. For the same reason a query's group and a document's group
    of the same name are the same. Empty names count as absent. A query with none of these is a
    cluster of its own.

    Where documents of equal text count as one, pass ``relevant(qrels, equivalents)`` as ``qrels``.
    """
    parents: dict[_Key, _Key] = {}
    names = {}
    for query in query_ids:
        keys = _keys(query, qrels.get(query, {}), query_groups, doc_groups, documents)
        for key in keys:
            _join(parents, keys[0], key)
        names[query] = keys[0]
    numbers: dict[_Key, int] = {}
    return {
        query: numbers.setdefault(_root(parents, name), len(numbers))
        for query, name in names.items()
    }


def _keys(
    query: str,
    grades: Mapping[str, float],
    query_groups: Mapping[str, str] | None,
    doc_groups: Mapping[str, str] | None,
    documents: Mapping[str, str] | None,
) -> list[_Key]:
    if own := (query_groups or {}).get(query):
        return [("group", own)]
    relevant = (document for document, grade in grades.items() if grade > 0)
    return list(_document_keys(relevant, doc_groups or {}, documents or {})) or [("query", query)]


def _document_keys(
    relevant: Iterable[str], groups: Mapping[str, str], documents: Mapping[str, str]
) -> Iterable[_Key]:
    for passage in relevant:
        if group := groups.get(passage):
            yield "group", group
        elif document := documents.get(passage):
            yield "document", document
        else:
            yield "passage", passage


def _root(parents: dict[_Key, _Key], key: _Key) -> _Key:
    """Find the key that stands for a component, halving the path on the way."""
    while (parent := parents.setdefault(key, key)) != key:
        parents[key] = key = parents[parent]
    return key


def _join(parents: dict[_Key, _Key], one: _Key, other: _Key) -> None:
    parents[_root(parents, other)] = _root(parents, one)
