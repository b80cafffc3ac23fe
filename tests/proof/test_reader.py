"""RAFT beats plain fine-tuning where distractors are read: a small model from scratch, whole.

``tox -e proof -- tests/proof/test_reader.py``; some three CPU minutes a seed. CI runs the same in
small: every part of it works, and nothing that is learned shows yet.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ragd_tune.data import DataSet, read
from ragd_tune.data.raft import Contexts, Mix, read_examples


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``benchmarks``, which no distribution holds, be imported."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.mark.proof
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_raft_beats_plain_fine_tuning_among_distractors(tmp_path: Path, seed: int) -> None:
    from benchmarks.reader.compare import compare
    from benchmarks.reader.data import Size
    from benchmarks.reader.pretrain import Recipe

    made = compare(tmp_path / "out", Recipe(seed=seed), Size())
    sys.stderr.write(f"{made['figures']}\n{made['seconds']}, {made['cpu_seconds']} CPU seconds\n")
    assert made["base"]["looked_up"] >= Recipe().enough
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
    made = compare(tmp_path / "out", Recipe(steps=40, fall=10), size, tell=curve.append)
    assert curve[-1]["loss"] < 6.0  # 7.0 is what knowing nothing costs: ln 1,107
    assert made["steps"] == [3, 3]
    assert made["base"] == curve[-1]
    assert curve[-1]["step"] == 40
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
    assert len(data.qrels["train"]) == 4 * Size().train
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


def test_looking_up_is_judged_by_values_that_the_story_has_told_before(tmp_path: Path) -> None:
    import torch
    from benchmarks.reader.pretrain import Recipe, looked_up
    from benchmarks.reader.world import tokenizer

    made = tokenizer(tmp_path)

    class Repeating(torch.nn.Module):
        """Says the word that followed the last time; with ``blind``, the first value of all."""

        def __init__(self, *, blind: bool) -> None:
            super().__init__()
            self.blind = blind

        def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
            logits = torch.zeros(*input_ids.shape, len(made))
            for row, ids in enumerate(input_ids.tolist()):
                for at, word in enumerate(ids):
                    before = [ids[i + 1] for i in range(at) if ids[i] == word]
                    said = ids[2] if self.blind else (before or [0])[-1]
                    logits[row, at, said] = 1.0
            return SimpleNamespace(logits=logits)

    assert looked_up(Repeating(blind=False), made, Recipe(), stories=8) == 1.0
    assert 0.05 < looked_up(Repeating(blind=True), made, Recipe(), stories=8) < 0.4


def test_pre_training_ends_soon_after_enough_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.reader import pretrain

    seen: list[float] = []
    monkeypatch.setattr(pretrain, "EVERY", 2)
    monkeypatch.setattr(pretrain, "looked_up", lambda *_: 0.1 if len(seen) < 1 else 0.99)
    recipe = pretrain.Recipe(steps=40, fall=3, batch=2)
    made = pretrain.pretrain(tmp_path, recipe, tell=lambda one: seen.append(one["step"]))
    assert seen == [2, 4, 6, 7]
    assert made["step"] == 7
