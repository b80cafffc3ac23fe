"""Objectives: the waist between kinds and backends. Ids, row schemas, and batches.

A kind turns a data set into rows of one objective; a backend minimises that objective over the
rows. Which rows share a batch is decided here, so that two backends can be compared step by step.
"""

from ragd_tune.objectives.batches import batches, passage_keys
from ragd_tune.objectives.core import (
    CAUSAL_LM_OBJECTIVE,
    CONTRASTIVE_OBJECTIVE,
    CORE_OBJECTIVES,
    LATE_INTERACTION_OBJECTIVE,
    RELEVANCE_OBJECTIVE,
    SIMILARITY_OBJECTIVE,
)
from ragd_tune.objectives.rows import PARTS, Field, Objective, Row, Rows

__all__ = [
    "CAUSAL_LM_OBJECTIVE",
    "CONTRASTIVE_OBJECTIVE",
    "CORE_OBJECTIVES",
    "LATE_INTERACTION_OBJECTIVE",
    "PARTS",
    "RELEVANCE_OBJECTIVE",
    "SIMILARITY_OBJECTIVE",
    "Field",
    "Objective",
    "Row",
    "Rows",
    "batches",
    "passage_keys",
]
