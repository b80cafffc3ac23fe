"""Time and memory of a plan, from real steps on a copy of the model that is thrown away."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from ragd_tune.objectives import Row, Rows
from ragd_tune.plan import Estimate, TrainPlan
from ragd_tune.training import measured, memory
from ragd_tune.training.course import Course, cost, dev_points, is_timed, total_steps
from ragd_tune_cpu import loss
from ragd_tune_cpu.loop import Batches, run
from ragd_tune_cpu.prepare import prepare
from ragd_tune_cpu.session import fits, quiet, repeatable, untouched_random_state

SHARES = (0.5, 0.1, 0.9, 0.3, 0.7)
"""Where in the order of cost the measured steps lie: the middle first, should time run out."""
ENOUGH_SECONDS = 12.0


def estimate(plan: TrainPlan, rows: Rows) -> Estimate:
    """Do what the hook promises: see ``ragd_tune.hookspecs.ragd_tune_estimate``.

    One step on the most expensive batch warms up and shows the peak of memory; then up to five
    batches, spread over the order of cost, are timed, for 12 seconds at the most.
    """
    with quiet(), repeatable(), fits(plan), untouched_random_state(plan.device):
        course = Course.of(plan, rows.train)
        groups = sample(rows.train, course.epoch(0), max_length=plan.integer("max_length"))
        times = _time(plan, rows, groups)
    made = _made(plan, rows, course, times)
    measured.remember(plan, made)
    return made


def sample(rows: Sequence[Row], groups: list[list[int]], *, max_length: int) -> list[list[int]]:
    """Return the batches to take: the most expensive, then some spread over the order of cost."""
    order = sorted(groups, key=lambda group: cost(rows, group, max_length=max_length))
    spread = [order[int(share * (len(order) - 1))] for share in SHARES]
    return [order[-1], *spread]


def _time(plan: TrainPlan, rows: Rows, groups: list[list[int]]) -> list[float]:
    trainee = prepare(plan, rows)
    marks: list[float] = []

    def done(step: int, value: float, rows_of_step: int) -> bool:
        marks.append(time.perf_counter())
        return step > 3 and marks[-1] - marks[0] > ENOUGH_SECONDS

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
    return [later - earlier for earlier, later in pairwise(marks)]


def _made(plan: TrainPlan, rows: Rows, course: Course, times: list[float]) -> Estimate:
    per_step = fmean(times)
    kept = measured.kept_steps(plan) if is_timed(plan) else None
    steps = kept or total_steps(plan, course, per_step)
    points, size = dev_points(steps, -(-len(rows.dev) // plan.integer("batch_size")))
    looks = len(points) * size / 3  # a forward pass is about a third of a step
    return Estimate(
        seconds=(steps + looks) * per_step,
        steps=steps,
        peak_bytes=memory.peak_bytes(),
        measured_steps=len(times),
        note=_note((steps + looks) * per_step),
    )


def _note(seconds: float) -> str:
    if seconds < 6 * 3600:
        return ""
    return f"this takes {seconds / 3600:.0f} hours; a smaller base or --minutes makes it shorter"
