"""Options of the objectives over in-batch softmax: ``contrastive``."""

from __future__ import annotations

from ragd_tune.options.option import Option

PROMPTS = (
    Option(
        name="query_prompt",
        type="str",
        default=None,
        optional=True,
        blank=True,
        help="text put before every query; the base's own when not set, none when empty",
    ),
    Option(
        name="document_prompt",
        type="str",
        default=None,
        optional=True,
        blank=True,
        help="text put before every document; the base's own when not set, none when empty",
    ),
)
"""What is put before a text, by its role."""

CONTRASTIVE = (
    Option(
        name="temperature",
        type="float",
        default=0.05,
        low=0.001,
        high=1.0,
        help="divides the cosines in the in-batch softmax",
        reason="sentence-transformers' scale of 20",
    ),
    Option(
        name="dropout",
        type="float",
        default=0.0,
        low=0.0,
        high=0.9,
        help="share of a layer's numbers that is dropped at random, where documents train too",
        reason="no gain was measured, and drawing takes a tenth of a step on a CPU",
    ),
    Option(
        name="matryoshka_dims",
        type="ints",
        default=(),
        low=1,
        high=65_536,
        help="also train these leading dimensions (Matryoshka)",
    ),
    *PROMPTS,
    Option(
        name="negatives",
        type="int",
        default=1,
        low=0,
        high=64,
        help="explicit hard negatives used for each row, where the data has them",
    ),
    Option(
        name="training_length",
        type="int",
        default=None,
        low=8,
        high=32_768,
        optional=True,
        unit="tokens",
        help="longer texts are cut in training; the adapter itself reads max_length",
    ),
    Option(
        name="blend",
        type="float",
        default=1.0,
        low=0.01,
        high=1.0,
        help="how far the adapter goes from the base to what was trained: 1 is all the way, "
        "0.5 halfway; less gains less where training gains, and loses less where it harms",
        reason="all that was learned; saved weights = base + blend · (trained - base), as in "
        "WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903)",
    ),
)
"""Options of the objective ``contrastive``."""
