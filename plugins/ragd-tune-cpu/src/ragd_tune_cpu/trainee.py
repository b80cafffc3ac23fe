"""What a plan's preparation gives the loop, whatever its objective is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers.base import BaseModel as Network

from ragd_tune.plan import ModelFacts
from ragd_tune_cpu.collate import Collator


@dataclass(kw_only=True)
class Trainee:
    """A model made ready for a plan, with everything that one step needs.

    ``save`` writes what was trained into a folder that it makes.
    """

    model: Network
    facts: ModelFacts
    loss: torch.nn.Module
    adamw: torch.optim.Optimizer
    train: Collator
    dev: Collator
    save: Callable[[Path], object]
