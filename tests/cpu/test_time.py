from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ragd_tune.pipeline.training import replayable
from ragd_tune.plan import Estimate, Event, Stop
from ragd_tune.testing.bench import snapshot
from ragd_tune.training import checkpoints, measured
from ragd_tune.training.job import Job


def test_an_estimate_measures_real_steps_and_counts_all_of_them(lab: Any) -> None:
    made = lab.estimate(lab.plan(lab.base(), max_steps=40))
    assert made.steps == 40
    assert 1 <= made.measured_steps <= 5
    assert made.seconds > 0
    assert made.peak_bytes > 10_000_000


def test_minutes_become_steps_that_a_replay_by_steps_repeats(lab: Any) -> None:
    base = lab.base()
    timed = lab.plan(base, max_steps=None, minutes=0.05)
    estimate = lab.estimate(timed)
    assert estimate.seconds <= 3.0
    # The speed of this machine is not what is tested: the plan is given a pace.
    measured.remember(timed, _paced(estimate, steps=7))
    result = lab.train(timed)
    assert result.steps == 7
    replay = lab.plan(base, max_steps=result.steps)
    lab.train(replay)
    assert snapshot(replay.out) == snapshot(timed.out)


def _paced(estimate: Estimate, steps: int) -> Estimate:
    return replace(estimate, steps=steps)


def test_a_resumed_timed_run_keeps_its_number_of_steps(lab: Any) -> None:
    plan = lab.plan(lab.base(), max_steps=None, minutes=10.0)
    measured.remember(plan, Estimate(seconds=1, steps=5, peak_bytes=1, measured_steps=1))

    def stop(event: Event) -> None:
        if event.type == "step" and event.step == 2:
            raise Stop

    with pytest.raises(Stop):
        lab.train(plan, stop)
    measured.remember(plan, Estimate(seconds=1, steps=999, peak_bytes=1, measured_steps=1))
    assert lab.train(plan).steps == 5


def test_a_run_that_is_slower_than_measured_ends_at_the_bound_with_its_weights(lab: Any) -> None:
    plan = lab.plan(lab.base(), max_steps=None, minutes=0.05)
    measured.remember(plan, Estimate(seconds=1, steps=10**6, peak_bytes=1, measured_steps=1))
    result = lab.train(plan)
    assert 0 < result.steps < 10**6
    assert result.seconds >= 3.0
    assert (plan.out / "adapter_model.safetensors").is_file()


def test_a_run_that_its_bound_cut_short_is_replayed_weight_for_weight(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = lab.base()
    timed = lab.plan(base, max_steps=None, minutes=1.0)
    measured.remember(timed, Estimate(seconds=1, steps=12, peak_bytes=1, measured_steps=1))
    with monkeypatch.context() as slow:
        slow.setattr(Job, "elapsed", lambda job: 61.0 if job.progress.step == 5 else 1.0)
        result = lab.train(timed)
    assert (result.steps, result.schedule_steps) == (5, 12)
    replay = replace(replayable(timed, result), out=lab.plan(base).out)
    lab.train(replay)
    assert snapshot(replay.out) == snapshot(timed.out)
    plain = lab.plan(base, max_steps=5)
    lab.train(plain)
    assert snapshot(plain.out) != snapshot(timed.out)


def test_a_timed_run_without_an_estimate_makes_one(lab: Any) -> None:
    plan = lab.plan(lab.base(), max_steps=None, minutes=0.05, seed=77)
    result = lab.train(plan)
    assert result.estimate is not None
    assert [event.type for event in lab.events[:3]] == ["estimate", "load", "start"]


def test_the_number_of_steps_of_another_plan_is_not_taken(lab: Any) -> None:
    one = lab.plan(lab.base(), minutes=1.0, max_steps=None)
    measured.keep_steps(one, 5)
    assert measured.kept_steps(one) == 5
    other = replace(one, options={**one.options, "seed": 1})
    assert measured.kept_steps(other) is None
    (checkpoints.folder_of(one) / checkpoints.SCHEDULE).write_text("{", encoding="utf-8")
    assert measured.kept_steps(one) is None


def test_max_steps_decides_over_minutes(lab: Any) -> None:
    assert lab.train(lab.plan(lab.base(), max_steps=3, minutes=0.05)).steps == 3
