"""Time and memory of a plan, from real steps on a copy of the model that is thrown away."""

from __future__ import annotations

import gc
import time
from itertools import pairwise

from ragd_tune.objectives import Rows
from ragd_tune.plan import Estimate, TrainPlan
from ragd_tune.training import measured
from ragd_tune.training.course import Course, training_length
from ragd_tune_unsloth.session import fits, quiet, repeatable, untouched_random_state
from ragd_tune_unsloth.tasks import Ready, ready, task_of
from ragd_tune_unsloth.trainer import Trainer

ENOUGH_SECONDS = 12.0


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``."""
    with quiet(), repeatable(), fits(plan), untouched_random_state(plan.device):
        given = ready(plan, rows)
        rows = given.rows
        course = Course.of(plan, rows.train)
        length = training_length(plan)
        groups = measured.sample(rows.train, course.epoch(0), max_length=length)
        times = _time(plan, given, groups)
    return measured.estimated(plan, rows, times)


def _time(plan: TrainPlan, given: Ready, groups: list[list[int]]) -> list[float]:
    trainer = Trainer(plan, task_of(plan, given))
    marks: list[float] = []

    def done(step: int, value: float, count: int) -> bool:
        marks.append(time.perf_counter())  # reading the loss has waited for the device
        return step > 3 and marks[-1] - marks[0] > ENOUGH_SECONDS

    trainer.run(iter(groups), start=0, steps=len(groups), done=done)
    del trainer
    gc.collect()
    return [later - earlier for earlier, later in pairwise(marks)]
