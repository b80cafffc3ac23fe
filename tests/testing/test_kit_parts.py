"""The parts of the kit by themselves: fixtures, samples, sides, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import ragd_tune.testing
from ragd_tune.backends import Limits, RerankRequest
from ragd_tune.data import check
from ragd_tune.objectives import CONTRASTIVE_OBJECTIVE, CORE_OBJECTIVES, batches, passage_keys
from ragd_tune.plan import ModelFacts
from ragd_tune.testing import contrastive_rows, tiny_data
from ragd_tune.testing.objectives import COVERED, Checks
from ragd_tune.testing.objectives.relevance import bce, listwise, logit
from ragd_tune.testing.sides import Oracle, Side

pytest_plugins = ["pytester"]

FIXTURES = """
import os
from pathlib import Path

def test_home(ragd_tune_home):
    assert os.environ["RAGD_TUNE_HOME"] == str(ragd_tune_home)
    assert list(ragd_tune_home.iterdir()) == []

def test_registry(ragd_tune_registry):
    assert "contrastive" in ragd_tune_registry.objectives

def test_data(ragd_tune_data, ragd_tune_rows):
    assert {"train", "dev", "test"} == set(ragd_tune_data.qrels)
    assert ragd_tune_rows.train

def test_base(ragd_tune_base):
    assert any(ragd_tune_base.rglob("*.safetensors"))
"""


def test_the_fixtures_of_the_kit_work(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(FIXTURES)
    run = pytester.runpytest_inprocess("-q", "-p", "ragd_tune.testing.fixtures")
    run.assert_outcomes(passed=4)


def test_the_plugin_that_pytest_loads_everywhere_imports_next_to_nothing() -> None:
    heavy = ["numpy", "pydantic", "rich", "safetensors", "huggingface_hub", "yaml", "click"]
    ask = (
        "import pytest, sys; before = set(sys.modules); import ragd_tune.testing.fixtures; "
        f"print(sorted((set(sys.modules) - before) & set({heavy})), "
        "len([n for n in set(sys.modules) - before if n.startswith('ragd_tune')]))"
    )
    command = [sys.executable, "-c", ask]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "3"]


def test_the_kit_has_every_name_that_it_promises_and_no_other() -> None:
    for name in ragd_tune.testing.__all__:
        assert getattr(ragd_tune.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ragd_tune.testing.nothing


def test_the_sample_rows_are_rows_and_their_batches_have_different_sizes() -> None:
    rows = contrastive_rows()
    for part in (rows.train, rows.dev):
        for number, row in enumerate(part):
            CONTRASTIVE_OBJECTIVE.check(row, where=str(number))
    made = batches(rows.train, batch_size=4, seed=0, epoch=0)
    assert len({len(batch) for batch in made}) > 1
    for batch in made:
        keys = [passage_keys(rows.train[index]) & {"p0"} for index in batch]
        assert sum(map(bool, keys)) <= 1, "rows that share a passage are kept apart"


OPTIONS = {one.id: {option.name for option in one.options} for one in CORE_OBJECTIVES}
SCHEMAS = {one.id: one for one in CORE_OBJECTIVES}


@pytest.mark.parametrize("checks", COVERED.values(), ids=COVERED)
def test_every_row_that_the_suite_trains_on_is_a_row_of_its_objective(checks: Checks) -> None:
    rows = checks.rows()
    assert rows.objective == checks.objective
    assert len(rows.train) > 8
    assert len(rows.dev) > 1
    some = [*rows.train, *rows.dev, *checks.odd_rows("lamp"), *checks.single_rows().values()]
    for number, row in enumerate([*some, *map(checks.reworded, some)]):
        SCHEMAS[checks.objective].check(row, where=f"{checks.objective}:{number}")


@pytest.mark.parametrize("checks", COVERED.values(), ids=COVERED)
def test_every_option_of_an_objective_has_to_have_an_effect(checks: Checks) -> None:
    facts = ModelFacts(dimension=8, max_length=8)
    assert OPTIONS[checks.objective] - checks.silent <= checks.changes(facts).keys()


@pytest.mark.parametrize("checks", COVERED.values(), ids=COVERED)
def test_odd_rows_hold_the_odd_text_and_reworded_rows_hold_other_texts(checks: Checks) -> None:
    assert any("odd, odd" in str(row.values()) for row in checks.odd_rows("odd, odd"))
    for row in checks.rows().train:
        assert checks.reworded(row) != row


def test_a_score_gives_its_logit_back_and_both_losses_are_those_of_the_textbook() -> None:
    logits = np.array([2.0, -1.0, 0.5])
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    np.testing.assert_allclose(logit(scores), logits, atol=1e-5)
    row = {"labels": [1.0, 0.0, 0.0]}
    by_hand = -np.mean([np.log(scores[0]), *np.log(1 - scores[1:])])
    assert bce([logits], [row]) == pytest.approx(by_hand, abs=1e-6)
    chances = np.exp(logits) / np.exp(logits).sum()
    assert listwise([logits], [row]) == pytest.approx(-np.log(chances[0]))
    taught = listwise([logits], [{**row, "teacher_scores": logits.tolist()}])
    assert taught == pytest.approx(-(chances * np.log(chances)).sum())


def test_the_sample_data_is_sound() -> None:
    assert not check(tiny_data()).leaked


def test_the_oracle_finds_what_the_words_do_not() -> None:
    data = tiny_data()
    query = data.queries["q2"].text
    passages = tuple(document.passage for document in data.corpus.values())
    asked = [RerankRequest(query=query, passages=passages)]
    (scores,) = Oracle(data).rerank(asked)
    assert passages[int(np.argmax(scores))] == data.corpus["d2"].passage
    (poor,) = Side(dimension=12).rerank(asked)
    assert poor.shape == (len(passages),)
    assert Side(dimension=12).generate(["one\ntwo\n"], Limits()) == ["two"]
