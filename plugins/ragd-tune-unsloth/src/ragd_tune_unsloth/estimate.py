"""Time and memory of a plan, from real steps on a copy of the model that is thrown away."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import fmean

from ragd_tune.objectives import Rows
from ragd_tune.plan import Estimate, TrainPlan
from ragd_tune.training import measured, memory
from ragd_tune.training.course import Course, dev_points, is_timed, total_steps
from ragd_tune_unsloth.session import fits, quiet, repeatable, untouched_random_state
from ragd_tune_unsloth.train import task_of
from ragd_tune_unsloth.trainer import Trainer

STEPS = 6
"""Steps that are taken; the first warms up and is not timed."""
ENOUGH_SECONDS = 12.0


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``."""
    with quiet(), repeatable(), fits(plan), untouched_random_state(plan.device):
        course = Course.of(plan, rows.train)
        times = _time(plan, rows, course)
        per_step = fmean(times)
    kept = measured.kept_steps(plan) if is_timed(plan) else None
    steps = kept or total_steps(plan, course, per_step)
    points, size = dev_points(steps, -(-len(rows.dev) // plan.integer("batch_size")))
    looks = len(points) * size / 3  # a forward pass is about a third of a step
    made = Estimate(
        seconds=(steps + looks) * per_step,
        steps=steps,
        peak_bytes=memory.peak_bytes(),
        measured_steps=len(times),
    )
    measured.remember(plan, made)
    return made


def _time(plan: TrainPlan, rows: Rows, course: Course) -> list[float]:
    trainer = Trainer(plan, rows, task_of(plan))
    marks: list[float] = []

    def done(step: int, value: float, count: int) -> bool:
        marks.append(time.perf_counter())  # reading the loss has waited for the device
        return step > 1 and marks[-1] - marks[0] > ENOUGH_SECONDS

    batches: Iterator[list[int]] = course.between(0, STEPS)
    trainer.run(batches, start=0, steps=STEPS, done=done)
    del trainer
    gc.collect()
    return [later - earlier for earlier, later in pairwise(marks)]
