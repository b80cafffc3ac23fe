"""Defaults of a bi-encoder's training, and what they were measured on.

nDCG@10 on the dev splits, whole corpus, all-MiniLM-L6-v2, one epoch of batches of 32, 256 tokens,
bfloat16, seed 0 (one run each, so differences of 0.02 say little). Measured by a loop over the
hooks that is not kept here, apibench by an earlier version; to measure again: ``ragd-tune train
bi-encoder --data SET --tuning full --split dev``, and the same with ``lora``.

======== ====== ====== ================ =================
set      rows   base   full, 5e-5       LoRA r=16, 5e-4
======== ====== ====== ================ =================
nl2bash  10,958 0.538  0.716            0.698
apibench 1,706  0.206  0.334            0.307
======== ====== ====== ================ =================

The 95% interval of each gain lies above 0. Both tunings take about the same time and memory; LoRA
is the default because its adapter is 3 MB and not 90, and leaves the base as it is.
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
    """Return learning rate by tuning, and batch size and epochs as measured above."""
    return {
        "learning_rate": LEARNING_RATES.get(profile.tuning, OTHERWISE),
        "batch_size": 32,
        "epochs": 1.0,
    }
