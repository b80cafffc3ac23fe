"""Objectives: the waist between kinds and backends. Ids, row schemas, and batches.

A kind turns a data set into rows of one objective; a backend minimises that objective over the
rows. Which rows share a batch is decided here, so that two backends can be compared step by step.
"""

from ragd_tune.objectives.asked import asked
from ragd_tune.objectives.batches import batches, passage_keys
from ragd_tune.objectives.completion import Frame, Sample, before_stop, frame_of
from ragd_tune.objectives.core import (
    CAUSAL_LM_OBJECTIVE,
    CONTRASTIVE_OBJECTIVE,
    CORE_OBJECTIVES,
    LATE_INTERACTION_OBJECTIVE,
    RELEVANCE_OBJECTIVE,
    SIMILARITY_OBJECTIVE,
    contrasting,
)
from ragd_tune.objectives.rows import PARTS, Field, Objective, Row, Rows
from ragd_tune.objectives.samples import Samples, learnt, parts, samples

__all__ = [
    "CAUSAL_LM_OBJECTIVE",
    "CONTRASTIVE_OBJECTIVE",
    "CORE_OBJECTIVES",
    "LATE_INTERACTION_OBJECTIVE",
    "PARTS",
    "RELEVANCE_OBJECTIVE",
    "SIMILARITY_OBJECTIVE",
    "Field",
    "Frame",
    "Objective",
    "Row",
    "Rows",
    "Sample",
    "Samples",
    "asked",
    "batches",
    "before_stop",
    "contrasting",
    "frame_of",
    "learnt",
    "parts",
    "passage_keys",
    "samples",
]
