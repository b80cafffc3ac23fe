"""Options of the objective ``similarity``: pairs of texts with a score."""

from __future__ import annotations

from ragd_tune.options.contrastive import PROMPTS
from ragd_tune.options.option import Option

SIMILARITY = (
    Option(
        name="loss",
        type="str",
        default="cosent",
        choices=("cosent", "cosine"),
        help="cosent orders the pairs of a batch by their cosines, cosine regresses on the scores",
        reason="CoSENT needs no calibrated scores, and is sentence-transformers' own advice",
    ),
    *PROMPTS,
)
"""Options of the objective ``similarity``."""
