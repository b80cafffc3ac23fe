"""Defaults of RAFT's training: the field's good practice.

Learning rates lie ten times or more below those of pre-training (3e-4 for 7B models, Touvron et al.
2023, arXiv 2302.13971): 2e-5 for all weights. New low-rank matrices start at 0 and take ten times
that (Hu et al. 2021, arXiv 2106.09685; Dettmers et al. 2023, arXiv 2305.14314: 2e-4 at 7B).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.kinds import Profile
    from ragd_tune.options import Value

LEARNING_RATES = {"full": 2e-5}
ADAPTERS = 2e-4
BATCH = 32
EPOCHS = 3.0


def defaults(profile: Profile) -> Mapping[str, Value]:
    """Return learning rate by tuning, three epochs, 32 rows a step, one row at once on CPUs."""
    return {
        "learning_rate": LEARNING_RATES.get(profile.tuning, ADAPTERS),
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "micro_batch": 1 if profile.device == "cpu" else 4,
        "max_length": 2048,
        "schedule": "cosine",
        "warmup": 0.03,
        "weight_decay": 0.0,
    }
