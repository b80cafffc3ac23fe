"""What a training step reads of a row, in the same way in every backend."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ragd_tune.errors import DataError
from ragd_tune.objectives.rows import Row


def negatives(row: Row, count: int) -> list[str]:
    """Return the first ``count`` explicit negatives of a row; there may be fewer."""
    found = row.get("negatives") or []
    assert isinstance(found, list)
    return found[:count]


def passages(row: Row) -> list[str]:
    """Return the passages of a row of the objective ``relevance``."""
    found = row["passages"]
    assert isinstance(found, list)
    return found


def targets(row: Row, *, listwise: bool) -> list[float]:
    """Return what the score of each passage of a row is to be.

    For binary cross-entropy that is its label; for the listwise loss its share in the row: softmax
    of the teacher's scores where the row has them, else its part of the labels' sum.

    :raises DataError: the row has not one number for each passage.
    """
    labels = _numbers(row, "labels")
    if not listwise:
        return labels
    if row.get("teacher_scores"):
        return softmax(_numbers(row, "teacher_scores"))
    total = sum(labels)
    return [label / total for label in labels] if total else labels


def softmax(scores: Sequence[float]) -> list[float]:
    """Return shares that add up to 1."""
    top = max(scores)
    raised = [math.exp(score - top) for score in scores]
    return [one / sum(raised) for one in raised]


def _numbers(row: Row, name: str) -> list[float]:
    found = row[name]
    assert isinstance(found, list)
    if len(found) != len(passages(row)):
        raise DataError(
            f"a row has {len(passages(row))} passages and {len(found)} {name}: "
            f"{str(row['query'])[:60]!r}"
        )
    return [float(number) for number in found]
