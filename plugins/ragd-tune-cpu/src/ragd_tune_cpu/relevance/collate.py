"""Rows to tensors: every pair of a query and one of its passages, and what its score is to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers import CrossEncoder

from ragd_tune.errors import DataError
from ragd_tune.objectives import Row


class Pairs:
    """Makes one batch: all pairs of its rows in one column, row after row.

    ``label`` holds a target a pair: its label for binary cross-entropy; for the listwise loss its
    share in the row, from the teacher's scores where the row has them, else from the labels.
    """

    valid_label_columns: tuple[str, ...] = ()

    def __init__(self, model: CrossEncoder, rows: Sequence[Row], *, listwise: bool) -> None:
        self.model = model
        self.rows = rows
        self.listwise = listwise

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Return the tensors of the rows that ``items`` point to."""
        rows = [self.rows[item["row"]] for item in items]
        pairs = [(str(row["query"]), passage) for row in rows for passage in passages(row)]
        made = {f"pair_{key}": value for key, value in self.model.preprocess(pairs).items()}
        made["pair_sizes"] = torch.tensor([len(passages(row)) for row in rows])
        targets = [target for row in rows for target in self._targets(row)]
        made["label"] = torch.tensor(targets, dtype=torch.float32)
        return made

    def _targets(self, row: Row) -> list[float]:
        labels = _numbers(row, "labels")
        if not self.listwise:
            return labels
        teacher = row.get("teacher_scores")
        if teacher:
            return softmax(_numbers(row, "teacher_scores"))
        total = sum(labels)
        return [label / total for label in labels] if total else labels


def passages(row: Row) -> list[str]:
    """Return the passages of a row."""
    found = row["passages"]
    assert isinstance(found, list)
    return found


def _numbers(row: Row, name: str) -> list[float]:
    found = row[name]
    assert isinstance(found, list)
    if len(found) != len(passages(row)):
        raise DataError(
            f"a row has {len(passages(row))} passages and {len(found)} {name}: "
            f"{str(row['query'])[:60]!r}"
        )
    return [float(number) for number in found]


def softmax(scores: Sequence[float]) -> list[float]:
    """Return shares that add up to 1."""
    top = max(scores)
    raised = [math.exp(score - top) for score in scores]
    return [one / sum(raised) for one in raised]
