"""What a plan's preparation gives to a training, whatever its objective is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.objectives import Rows
from ragd_tune.plan import ModelFacts
from ragd_tune_mlx.trainer import Trainer


@dataclass(kw_only=True)
class Trainee:
    """A model made ready for a plan.

    ``rows`` are those that are trained on, of which ``note`` says what a user has to know;
    ``save`` writes what was trained into a folder that is there.
    """

    rows: Rows
    facts: ModelFacts
    trainer: Trainer
    save: Callable[[Path], object]
    note: str = ""
