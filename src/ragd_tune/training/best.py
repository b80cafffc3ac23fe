"""Early stopping: the held-out loss is watched, and the weights of its lowest point are kept.

A language model that goes over a few hundred examples again and again learns them by heart; its
held-out loss rises while its training loss falls. Two looks in a row above the lowest one end the
run (Prechelt 1998, "Early Stopping - But When?"), and the weights go back to the lowest one.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.plan import TrainPlan
from ragd_tune.training import checkpoints
from ragd_tune.training.bounds import has_budget

if TYPE_CHECKING:
    from ragd_tune.training.job import Trainer

_log = logging.getLogger(__name__)

PATIENCE = 2
"""Looks in a row that may be above the lowest one."""

FEW, MANY, LONG = 4, 8, 54
"""Looks at the held-out loss in a run; many, on half as many rows each, in one that may end early
and has as many steps that all looks together still cost a twentieth of it."""

Curve = list[tuple[int, float]]


def wanted(plan: TrainPlan) -> bool:
    """Say whether ``plan`` may end early: where its objective has that option, and it is set."""
    return bool(plan.options.get("early_stop", False))


def keeps(plan: TrainPlan) -> bool:
    """Say whether a run ends with the weights of its lowest held-out loss.

    One that may end early does, and one that has a budget of time, unless the user wants the end.
    """
    return wanted(plan) or (has_budget(plan) and "early_stop" not in plan.options)


def looks(plan: TrainPlan, steps: int) -> int:
    """Return how often the held-out loss is looked at."""
    return MANY if wanted(plan) and steps >= LONG else FEW


def lowest(curve: Curve) -> tuple[int, float]:
    """Return step and loss of the lowest look, the first of equal ones."""
    return min(curve, key=lambda look: (look[1], look[0]))


def is_over(curve: Curve) -> bool:
    """Say whether the run should end: the last looks were all above the lowest one."""
    step, _ = lowest(curve)
    return sum(1 for at, _ in curve if at > step) >= PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The weights of the lowest look, beside the checkpoints of the run of ``plan``."""

    plan: TrainPlan
    trainer: Trainer

    @property
    def _home(self) -> Path:
        return checkpoints.folder_of(self.plan) / checkpoints.BEST

    def keep(self, step: int) -> None:
        """Keep the weights as they are now."""
        draft = self._home.with_name("best-part")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        self.trainer.save(draft)
        checkpoints.put(draft / checkpoints.MARKER, {"plan": self.plan.id, "step": step})
        shutil.rmtree(self._home, ignore_errors=True)
        draft.replace(self._home)

    def back(self, curve: Curve) -> str:
        """Put the weights of the lowest look back; return what to say of it, empty if they stayed.

        Where they were not kept (a run that was resumed from before them), the last ones stay.
        """
        if not curve or lowest(curve)[0] == curve[-1][0]:
            return ""
        step, loss = lowest(curve)
        marker = checkpoints.get(self._home / checkpoints.MARKER) or {}
        if (marker.get("plan"), marker.get("step")) != (self.plan.id, step):
            _log.warning("the weights of step %d were not kept; the last ones stay", step)
            return ""
        self.trainer.restore(self._home)
        return (
            f"over-fitting: the held-out loss was lowest after step {step} ({loss:.4f}) and is "
            f"{curve[-1][1]:.4f} now; the weights of step {step} are kept"
        )


def told(curve: Curve) -> str:
    """Return a notice where a whole run ended above its lowest held-out loss; empty if it did not.

    Less than a 50th more is noise.
    """
    if not curve:
        return ""
    step, loss = lowest(curve)
    if curve[-1][1] <= loss + abs(loss) / 50:
        return ""
    return (
        f"over-fitting: the held-out loss was lowest after step {step} ({loss:.4f}) and ended at "
        f"{curve[-1][1]:.4f}; train for fewer epochs, or on more data"
    )
