"""What a plan will cost, from measured steps, and how many steps a bound of time allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean

from ragd_tune.objectives import Row, Rows
from ragd_tune.plan import Emit, Estimate, Event, TrainPlan
from ragd_tune.training import best, checkpoints, memory
from ragd_tune.training.bounds import has_budget, is_timed
from ragd_tune.training.course import Course, cost, dev_points, held_out, total_steps
from ragd_tune.training.job import Trainer

SHARES = (0.5, 0.1, 0.9, 0.3, 0.7)
"""Where in the order of cost the measured steps lie: the middle first, should time run out."""

ENOUGH_SECONDS = 12.0
"""Measuring ends when so much time went by; the first step, which warms up, is not counted."""

SHARE_OF_BUDGET = 0.04
"""Or so much of a budget, if that is less: of one minute, most should be trained."""

_known: dict[str, Estimate] = {}


def remember(plan: TrainPlan, estimate: Estimate) -> None:
    """Keep the estimate of ``plan`` for a training in the same process."""
    _known.clear()  # one plan at a time; a long-lived host must not collect them
    _known[plan.id] = estimate


def recall(plan: TrainPlan) -> Estimate | None:
    """Return the estimate of ``plan`` if it was made in this process."""
    return _known.get(plan.id)


def kept_steps(plan: TrainPlan) -> int | None:
    """Return the number of steps that an interrupted run of ``plan`` had settled on."""
    kept = checkpoints.get(checkpoints.folder_of(plan) / checkpoints.SCHEDULE)
    if kept is None or kept.get("plan") != plan.id or not isinstance(kept.get("steps"), int):
        return None
    return int(kept["steps"])


def keep_steps(plan: TrainPlan, steps: int) -> None:
    """Settle on a number of steps, for this run and for one that resumes it."""
    path = checkpoints.folder_of(plan) / checkpoints.SCHEDULE
    checkpoints.put(path, {"plan": plan.id, "steps": steps})


def steps(plan: TrainPlan, rows: Rows, estimate: Estimate | None) -> int:
    """Return how many steps ``plan`` takes; ``estimate`` decides where time bounds it."""
    if is_timed(plan):
        kept = kept_steps(plan)
        if kept is not None:
            return kept
        assert estimate is not None
        return estimate.steps
    return total_steps(plan, Course.of(plan, rows.train))


def settle(
    plan: TrainPlan, rows: Rows, emit: Emit, estimate: Callable[[TrainPlan, Rows], Estimate]
) -> tuple[int, Estimate | None]:
    """Return how many steps to take, and the estimate if there is one.

    A run bounded by time is measured once and keeps that number: a resumed run must not change
    its learning rate's schedule.
    """
    known = recall(plan)
    if known is None and is_timed(plan) and kept_steps(plan) is None:
        known = estimate(plan, rows)
        emit(Event(type="estimate", steps=known.steps, estimate=known))
    count = steps(plan, rows, known)
    if is_timed(plan):
        keep_steps(plan, count)
    return count, known


def sample(rows: Sequence[Row], groups: list[list[int]], *, max_length: int) -> list[list[int]]:
    """Return the batches to take: the most expensive, then some spread over the order of cost."""
    order = sorted(groups, key=lambda group: cost(rows, group, max_length=max_length))
    spread = [order[int(share * (len(order) - 1))] for share in SHARES]
    return [order[-1], *spread]


def enough(plan: TrainPlan) -> float:
    """Return after how many seconds measuring ends, once it has timed a few steps."""
    if not has_budget(plan):
        return ENOUGH_SECONDS
    return min(ENOUGH_SECONDS, SHARE_OF_BUDGET * plan.number("budget"))


def timed(plan: TrainPlan, trainer: Trainer, groups: Sequence[list[int]]) -> list[float]:
    """Return the seconds of a step on each of ``groups`` but the first, which warms up.

    After a few steps it ends where :func:`enough` seconds are over.
    """
    most = enough(plan)
    marks: list[float] = []

    def done(step: int, value: float, count: int) -> bool:
        marks.append(time.perf_counter())  # reading the loss has waited for the device
        return step > 3 and marks[-1] - marks[0] > most

    trainer.run(iter(groups), start=0, steps=len(groups), done=done)
    return [later - earlier for earlier, later in pairwise(marks)]


def estimated(
    plan: TrainPlan, rows: Rows, times: Sequence[float], *, peak: int = 0, ahead: float = 0.0
) -> Estimate:
    """Return the estimate that ``times`` (seconds of measured steps) make, and remember it.

    :param peak: bytes that a framework knows of beside this process's resident memory.
    :param ahead: seconds of what is done once, before the first step.
    """
    per_step = fmean(times)
    kept = kept_steps(plan) if is_timed(plan) else None
    count = kept or total_steps(plan, Course.of(plan, rows.train), per_step, ahead)
    held = held_out(plan, rows.dev)
    points, size = dev_points(count, len(held), best.looks(plan, count))
    looks = len(points) * size / 3  # a forward pass is about a third of a step
    seconds = ahead + (count + looks) * per_step
    made = Estimate(
        seconds=seconds,
        steps=count,
        peak_bytes=max(memory.peak_bytes(), peak),
        measured_steps=len(times),
        note=_note(seconds),
    )
    remember(plan, made)
    return made


def _note(seconds: float) -> str:
    if seconds < 6 * 3600:
        return ""
    return f"this takes {seconds / 3600:.0f} hours; a smaller base or --minutes makes it shorter"
