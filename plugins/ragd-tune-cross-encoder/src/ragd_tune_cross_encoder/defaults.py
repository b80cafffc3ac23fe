"""Defaults of a reranker's training.

The rates are those of the bi-encoder (:mod:`ragd_tune_bi_encoder.defaults`), whose layers they
train; which suit a reranker with a new head best has not been measured yet
(``benchmarks/reranker_rates.py`` compares them). At 5e-4 ``lora`` does learn: in ``python
benchmarks/reranker_rates.py cross-encoder nl2bash lora 5e-4 --steps 60``, stopped after 54 steps,
the loss fell from .67 to .47, where knowing no more than the share of answers gives .50. A row has
five pairs by default, so that a batch of 16 rows is 80 pairs: what a bi-encoder's batch of 32 with
one negative takes in memory, about.
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
        "batch_size": 16,
        "epochs": 1.0,
    }
