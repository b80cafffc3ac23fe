from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.mine.conftest import embed

from ragd_tune import cli
from ragd_tune.advise import Facts, Hardware, recommend
from ragd_tune.advise.measure import _ndcg, measure, sample, vocabulary
from ragd_tune.advise.recommend import AROUND
from ragd_tune.errors import DONE
from ragd_tune.testing.machine import Machine
from ragd_tune.testing.samples import tiny_data

MACHINE = Hardware(cores=2, memory=8 << 30, devices=("cpu",))
FACTS = Facts(
    passages=5000,
    pairs=3000,
    groups=200,
    generated=False,
    hardware=MACHINE,
    dense=0.6,
    lexical=0.5,
    reach=0.8,
    agreement=0.4,
    seconds_a_pair=0.01,
)
GPU = Hardware(cores=16, memory=64 << 30, devices=("cpu", "cuda"))


@pytest.mark.parametrize(
    ("change", "what", "reason"),
    [
        ({}, "full", "all weights learn them best"),
        ({"passages": 60}, "nothing", "passages are few"),
        ({"pairs": 100}, "nothing", "fewer than 200"),
        ({"groups": 12}, "nothing", "could be proven"),
        ({"dense": 0.93}, "nothing", "finds the answers already"),
        ({"reach": 0.97}, "reranker", "order is the problem"),
        ({"passages": 2_000_000}, "query", "leaves their vectors"),
        ({"pairs": 9000, "hardware": GPU}, "full", "all weights"),
        ({"hardware": replace(MACHINE, tier="minimal")}, "lora", "little memory"),
        ({"hardware": replace(MACHINE, tier="minimal")}, "lora", "steps of 16"),
        ({"hardware": replace(MACHINE, devices=())}, "nothing", "no backend"),
        ({"lexical": 0.7}, "full", "BM25 is better"),
        ({"broken": 0.2}, "full", "strange to the base's tokenizer"),
        ({"generated": True}, "full", "generated questions"),
    ],
)
def test_measurements_lead_to_one_recommendation_with_its_reason(
    change: dict[str, object], what: str, reason: str
) -> None:
    advice = recommend(replace(FACTS, **change))  # type: ignore[arg-type]
    assert advice.what == what
    assert any(reason in one for one in advice.reasons), advice.reasons
    assert bool(advice.command) == (what != "nothing")


def test_rows_for_an_llm_count_where_search_is_good_and_only_what_is_installed_is_named() -> None:
    good = replace(FACTS, dense=0.95)
    assert recommend(good, raft_rows=True).what == "raft"
    assert recommend(good, raft_rows=True, kinds=["bi-encoder"]).what == "nothing"
    assert recommend(replace(FACTS, reach=0.99), kinds=["bi-encoder"]).what == "full"


def test_the_time_is_three_forward_passes_of_every_pair() -> None:
    assert recommend(FACTS).seconds == pytest.approx(3000 * 0.01 * 3)
    assert recommend(replace(FACTS, seconds_a_pair=None)).seconds is None


def test_the_memory_is_that_of_the_process_and_the_copies_of_the_weights() -> None:
    weights = 90_000_000
    assert recommend(FACTS, weights=weights).memory == AROUND + 4 * weights  # all weights
    minimal = replace(FACTS, hardware=replace(FACTS.hardware, tier="minimal"))
    assert recommend(minimal, weights=weights).memory == AROUND + weights
    assert recommend(FACTS).memory is None
    assert recommend(replace(FACTS, pairs=10), weights=weights).memory is None


def test_facts_are_measured_on_the_data() -> None:
    data = tiny_data(queries=80)
    facts = measure(
        data,
        MACHINE,
        split="test",
        generated=False,
        embed=embed,
        count=lambda texts: [2 + len(text) // 3 for text in texts],
    )
    assert (facts.passages, facts.pairs, facts.groups) == (80, 40, 20)
    assert facts.sample == 20
    assert facts.searched == 80
    assert facts.dense is not None
    assert facts.lexical is not None
    # Every query is four words of its passage: words find it.
    assert facts.lexical > 0.9
    assert 0.5 < facts.dense <= 1
    assert facts.reach is not None
    assert facts.reach > 0.9
    assert facts.agreement is not None
    assert 0 < facts.agreement <= 1
    assert facts.seconds_a_pair is not None
    assert facts.seconds_a_pair > 0


def test_without_a_model_what_needs_none_is_measured() -> None:
    facts = measure(tiny_data(), MACHINE, split="test", generated=True)
    assert facts.dense is None
    assert facts.pieces is None
    assert facts.lexical is not None
    assert recommend(facts).what == "nothing"


def test_the_vocabulary_counts_words_that_are_cut_into_many_pieces() -> None:
    def count(texts: Sequence[str]) -> list[int]:
        return [2 + (4 if "a" in text else bool(text)) for text in texts]

    told = vocabulary(tiny_data(), count, 0)
    assert 0 < told["broken"] < 1
    assert told["pieces"] == pytest.approx(1 + 3 * told["broken"])


def test_every_answer_is_among_the_passages_that_are_searched() -> None:
    data = tiny_data(queries=200)
    asked, ids = sample(data, "test", 0)
    assert {did for qid in asked for did in data.qrels["test"][qid]} <= set(ids)
    assert len(ids) == len(set(ids)) == 200


def test_ndcg_is_trec_evals() -> None:
    assert _ndcg(["a", "b"], {"b": 1.0}) == pytest.approx(1 / 1.5849625)
    assert _ndcg(["a"], {"a": 2.0}) == 1.0
    assert _ndcg([], {"a": 1.0}) == 0.0


def test_the_command_says_no_where_tuning_will_not_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine.make(tmp_path, monkeypatch, queries=40)
    given = ["advise", str(machine.data), "--base", str(machine.base), "--offline"]
    assert cli.run([*given, "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["what"] == "nothing"
    assert told["facts"]["dense"] is None or told["facts"]["dense"] >= 0
    assert cli.run(given) == DONE
    assert "Do not fine-tune." in capsys.readouterr().out


def test_documents_are_made_into_a_set_for_the_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine.make(tmp_path, monkeypatch)
    root = tmp_path / "pages"
    root.mkdir()
    for number in range(30):
        text = f"# Page {number} on valves\n\nThe valve {number} is opened by lever {number * 7}.\n"
        (root / f"p{number}.md").write_text(text, encoding="utf-8")
    assert (
        cli.run(["advise", str(root), "--base", str(machine.base), "--offline", "--json"]) == DONE
    )
    told = json.loads(capsys.readouterr().out)
    assert told["facts"]["generated"] is True
    assert any("data set" in note for note in told["notes"])


def test_the_base_that_was_measured_is_in_the_command() -> None:
    assert recommend(FACTS, data="d", base="larger").command.endswith("--data d --base larger")
    assert "--base" not in recommend(FACTS, data="d").command
