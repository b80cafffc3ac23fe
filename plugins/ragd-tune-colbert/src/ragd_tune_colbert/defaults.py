"""Defaults of a ColBERT's training.

Learning rates, batch size and epochs are those that were measured for the bi-encoder; the
projection, which is new on most bases, starts orthonormal and needs no rate of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.kinds import Profile
    from ragd_tune.options import Value

LEARNING_RATES = {"full": 5e-5, "lora": 5e-4}
"""Peak rates. New low-rank matrices start at 0 and take ten times the rate of trained weights."""

OTHERWISE = 5e-5


def defaults(profile: Profile) -> Mapping[str, Value]:
    """Return learning rate by tuning, batch size and epochs."""
    return {
        "learning_rate": LEARNING_RATES.get(profile.tuning, OTHERWISE),
        "batch_size": 32,
        "epochs": 1.0,
    }
