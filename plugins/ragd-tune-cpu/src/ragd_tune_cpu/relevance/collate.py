"""Rows to tensors: every pair of a query and one of its passages, and what its score is to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers import CrossEncoder

from ragd_tune.objectives import Row
from ragd_tune.objectives.reading import passages, targets


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
        wanted = [target for row in rows for target in targets(row, listwise=self.listwise)]
        made["label"] = torch.tensor(wanted, dtype=torch.float32)
        return made
