"""A budget ends a run on time, whatever was estimated, with the best weights that there were."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragd_tune.objectives import Rows
from ragd_tune.options import CONTRASTIVE, RUN, Value
from ragd_tune.plan import DEADLINE, BaseModel, TrainPlan
from ragd_tune.testing import contrastive_rows
from ragd_tune.training import best, bounds, measured
from ragd_tune.training.course import Course, total_steps
from ragd_tune.training.job import Job, StepDone

NOW = 1_000_000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


def plan_of(folder: Path, **options: Value) -> TrainPlan:
    values = {one.name: one.default for one in (*RUN, *CONTRASTIVE)}
    return TrainPlan(
        kind="bi-encoder", objective="contrastive", tuning="full", side="both", backend="x",
        device="cpu", base=BaseModel(name="x", path=folder, fingerprint="f"), data_fingerprint="",
        rows_fingerprint="", out=folder / "out",
        options={**values, "batch_size": 4, "budget": 100.0, **options},
    )  # fmt: skip


ROWS = contrastive_rows(120, 12)


@dataclass
class Steps:
    """A trainer whose weights are its last step; held-out losses are told by a curve."""

    curve: dict[int, float]
    weights: int = 0

    def run(self, batches: Iterator[list[int]], *, start: int, steps: int, done: StepDone) -> None:
        for step, batch in enumerate(batches, start + 1):
            self.weights = step
            if done(step, 1.0, len(batch)):
                break

    def held_out(self, batches: Sequence[Sequence[int]]) -> float:
        return self.curve.get(self.weights, 1.0)

    def save(self, folder: Path) -> None:
        (folder / "state.json").write_text(json.dumps(self.weights))

    def restore(self, folder: Path) -> None:
        self.weights = json.loads((folder / "state.json").read_text())


def run(plan: TrainPlan, trainer: Steps, *, steps: int, rows: Rows = ROWS) -> Job:
    job = Job(plan=plan, rows=rows, emit=lambda event: None, steps=steps, trainer=trainer)
    job.run()
    return job


def test_a_budget_allows_what_the_time_left_holds_and_no_more_passes_than_epochs(
    tmp_path: Path,
) -> None:
    course = Course.of(plan_of(tmp_path), ROWS.train)
    soon = plan_of(tmp_path, **{DEADLINE: NOW + 10, "epochs": 2.0})
    late = plan_of(tmp_path, **{DEADLINE: NOW + 10_000, "epochs": 2.0})
    assert total_steps(soon, course, 0.5) == 18  # a tenth of the time is kept free
    assert total_steps(soon, course, 0.5, ahead=4.0) == 10
    assert total_steps(late, course, 0.5) == course.steps(2.0)


def test_a_budget_that_is_over_leaves_one_step(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, **{DEADLINE: NOW - 5})
    assert total_steps(plan, Course.of(plan, ROWS.train), 0.5) == 1
    trainer = Steps({})
    run(plan, trainer, steps=25)
    assert trainer.weights == 1


def test_the_clock_ends_a_run_that_was_estimated_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    trainer = Steps({})
    run(plan_of(tmp_path, **{DEADLINE: NOW + 20}), trainer, steps=1000, rows=contrastive_rows(9, 0))
    assert 1 < trainer.weights <= 20


def test_where_a_clock_stands_is_no_part_of_a_plan(tmp_path: Path) -> None:
    one, two = plan_of(tmp_path, **{DEADLINE: NOW}), plan_of(tmp_path, **{DEADLINE: NOW + 9})
    assert one.id == two.id == plan_of(tmp_path).id
    assert plan_of(tmp_path, budget=50.0).id != one.id


def test_a_run_that_is_resumed_the_next_day_has_what_its_first_start_had(tmp_path: Path) -> None:
    first = plan_of(tmp_path, **{DEADLINE: NOW + 60})
    assert bounds.allowed(first, resumed=False) == 60
    next_day = plan_of(tmp_path, **{DEADLINE: NOW + 100})
    assert bounds.allowed(next_day, resumed=True) == 60
    assert bounds.allowed(next_day, resumed=False) == 100


def test_minutes_bound_the_steps_alone_and_a_number_of_steps_goes_before(tmp_path: Path) -> None:
    minutes = plan_of(tmp_path, budget=None, minutes=2.0)
    assert bounds.allowed(minutes, resumed=False) == 120
    assert not best.keeps(minutes)
    assert not bounds.is_timed(plan_of(tmp_path, max_steps=3))
    assert bounds.allowed(plan_of(tmp_path, budget=None), resumed=False) is None


def test_held_out_rows_that_make_no_batch_watch_nothing_and_stop_nothing(tmp_path: Path) -> None:
    about_one = [{**row, "positive_key": "p", "relevant_keys": ["p"]} for row in ROWS.dev[:3]]
    plain = [{k: v for k, v in row.items() if "negative" not in k} for row in about_one]
    for dev in (plain, plain[:1], []):
        trainer = Steps({})
        rows = Rows(objective="contrastive", train=ROWS.train, dev=dev)
        job = run(plan_of(tmp_path, budget=None), trainer, steps=25, rows=rows)
        assert (trainer.weights, job.progress.dev_losses) == (25, [])


def test_a_run_with_a_budget_takes_the_best_weights_and_does_not_end_early(tmp_path: Path) -> None:
    curve = {10: 0.5, 20: 0.9, 30: 0.9, 40: 0.9}
    trainer = Steps(curve)
    job = run(plan_of(tmp_path, **{DEADLINE: NOW + 1e6}), trainer, steps=40)
    assert [step for step, _ in job.progress.dev_losses] == [10, 20, 30, 40]
    assert trainer.weights == job.progress.step == 10
    plain = Steps(curve)
    run(plan_of(tmp_path / "plain", budget=None), plain, steps=40)
    assert plain.weights == 40


@pytest.mark.parametrize(
    ("options", "seconds"), [({"budget": 60.0}, 2.4), ({"budget": 3600.0}, 12.0), ({}, 4.0)]
)
def test_a_short_budget_is_not_spent_on_measuring(
    tmp_path: Path, options: dict[str, Value], seconds: float
) -> None:
    assert measured.enough(plan_of(tmp_path, **options)) == pytest.approx(seconds)


def test_without_a_budget_measuring_ends_after_twelve_seconds(tmp_path: Path) -> None:
    assert measured.enough(plan_of(tmp_path, budget=None)) == 12.0


def test_measured_steps_end_where_the_share_of_the_budget_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    groups = [[0, 1]] * 9
    took = measured.timed(plan_of(tmp_path, budget=60.0), Steps({}), groups)
    assert took == [1.0] * 3  # the first warms up, and three are the least
