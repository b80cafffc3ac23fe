"""Defaults of a bi-encoder's training, and what they were measured on.

nDCG@10 on the dev splits, whole corpus, all-MiniLM-L6-v2, batches of 32, dropout 0.1, bfloat16,
seed 0 (one run each, so differences of 0.01 say little): ``python -m benchmarks.levers``, a loop of
its own; all rows are in ``docs/explanation/recipes.md``, and what holds without dropout.

============================================== ======= ======= ======== ====== =======
recipe                                         medquad nl2bash apibench stdlib average
============================================== ======= ======= ======== ====== =======
the one that is copied: 3 epochs, full, 2e-5   .8182   .7239   .3223    .5994  .6159
1 epoch, full, 1e-4                            .8028   .7202   .3465    .5978  .6168
1 epoch, LoRA r=16, 1e-3                       .8054   .7145   .3217    .5892  .6077
1 epoch, full, 1e-4, 1 mined negative          .8632   .7396   .4115    .5909  .6513
1 epoch, full, 1e-4, 2 mined negatives         .8607   .7335   .4215    .6006  .6541
1 epoch, full, 1e-4, 4 mined negatives         .8631   .7396   .4720    .5962  .6677
the same, texts cut to 128 tokens              .8463   .7340   .4699    .5994  .6624
the same, texts cut to 64 tokens               .8357   .7375   .4705    .5974  .6602
1 epoch, full, 1e-4, 2 negatives, 128 tokens   .8390   .7365   .4253    .5948  .6489
1 epoch, LoRA, 2e-3, 2 negatives, 128 tokens   .8505   .7309   .4124    .5886  .6456
1 epoch, LoRA, 1e-3, 2 negatives, 128 tokens   .8412   .7200   .3960    .5952  .6381
============================================== ======= ======= ======== ====== =======

Four negatives of 64 tokens cost what two of 128 do, and give more, but for MedQuAD, whose answers
are long: see :data:`BATCHES`. All weights are the default tuning: on MedQuAD they gained more than
LoRA, lost less on another domain, and took less time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragd_tune.options import Option

if TYPE_CHECKING:
    from ragd_tune.kinds import Profile
    from ragd_tune.options import Value

LEARNING_RATES = {"full": 1e-4, "lora": 2e-3, "map": 1e-3}
"""Peak rates. New matrices start at 0 and take twenty times the rate of trained weights.

Those of ``map``, the side ``query`` and the objective ``similarity`` were compared with no others.
"""

BATCHES = ((10_240, 128, 0), (5_120, 64, 1), (4_000, 32, 1))
"""Rows from which on, batch size, mined negatives: many rows bring their own negatives.

On nl2bash (10,958 rows), seeds 0 and 1: batches of 128 at 2e-4 without mined negatives gave .7577
and .7594 on dev, batches of 32 at 1e-4 with one each .7384 and .7428, for 40% more tokens and four
times as many updates; batches of 64 lie between. An epoch has at least 80 steps so. On medquad
(4,064 rows), one negative and texts of 128 tokens gave .8462, two and 64 tokens .8303.
"""
LENGTH, LONGER = 64, 128
"""Tokens of a text in training; the longer ones where each row has one mined negative at most."""

BATCH_RATE = 2
"""The rate of ``full`` is multiplied by this in batches above 32: 4e-4 gave .7458 and .7483."""

GENERATED_BLEND = 0.7
"""Share of the trained weights for questions that were made without a language model (WiSE-FT).

They are wrong more often than a person's. On dev, all the way and at 0.7: medquad .7669 and .7912
(0.5: .7925); stdlib .5978 and, at 0.75, .6025 (0.5: .5862).
"""

OTHERWISE = 1e-4

MOST_NEGATIVES = 4
NEGATIVE_TEXTS = 10_000
"""Mined negatives in an epoch at most, beyond one a row: the fewer rows, the more of each.

Four are worth .06 to .08 more than one on 1,706 rows, .005 to .02 on 3,800; on 4,064 rows and on
10,958 they are worth nothing that could be measured, at twice the cost of a step, which longer
texts make better use of.
"""

BATCH = 32
SMALL_BATCH = 16
"""Rows of a step on a machine that ragd calls minimal (less than 8 GiB): half the memory."""

OPTIONS = (
    Option(
        name="mine",
        type="str",
        default="auto",
        choices=("auto", "no"),
        help="auto mines hard negatives by the base model where the data brings none",
        reason="the strongest lever where rows are few; see docs/explanation/recipes.md",
    ),
)


def defaults(profile: Profile) -> Mapping[str, Value]:
    """Return learning rate by tuning, and what else was measured above.

    A machine of ragd's tier ``minimal`` takes smaller steps, which were not measured.
    """
    batch, hard, length = _batch(profile)
    rate = LEARNING_RATES.get(profile.tuning, OTHERWISE)
    return {
        **({"mine": "no", "blend": GENERATED_BLEND} if profile.generated else {}),
        "learning_rate": rate * (BATCH_RATE if batch > BATCH and profile.tuning == "full" else 1),
        "batch_size": SMALL_BATCH if profile.tier == "minimal" else batch,
        "epochs": 1.0,
        "negatives": hard,
        "training_length": length,
    }


def _batch(profile: Profile) -> tuple[int, int, int]:
    """Return batch size, mined negatives and tokens of a text for so many rows."""
    plain = profile.side == "both" and not profile.generated and profile.tier != "minimal"
    for rows, batch, hard in BATCHES if plain else ():
        if profile.rows >= rows:
            return batch, hard, LONGER
    return BATCH, negatives(profile.rows), LENGTH


def negatives(rows: int) -> int:
    """Return how many mined negatives each of so many rows gets in batches of 32: 4 of few."""
    return max(1, min(MOST_NEGATIVES, NEGATIVE_TEXTS // max(1, rows)))
