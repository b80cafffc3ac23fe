"""The engine's manners, against a stand-in for RAGAS: the driver is the real one."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.ragas.stand_in import interpreter

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.evaluate.ragas import Judge, Sample, Task, judge

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")


@pytest.fixture
def by(tmp_path: Path) -> Judge:
    """A judge whose address nothing listens on: the stand-in asks nobody."""
    return Judge(url="http://127.0.0.1:9/v1", model="m", python=interpreter(tmp_path), silence=60.0)


def task(question: str, answer: str = "tea", metric: str = "faithfulness") -> Task:
    sample = Sample(question=question, contexts=("Ann likes tea.",), answer=answer, reference="tea")
    return Task(metric=metric, sample=sample)


def test_scores_are_kept_as_they_come_and_nothing_is_judged_twice(
    by: Judge, tmp_path: Path
) -> None:
    tasks = [task("What?"), task("What?", "milk"), task("What?", metric="context_recall")]
    found = judge(tasks, by, tmp_path / "work")
    assert [found.scores[one.key] for one in tasks] == [1.0, 0.0, 1.0]
    assert found.versions == {"ragas": "9", "openai": "9", "instructor": "9"}
    assert "a library prints" in (tmp_path / "work" / "ragas.log").read_text()
    dead = replace(by, python=tmp_path / "nothing")
    assert judge(tasks, dead, tmp_path / "work").scores == found.scores
    with pytest.raises(NotInstalledError):
        judge([*tasks, task("And?")], dead, tmp_path / "work")


def test_what_a_metric_does_not_read_makes_no_other_task() -> None:
    assert task("What?", "a").key != task("What?", "b").key
    precision = "context_precision"
    assert task("What?", "a", precision).key == task("What?", "b", precision).key
    assert task("What?", "a", precision).key != task("What?", "a", "context_recall").key


def test_a_score_that_fails_is_told_and_the_others_go_on(by: Judge, tmp_path: Path) -> None:
    tasks = [task("fail"), task("nothing"), task("What?")]
    found = judge(tasks, by, tmp_path / "work")
    assert found.scores == {tasks[2].key: 1.0}
    assert found.failed == {
        tasks[0].key: "ValueError: this is no JSON",
        tasks[1].key: "the judge found nothing to judge",
    }
    journal = (tmp_path / "work" / "scores.jsonl").read_text()
    assert tasks[0].key not in journal  # the next run asks for it again
    assert "Ann" not in journal


def test_no_other_address_is_reached_from_that_process_and_nothing_is_tracked(
    by: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")
    with socket.create_server(("127.0.0.1", 0)) as other:
        asked = task(f"connect {other.getsockname()[1]}")
        found = judge([asked, task("environment")], by, tmp_path / "work")
        assert "refused" in found.failed[asked.key]
        assert found.scores == {task("environment").key: 1.0}
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.accept()


def test_a_judge_that_says_nothing_is_ended_in_time(by: Judge, tmp_path: Path) -> None:
    judge([task("What?")], by, tmp_path / "work")
    slow = replace(by, silence=3.0)
    with pytest.raises(TuneError, match="no score within 3 seconds") as refused:
        judge([task("hang")], slow, tmp_path / "work")
    assert "--seconds" in refused.value.mend


def test_a_process_that_dies_is_told_with_its_last_words(by: Judge, tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="ended before it was done: no more memory"):
        judge([task("die")], by, tmp_path / "work")


def test_an_interpreter_without_ragas_or_without_anything_says_what_to_install(
    by: Judge, tmp_path: Path
) -> None:
    for python, words in (
        (Path(sys.executable), "has no RAGAS: ModuleNotFoundError"),
        (tmp_path / "nothing", "cannot be run"),
    ):
        with pytest.raises(NotInstalledError, match=words) as refused:
            judge([task("What?")], replace(by, python=python), tmp_path / "work")
        assert "ragas>=0.4.3" in refused.value.mend


def test_another_machine_is_not_asked_before_it_is_allowed(by: Judge, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not this machine") as refused:
        judge([task("What?")], replace(by, url="http://192.0.2.1/v1"), tmp_path / "work")
    assert "--allow-remote" in refused.value.mend
    assert not (tmp_path / "work" / "ragas.log").exists()
