"""What is tried next follows from the seed and what was tried, whatever was killed meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.autotune import study as module
from ragd_tune.autotune.attempts import Attempt, Proposal, best
from ragd_tune.autotune.space import Axis
from ragd_tune.autotune.study import JOURNAL, Study
from ragd_tune.autotune.told import against_defaults
from ragd_tune.errors import NotInstalledError, TuneError

AXES = (
    Axis(name="learning_rate", default=1e-3, low=2.5e-4, high=4e-3),
    Axis(name="negatives", default=2, values=(0, 1, 2, 4)),
)


def attempt(proposal: Proposal, **changed: object) -> Attempt:
    score = proposal.options["negatives"] / 10 - abs(
        proposal.options.get("learning_rate", 0) - 2e-3
    )
    told: dict[str, object] = {
        "number": proposal.number, "options": proposal.options, "score": score, "base": 0.1,
        "seconds": 2.5, "queries": {"q1": score},
    }  # fmt: skip
    return Attempt(**{**told, **changed})  # type: ignore[arg-type]


def step(study: Study) -> Attempt:
    proposal = study.propose()
    assert proposal is not None
    made = attempt(proposal)
    study.keep(proposal, made)
    return made


def test_the_first_trial_takes_the_defaults(tmp_path: Path) -> None:
    first = Study(tmp_path, AXES, seed=0).propose()
    assert first is not None
    assert first.options == {"learning_rate": 1e-3, "negatives": 2}


def test_a_search_that_was_begun_anew_after_every_trial_tries_the_same(tmp_path: Path) -> None:
    whole = Study(tmp_path / "whole", AXES, seed=3)
    undisturbed = [step(whole) for _ in range(9)]
    disturbed = [step(Study(tmp_path / "parts", AXES, seed=3)) for _ in range(9)]
    assert disturbed == undisturbed
    assert Study(tmp_path / "parts", AXES, seed=3).attempts == undisturbed


def test_another_seed_tries_others(tmp_path: Path) -> None:
    tried = []
    for seed in (0, 1):
        study = Study(tmp_path / str(seed), AXES, seed=seed)
        tried.append([step(study).options for _ in range(3)][1:])
    assert tried[0] != tried[1]


def test_a_failed_trial_is_kept_with_its_reason_and_not_tried_again(tmp_path: Path) -> None:
    study = Study(tmp_path, AXES, seed=0)
    step(study)
    bad = study.propose()
    assert bad is not None
    study.keep(bad, attempt(bad, score=None, failure="the loss became NaN"))
    again = Study(tmp_path, AXES, seed=0)
    assert again.attempts[1].failure == "the loss became NaN"
    assert again.attempts[1].score is None
    assert best(again.attempts) == again.attempts[0]
    later = [step(again).options for _ in range(5)]
    assert bad.options not in later


def test_a_line_that_a_kill_left_torn_costs_its_own_trial_alone(tmp_path: Path) -> None:
    study = Study(tmp_path, AXES, seed=0)
    done = [step(study) for _ in range(3)]
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-40])
    again = Study(tmp_path, AXES, seed=0)
    assert again.attempts == done[:2]
    assert step(again) == done[2]
    assert Study(tmp_path, AXES, seed=0).attempts == done


def test_a_journal_that_is_none_is_named_and_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text("not json\nnot json\n")
    with pytest.raises(TuneError, match="cannot be read") as caught:
        Study(tmp_path, AXES, seed=0)
    assert JOURNAL in caught.value.message
    assert (tmp_path / JOURNAL).read_text().startswith("not json")


def test_where_every_combination_was_tried_nothing_more_is(tmp_path: Path) -> None:
    study = Study(tmp_path, AXES[1:], seed=0)
    tried = []
    while (proposal := study.propose()) is not None:
        tried.append(proposal.options["negatives"])
        study.keep(proposal, attempt(proposal))
    assert len(set(tried)) == len(tried) <= 4


def test_without_optuna_the_extra_that_brings_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError) as caught:
        Study(tmp_path, AXES, seed=0)
    assert "ragd-tune[auto-tune]" in caught.value.mend


def test_the_gain_over_the_defaults_is_paired_by_query() -> None:
    plain = {f"q{n}": 0.2 for n in range(30)}
    better = {qid: score + 0.1 for qid, score in plain.items()}
    made = [
        Attempt(number=0, options={}, score=0.2, queries=plain),
        Attempt(number=1, options={}, score=0.3, queries=better),
    ]
    gain = against_defaults(made, {}, seed=0)
    assert gain is not None
    assert gain.mean == pytest.approx(0.1)
    assert gain.low == pytest.approx(0.1)
    assert against_defaults(made[:1], {}, seed=0) is None
