"""RAFT beats plain fine-tuning where distractors are read: a small model from scratch, whole.

``tox -e proof -- tests/proof/test_reader.py``; a few minutes on two cores. CI runs the same in
small: every part of it works, and nothing that is learned shows yet.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ragd_tune.data import DataSet, read
from ragd_tune.data.raft import Contexts, Mix, read_examples


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``benchmarks``, which no distribution holds, be imported."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.mark.proof
def test_raft_beats_plain_fine_tuning_among_distractors(tmp_path: Path) -> None:
    from benchmarks.reader.compare import compare
    from benchmarks.reader.data import Size
    from benchmarks.reader.pretrain import Recipe

    made = compare(tmp_path / "out", Recipe(), Size())
    sys.stderr.write(f"{made['figures']}\n{made['seconds']}, {made['cpu_seconds']} CPU seconds\n")
    assert made["steps"][0] == made["steps"][1]
    found = made["figures"]["match"]
    assert found["difference"] > found["low"] > 0
    # Plain fine-tuning did learn to answer: what it lacks is to pass a distractor over.
    assert made["figures"]["match (oracle alone)"]["plain"] > 0.9


@pytest.mark.slow
def test_the_whole_way_runs_and_compares_on_the_same_questions_and_steps(tmp_path: Path) -> None:
    from benchmarks.reader.compare import compare
    from benchmarks.reader.data import Size
    from benchmarks.reader.pretrain import Recipe

    size = Size(train=80, test=16, steps=3, batch=16)
    curve: list[dict[str, float]] = []
    made = compare(tmp_path / "out", Recipe(steps=40), size, tell=curve.append)
    assert curve[-1]["loss"] < 6.0  # 7.0 is what knowing nothing costs: ln 1,107
    assert made["steps"] == [3, 3]
    assert made["figures"].keys() >= {"match", "match (oracle alone)", "abstains (oracle absent)"}
    home = tmp_path / "out" / "home"
    assert len(list((home / "adapters" / "raft").iterdir())) == 2


def people(data: DataSet, split: str) -> set[str]:
    """Return the names that a split's questions, passages and distractors tell of."""
    found = [data.queries[qid].text for qid in data.qrels[split]]
    found += [data.corpus[did].text for docs in data.qrels[split].values() for did in docs]
    found += [data.corpus[d].text for qid in data.qrels[split] for d in data.negatives[qid]]
    return set(re.findall(r"[A-Z][a-z]{5}\b", " ".join(found)))


def test_training_and_test_know_nobody_in_common_and_distractors_vary(tmp_path: Path) -> None:
    from benchmarks.reader.data import Size, data_set

    data = read(data_set(tmp_path / "data", Size(), seed=0))
    assert len(people(data, "train")) == Size().train
    assert len(people(data, "test")) == Size().test
    assert not people(data, "train") & people(data, "test")
    dealt = [did for qid in data.qrels["test"] for did in data.negatives[qid]]
    assert len(set(dealt)) > Size().test * 0.9
    known = read_examples(tmp_path / "data" / "raft_test.jsonl").by_question()
    asked = {qid: known[data.queries[qid].text] for qid in data.qrels["test"]}
    made = Contexts(data=data, search=lambda texts, count: [[]] * len(texts), mix=Mix())
    for qid, context in made.fixed(asked, oracle=True, distractors=Size().judged).items():
        assert len(context.documents) == 1 + Size().judged
        assert (
            sum(asked[qid].answer in text.replace(".", " ").split() for text in context.documents)
            == 1
        )


def test_pre_training_shows_no_passage_that_must_be_passed_over() -> None:
    from benchmarks.reader.pretrain import Recipe, texts

    shown = [text for batch in texts(Recipe(steps=20)) for text in batch]
    asked = [text for text in shown if "What" in text]
    assert 0.2 < len(asked) / len(shown) < 0.4
    assert {text.count("<DOCUMENT>") for text in asked} == {1}
    assert all("<ANSWER>" not in text for text in shown if "What" not in text)
