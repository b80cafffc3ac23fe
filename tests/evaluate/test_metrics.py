from __future__ import annotations

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.evaluate.metrics import METRICS, parse, same_text, score, title

ORACLE = {"ndcg": "nDCG", "mrr": "RR", "recall": "R", "hit": "Success"}
DOCUMENTS = [f"d{i}" for i in range(130)]


@st.composite
def runs_and_qrels(
    draw: st.DrawFn,
) -> tuple[dict[str, list[str]], dict[str, dict[str, float]]]:
    queries = [f"q{i}" for i in range(draw(st.integers(1, 4)))]
    rankings = {
        query: draw(st.permutations(DOCUMENTS))[: draw(st.sampled_from([1, 4, 10, 130]))]
        for query in queries
    }
    grades = st.dictionaries(
        st.sampled_from([*DOCUMENTS, "not in the corpus"]), st.integers(-1, 4), max_size=15
    )
    return rankings, {query: dict(draw(grades)) for query in queries}


@settings(max_examples=40, deadline=None)
@given(runs_and_qrels())
def test_every_metric_agrees_with_ir_measures(
    drawn: tuple[dict[str, list[str]], dict[str, dict[str, float]]],
) -> None:
    rankings, qrels = drawn
    ours = score(rankings, qrels, metrics=METRICS)
    measures = {}
    for metric in METRICS:
        name, k = parse(metric)
        measures[ir_measures.parse_measure(f"{ORACLE[name]}@{k}")] = metric
    run = {
        query: {document: float(-rank) for rank, document in enumerate(ranking)}
        for query, ranking in rankings.items()
    }
    whole = {query: {d: int(g) for d, g in grades.items()} for query, grades in qrels.items()}
    seen = 0
    for found in ir_measures.iter_calc(list(measures), whole, run):
        if found.query_id in ours.query_ids:
            seen += 1
            place = ours.query_ids.index(found.query_id)
            mine = ours.values[measures[found.measure]][place]
            assert mine == pytest.approx(found.value, abs=1e-9), found
    assert seen == len(ours.query_ids) * len(METRICS)


def test_the_gain_is_linear_in_the_grade() -> None:
    found = score({"q": ["a", "b"]}, {"q": {"a": 1, "b": 3}}, metrics=["ndcg@10"])
    best = 3 + 1 / 1.584962500721156
    assert found.values["ndcg@10"][0] == pytest.approx((1 + 3 / 1.584962500721156) / best)


def test_queries_without_a_relevant_document_are_counted_and_not_scored_as_zero() -> None:
    found = score({"a": ["x"], "b": ["x"], "c": ["x"]}, {"a": {"x": 1}, "b": {"x": 0}})
    assert found.query_ids == ("a",)
    assert found.unjudged == 2
    assert found.means()["ndcg@10"] == 1.0


def test_a_judged_query_without_a_ranking_is_an_error() -> None:
    with pytest.raises(TuneError, match="1 judged queries have no ranking, for example 'b'"):
        score({"a": ["x"]}, {"a": {"x": 1}, "b": {"x": 1}})


def test_an_empty_ranking_scores_zero() -> None:
    found = score({"a": []}, {"a": {"x": 1}})
    assert all(values.tolist() == [0.0] for values in found.values.values())
    assert found.first.tolist() == [0]


def test_a_document_that_stands_twice_is_an_error() -> None:
    with pytest.raises(TuneError, match="'q' holds a document twice"):
        score({"q": ["a", "a"]}, {"q": {"a": 1}})


def test_the_first_relevant_rank_looks_below_every_cut_off() -> None:
    ranking = [f"d{i}" for i in range(200)]
    found = score({"q": ranking, "r": ranking}, {"q": {"d149": 2, "d151": 1}, "r": {"no": 1}})
    assert found.first.tolist() == [150, 0]


def test_only_identical_texts_are_equivalent() -> None:
    texts = {"a": "ls -l", "b": "ls -L", "c": " ls -l\n", "d": "ls  -l", "e": "ls -l"}
    assert same_text(texts) == {"c": "a", "e": "a"}


def test_duplicates_of_a_relevant_document_are_one_with_it_and_counted() -> None:
    qrels = {"q": {"c": 1.0, "z": 2.0}}
    ranking = {"q": ["a", "b", "c", "z"]}
    plain = score(ranking, qrels, metrics=["recall@1", "mrr@10", "ndcg@10"])
    assert plain.values["mrr@10"][0] == pytest.approx(1 / 3)
    same = {"c": "a", "b": "a"}
    found = score(ranking, qrels, metrics=["recall@1", "mrr@10", "hit@2"], equivalents=same)
    assert found.values["mrr@10"][0] == 1.0
    assert found.values["recall@1"][0] == 0.5
    assert found.collapsed == 2
    merged = score({"q": ["b", "z"]}, qrels, metrics=["ndcg@10"], equivalents=same)
    assert (
        merged.values["ndcg@10"][0]
        == score({"q": ["a", "z"]}, {"q": {"a": 1.0, "z": 2.0}}, metrics=["ndcg@10"]).values[
            "ndcg@10"
        ][0]
    )


def test_two_relevant_documents_of_one_text_count_once_with_the_higher_grade() -> None:
    found = score(
        {"q": ["a", "x"]}, {"q": {"a": 1, "b": 3}}, metrics=["recall@1"], equivalents={"b": "a"}
    )
    assert found.values["recall@1"].tolist() == [1.0]


@pytest.mark.parametrize(
    "name", ["ndcg", "ndcg@0", "ndcg@-1", "map@10", "ndcg@ten", "ndcg@1.5", ""]
)
def test_an_unknown_metric_is_a_usage_error_that_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="use ndcg@K, mrr@K, recall@K, hit@K"):
        score({}, {}, metrics=[name])


def test_metrics_have_titles_and_foreign_names_stay_as_they_are() -> None:
    assert [title(m) for m in ("ndcg@10", "mrr@5", "recall@100", "exact_match")] == [
        "nDCG@10",
        "MRR@5",
        "Recall@100",
        "exact_match",
    ]
