"""What ``--budget`` chooses from: recipes that were measured on the same dev splits.

What helps depends on the number of rows: of few, mined negatives do; of more, longer texts; of
many, large batches. So recipes are ranked by the sets of that size. The figures are those of
``docs/explanation/recipes.md``, one run of seed 0 each, so that differences below 0.01 say little.
Texts of None are whole ones (256 tokens there). LoRA is taken to rank the recipes alike: with two
negatives of 128 tokens it scored .6456 on average where all weights scored .6489.

This is the one place of these figures in the code: a row more is a recipe more.
"""

from __future__ import annotations

from ragd_tune.kinds import Recipe
from ragd_tune_bi_encoder.defaults import BATCHES, LEARNING_RATES, LONGER

SOME, MANY = BATCHES[-1][0], BATCHES[0][0]
"""Rows from which on the defaults mine one negative, and none."""

_MEASURED: tuple[tuple[int, float, int | None, float | None, float], ...] = (
    # negatives, epochs, training_length, apibench and stdlib on average, medquad
    (4, 1.0, None, 0.5341, 0.8631),
    (4, 1.0, 128, 0.5347, 0.8463),
    (4, 1.0, 64, 0.5340, 0.8357),
    (4, 0.5, None, 0.5337, 0.8531),
    (4, 0.5, 128, 0.5202, 0.8393),
    (2, 1.0, None, 0.5111, 0.8607),
    (2, 1.0, 128, 0.5101, 0.8390),
    (2, 1.0, 64, 0.5099, 0.8256),
    (1, 1.0, None, 0.5012, 0.8632),
    (1, 1.0, 128, None, 0.8462),
    (1, 1.0, 64, 0.4840, 0.8405),
    (0, 2.0, None, 0.4742, 0.8398),
    (0, 1.0, None, 0.4722, 0.8028),
    (0, 1.0, 64, 0.4552, 0.7796),
)
"""nDCG@10 in batches of 32 at 1e-4: of few rows (1,706 and 3,800), and of some (4,064)."""

_AT_MOST: dict[str, dict[str, float]] = {
    "full": {"batch_size": 32, "learning_rate": LEARNING_RATES["full"]},
    "lora": {"batch_size": 32},
}
"""The defaults take larger batches where there are more rows, which these were not measured in."""


def _ranked(tuning: str, column: int, rows_from: int, rows_below: int) -> list[Recipe]:
    """Return the recipes for a number of rows, by one column of the scores."""
    return [
        Recipe(
            options={"negatives": negatives, "epochs": epochs, "training_length": length},
            score=score,
            objective="contrastive",
            tunings=(tuning,),
            at_most=_AT_MOST[tuning],
            rows_from=rows_from,
            rows_below=rows_below,
        )
        for negatives, epochs, length, *scores in _MEASURED
        if (score := scores[column]) is not None
    ]


_LARGE = Recipe(
    options={"negatives": 0, "epochs": 1.0, "training_length": LONGER},
    score=0.7586,
    objective="contrastive",
    tunings=tuple(_AT_MOST),
    rows_from=MANY,
)
"""On nl2bash (10,958 rows), in the batches and at the rate that are the defaults there.

Its texts are shorter than 64 tokens but for 1.4% of them. In batches of 32 it had .7396 at most.
"""

RECIPES = (
    *(one for tuning in _AT_MOST for one in _ranked(tuning, 0, 0, SOME)),
    *(one for tuning in _AT_MOST for one in _ranked(tuning, 1, SOME, MANY)),
    _LARGE,
)
