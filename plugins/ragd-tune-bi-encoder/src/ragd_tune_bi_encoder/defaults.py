"""Defaults of a bi-encoder's training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.kinds import Profile
    from ragd_tune.options import Value

LEARNING_RATES = {"full": 5e-5, "lora": 5e-4}


def defaults(profile: Profile) -> Mapping[str, Value]:
    """Return learning rate by tuning, and epochs by the number of rows."""
    return {
        "learning_rate": LEARNING_RATES.get(profile.tuning, 5e-5),
        "batch_size": 32,
        "epochs": 1.0,
    }
