"""Options of the objective ``late_interaction``: MaxSim over the vectors of tokens.

Those that are not set are the base's own where it is a ColBERT checkpoint.
"""

from __future__ import annotations

from ragd_tune.options.contrastive import PROMPTS
from ragd_tune.options.option import Option

LATE_INTERACTION = (
    Option(
        name="temperature",
        type="float",
        default=1.0,
        low=0.001,
        high=100.0,
        help="divides the MaxSim scores in the in-batch softmax",
        reason="a score is a sum over a query's tokens, so it is as wide as the softmax needs",
    ),
    Option(
        name="token_dimension",
        type="int",
        default=None,
        low=8,
        high=4096,
        optional=True,
        help="floats of one token's vector, as 128, 96, 64 or 48; 128 when not set",
        reason="ColBERT's own; 48 makes documents 2.7 times smaller",
    ),
    Option(
        name="query_length",
        type="int",
        default=None,
        low=4,
        high=512,
        optional=True,
        unit="tokens",
        help="longer queries are cut, and query expansion fills shorter ones up; 32 when not set",
    ),
    Option(
        name="query_expansion",
        type="bool",
        default=None,
        optional=True,
        help="fill queries up with mask tokens that search too; yes when not set",
        reason="ColBERT's query augmentation",
    ),
    Option(
        name="expansion_attends",
        type="bool",
        default=None,
        optional=True,
        help="let a query's words attend to its mask tokens; no when not set",
    ),
    Option(
        name="skip_punctuation",
        type="bool",
        default=None,
        optional=True,
        help="keep no vectors of a document's punctuation; yes when not set",
        reason="ColBERT's own; say no where punctuation means something, as in code",
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
)
"""Options of the objective ``late_interaction``; ``max_length`` is that of a document."""
