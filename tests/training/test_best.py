"""Early stopping: a rising held-out loss ends a run, and the weights of its lowest point stay."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.objectives import Rows
from ragd_tune.options import CAUSAL_LM, RUN, Value
from ragd_tune.plan import BaseModel, Event, Stop, TrainPlan
from ragd_tune.testing.samples import causal_rows
from ragd_tune.training import best, checkpoints
from ragd_tune.training.course import dev_points
from ragd_tune.training.job import Job, StepDone

STEPS = 80


@dataclass
class Scripted:
    """A trainer whose weights are its last step, and whose held-out loss is a script's."""

    curve: dict[int, float]
    weights: int = 0
    looked: list[int] = field(default_factory=list)

    def run(self, batches: Iterator[list[int]], *, start: int, steps: int, done: StepDone) -> None:
        for step, batch in enumerate(batches, start + 1):
            self.weights = step
            if done(step, 1.0, len(batch)):
                break

    def held_out(self, batches: Sequence[Sequence[int]]) -> float:
        self.looked.append(self.weights)
        return self.curve[self.weights]

    def save(self, folder: Path) -> None:
        (folder / "state.json").write_text(json.dumps(self.weights))

    def restore(self, folder: Path) -> None:
        self.weights = json.loads((folder / "state.json").read_text())


def plan_of(folder: Path, **options: Value) -> TrainPlan:
    values = {one.name: one.default for one in (*RUN, *CAUSAL_LM)}
    return TrainPlan(
        kind="raft", objective="causal_lm", tuning="full", side="both", backend="x", device="cpu",
        base=BaseModel(name="x", path=folder, fingerprint="f"), data_fingerprint="",
        rows_fingerprint="", out=folder / "out",
        options={**values, "batch_size": 2, "max_steps": STEPS, "checkpoint_steps": 5, **options},
    )  # fmt: skip


def rows() -> Rows:
    return Rows(
        objective="causal_lm", train=list(causal_rows().train), dev=list(causal_rows().train)[:4]
    )


def curve(*values: float) -> dict[int, float]:
    points, _ = dev_points(STEPS, 2, best.MANY)
    return dict(zip(points, values, strict=True))


def job(trainer: Scripted, plan: TrainPlan, told: list[Event] | None = None, stop: int = 0) -> Job:
    def emit(event: Event) -> None:
        if told is not None:
            told.append(event)
        if event.type == "step" and event.step == stop:
            raise Stop

    return Job(plan=plan, rows=rows(), emit=emit, steps=STEPS, trainer=trainer)


RISING = (5.0, 4.0, 3.0, 3.5, 3.4, 2.0, 1.0, 0.5)


def test_two_looks_in_a_row_above_the_lowest_end_the_run_with_its_weights(tmp_path: Path) -> None:
    trainer, told = Scripted(curve(*RISING)), list[Event]()
    made = job(trainer, plan_of(tmp_path), told)
    made.run()
    assert (made.progress.step, trainer.weights) == (30, 30)
    assert made.progress.dev_losses == [(10, 5.0), (20, 4.0), (30, 3.0), (40, 3.5), (50, 3.4)]
    assert made.progress.losses[-1][0] == 50
    (note,) = [event.message for event in told if event.type == "log"]
    assert note.startswith("over-fitting: the held-out loss was lowest after step 30 (3.0000)")


def test_a_single_rise_is_noise_and_a_late_one_gives_the_lowest_weights(tmp_path: Path) -> None:
    trainer = Scripted(curve(5.0, 6.0, 4.0, 5.0, 3.0, 2.0, 1.0, 1.5))
    made = job(trainer, plan_of(tmp_path))
    made.run()
    assert (made.progress.step, trainer.weights) == (70, 70)


def test_a_loss_that_falls_to_the_end_keeps_the_last_weights(tmp_path: Path) -> None:
    trainer, told = Scripted(curve(8, 7, 6, 5, 4, 3, 2, 1)), list[Event]()
    job(trainer, plan_of(tmp_path), told).run()
    assert trainer.weights == STEPS
    assert not [event for event in told if event.type == "log"]


def test_whoever_does_not_want_it_gets_four_looks_and_all_steps(tmp_path: Path) -> None:
    trainer = Scripted({20: 1.0, 40: 2.0, 60: 3.0, 80: 4.0})
    job(trainer, plan_of(tmp_path, early_stop=False)).run()
    assert (trainer.weights, trainer.looked) == (80, [20, 40, 60, 80])
    assert not (checkpoints.folder_of(plan_of(tmp_path)) / "best").exists()


@pytest.mark.parametrize("stop", [12, 31, 44])
def test_a_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(
    tmp_path: Path, stop: int
) -> None:
    plan = plan_of(tmp_path)
    with pytest.raises(Stop):
        job(Scripted(curve(*RISING)), plan, stop=stop).run()
    trainer = Scripted(curve(*RISING))
    made = job(trainer, plan)
    made.run()
    assert made.resumed_from >= stop - 5
    assert (made.progress.step, trainer.weights) == (30, 30)


def test_weights_of_another_plan_are_never_put_back(tmp_path: Path) -> None:
    trainer = Scripted({}, weights=7)
    best.Best(plan=plan_of(tmp_path, seed=1), trainer=trainer).keep(3)
    trainer.weights = 9
    mine = best.Best(plan=plan_of(tmp_path), trainer=trainer)
    assert mine.back([(3, 1.0), (6, 2.0)]) == ""
    assert trainer.weights == 9


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=8))
def test_a_run_is_over_only_where_the_lowest_look_lies_two_back(values: list[float]) -> None:
    looks = list(enumerate(values, 1))
    step, loss = best.lowest(looks)
    assert loss == min(values)
    assert best.is_over(looks) == (len(values) - step >= best.PATIENCE)
    assert bool(best.told(looks)) == (values[-1] > loss + loss / 50)


@given(steps=st.integers(best.LONG, 10_000), held=st.integers(1, 500))
def test_more_looks_cost_no_more(steps: int, held: int) -> None:
    points, size = dev_points(steps, held, best.MANY)
    assert len(points) * size / 3 <= 0.06 * steps
