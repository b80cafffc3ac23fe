from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.data import DataSet, Document, Query


def clusters(
    query_ids: Iterable[str],
    *,
    qrels: Mapping[str, Mapping[str, float]],
    query_groups: Mapping[str, str] | None = None,
    doc_groups: Mapping[str, str] | None = None,
    documents: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
) -> dict[str, str]:
    groups, sources = doc_groups or {}, documents or {}
    corpus = {
        did: Document(
            id=did,
            text=(texts or {}).get(did, f"text of {did}"),
            group=groups.get(did, ""),
            document=sources.get(did, ""),
        )
        for found in qrels.values()
        for did in found
    }
    queries = {
        qid: Query(id=qid, text=f"what is {qid}", group=(query_groups or {}).get(qid, ""))
        for qid in query_ids
    }
    data = DataSet.of(corpus=corpus, queries=queries, qrels={"test": qrels}, source="made up")
    return data.clusters("test")


def together(labels: dict[str, str]) -> set[frozenset[str]]:
    return {frozenset(q for q, n in labels.items() if n == label) for label in labels.values()}


def sets(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group) for group in groups}


def test_a_querys_own_group_comes_before_its_documents() -> None:
    labels = clusters(
        "abcd",
        qrels={"a": {"x": 1}, "b": {"x": 1}, "c": {"y": 1}, "d": {"z": 1}},
        query_groups={"a": "one", "b": "two", "c": "two", "d": ""},
        doc_groups={"x": "g", "y": "g", "z": "g"},
    )
    assert together(labels) == sets("a", "bc", "d")


def test_a_documents_group_comes_before_its_document() -> None:
    qrels = {"a": {"x": 1}, "b": {"y": 1}, "c": {"z": 1}, "d": {"w": 1}}
    sources = {"x": "manual", "y": "guide", "z": "manual", "w": "leaflet"}
    assert together(clusters("abcd", qrels=qrels, documents=sources)) == sets("ac", "b", "d")
    labels = clusters("abcd", qrels=qrels, doc_groups={"x": "g", "y": "g"}, documents=sources)
    assert together(labels) == sets("ab", "c", "d")


def test_queries_that_share_documents_are_joined_through_others() -> None:
    qrels = {"a": {"x": 1}, "b": {"x": 1, "y": 1}, "c": {"y": 2}, "d": {"z": 1}}
    assert together(clusters("abcd", qrels=qrels)) == sets("abc", "d")


def test_passages_of_two_documents_join_these_documents() -> None:
    qrels = {"a": {"x1": 1}, "b": {"y1": 1}, "c": {"x2": 1, "y2": 1}}
    sources = {"x1": "x", "x2": "x", "y1": "y", "y2": "y"}
    assert together(clusters("abc", qrels=qrels, documents=sources)) == sets("abc")


def test_a_group_and_a_document_of_the_same_name_are_two_things() -> None:
    qrels = {"a": {"x": 1}, "b": {"y": 1}, "c": {"name": 1}}
    labels = clusters("abc", qrels=qrels, doc_groups={"x": "name"}, documents={"y": "name"})
    assert together(labels) == sets("a", "b", "c")


def test_a_topic_is_one_whether_a_query_or_a_document_names_it() -> None:
    qrels = {"a": {"x": 1}, "b": {"y": 1}}
    labels = clusters("ab", qrels=qrels, query_groups={"a": "asthma"}, doc_groups={"y": "asthma"})
    assert together(labels) == sets("ab")


def test_documents_of_the_same_text_are_one() -> None:
    qrels = {"a": {"x": 1}, "b": {"y": 1}, "c": {"z": 1}}
    labels = clusters("abc", qrels=qrels, texts={"x": "the same", "y": "the same"})
    assert together(labels) == sets("ab", "c")


@given(
    st.dictionaries(
        st.integers(0, 30).map(str),
        st.dictionaries(st.integers(0, 12).map(str), st.just(1.0), min_size=1, max_size=3),
        min_size=1,
    )
)
def test_clusters_are_the_connected_components(qrels: dict[str, dict[str, float]]) -> None:
    labels = clusters(list(qrels), qrels=qrels)
    groups = [({query}, set(grades)) for query, grades in qrels.items()]
    merged = True
    while merged:
        merged = False
        for i, (queries, documents) in enumerate(groups):
            for other in groups[i + 1 :]:
                if documents & other[1]:
                    queries |= other[0]
                    documents |= other[1]
                    groups.remove(other)
                    merged = True
                    break
    assert together(labels) == {frozenset(queries) for queries, _ in groups}
