from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from ragd_tune.backends import MultiVector
from ragd_tune.data import DataSet
from ragd_tune.evaluate import Report
from ragd_tune.kinds import Trial
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.testing import tiny_data
from ragd_tune.testing.sides import Oracle, Side
from ragd_tune_colbert.kind import Colbert
from ragd_tune_colbert.proof import WHOLE


class Words:
    """A served model with one vector a word: exact matches, or a few places for all words."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.facts = ModelFacts(dimension=64, max_length=256, pooling="none")
        self.documents: list[str] = []

    def embed(self, texts: Sequence[str], role: Role) -> MultiVector:
        if role == "document":
            self.documents += texts
        words = [text.split() for text in texts]
        rows = [self.vector(word) for one in words for word in one]
        values = np.array(rows, np.float32).reshape(len(rows), 64)
        return MultiVector(values=values, offsets=np.cumsum([0, *map(len, words)]).astype(np.int64))

    def vector(self, word: str) -> Any:
        seed = crc32(word.encode()) % self.places
        drawn = np.random.default_rng(seed).standard_normal(64)
        return drawn / np.linalg.norm(drawn)

    def rerank(self, requests: Any) -> Any:
        raise AssertionError("the proof keeps token vectors, and asks for no scores")

    generate = rerank


class Contrary(Words):
    """A served model that puts what matches last."""

    def embed(self, texts: Sequence[str], role: Role) -> MultiVector:
        made = super().embed(texts, role)
        sign = np.float32(-1 if role == "document" else 1)
        return MultiVector(values=sign * made.values, offsets=made.offsets)


GOOD, POOR, BLIND = 1 << 30, 12, 1


def prove(
    data: DataSet,
    base: Callable[[], Any],
    tuned: Callable[[], Any],
    first: Callable[[], Any],
    **options: Any,
) -> Report:
    asked: list[str] = []

    def embedder(name: str) -> Any:
        asked.append(name)
        return first()

    values = {option.name: option.default for option in Colbert().options} | options
    trial = Trial(
        data=data,
        split="test",
        open_incumbent=base,
        open_candidate=tuned,
        open_embedder=embedder,
        options=values,
    )
    report = Colbert().prove(trial)
    assert asked == [name for name in [values["first_stage"]] if name != "bm25"]
    return report


@pytest.fixture(scope="module")
def data() -> DataSet:
    return tiny_data(queries=160)


def poor_first(data: DataSet) -> Callable[[], Any]:
    return lambda: Side(dimension=len(data.corpus))


def test_a_model_that_matches_words_beats_a_first_stage_that_does_not(data: DataSet) -> None:
    report = prove(data, lambda: Words(BLIND), lambda: Words(GOOD), poor_first(data))
    assert report.passed, report.reason
    assert report.incumbent == "the order of all-MiniLM-L6-v2 (top 50)"
    assert [one.name for one in report.beside] == [
        "the base's own MaxSim",
        "the order of all-MiniLM-L6-v2 and BM25 (top 50)",
        "the order of BM25 (top 50)",
    ]


def test_a_base_that_ranks_better_than_the_first_stage_is_what_has_to_be_beaten(
    data: DataSet,
) -> None:
    report = prove(data, lambda: Words(GOOD), lambda: Words(GOOD), poor_first(data))
    assert not report.passed
    assert report.incumbent == "the base's own MaxSim"
    assert report.gate.difference.mean == 0


def test_a_perfect_first_stage_leaves_nothing_to_win(data: DataSet) -> None:
    report = prove(data, lambda: Words(POOR), lambda: Contrary(GOOD), lambda: Oracle(data))
    assert not report.passed
    assert report.gate.before == 1.0
    assert report.gate.difference.mean < 0


def test_both_models_order_the_candidates_and_see_no_other_document(data: DataSet) -> None:
    tuned = Words(GOOD)
    report = prove(
        data, lambda: Words(POOR), lambda: tuned, poor_first(data), candidates=3, whole_corpus=0
    )
    found = {cell.metric: cell for cell in report.cells if cell.part == "all"}
    assert found["recall@10"].before == found["recall@10"].after < 1.0
    assert WHOLE not in found
    assert len(tuned.documents) == len(set(tuned.documents)) < len(data.corpus)


def test_a_small_corpus_is_ranked_whole_as_well(data: DataSet) -> None:
    report = prove(data, lambda: Words(POOR), lambda: Words(GOOD), poor_first(data), candidates=3)
    found = {cell.metric: cell for cell in report.cells if cell.part == "all"}
    assert found[WHOLE].after > found["ndcg@10"].after
    assert WHOLE in str(report.to_json())


def test_keywords_find_candidates_without_an_embedder(data: DataSet) -> None:
    report = prove(
        data, lambda: Words(BLIND), lambda: Words(GOOD), poor_first(data), first_stage="bm25"
    )
    assert report.incumbent == "the order of BM25 (top 50)"


def test_token_pooling_is_judged_as_it_would_be_served(data: DataSet) -> None:
    whole, fewer = (
        prove(data, lambda: Words(POOR), lambda: Words(GOOD), poor_first(data), token_pooling=pool)
        for pool in (1, 6)
    )
    assert fewer.gate.after < whole.gate.after
