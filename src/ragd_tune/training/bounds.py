"""How long a training may take: bounded by ``minutes`` of steps, or by a ``budget`` for all of it.

``minutes`` count from the first step. A budget counts from the command's start, so that its end is
a time of day: the core tells a worker that as ``deadline`` (seconds since 1970), which decides
nothing about what is trained and is no part of a plan's id.
"""

from __future__ import annotations

import time

from ragd_tune.plan import DEADLINE, TrainPlan
from ragd_tune.training import checkpoints


def is_timed(plan: TrainPlan) -> bool:
    """Say whether the number of steps depends on this machine's speed."""
    if plan.options["max_steps"] is not None:
        return False
    return plan.options["minutes"] is not None or has_budget(plan)


def has_budget(plan: TrainPlan) -> bool:
    """Say whether all of the training has to end in time; ``epochs`` bound it, too."""
    return plan.options.get("budget") is not None


def seconds_left(plan: TrainPlan) -> float:
    """Return the seconds that a timed training may take from now on; below 0 where it is late.

    A budget that nobody gave a deadline begins now.
    """
    if plan.options["minutes"] is not None:
        return plan.number("minutes") * 60
    if plan.options.get(DEADLINE) is None:
        return plan.number("budget")
    return plan.number(DEADLINE) - time.time()


def allowed(plan: TrainPlan, *, resumed: bool) -> float | None:
    """Return the seconds that steps may take, those before an interruption included.

    None where time bounds nothing. A resumed run has what its first start had: a deadline of the
    day before tells nothing today.
    """
    if not is_timed(plan):
        return None
    if plan.options["minutes"] is not None:
        return seconds_left(plan)
    path = checkpoints.folder_of(plan) / checkpoints.BOUND
    kept = checkpoints.get(path) if resumed else None
    if kept is not None and kept.get("plan") == plan.id and isinstance(kept.get("seconds"), float):
        return float(kept["seconds"])
    seconds = max(0.0, seconds_left(plan))
    checkpoints.put(path, {"plan": plan.id, "seconds": seconds})
    return seconds
