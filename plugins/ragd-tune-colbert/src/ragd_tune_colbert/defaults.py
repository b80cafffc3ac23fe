"""Defaults of a ColBERT's training.

Rates were compared in runs of 100 steps from all-MiniLM-L6-v2 on an H200, by ``python
benchmarks/reranker_rates.py colbert SET TUNING RATES --steps 100`` (seed 0): gain in nDCG@10 over
the base embedder's order of the same 20 candidates, on dev.

========  ======  ====  ====  ====
set       tuning  5e-5  1e-4  2e-4
========  ======  ====  ====  ====
nl2bash   full    .062  .066  .071
apibench  full    .034  .042  .029
========  ======  ====  ====  ====

========  ======  ====  ====  ====
set       tuning  5e-4  1e-3  2e-3
========  ======  ====  ====  ====
nl2bash   lora    .062  .066  .059
apibench  lora    .026  .031  .023
========  ======  ====  ====  ====

One run each, and differences of less than .01 say little. The projection, which is new on most
bases, starts orthonormal and needs no rate of its own. Batch size and epochs are the bi-encoder's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.kinds import Profile
    from ragd_tune.options import Value

LEARNING_RATES = {"full": 1e-4, "lora": 1e-3}
"""Peak rates. New low-rank matrices start at 0 and take ten times the rate of trained weights."""

OTHERWISE = 1e-4


def defaults(profile: Profile) -> Mapping[str, Value]:
    """Return learning rate by tuning, batch size and epochs."""
    return {
        "learning_rate": LEARNING_RATES.get(profile.tuning, OTHERWISE),
        "batch_size": 32,
        "epochs": 1.0,
    }
