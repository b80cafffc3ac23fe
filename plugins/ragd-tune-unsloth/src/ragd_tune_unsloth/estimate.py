"""Time and memory of a plan, from real steps on a copy of the model that is thrown away."""

from __future__ import annotations

import gc

from ragd_tune.objectives import Rows
from ragd_tune.plan import Estimate, TrainPlan
from ragd_tune.training import measured
from ragd_tune.training.course import Course, training_length
from ragd_tune_unsloth.session import fits, quiet, repeatable, untouched_random_state
from ragd_tune_unsloth.tasks import ready, task_of
from ragd_tune_unsloth.trainer import Trainer


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``."""
    with quiet(), repeatable(), fits(plan), untouched_random_state(plan.device):
        given = ready(plan, rows)
        rows = given.rows
        course = Course.of(plan, rows.train)
        length = training_length(plan)
        groups = measured.sample(rows.train, course.epoch(0), max_length=length)
        trainer = Trainer(plan, task_of(plan, given))
        times = measured.timed(plan, trainer, groups)
        del trainer
        gc.collect()
    return measured.estimated(plan, rows, times)
