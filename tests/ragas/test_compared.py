"""From scores to a comparison, and from questions to passages: no model and no RAGAS needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ragd_tune.backends import MultiVector
from ragd_tune.data import DataSet, Document, Query
from ragd_tune.data.raft import Example, write_examples
from ragd_tune.errors import DataError, UsageError
from ragd_tune.evaluate.ragas import Judged, Sample, Task
from ragd_tune.pipeline.ragas import _measured, _task
from ragd_tune.pipeline.ragas_answers import Asked, drawn, searched

COUNT = 40


def task(number: int, answer: str, metric: str = "faithfulness") -> Task | None:
    sample = Sample(question=f"q{number}", contexts=("c",), answer=answer, reference="r")
    return _task(metric, sample)


def scores(tasks: Sequence[Task | None], value: float) -> dict[str, float]:
    return {one.key: value for one in tasks if one is not None}


def measured(metric: str, before: list[Any], after: list[Any], judged: Judged) -> Any:
    labels = [f"d{number}" for number in range(len(before))]
    return _measured(metric, (before, after), judged, labels, 0)


def test_a_question_that_failed_on_one_side_counts_on_neither_and_an_empty_answer_is_0() -> None:
    before = [task(n, "base") for n in range(COUNT)]
    after = [task(n, "" if n == 1 else "tuned") for n in range(COUNT)]
    known = {**scores(before, 0.25), **scores(after, 0.75)}
    lost = after[0]
    assert lost is not None
    del known[lost.key]
    found = measured(
        "faithfulness",
        before,
        after,
        Judged(scores=known, failed={lost.key: "no JSON"}, versions={}),
    )
    assert (found.difference.queries, found.failed, found.why) == (COUNT - 1, 1, "no JSON")
    assert found.before == 0.25
    assert found.after == pytest.approx(0.75 * (COUNT - 2) / (COUNT - 1))
    assert 0 < found.difference.low < found.difference.mean <= found.difference.high


def test_what_reads_no_answer_has_the_interval_of_its_mean() -> None:
    both = [task(n, "a", "context_recall") for n in range(COUNT)]
    known = {one.key: float(at % 2) for at, one in enumerate(both) if one is not None}
    found = measured("context_recall", both, both, Judged(scores=known, failed={}, versions={}))
    assert (found.before, found.after, found.difference.mean) == (0.5, 0.5, 0.5)
    assert 0.3 < found.difference.low < 0.5 < found.difference.high < 0.7


def test_a_judge_that_gives_no_score_at_all_is_an_error_with_its_reason() -> None:
    some = [task(n, "a") for n in range(3)]
    failed = {one.key: "no JSON" for one in some if one is not None}
    with pytest.raises(DataError, match="no score for faithfulness: no JSON"):
        measured("faithfulness", some, some, Judged(scores={}, failed=failed, versions={}))


WORDS = ("apple", "bell", "lamp")


def people(folder: Path) -> tuple[DataSet, dict[str, Example]]:
    corpus = {word: Document(id=word, text=f"About {word}.") for word in WORDS}
    queries = {f"q{word}": Query(id=f"q{word}", text=f"What is a {word}?") for word in WORDS}
    qrels = {"test": {f"q{word}": {word: 1.0} for word in WORDS}}
    data = DataSet.of(corpus=corpus, queries=queries, qrels=qrels, source=folder)
    examples = {
        f"q{word}": Example(question=f"What is a {word}?", answer=word, oracle=(f"About {word}.",))
        for word in WORDS
    }
    write_examples(folder / "raft_test.jsonl", examples.values())
    return data, examples


class Embedder:
    """Counts words; gives many vectors a text where ``many``."""

    many = False

    def embed(self, texts: Sequence[str], role: str) -> Any:
        made = np.array([[float(word in text) for word in WORDS] for text in texts], np.float32)
        if self.many:
            return MultiVector(values=made, offsets=np.arange(len(texts) + 1))
        return made


def test_an_embedder_searches_where_one_is_named(tmp_path: Path) -> None:
    data, examples = people(tmp_path)
    shop: Any = SimpleNamespace(progress=lambda text, done: None)
    embedder = Embedder()
    models: Any = SimpleNamespace(embedder=lambda name: embedder)
    asked = Asked(passages=1, embedder="mine")
    for how in (asked, Asked(passages=1)):
        found = searched(shop, data, examples, how, models)
        assert found == [(f"About {word}.",) for word in WORDS]
    embedder.many = True
    with pytest.raises(UsageError, match="mine gives many vectors"):
        searched(shop, data, examples, asked, models)


def test_questions_are_drawn_by_the_seed_in_their_order(tmp_path: Path) -> None:
    data, examples = people(tmp_path)
    assert list(drawn(data, Asked(questions=9))) == list(examples)
    found = [tuple(drawn(data, Asked(questions=2, seed=seed))) for seed in range(8)]
    assert found == [tuple(drawn(data, Asked(questions=2, seed=seed))) for seed in range(8)]
    assert len(set(found)) > 1
