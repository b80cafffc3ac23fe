"""What was measured of a plan: kept in this process, and the number of steps beside the run."""

from __future__ import annotations

from ragd_tune.objectives import Rows
from ragd_tune.plan import Estimate, TrainPlan
from ragd_tune.training import checkpoints
from ragd_tune.training.course import Course, is_timed, total_steps

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
