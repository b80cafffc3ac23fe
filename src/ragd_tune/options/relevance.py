"""Options of the objective ``relevance``: scoring a query and a passage together."""

from __future__ import annotations

from ragd_tune.options.option import Option

RELEVANCE = (
    Option(
        name="loss",
        type="str",
        default="bce",
        choices=("bce", "listwise"),
        help="bce judges each passage alone, listwise a query's passages against each other, by a "
        "teacher's scores where the rows have them",
    ),
)
"""Options of the objective ``relevance``."""
