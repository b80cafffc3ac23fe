"""What ragd's search would show, worked out without ragd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragd_tune.data import DataSet
from ragd_tune.ragd import results
from ragd_tune.ragd.facts import HostConfig
from ragd_tune.testing.samples import tiny_data

FACTS = HostConfig(data_dir=Path(), limit=2, fetched=2)


def test_both_sides_are_fused_by_rank_and_scored_by_ragds_sum() -> None:
    meaning = [(7, 0.9), (3, 0.5), (5, 0.1)]
    words = [(5, 20.0), (9, 5.0)]
    told = list(results.fused(meaning, words, FACTS))
    # 5 stands on both sides, and so before the nearest; its score is capped on the keyword side.
    assert [place for place, _ in told] == [5, 7]
    assert [score for _, score in told] == pytest.approx([0.7 * 1.1 / 2 + 0.3, 0.7 * 1.9 / 2])


def test_what_only_the_keywords_find_has_no_share_of_the_cosine() -> None:
    told = dict(results.fused([(1, 1.0)], [(2, 5.0)], FACTS))
    assert told == pytest.approx({1: 0.7, 2: 0.15})


def test_every_word_of_a_question_must_be_in_a_chunk() -> None:
    data = tiny_data()
    drawn = results.sample(data, "test")
    first = data.corpus[drawn.passages[0]].passage.split()
    asked = data.queries[drawn.questions[0]]
    inside = type(asked)(id=asked.id, text=f"{first[0]}, {first[1]}?", group=asked.group)
    odd = type(asked)(id=asked.id, text=f"{first[0]} zzyzx", group=asked.group)
    for query, there in ((inside, True), (odd, False)):
        changed = DataSet.of(
            corpus=data.corpus, queries={**data.queries, asked.id: query}, qrels=data.qrels,
            source=data.source,
        )  # fmt: skip
        found = results.keywords(changed, drawn, HostConfig(data_dir=Path(), limit=50))
        assert (0 in dict(found[asked.id])) == there


class Places:
    """An embedder that puts each right answer where its question is, and the rest elsewhere."""

    def __init__(self, data: DataSet) -> None:
        self._place = {one.text: number for number, one in enumerate(data.queries.values())}
        for qid, judged in data.qrels["test"].items():
            for key in judged:
                self._place[data.corpus[key].passage] = self._place[data.queries[qid].text]
        self._width = len(data.queries) + 1

    def embed_queries(self, texts: list[str]) -> object:
        found = np.zeros((len(texts), self._width), np.float32)
        for row, text in enumerate(texts):
            found[row, self._place.get(text, self._width - 1)] = 3.0
        return found

    embed_documents = embed_queries


def test_right_answers_and_others_are_told_apart(tmp_path: Path) -> None:
    data = tiny_data()
    kept = dict(list(data.qrels["test"].items())[:1])
    data = data.with_qrels({"test": kept})
    drawn = results.sample(data, "test")
    places: object = Places(data)
    facts = HostConfig(data_dir=tmp_path, limit=len(data.corpus))
    told = results.search(data, drawn, {}, places, facts)  # type: ignore[arg-type]
    assert told.right.tolist() == pytest.approx([0.7] * drawn.answers)
    assert told.others.tolist() == pytest.approx([0.35] * (len(data.corpus) - drawn.answers))
    assert told.above(0.5) == (drawn.answers, 0.0)
    assert told.above(0.35 - 1e-6) == (drawn.answers, len(data.corpus) - drawn.answers)


def test_a_large_corpus_is_sampled_with_every_right_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tiny_data()
    monkeypatch.setattr(results, "QUESTIONS", 2)
    monkeypatch.setattr(results, "PASSAGES", 3)
    drawn = results.sample(data, "test")
    assert len(drawn.questions) == 2
    wanted = {key for one in drawn.right.values() for key in one}
    assert wanted <= set(drawn.passages)
    assert len(drawn.passages) == max(3, len(wanted))
    assert drawn == results.sample(data, "test")
