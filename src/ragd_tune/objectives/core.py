"""The objectives that the core itself registers."""

from __future__ import annotations

from ragd_tune.objectives.rows import Field, Objective
from ragd_tune.options import CAUSAL_LM, CONTRASTIVE, LATE_INTERACTION, RELEVANCE, SIMILARITY

_CONTRASTIVE_FIELDS = (
    Field(name="query", type="text"),
    Field(name="positive", type="text"),
    Field(name="negatives", type="texts", required=False),
    Field(name="positive_key", type="text", help="identity of the positive passage"),
    Field(name="negative_keys", type="keys", required=False),
    Field(name="relevant_keys", type="keys", help="all passages relevant to the query"),
    Field(
        name="teacher_scores",
        type="numbers",
        required=False,
        help="a teacher's score of the positive, then of each negative",
    ),
)

CONTRASTIVE_OBJECTIVE = Objective(
    id="contrastive",
    title="in-batch softmax over positives and negatives",
    options=CONTRASTIVE,
    fields=_CONTRASTIVE_FIELDS,
)

SIMILARITY_OBJECTIVE = Objective(
    id="similarity",
    title="cosines of two texts ordered as their scores, or regressed on them",
    options=SIMILARITY,
    fields=(
        Field(name="text1", type="text"),
        Field(name="text2", type="text"),
        Field(name="score", type="number", help="from 0 to 1"),
    ),
)

LATE_INTERACTION_OBJECTIVE = Objective(
    id="late_interaction",
    title="in-batch softmax over MaxSim of token vectors",
    options=LATE_INTERACTION,
    fields=_CONTRASTIVE_FIELDS,
)

RELEVANCE_OBJECTIVE = Objective(
    id="relevance",
    title="a query and its passages scored together, against labels",
    options=RELEVANCE,
    contrasts=False,
    fields=(
        Field(name="query", type="text"),
        Field(name="passages", type="texts", help="one or more; order means nothing"),
        Field(name="labels", type="numbers", help="one a passage, from 0 to 1"),
        Field(name="teacher_scores", type="numbers", required=False, help="one a passage"),
    ),
)

CAUSAL_LM_OBJECTIVE = Objective(
    id="causal_lm",
    title="the next token of the completion, after the prompt",
    options=CAUSAL_LM,
    contrasts=False,
    fields=(
        Field(name="prompt", type="text"),
        Field(name="completion", type="text", help="never cut; the loss is on its tokens alone"),
        Field(name="system", type="text", required=False, help="for chat templates"),
        Field(
            name="keep",
            type="texts",
            required=False,
            help="parts of the prompt that must not be cut, as the passage with the answer",
        ),
    ),
)

CORE_OBJECTIVES = (
    CONTRASTIVE_OBJECTIVE,
    SIMILARITY_OBJECTIVE,
    LATE_INTERACTION_OBJECTIVE,
    RELEVANCE_OBJECTIVE,
    CAUSAL_LM_OBJECTIVE,
)
"""Objectives that the core itself registers; plugins add theirs by ``ragd_tune_objectives``."""

_ALONE = frozenset(one.id for one in CORE_OBJECTIVES if not one.contrasts)


def contrasting(objective: str) -> bool:
    """Say whether the rows of a batch are each other's negatives under ``objective``, by its id.

    An objective that is not the core's is taken for one where they are: batches then keep false
    negatives apart, which costs other objectives nothing but a batch of a single row.
    """
    return objective not in _ALONE
