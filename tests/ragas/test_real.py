"""RAGAS itself, in an environment of its own, judged by an endpoint whose every answer is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.ragas.judge_server import serving

from ragd_tune.evaluate.ragas import METRICS, Judge, Sample, Task, judge

PYTHON = os.environ.get("RAGD_TUNE_RAGAS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PYTHON is None,
        reason="RAGD_TUNE_RAGAS names no interpreter with RAGAS in it; `tox -e ragas` makes one",
    ),
]

TOWN, TEA, DOG = "Ann lives in Bath.", "Ann likes tea.", "Bob has a dog."


def by(url: str) -> Judge:
    assert PYTHON is not None
    return Judge(url=url, model="judge", embedding_model="letters", python=Path(PYTHON))


def task(metric: str, contexts: tuple[str, ...], answer: str, reference: str) -> Task:
    question = "Where does Ann live?"
    sample = Sample(question=question, contexts=contexts, answer=answer, reference=reference)
    return Task(metric=metric, sample=sample)


CASES = [
    # the average precision of passages: of use are the first and the third, (1 + 2/3) / 2
    (task("context_precision", (TOWN, DOG, TOWN + " " + TEA), "", "Ann lives in Bath."), 5 / 6),
    (task("context_precision", (DOG, TEA), "", "Ann lives in Bath."), 0.0),
    # two sentences, of which the passages say one
    (task("context_recall", (TEA, TOWN), "", "Ann lives in Bath. Ann has a cat."), 0.5),
    (task("faithfulness", (TOWN, TEA), "Ann lives in Bath. Ann likes tea.", ""), 1.0),
    (task("faithfulness", (TOWN,), "Ann lives in Bath. Ann is old. Bob too.", ""), 1 / 3),
    # the judge asks back what the answer repeats: the same letters, or that nobody knows
    (task("answer_relevancy", (TOWN,), "Where does Ann live? In Bath.", ""), 1.0),
    (task("answer_relevancy", (TOWN,), "I do not know where Ann lives.", ""), 0.0),
]


def test_every_metric_gives_the_score_that_the_judges_answers_make(tmp_path: Path) -> None:
    with serving() as server:
        found = judge([one for one, _ in CASES], by(server.url), tmp_path)
    assert not found.failed
    assert found.versions["ragas"].startswith("0.4.")
    for one, wanted in CASES:
        assert found.scores[one.key] == pytest.approx(wanted, abs=1e-6), one
    assert {one.metric for one, _ in CASES} == set(METRICS)
    assert {body["model"] for body in server.bodies} == {"judge", "letters"}


def test_a_judge_that_gives_no_json_is_told_of_and_costs_no_other_score(tmp_path: Path) -> None:
    with serving(mute=True) as server:
        found = judge([CASES[0][0]], by(server.url), tmp_path)
    assert found.scores == {}
    assert CASES[0][0].key in found.failed
    assert 1 < len(server.bodies) < 30  # it is asked again, and not for ever


def test_an_endpoint_that_is_gone_fails_each_score_and_ends(tmp_path: Path) -> None:
    with serving() as server:
        url = server.url
    found = judge([CASES[2][0]], by(url), tmp_path)
    assert "onnection" in found.failed[CASES[2][0].key]
