"""Options of a reranker's rows and of its proof."""

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

PROOF = (
    Option(
        name="first_stage",
        type="str",
        default="all-MiniLM-L6-v2",
        group="proof",
        help="what finds the candidates: an embedder (a base or an adapter), bm25, or hybrid (as "
        "ragd weighs both; hybrid:NAME for another embedder)",
        reason="ragd's own embedder",
    ),
    Option(
        name="candidates",
        type="int",
        default=50,
        low=2,
        high=1000,
        group="proof",
        unit="documents",
        help="how many of the first stage's best documents are reranked",
    ),
    Option(
        name="beside",
        type="strs",
        default=(),
        group="proof",
        help="embedders whose order is reported beside, as the tuned one",
    ),
)
"""How an adapter is judged."""
