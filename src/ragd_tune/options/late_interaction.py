"""Options of the objective ``late_interaction``: MaxSim over the vectors of tokens."""

from __future__ import annotations

from ragd_tune.options.option import Option

LATE_INTERACTION = (
    Option(
        name="temperature",
        type="float",
        default=1.0,
        low=0.001,
        high=100.0,
        help="divides the MaxSim scores in the in-batch softmax",
    ),
    Option(
        name="token_dimension",
        type="int",
        default=128,
        choices=(),
        low=8,
        high=4096,
        help="floats of one token's vector; a new projection is made where the base has none",
    ),
    Option(
        name="query_length",
        type="int",
        default=32,
        low=4,
        high=512,
        unit="tokens",
        help="tokens of a query: longer ones are cut, and shorter ones filled by query expansion",
    ),
    Option(
        name="query_expansion",
        type="bool",
        default=True,
        help="fill queries up with mask tokens that search too (ColBERT's query augmentation)",
    ),
    Option(
        name="negatives",
        type="int",
        default=1,
        low=0,
        high=64,
        help="explicit hard negatives used for each row, where the data has them",
    ),
)
"""Options of the objective ``late_interaction``; ``max_length`` is that of a document."""
