from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ragd_tune.backends import RerankRequest
from ragd_tune.errors import UsageError
from ragd_tune.kinds import Trial
from ragd_tune.plan import ModelFacts
from ragd_tune.reranking import Stage
from ragd_tune.testing import tiny_data
from ragd_tune.testing.sides import Oracle, Side
from ragd_tune_cross_encoder.kind import CrossEncoder

DATA = tiny_data(queries=160)

OTHERS = ["the order of all-MiniLM-L6-v2 and BM25 (top 50)", "the order of BM25 (top 50)"]
"""What is told beside where an embedder is the first stage."""


class Untrained(Side):
    """A base whose head is new: its scores mean nothing, and asking for them is a mistake."""

    def __init__(self) -> None:
        super().__init__(dimension=12)
        self.facts = ModelFacts(max_length=8, settings={"untrained_head": True})

    def rerank(self, requests: Sequence[RerankRequest]) -> list[Any]:
        raise AssertionError("an untrained head was asked for scores")


class Noting(Oracle):
    """An oracle that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(DATA)
        self.asked: list[RerankRequest] = []

    def rerank(self, requests: Sequence[RerankRequest]) -> list[Any]:
        self.asked += requests
        return super().rerank(requests)


def prove(
    before: Callable[[], Any], after: Callable[[], Any], **options: object
) -> tuple[Any, list[str]]:
    opened: list[str] = []
    kind = CrossEncoder()

    def embedder(name: str) -> Any:
        opened.append(name)
        return Oracle(DATA) if name == "tuned" else Side(dimension=len(DATA.corpus))

    values = {option.name: option.default for option in kind.options if option.group == "proof"}
    trial = Trial(
        data=DATA,
        split="test",
        open_incumbent=before,
        open_candidate=after,
        open_embedder=embedder,
        options={**values, **options},  # type: ignore[dict-item]
    )
    return kind.prove(trial), opened


def test_an_untrained_head_is_no_incumbent() -> None:
    report, opened = prove(Untrained, lambda: Oracle(DATA))
    assert report.incumbent == "the order of all-MiniLM-L6-v2 (top 50)"
    assert report.passed
    assert opened == ["all-MiniLM-L6-v2"]
    assert [one.name for one in report.beside] == OTHERS


def test_a_trained_base_that_orders_better_is_the_incumbent_and_the_first_stage_beside() -> None:
    report, _ = prove(lambda: Oracle(DATA), lambda: Side(dimension=len(DATA.corpus)))
    assert report.incumbent == "the base reranker"
    assert not report.passed
    first = "the order of all-MiniLM-L6-v2 (top 50)"
    assert [one.name for one in report.beside] == [first, *OTHERS]


def test_both_sides_order_the_same_candidates_and_as_many_as_asked() -> None:
    base, candidate = Noting(), Noting()
    prove(lambda: base, lambda: candidate, candidates=7)
    assert base.asked == candidate.asked
    assert {len(one.passages) for one in base.asked} == {7}
    assert len(base.asked) == len(DATA.qrels["test"])


def test_keywords_need_no_embedder_and_the_hybrid_takes_the_one_named() -> None:
    report, opened = prove(Untrained, lambda: Oracle(DATA), first_stage="bm25")
    assert (report.incumbent, opened) == ("the order of BM25 (top 50)", [])
    report, opened = prove(Untrained, lambda: Oracle(DATA), first_stage="hybrid:mine")
    assert (report.incumbent, opened) == ("the order of mine and BM25 (top 50)", ["mine"])


def test_ragds_mixture_is_told_beside_as_it_orders_when_it_is_the_first_stage() -> None:
    dense, _ = prove(Untrained, lambda: Oracle(DATA))
    mixed, _ = prove(Untrained, lambda: Oracle(DATA), first_stage="hybrid")
    beside = {one.name: one.score for one in dense.beside}
    assert beside[mixed.incumbent] == pytest.approx(mixed.gate.before)
    assert {one.name for one in mixed.beside} == {dense.incumbent, OTHERS[1]}


def test_the_tuned_embedders_order_is_told_beside_and_decides_nothing() -> None:
    report, _ = prove(Untrained, lambda: Oracle(DATA), beside=("tuned",))
    told = report.beside[-1]
    assert told.name == "the order of tuned"
    assert told.score == pytest.approx(1.0)
    assert told.difference.mean == pytest.approx(report.gate.after - told.score)
    assert "Beside it, the order of tuned" in report.sentence
    assert replace(report, beside=()).passed == report.passed


def test_an_answer_that_the_first_stage_missed_cannot_be_won_back() -> None:
    report, _ = prove(Untrained, lambda: Oracle(DATA), candidates=2)
    assert report.gate.after < 1.0


def test_a_first_stage_with_many_vectors_a_text_is_refused() -> None:
    from ragd_tune.backends import MultiVector

    class Tokens(Side):
        def embed(self, texts: Sequence[str], role: Any) -> Any:
            ends = np.arange(len(texts) + 1)
            return MultiVector(values=np.zeros((len(texts), 4), np.float32), offsets=ends)

    kind = CrossEncoder()
    values = {option.name: option.default for option in kind.options if option.group == "proof"}
    trial = Trial(
        data=DATA,
        split="test",
        open_incumbent=Untrained,
        open_candidate=Untrained,
        open_embedder=lambda name: Tokens(dimension=4),
        options=values,
    )
    with pytest.raises(UsageError, match="many vectors"):
        kind.prove(trial)


@pytest.mark.parametrize(
    ("name", "embedder", "keywords"),
    [("bm25", "", True), ("hybrid", "all-MiniLM-L6-v2", True), ("a/b", "a/b", False)],
)
def test_a_first_stage_is_read_from_one_word(name: str, embedder: str, *, keywords: bool) -> None:
    stage = Stage.of({"first_stage": name, "candidates": 9, "beside": ()})
    assert (stage.embedder, stage.keywords, stage.candidates) == (embedder, keywords, 9)
