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
        default=FIRST_STAGE,
        choices=(FIRST_STAGE, "bm25", "data"),
        help="where negatives come from: first-stage takes what the first stage of the proof finds "
        "if the data has none; bm25 fills up what the data lacks; data adds none to the data's own",
        reason="what the reranker is to put in order; docs/explanation/recipes.md has the figures",
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
