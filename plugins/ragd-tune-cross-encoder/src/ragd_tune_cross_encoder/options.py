"""Options of a reranker's rows."""

from __future__ import annotations

from ragd_tune.options import Option

ROWS = (
    Option(
        name="negatives",
        type="int",
        default=4,
        low=0,
        high=64,
        help="passages without an answer for each one with it",
    ),
    Option(
        name="negatives_from",
        type="str",
        default="bm25",
        choices=("bm25", "data"),
        help="where negatives come from: bm25 fills up what the data lacks, data adds none",
    ),
    Option(
        name="mine_depth",
        type="int",
        default=50,
        low=1,
        high=1000,
        unit="passages",
        help="negatives are drawn from so many of the first found",
        reason="a reranker meets the candidates of its first stage, hard and easy ones",
    ),
)
"""What makes the rows."""
