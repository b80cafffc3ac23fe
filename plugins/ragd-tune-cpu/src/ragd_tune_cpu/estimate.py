"""Time and memory of a plan, from real steps on a copy of the model that is thrown away."""

from __future__ import annotations

import gc
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from ragd_tune.objectives import Rows
from ragd_tune.plan import Estimate, TrainPlan
from ragd_tune.training import measured
from ragd_tune.training.course import Course, training_length
from ragd_tune_cpu import loss
from ragd_tune_cpu.loop import Batches, run
from ragd_tune_cpu.prepare import prepare
from ragd_tune_cpu.session import fits, quiet, repeatable, untouched_random_state


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``.

    One step on the most expensive batch warms up and shows the peak of memory; then up to five
    batches, spread over the order of cost, are timed, for 12 seconds at the most (less in a
    short budget).
    """
    with quiet(), repeatable(), fits(plan), untouched_random_state(plan.device):
        course = Course.of(plan, rows.train)
        groups = measured.sample(rows.train, course.epoch(0), max_length=training_length(plan))
        times, ahead = _time(plan, rows, groups)
    return measured.estimated(plan, rows, times, ahead=ahead)


def _time(plan: TrainPlan, rows: Rows, groups: list[list[int]]) -> tuple[list[float], float]:
    """Return the seconds of some steps, and those of what comes before the first one."""
    trainee = prepare(plan, rows)
    ahead = trainee.ahead.seconds() if trainee.ahead else 0.0
    marks: list[float] = []
    most = measured.enough(plan)

    def done(step: int, value: float, rows_of_step: int) -> bool:
        marks.append(time.perf_counter())
        return step > 3 and marks[-1] - marks[0] > most

    with tempfile.TemporaryDirectory() as work, loss.precision(trainee.model, plan):
        run(
            trainee.model,
            trainee.loss,
            plan,
            collate=trainee.train,
            groups=Batches(groups, len(groups)),
            adamw=trainee.adamw,
            start=0,
            steps=len(groups),
            work=Path(work),
            before=lambda: None,
            done=done,
        )
    del trainee
    gc.collect()
    return [later - earlier for earlier, later in pairwise(marks)], ahead
