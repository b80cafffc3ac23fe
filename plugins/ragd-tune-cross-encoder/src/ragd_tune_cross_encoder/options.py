"""Options of a reranker's rows."""

from __future__ import annotations

from ragd_tune.options import Option
from ragd_tune.reranking import FIRST_STAGE

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
        choices=("bm25", FIRST_STAGE, "data"),
        help="where negatives come from: bm25 fills up what the data lacks; first-stage takes what "
        "the first stage of the proof finds if the data has none; data adds none to the data's own",
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
