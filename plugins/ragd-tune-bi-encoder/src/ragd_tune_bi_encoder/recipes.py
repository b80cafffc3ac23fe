"""What ``--budget`` chooses from: recipes that were measured on the same dev splits.

``score`` is the average nDCG@10 over medquad, nl2bash, apibench and stdlib, as the tables of
``docs/explanation/recipes.md`` have it: all weights at 1e-4, batches of 32, one run of seed 0 each,
so that differences below 0.01 say little. Texts of None are whole ones (256 tokens there). LoRA is
taken to rank them alike: with two negatives of 128 tokens it scored .6456 where all weights
scored .6489.

This is the one place of these figures in the code: a row more is a recipe more.
"""

from __future__ import annotations

from ragd_tune.kinds import Recipe
from ragd_tune_bi_encoder.defaults import LEARNING_RATES

_MEASURED: tuple[tuple[int, float, int | None, float], ...] = (
    # negatives, epochs, training_length, score
    (4, 1.0, None, 0.6677),
    (4, 1.0, 128, 0.6624),
    (4, 1.0, 64, 0.6602),
    (4, 0.5, None, 0.6601),
    (2, 1.0, None, 0.6541),
    (1, 1.0, None, 0.6513),
    (2, 1.0, 128, 0.6489),
    (4, 0.5, 128, 0.6485),
    (0, 2.0, None, 0.6343),
    (0, 1.0, None, 0.6168),
)

_AT_MOST: dict[str, dict[str, float]] = {
    "full": {"batch_size": 32, "learning_rate": LEARNING_RATES["full"]},
    "lora": {"batch_size": 32},
}
"""Larger batches, which the defaults take where rows are many, go with fewer negatives."""

RECIPES = tuple(
    Recipe(
        options={"negatives": negatives, "epochs": epochs, "training_length": length},
        score=score,
        objective="contrastive",
        tunings=(tuning,),
        at_most=most,
    )
    for tuning, most in _AT_MOST.items()
    for negatives, epochs, length, score in _MEASURED
)
