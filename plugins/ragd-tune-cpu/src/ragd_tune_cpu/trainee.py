"""What a plan's preparation gives the loop, whatever its objective is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from sentence_transformers.base import BaseModel as Network

from ragd_tune.objectives import Row
from ragd_tune.plan import ModelFacts


class Collate(Protocol):
    """Makes the tensors of one batch: of the rows that items point to."""

    rows: Sequence[Row]

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Return tensors by column (``query_input_ids``), and ``label`` where there are labels."""
        ...


class Ahead(Protocol):
    """Work that is done once, before the first step, as embedding what stays frozen."""

    @property
    def message(self) -> str:
        """What a user is told while it runs."""
        ...

    def run(self) -> None:
        """Do it."""
        ...

    def seconds(self) -> float:
        """Return about how long it takes, from a part of it; steps can be timed after that."""
        ...


@dataclass(kw_only=True)
class Trainee:
    """A model made ready for a plan, with everything that one step needs.

    ``save`` writes what was trained into a folder that it makes.
    """

    model: Network
    facts: ModelFacts
    loss: torch.nn.Module
    adamw: torch.optim.Optimizer
    train: Collate
    dev: Collate
    save: Callable[[Path], object]
    ahead: Ahead | None = None
