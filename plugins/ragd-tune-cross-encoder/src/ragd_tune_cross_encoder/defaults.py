"""Defaults of a reranker's training.

Rates were compared in runs of 140 steps from all-MiniLM-L6-v2 with a new head on an H200, by
``python benchmarks/reranker_rates.py cross-encoder SET TUNING RATES --option negatives_from=bm25``
(seed 0): nDCG@10 less that of the base embedder's order of the same 20 candidates, on dev.

========  ======  =====  =====  =====
set       tuning  5e-5   1e-4   2e-4
========  ======  =====  =====  =====
nl2bash   full    -.041  +.010  +.020
apibench  full    -.012  -.002  +.001
========  ======  =====  =====  =====

========  ======  =====  =====  =====
set       tuning  5e-4   1e-3   2e-3
========  ======  =====  =====  =====
nl2bash   lora    -.028  -.055  +.038
apibench  lora    -.014  +.009  -.014
========  ======  =====  =====  =====

One run each; apibench's dev split of 110 queries tells none of its differences from 0. Higher rates
were not tried.

Negatives from the first stage and the listwise loss are the defaults since both together put
nl2bash in a better order than BM25's negatives and binary cross-entropy after the same 60 steps:
.468 against .367. Either alone: .404 listwise on BM25's negatives, .231 by binary cross-entropy on
the first stage's, still near the loss of knowing the share of answers alone. The embedder's own
order has .490 (docs/explanation/recipes.md).

Three epochs, because one left much undone on dev: medquad .786 against .817 (.706 before), apibench
.225 against .275 (.206 before); six gave apibench .281. On test the default beats the first stage
surely on medquad (+.118) and nl2bash (+.085), and not surely on apibench (+.090).

A row has five pairs by default, so that a batch of 16 rows is 80 pairs: what a bi-encoder's batch
of 32 with one negative takes in memory, about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragd_tune.kinds import Profile
    from ragd_tune.options import Value

LEARNING_RATES = {"full": 2e-4, "lora": 2e-3}
"""Peak rates. New low-rank matrices start at 0 and take ten times the rate of trained weights."""

OTHERWISE = 2e-4


def defaults(profile: Profile) -> Mapping[str, Value]:
    """Return learning rate by tuning, batch size, epochs and loss."""
    return {
        "learning_rate": LEARNING_RATES.get(profile.tuning, OTHERWISE),
        "batch_size": 16,
        "epochs": 3.0,
        "loss": "listwise",
    }
